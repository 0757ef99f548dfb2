"""SWML, the language in: a script drives a call."""
