"""One file for each SWML method: its parameters become an action."""
