"""The `calling.*` methods: JSON params → `Request`.  `read` is the door; it never raises."""

from __future__ import annotations

from cordboard.relay.methods.reading import read as read

__all__ = ["read"]
