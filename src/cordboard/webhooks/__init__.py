"""The language out: callbacks, signed and delivered at least once."""
