"""What to play: files, speech, silence and ringing tones, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

Item = dict[str, Any]
"""`{"type": …, "params": {…}}`, as it goes over the wire."""


def audio(url: str) -> Item:
    """A wav or mp3 file at an http(s) URL."""
    return {"type": "audio", "params": {"url": url}}


def tts(
    text: str, *, language: str | None = None, gender: str | None = None, voice: str | None = None
) -> Item:
    """Speech.  `language` as `en-US`; `gender`: `female` or `male`."""
    params = {"text": text, "language": language, "gender": gender, "voice": voice}
    return {"type": "tts", "params": {key: value for key, value in params.items() if value is not None}}


def silence(seconds: float) -> Item:
    """Nothing."""
    return {"type": "silence", "params": {"duration": seconds}}


def ringtone(country: str = "us", seconds: float | None = None) -> Item:
    """The ringing tone of a country, one cycle of it or for so many seconds."""
    params: dict[str, Any] = {"name": country}
    if seconds is not None:
        params["duration"] = seconds
    return {"type": "ringtone", "params": params}


class Playlist:
    """Items in order; `volume` in dB, -40 to 40."""

    def __init__(self, *items: Item, volume: float | None = None) -> None:
        self.items: list[Item] = list(items)
        self.volume = volume

    def add(self, item: Item) -> Playlist:
        """One more at the end."""
        self.items.append(item)
        return self


What: TypeAlias = Playlist | Item | Sequence[Item]
"""A list, or one thing."""


def items_of(what: What) -> list[Item]:
    """What goes over the wire."""
    if isinstance(what, Playlist):
        return what.items
    return [what] if isinstance(what, dict) else list(what)
