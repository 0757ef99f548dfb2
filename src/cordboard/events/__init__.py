"""Happenings become the bodies of `calling.*` events."""
