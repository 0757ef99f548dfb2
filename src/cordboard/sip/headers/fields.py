"""The header fields of a message: an ordered multi-map over raw names and values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cordboard.sip.headers.grammar import HeaderError
from cordboard.sip.headers.names import CANONICAL, SPELLINGS, canonical_name

# A line break would let whoever filled in the value write headers of its own.  Surrogates other than
# those that stand for an undecodable byte cannot be put on the wire.
_UNSENDABLE = re.compile("[\r\n\ud800-\udc7f\udd00-\udfff]")


def check_sendable(text: str) -> str:
    """`text`, or HeaderError if it cannot stand in one line of a message."""
    if not text.isprintable() and _UNSENDABLE.search(text) is not None:
        raise HeaderError("a header may not contain a line break or a lone surrogate")
    return text


_NOWHERE: Mapping[str, int] = {}


class Headers:
    """Header fields in the order of the message.

    Names compare without case; compact forms count as their long names.  Values are raw text, trimmed and
    unfolded; bytes that are not UTF-8 are kept as surrogate escapes.  What was parsed from a value is
    remembered until that name is changed here.
    """

    __slots__ = ("_names", "_values", "parsed", "places", "typed")

    _names: list[str] | tuple[str, ...]
    _values: list[str] | tuple[str, ...]

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        """Raises HeaderError if a name is no token or a value holds a line break."""
        self._names = []
        self._values = []
        self.places: Mapping[str, int] = _NOWHERE
        """Of a parsed message that has not been changed: the first place of each name, and ..."""
        self.typed: Sequence[Any] = ()
        """... the typed values by place.  For the readers of typed values only, as is ..."""
        self.parsed: dict[str, Any] = {}
        """... this: typed values by name that were read later."""
        for name, value in fields:
            self.add(name, value)

    @classmethod
    def unchecked(cls, names: list[str], values: list[str]) -> Headers:
        """Takes over two lists of equal length: canonical names, and values that are known to be clean."""
        made = cls.__new__(cls)
        made._names = names
        made._values = values
        made.places = _NOWHERE
        made.typed = ()
        made.parsed = {}
        return made

    @classmethod
    def laid_out(
        cls, names: tuple[str, ...], values: tuple[str, ...], typed: Sequence[Any], places: Mapping[str, int]
    ) -> Headers:
        """The same of a message that has been read, with its typed values."""
        made = cls.__new__(cls)
        made._names = names
        made._values = values
        made.places = places
        made.typed = typed
        made.parsed = {}
        return made

    def get(self, name: str) -> str | None:
        """The first value of `name`, or None."""
        places = self.places
        place = places.get(name)
        if place is not None:
            return self._values[place]
        return None if places and name in CANONICAL else self._get(name)

    def first_of(self, names: Iterable[str]) -> list[str | None]:
        """`get` of each of these names, which must be spelt as usual."""
        place, values = self.places.get, self._values
        if not self.places:
            return [self._get(name) for name in names]
        return [None if (at := place(name)) is None else values[at] for name in names]

    def _get(self, name: str) -> str | None:
        key = SPELLINGS.get(name)
        if key is None:
            return next(iter(self._others(name)), None)
        if self.places:
            place = self.places.get(key)
            return None if place is None else self._values[place]
        return self._values[self._names.index(key)] if key in self._names else None

    def get_all(self, name: str) -> list[str]:
        """Every value of `name`, one for each header line."""
        key = SPELLINGS.get(name)
        if key is None:
            return self._others(name)
        if self.places:
            place = self.places.get(key)
            if place is None:
                return []
            if self._names.count(key) == 1:
                return [self._values[place]]
        return [value for known, value in zip(self._names, self._values, strict=True) if known == key]

    def count(self, name: str) -> int:
        key = SPELLINGS.get(name)
        return len(self._others(name)) if key is None else self._names.count(key)

    def add(self, name: str, value: str) -> None:
        """Appends a line; raises HeaderError if the name is no token or the value holds a line break."""
        key = _key(name)
        check_sendable(value)
        names, values = self._open()
        names.append(key)
        values.append(value)
        self.parsed.pop(key, None)

    def set(self, name: str, value: str) -> None:
        """Replaces the first line of that name and removes the others, or appends."""
        key = _key(name)
        check_sendable(value)
        places = self._places(key)
        if not places:
            self.add(key, value)
            return
        self._open()[1][places[0]] = value
        self._delete(places[1:])
        self.parsed.pop(key, None)

    def set_first(self, name: str, value: str) -> None:
        """Replaces the first line of that name and leaves the others, or appends."""
        key = _key(name)
        places = [self._names.index(key)] if key in self._names else self._places(key)
        if not places:
            self.add(key, value)
            return
        self._open()[1][places[0]] = check_sendable(value)
        self.parsed.pop(key, None)

    def remove(self, name: str) -> None:
        key = canonical_name(name) or name
        self._delete(self._places(key))
        self.parsed.pop(key, None)

    def items(self) -> list[tuple[str, str]]:
        return list(zip(self._names, self._values, strict=True))

    def copy(self) -> Headers:
        return Headers.unchecked([*self._names], [*self._values])

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return zip(self._names, self._values, strict=True)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"Headers({self.items()!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return self.items() == other.items()

    __hash__ = None  # type: ignore[assignment]

    def _places(self, key: str) -> list[int]:
        wanted = key.lower()
        return [place for place, name in enumerate(self._names) if name.lower() == wanted]

    def _delete(self, places: list[int]) -> None:
        names, values = self._open()
        for place in reversed(places):
            del names[place]
            del values[place]

    def _open(self) -> tuple[list[str], list[str]]:
        """The names and the values, to be changed."""
        if isinstance(self._names, list) and isinstance(self._values, list):
            return self._names, self._values
        self.parsed.update(zip(self._names, self.typed, strict=True))
        self.places, self.typed = _NOWHERE, ()
        self._names, self._values = names, values = [*self._names], [*self._values]
        return names, values

    def _others(self, name: str) -> list[str]:
        key = (canonical_name(name) or name).lower()
        return [value for known, value in zip(self._names, self._values, strict=True) if known.lower() == key]


def _key(name: str) -> str:
    key = SPELLINGS.get(name) or canonical_name(name)
    if key is None:
        raise HeaderError("a header name must be a token")
    return key
