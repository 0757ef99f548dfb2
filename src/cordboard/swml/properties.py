"""The vocabulary of the property tables: what a method accepts, said once.

The tables (in `methods/`) drive reading, checking, defaults and messages here, and are made to feed a
linter, a JSON Schema and reference pages.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec


class Kind(Enum):
    """What a property holds."""

    STRING = "a string"
    URL = "an http(s) URL"
    INTEGER = "an integer"
    NUMBER = "a number"
    BOOLEAN = "true or false"
    ANY = "any value"
    MAP = "a mapping"
    LIST = "a list"
    RECORD = "a mapping of its own properties"
    STEPS = "a list of steps"
    CASES = "a mapping of values to lists of steps"
    BRANCHES = "a list of `when`/`then` branches"
    RESULT = "a mapping with `case`, or a list of `when`/`then` branches"
    CONDITION = "a JavaScript condition"
    CONFIRM = "an http(s) URL or a list of steps"
    DOCUMENT = "an http(s) URL or an inline document"
    UNION = "one of several kinds"


STRUCTURE = frozenset({Kind.STEPS, Kind.CASES, Kind.BRANCHES, Kind.RESULT, Kind.CONDITION})
"""Kinds that hold parts of the program: compiled at load, not substituted."""


def _bound(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


class Property(msgspec.Struct, frozen=True, kw_only=True):
    """One property of a method."""

    name: str
    kind: Kind
    about: str = ""
    """What it is for, in one sentence: shown by editors."""
    required: bool = False
    default: Any = None
    enum: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    pattern: str = ""
    """Of a STRING: a regular expression for the whole of it."""
    means: str = ""
    """What fits the pattern, in words."""
    items: Property | None = None
    """Of a LIST: what each item is; of a MAP: what each value is."""
    lazy: bool = False
    """Of a LIST: the method checks the items itself, so that a wrong one fails alone."""
    record: tuple[Property, ...] = ()
    """Of a RECORD: its properties."""
    main: str | None = None
    """Of a RECORD: the property that a bare text stands for."""
    options: tuple[Property, ...] = ()
    """Of a UNION: what is allowed; the first that fits counts."""
    outside: tuple[str, ...] = ()
    """Of a RECORD: names that belong to the step around it, and are often written here by mistake."""
    lenient: bool = False
    """A value that cannot be used is no error: the method warns of it and takes its default."""
    applies_to: frozenset[str] | None = None
    """connect: kinds of destination that it has an effect on; None = all."""

    def described(self) -> str:
        """What is allowed, as part of a sentence."""
        if self.kind is Kind.UNION:
            return " or ".join(dict.fromkeys(option.described() for option in self.options))
        if self.enum:
            return "one of " + ", ".join(self.enum)
        if self.pattern:
            return self.means or f"{self.kind.value} that fits `{self.pattern}`"
        if self.kind is Kind.LIST and self.items is not None and self.items.enum:
            return f"a list of {', '.join(self.items.enum)}"
        if self.minimum is not None and self.maximum is not None:
            return f"{self.kind.value} from {_bound(self.minimum)} to {_bound(self.maximum)}"
        if self.minimum is not None:
            return f"{self.kind.value} of at least {_bound(self.minimum)}"
        return str(self.kind.value)


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One method's table."""

    method: str
    about: str = ""
    """What the method does, in one sentence."""
    properties: tuple[Property, ...] = ()
    outside: tuple[str, ...] = ()
    """As that of a property."""
    main: str | None = None
    """The property that a bare scalar stands for: `hangup: busy`."""
    main_list: str | None = None
    """The property that a bare list stands for: `play: [a, b]`."""
    exactly_one: tuple[str, ...] = ()
    at_least_one: tuple[str, ...] = ()
    on_failure: tuple[tuple[str, str], ...] = ()
    """Variables that a failed step sets."""

    def find(self, name: str) -> Property | None:
        return next((item for item in self.properties if item.name == name), None)

    def names(self) -> tuple[str, ...]:
        return tuple(item.name for item in self.properties)


def text(name: str, *, required: bool = False, default: str | None = None, **more: Any) -> Property:
    """A string property."""
    return Property(name=name, kind=Kind.STRING, required=required, default=default, **more)


def choice(name: str, *values: str, default: str | None = None, **more: Any) -> Property:
    """A string property with a closed list of values."""
    return Property(name=name, kind=Kind.STRING, enum=values, default=default, **more)


def url(name: str, **more: Any) -> Property:
    """An http(s) URL."""
    return Property(name=name, kind=Kind.URL, **more)


def integer(name: str, minimum: float | None = None, maximum: float | None = None, **more: Any) -> Property:
    """A whole number."""
    return Property(name=name, kind=Kind.INTEGER, minimum=minimum, maximum=maximum, **more)


def number(name: str, minimum: float | None = None, maximum: float | None = None, **more: Any) -> Property:
    """Any number."""
    return Property(name=name, kind=Kind.NUMBER, minimum=minimum, maximum=maximum, **more)


def flag(name: str, *, default: bool | None = None, **more: Any) -> Property:
    """A boolean."""
    return Property(name=name, kind=Kind.BOOLEAN, default=default, **more)


def listing(name: str, items: Property, **more: Any) -> Property:
    """A list of items of one kind."""
    return Property(name=name, kind=Kind.LIST, items=items, **more)


def of_kind(name: str, kind: Kind, **more: Any) -> Property:
    """A property of any other kind."""
    return Property(name=name, kind=kind, **more)


def record(name: str, *properties: Property, **more: Any) -> Property:
    """A mapping with properties of its own."""
    return Property(name=name, kind=Kind.RECORD, record=properties, **more)


def union(name: str, *options: Property, **more: Any) -> Property:
    """One of several kinds."""
    return Property(name=name, kind=Kind.UNION, options=options, **more)
