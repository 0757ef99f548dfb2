"""What is strange about a document as a whole: steps that never run, sections that are not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from cordboard.swml import codes
from cordboard.swml.checking import is_inline
from cordboard.swml.problems import Note, nearest
from cordboard.swml.program import Block, Step
from cordboard.swml.walk import blocks_of, steps_of

_SECTION_USERS = frozenset({"execute", "transfer"})
_ELSEWHERE = ("http://", "https://", "relay:")


def remarks(sections: Mapping[str, Block]) -> Iterator[tuple[Step, Note]]:
    """Each with the step that it is about."""
    for block in sections.values():
        yield from _unreachable(block, sections)
        for step in steps_of(block):
            if step.method in _SECTION_USERS:
                yield from _unknown_section(step, sections)
            for part in step.argument.parts.values():
                for inner in blocks_of(part):
                    yield from _unreachable(inner, sections)


def _unreachable(block: Block, sections: Mapping[str, Block]) -> Iterator[tuple[Step, Note]]:
    """The first step after one that never goes on; a label can still be jumped to."""
    for step, after in pairwise(block.steps):
        if _never_goes_on(step, sections) and after.method != "label":
            message = f"this step is never reached: `{step.method}` before it does not come back"
            yield after, Note(codes.ELEMENT_INVALID, message)
            return


def _never_goes_on(step: Step, sections: Mapping[str, Block]) -> bool:
    """A `transfer` to another document goes on when that cannot be had."""
    if step.method == "transfer":
        return _section_named(step) in sections
    return step.method in ("hangup", "return")


def _unknown_section(step: Step, sections: Mapping[str, Block]) -> Iterator[tuple[Step, Note]]:
    name = _section_named(step)
    if name is None or name in sections:
        return
    near = nearest(name, sections)
    hint = f"; did you mean `{near}`?" if near else ""
    yield step, Note(codes.SECTION_UNDEFINED, f"{step.method}: there is no section `{name[:80]}`{hint}")


def _section_named(step: Step) -> str | None:
    """The section of the same document that a `dest` without placeholders names."""
    argument = step.argument
    dest = argument.template.get("dest") if argument.is_constant else None
    if not isinstance(dest, str) or is_inline(dest) or dest.strip().lower().startswith(_ELSEWHERE):
        return None
    return dest.strip()
