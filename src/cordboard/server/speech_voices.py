"""Which voice speaks a text: the one that was asked for, or the nearest that is installed, with a warning."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

INSTALL = (
    "Install Cordboard with its speech extra (pip install 'cordboard[speech]') for English,"
    " or espeak-ng for other languages."
)


class Voice(msgspec.Struct, frozen=True):
    """One that is installed."""

    engine: str
    """hibari or espeak"""
    name: str
    language: str
    """en-US; of espeak also shorter: de"""
    gender: str


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Who speaks.  `language` is the accent that was chosen."""

    voice: Voice
    language: str
    gender: str
    warning: str = ""
    """A sentence, where it is not what was asked for."""


def choose(
    voices: Sequence[Voice], *, voice: str, language: str, gender: str, default_language: str
) -> Choice | None:
    """None where nobody is installed."""
    if not voices:
        return None
    wanted = (language or default_language).replace("_", "-")
    speaking = _of_language(voices, wanted) or _of_language(voices, default_language) or list(voices)
    named = next((one for one in voices if one.name.lower() == voice.lower()), None) if voice else None
    found = named or _of_gender(speaking, gender)
    return Choice(
        voice=found,
        language=wanted if _base(wanted) == _base(found.language) else found.language,
        gender=gender.lower() or found.gender,
        warning=_warning(found, voice if named is None else "", wanted),
    )


def _of_language(voices: Sequence[Voice], language: str) -> list[Voice]:
    """Those of the very language, then those of the same one elsewhere; hibari's before espeak's."""
    base = _base(language)
    same = [one for one in voices if _base(one.language) == base]
    return sorted(same, key=lambda one: (one.engine != "hibari", one.language.lower() != language.lower()))


def _of_gender(voices: Sequence[Voice], gender: str) -> Voice:
    engine = voices[0].engine
    same = (one for one in voices if one.engine == engine and one.gender == gender.lower())
    return next(same, voices[0])


def _base(language: str) -> str:
    return language.lower().partition("-")[0]


def _warning(found: Voice, unknown_voice: str, language: str) -> str:
    if _base(found.language) != _base(language):
        nearest = f"{found.name!r} ({found.language})"
        return f"No installed voice speaks {language!r}: {nearest} speaks instead. {INSTALL}"
    if unknown_voice:
        return f"The voice {unknown_voice!r} is not installed: {found.name!r} speaks instead."
    return ""
