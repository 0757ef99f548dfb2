"""A checked document: sections of steps, ready to run and never changed again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from cordboard.call.actions import Action, Request, Result
from cordboard.swml.conditions import Condition
from cordboard.swml.problems import Finding, MethodError, Note

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter


class Returned(msgspec.Struct, frozen=True):
    """A `return` step ran: the current section is over."""

    value: Any


class Jump(msgspec.Struct, frozen=True):
    """A `goto` step ran: go on after this label."""

    label: str


class Target(msgspec.Struct, frozen=True):
    """A section to run, with the `params` it sees.  As an outcome: a `transfer` there."""

    document: Document
    section: str
    params: dict[str, Any]


Outcome: TypeAlias = Returned | Jump | Target | None
Steps: TypeAlias = Generator[Action | Request, Result | None, Outcome]
"""A running piece of a script: yields what it wants, is sent the result, returns how it ended."""


class Argument(msgspec.Struct, frozen=True, kw_only=True):
    """The argument of a step, split into values and parts of the program.

    An argument without placeholders is prepared once, when the document is loaded.
    """

    template: Any
    """The values: plain data, or templates."""
    parts: Mapping[str, Any]
    """Compiled blocks, cases, conditions, by property."""
    prepare: Callable[[dict[str, Any], list[Note]], Any]
    is_constant: bool
    prepared: Any = None
    notes: tuple[Note, ...] = ()
    fault: MethodError | None = None


class Inline(msgspec.Struct, frozen=True, kw_only=True):
    """Steps or a document that stand inside a property; one that cannot be used has a fault."""

    document: Document | None = None
    fault: MethodError | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step.  `index` is that of the step of the section that holds it."""

    method: str
    run: Callable[[Step, Interpreter], Steps]
    argument: Argument
    on_failure: tuple[tuple[str, str], ...]
    section: str
    index: int
    line: int
    column: int
    path: str


class Block(msgspec.Struct, frozen=True):
    """Steps that run in order; `labels` gives the index to go on at."""

    steps: tuple[Step, ...]
    labels: Mapping[str, int]


class Branches(msgspec.Struct, frozen=True):
    """`cond`: the first true branch runs, else `otherwise`."""

    branches: tuple[tuple[Condition, Block], ...]
    otherwise: Block | None


class Switch(msgspec.Struct, frozen=True):
    """`switch`: the block whose key equals the text of a variable."""

    variable: Any
    """A `Lookup`, or a template that gives the value itself."""
    cases: Mapping[str, Block]
    default: Block | None


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document that can be run, any number of times at once."""

    source: str
    sections: Mapping[str, Block]
    warnings: tuple[Finding, ...] = ()
