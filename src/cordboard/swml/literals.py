"""All mistakes in the values of one step as they are written: what a checker of documents shows at once.

A running step stops at its first mistake.  Values with placeholders are passed over: what they will be is
known when the step runs.
"""

from __future__ import annotations

from collections.abc import Iterator

from cordboard.swml import codes, expressions
from cordboard.swml.checking import Path, check_value, invalid, is_inline, read
from cordboard.swml.nodes import Mapping, Node, Scalar, Sequence, plain
from cordboard.swml.problems import MethodError, dotted, nearest
from cordboard.swml.program import Inline
from cordboard.swml.properties import STRUCTURE, Kind, Property, Shape


def mistakes(node: Mapping, shape: Shape, path: Path = ()) -> Iterator[MethodError]:
    """Unknown, missing and wrong properties of a mapping, and of what is inside them."""
    yield from _choice(node, shape, path)
    for declared in shape.properties:
        if declared.required and _is_absent(node.entries.get(declared.name)):
            message = f"{shape.method}: `{dotted((*path, declared.name))}` is required"
            yield MethodError(codes.PARAMETER_MISSING, message, path=path, allowed=declared.described())
    for name, item in node.entries.items():
        found = shape.find(name)
        if found is None:
            yield _unknown(name, shape, path)
        elif not found.lenient:
            yield from _of_value(item, found, shape.method, (*path, name))


def _is_absent(node: Node | None) -> bool:
    return node is None or (isinstance(node, Scalar) and node.value is None)


def _choice(node: Mapping, shape: Shape, path: Path) -> Iterator[MethodError]:
    wanted = shape.exactly_one or shape.at_least_one
    given = [name for name in wanted if not _is_absent(node.entries.get(name))]
    listed = ", ".join(f"`{name}`" for name in wanted)
    if wanted and not given:
        message = f"{shape.method}: one of {listed} is required"
        yield MethodError(codes.PARAMETER_MISSING, message, path=path, allowed=listed)
    if shape.exactly_one and len(given) > 1:
        message = f"{shape.method}: `{given[0]}` and `{given[1]}` exclude each other"
        yield MethodError(codes.PARAMETER_CONFLICT, message, path=(*path, given[1]), allowed=listed)


def _unknown(name: str, shape: Shape, path: Path) -> MethodError:
    where = dotted((*path, name[:80]))
    if name in shape.outside:
        message = f"{shape.method}: `{where}` is ignored: it belongs to the step"
        return MethodError(codes.PARAMETER_UNDEFINED, message, path=(*path, name))
    near = nearest(name, shape.names())
    hint = f"; did you mean `{near}`?" if near else ""
    message = f"{shape.method}: unknown property `{where}` is ignored{hint}"
    # Where no name is like it, all are told.
    more = {"nearest": near} if near else {"allowed": ", ".join(shape.names())}
    return MethodError(codes.PARAMETER_UNDEFINED, message, path=(*path, name), **more)


def _of_value(node: Node, declared: Property, method: str, path: Path) -> Iterator[MethodError]:
    if declared.kind in STRUCTURE or _is_absent(node) or _is_open(node) or _is_program(node, declared):
        return
    if declared.kind is Kind.LIST and isinstance(node, Sequence) and declared.items is not None:
        for index, item in enumerate(node.items):
            yield from _of_value(item, declared.items, method, (*path, index))
    elif declared.kind is Kind.MAP and isinstance(node, Mapping) and declared.items is not None:
        for key, item in node.entries.items():
            yield from _of_value(item, declared.items, method, (*path, key))
    elif declared.kind is Kind.RECORD and isinstance(node, Mapping):
        shape = Shape(method=method, properties=declared.record, outside=declared.outside)
        yield from mistakes(node, shape, path)
    elif declared.kind is Kind.UNION:
        yield from _of_union(node, declared, method, path)
    else:
        yield from _of_leaf(node, declared, method, path)


def _is_open(node: Node) -> bool:
    """Whether there is a placeholder in a text."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        return False
    return not isinstance(expressions.compile_text(node.value), str)


def _is_program(node: Node, declared: Property) -> bool:
    """Whether the compiler looks at it anyway."""
    if declared.kind is Kind.CONFIRM:
        return isinstance(node, Sequence)
    is_text = isinstance(node, Scalar) and isinstance(node.value, str)
    return declared.kind is Kind.DOCUMENT and is_text and is_inline(str(plain(node)))


def _of_union(node: Node, declared: Property, method: str, path: Path) -> Iterator[MethodError]:
    best: list[MethodError] | None = None
    for option in declared.options:
        found = list(_of_value(node, option, method, path))
        if not found:
            return
        if _kind_fits(node, option):
            best = found
    yield from best if best is not None else [invalid(method, path, declared, plain(node), codes.WRONG_TYPE)]


def _kind_fits(node: Node, option: Property) -> bool:
    if isinstance(node, Sequence):
        return option.kind is Kind.LIST
    return isinstance(node, Mapping) and option.kind in (Kind.RECORD, Kind.MAP)


def _of_leaf(node: Node, declared: Property, method: str, path: Path) -> Iterator[MethodError]:
    try:
        check_value(read(node, declared, _no_program), declared, method, path)
    except MethodError as error:
        yield error


def _no_program(node: Sequence | Scalar, path: Path) -> Inline:
    return Inline()
