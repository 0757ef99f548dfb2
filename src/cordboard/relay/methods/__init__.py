"""What each RELAY method asks for: its params become a command or a request."""
