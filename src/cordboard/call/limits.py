"""Bounds of what a call can be asked for, in whatever language (swml.md 7)."""

from __future__ import annotations

MAX_GROUP = 10
"""Destinations dialled at once."""
MAX_DESTINATIONS = 50
"""In one plan."""
MAX_HEADERS = 64
MAX_NAME = 70
"""Characters of a display name."""
MIN_SESSION = 90
"""Seconds: the least Session-Expires (RFC 4028, section 4)."""
MAX_SESSION = 86_400
MAX_PLAYED = 100
"""Items of one play."""
MAX_SPOKEN = 5_000
"""Characters of one spoken text."""
MAX_LOOPS = 10_000
MAX_INPUT_SECONDS = 3_600
"""That any timer of an input can be set to."""
MAX_RECORDING_SECONDS = 86_400
_COUNTRIES = """at au bg br be ch cl cn cz de dk ee es fi fr gr hu il in it lt jp mx my nl no nz ph pl pt ru
    se sg th uk us us-old tw ve za"""
COUNTRIES = frozenset(_COUNTRIES.split())
"""Whose ring cadences are known."""
