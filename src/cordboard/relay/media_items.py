"""`play` and `ringback`: media objects → what is played (relay-protocol.md 8.2)."""

from __future__ import annotations

from collections.abc import Callable

from cordboard.call.addresses import is_url
from cordboard.call.limits import COUNTRIES, MAX_PLAYED, MAX_SPOKEN
from cordboard.call.plan import PlayItem, Ringback
from cordboard.relay.params import Params

DEFAULT_LANGUAGE = "en-US"
_LONGEST = 86_400.0
"""Seconds of a silence or of ringing."""


def play_items(given: Params) -> tuple[PlayItem, ...]:
    """The items of a required `play`.  Raises `WrongParamError`."""
    items = tuple(_item(media) for media in given.objects("play", most=MAX_PLAYED))
    if not items:
        raise given.error("`play` is required: a list of media, such as `tts` or `audio`, at least one.")
    return items


def ringback(given: Params) -> Ringback | None:
    """What the caller hears meanwhile; an empty list is none.  Raises `WrongParamError`."""
    items = tuple(_item(media) for media in given.objects("ringback", most=MAX_PLAYED))
    return Ringback(items=items) if items else None


def _item(media: Params) -> PlayItem:
    kind = media.choice("type", _KINDS)
    if not kind:
        raise media.error(f"`{media.place('type')}` is required: one of {', '.join(_KINDS)}.")
    return _KINDS[kind](media.within_or_empty("params"))


def _audio(params: Params) -> PlayItem:
    url = params.required("url").strip()
    is_file = url.lower().startswith("file:") and url.isprintable() and len(url) > 5
    if not is_url(url) and not is_file:
        raise params.wrong("url", "an http(s) URL")
    return PlayItem(kind="audio", url=url)


def _tts(params: Params) -> PlayItem:
    return PlayItem(
        kind="say",
        text=params.required("text", longest=MAX_SPOKEN),
        voice=params.text("voice", longest=128) or "",
        language=params.text("language", longest=64) or DEFAULT_LANGUAGE,
        gender=params.text("gender", longest=64) or "",
    )


def _silence(params: Params) -> PlayItem:
    duration = params.number("duration", 0, _LONGEST)
    if duration is None:
        raise params.error(f"`{params.place('duration')}` is required: seconds of silence.")
    return PlayItem(kind="silence", duration=duration)


def _ringtone(params: Params) -> PlayItem:
    duration = params.number("duration", 0, _LONGEST)
    country = params.choice("name", sorted(COUNTRIES), "us")
    return PlayItem(kind="ring", country=country, duration=duration or 0.0)


_KINDS: dict[str, Callable[[Params], PlayItem]] = {
    "audio": _audio,
    "tts": _tts,
    "silence": _silence,
    "ringtone": _ringtone,
}
