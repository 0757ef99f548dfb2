"""SWML: documents that drive a call, from text to the actions of `cordboard.call.actions`."""
