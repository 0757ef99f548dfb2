"""A client drives calls: RELAY, in and out, as machines over frames."""
