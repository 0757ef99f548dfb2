"""Every step of a compiled block, also those inside other steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cordboard.swml.program import Block, Branches, Step, Switch


def steps_of(block: Block) -> Iterator[Step]:
    """Depth first, in the order of the document."""
    for step in block.steps:
        yield step
        for part in step.argument.parts.values():
            for inner in blocks_of(part):
                yield from steps_of(inner)


def blocks_of(part: Any) -> Iterator[Block]:
    """The blocks of one part of a step: of a condition, a switch, a result."""
    if isinstance(part, Block):
        yield part
    elif isinstance(part, Branches):
        yield from (block for _, block in part.branches)
        yield from blocks_of(part.otherwise)
    elif isinstance(part, Switch):
        yield from part.cases.values()
        yield from blocks_of(part.default)
    elif isinstance(part, Mapping):
        yield from part.values()
