"""What one invocation of a section knows of itself."""

from __future__ import annotations

from typing import Any

from cordboard.swml.program import Block, Document


class Frame:
    """One invocation of a section."""

    __slots__ = ("blocks", "document", "jumps", "params")

    def __init__(self, document: Document, params: dict[str, Any]) -> None:
        self.document = document
        self.params = params
        self.blocks: list[Block] = []
        """The blocks being run, outermost first: where a `goto` finds its label."""
        self.jumps: dict[str, int] = {}
        """Jumps made, by the path of the `goto` step."""
