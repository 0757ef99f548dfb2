"""A technology as a leg: protocol events to facts, effects to protocol."""
