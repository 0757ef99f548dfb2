"""The shorter ways to write a step, as if it had been written in full (swml.md 1.2)."""

from __future__ import annotations

from cordboard.swml import codes
from cordboard.swml.nodes import Mapping, Node, Scalar, Sequence, plain
from cordboard.swml.problems import MethodError, shown
from cordboard.swml.properties import Shape


def as_mapping(node: Node, shape: Shape) -> Mapping:
    """The argument of a step as a mapping of properties.  Raises `MethodError`."""
    if isinstance(node, Mapping):
        return node
    if isinstance(node, Scalar) and node.value is None:
        return Mapping({}, {}, node.position)
    name = shape.main_list if isinstance(node, Sequence) else shape.main
    if name is None:
        found = shown(plain(node))
        message = f"{shape.method}: the argument must be a mapping, not {found}"
        raise MethodError(codes.WRONG_TYPE, message, found=found, allowed="a mapping")
    return Mapping({name: node}, {name: node.position}, node.position)


def text_of(node: Node | None) -> str | None:
    """The source text of a scalar that is not null."""
    if isinstance(node, Scalar) and node.value is not None:
        return node.text or str(node.value)
    return None


def labels_of(node: Sequence) -> dict[str, int]:
    """Label names of a block and the index of the step after each; the first of equal names counts."""
    labels: dict[str, int] = {}
    for index, item in enumerate(node.items):
        if isinstance(item, Mapping) and "label" in item.entries:
            argument = item.entries["label"]
            name = text_of(argument.entries.get("label") if isinstance(argument, Mapping) else argument)
            if name is not None:
                labels.setdefault(name, index + 1)
    return labels
