"""SIP (RFC 3261), sans-IO, usable alone."""
