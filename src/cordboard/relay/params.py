"""JSON params, read one member at a time: each mistake is a sentence with its place and what is allowed.

A member that is null counts as absent, members that nobody reads are ignored.  Numbers may be written as
text, as some clients do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from cordboard.call.addresses import is_url
from cordboard.call.wording import dotted, nearest, shown

MAX_TEXT = 4_096
"""Characters of a text that has no bound of its own."""
_NUMBER = re.compile(r"[-+]?[0-9]{1,15}(?:\.[0-9]{1,15})?\Z")
_BOOLEANS = {"true": True, "false": False}


class WrongParamError(Exception):
    """A request that cannot be carried out as it is written.  `str()` is one sentence."""

    def __init__(self, message: str, *, code: str = "400") -> None:
        super().__init__(message)
        self.code = code


class Params:
    """A JSON object, and where it stands in its request."""

    __slots__ = ("_path", "_values", "method")

    def __init__(self, values: dict[str, Any], method: str, path: tuple[str | int, ...] = ()) -> None:
        self._values = values
        self._path = path
        self.method = method

    def has(self, name: str) -> bool:
        """Present, and not null."""
        return self._values.get(name) is not None

    def raw(self, name: str) -> Any:
        """As it is written."""
        return self._values.get(name)

    def place(self, name: str | int) -> str:
        """Such as `devices[0][1].params.to`."""
        return dotted((*self._path, name))

    def wrong(self, name: str, allowed: str, *, code: str = "400") -> WrongParamError:
        """The error for a member that is not as it must be."""
        return self.error(f"`{self.place(name)}` must be {allowed}, not {shown(self.raw(name))}.", code=code)

    def error(self, sentence: str, *, code: str = "400") -> WrongParamError:
        """An error in words of its own."""
        return WrongParamError(f"{self.method}: {sentence}", code=code)

    # ------------------------------------------------------------ texts

    def text(self, name: str, *, longest: int = MAX_TEXT) -> str | None:
        """A string of at most so many characters, None if absent."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > longest:
            raise self.wrong(name, f"a string of at most {longest} characters")
        return value

    def required(self, name: str, *, longest: int = MAX_TEXT) -> str:
        """A string that is there and not empty."""
        value = self.text(name, longest=longest)
        if not value:
            raise self.error(f"`{self.place(name)}` is required: a string that is not empty.")
        return value

    def matching(self, name: str, pattern: re.Pattern[str], allowed: str) -> str | None:
        """A string of which a pattern matches the whole."""
        value = self.text(name)
        if value is not None and pattern.fullmatch(value) is None:
            raise self.wrong(name, allowed)
        return value

    def url(self, name: str) -> str | None:
        """An http(s) URL."""
        value = self.text(name)
        if value is not None and not is_url(value.strip()):
            raise self.wrong(name, "an http(s) URL")
        return value.strip() if value is not None else None

    def choice(self, name: str, allowed: Iterable[str], default: str = "") -> str:
        """One of some words, in their own spelling; written in any case."""
        value = self.raw(name)
        if value is None:
            return default
        return self._word(value, allowed, self.place(name))

    def choices(self, name: str, allowed: Iterable[str]) -> list[str] | None:
        """A list of such words."""
        listed = self.listed(name)
        if listed is None:
            return None
        return [self._word(item, allowed, f"{self.place(name)}[{n}]") for n, item in enumerate(listed)]

    def _word(self, value: object, allowed: Iterable[str], place: str) -> str:
        known = {word.casefold(): word for word in allowed}
        found = known.get(value.casefold()) if isinstance(value, str) else None
        if found is None:
            near = nearest(value, known.values()) if isinstance(value, str) else ""
            hint = f"; did you mean `{near}`?" if near else "."
            words = ", ".join(known.values())
            raise self.error(f"`{place}` must be one of {words}, not {shown(value)}{hint}")
        return found

    # ------------------------------------------------------------ numbers

    def number(self, name: str, low: float | None = None, high: float | None = None) -> float | None:
        """A finite number within bounds, None if absent."""
        return self._number(name, low, high, "a number")

    def whole(self, name: str, low: float | None = None, high: float | None = None) -> int | None:
        """A whole number within bounds, None if absent."""
        number = self._number(name, low, high, "a whole number")
        if number is None:
            return None
        if number != int(number):
            raise self.wrong(name, "a whole number" + _bounds(low, high))
        return int(number)

    def _number(self, name: str, low: float | None, high: float | None, kind: str) -> float | None:
        value = self.raw(name)
        if value is None:
            return None
        number = _finite(value)
        if number is None or (low is not None and number < low) or (high is not None and number > high):
            raise self.wrong(name, kind + _bounds(low, high))
        return number

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self.raw(name)
        if value is None:
            return default
        found = _BOOLEANS.get(value.strip().lower()) if isinstance(value, str) else value
        if not isinstance(found, bool):
            raise self.wrong(name, "true or false")
        return found

    # ------------------------------------------------------------ what holds others

    def within(self, name: str) -> Params | None:
        """An object in this one, None if absent."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(name, "an object")
        return Params(value, self.method, (*self._path, name))

    def within_or_empty(self, name: str) -> Params:
        """An object in this one; an empty one if absent."""
        return self.within(name) or Params({}, self.method, (*self._path, name))

    def needed(self, name: str) -> Params:
        """An object that must be there."""
        found = self.within(name)
        if found is None:
            raise self.error(f"`{self.place(name)}` is required: an object.")
        return found

    def listed(self, name: str, *, most: int = 100) -> list[Any] | None:
        """A list, None if absent."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self.wrong(name, "a list")
        if len(value) > most:
            raise self.error(f"`{self.place(name)}` has {len(value)} items, at most {most} are possible.")
        return value

    def objects(self, name: str, *, most: int = 100) -> Iterator[Params]:
        """The objects of a list."""
        for index, item in enumerate(self.listed(name, most=most) or ()):
            if not isinstance(item, dict):
                place = dotted((*self._path, name, index))
                raise self.error(f"`{place}` must be an object, not {shown(item)}.")
            yield Params(item, self.method, (*self._path, name, index))


def _bounds(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    if low is not None:
        return f" of at least {low:g}"
    return "" if high is None else f" of at most {high:g}"


def _finite(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and _NUMBER.match(value.strip()):
        return float(value)
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
