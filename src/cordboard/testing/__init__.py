"""Public fakes and simulated phones for tests of call flows."""
