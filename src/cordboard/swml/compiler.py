"""Nodes → a checked `Document` (swml.md 1): the second half of `load`.

What makes a document unusable is raised as `DocumentError`; what makes one step fail is kept in that step
and listed among the document's warnings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import msgspec

from cordboard.swml import codes, expressions
from cordboard.swml.checking import CompileInline, Path, read
from cordboard.swml.conditions import Condition, compile_condition
from cordboard.swml.confirm_steps import fault_of
from cordboard.swml.limits import MAX_NESTING
from cordboard.swml.methods import METHODS, UNBUILT
from cordboard.swml.methods.method import Method
from cordboard.swml.nodes import Mapping, Node, Position, Scalar, Sequence, plain
from cordboard.swml.problems import DocumentError, MethodError, Note, dotted, nearest, shown
from cordboard.swml.program import Argument, Block, Branches, Document, Inline, Step, Switch
from cordboard.swml.properties import STRUCTURE, Kind, Property, Shape
from cordboard.swml.remarks import remarks
from cordboard.swml.reporter import CheckExpression, Place, Reporter, unchecked
from cordboard.swml.shorthand import as_mapping, labels_of, text_of

LoadInline = Callable[[str], Document]
"""Reads a document that stands inside another.  Raises `DocumentError`."""

_TOP_KEYS = ("version", "sections")
_SWITCH_KEYS = ("variable", "case", "default")
"""Of a `result`."""


class Compiler(Reporter):
    """Compiles one document."""

    def __init__(
        self, source: str, load_inline: LoadInline, *, check_expression: CheckExpression | None = None
    ) -> None:
        """With `check_expression` all that is worth saying is found, not only what matters at run time."""
        super().__init__(source, check_expression or unchecked)
        self._load_inline = load_inline
        self._thorough = check_expression is not None

    # ------------------------------------------------ the document

    def document(self, root: Node | None) -> Document:
        """Raises `DocumentError`; where all findings are wanted, it is one of them."""
        try:
            return self._document(root)
        except DocumentError as error:
            if not self._thorough:
                raise
            self.warnings.append(error.finding)
            return Document(source=self.source, sections={}, warnings=tuple(self.warnings))

    def _document(self, root: Node | None) -> Document:
        if not isinstance(root, Mapping):
            self._not_a_document(root)
        for key, position in root.keys.items():
            if key not in _TOP_KEYS:
                self.refuse(
                    codes.ELEMENT_UNDEFINED,
                    "unknown element",
                    position,
                    "",
                    found=shown(key),
                    known=_TOP_KEYS,
                )
        self._version(root.entries.get("version"))
        sections = self._sections(root)
        if self._thorough:
            self._look_around(sections)
        return Document(source=self.source, sections=sections, warnings=tuple(self.warnings))

    def _look_around(self, sections: dict[str, Block]) -> None:
        for step, note in remarks(sections):
            self.warn(note.code, note.message, Position(step.line, step.column), step.path)

    def _not_a_document(self, root: Node | None) -> NoReturn:
        position = root.position if root is not None else Position(1, 1)
        code = codes.WRONG_TYPE if isinstance(root, Sequence) else codes.PARSE_ERROR
        found = "an empty text" if root is None else shown(plain(root))
        self.refuse(
            code, "not a SWML document", position, "", found=found, allowed="a mapping with `sections`"
        )

    def _version(self, node: Node | None) -> None:
        if node is None or (isinstance(node, Scalar) and (node.text or node.value) == "1.0.0"):
            return
        found = shown(plain(node))
        self.refuse(
            codes.VERSION_INVALID, "unknown version", node.position, "version", found=found, allowed='"1.0.0"'
        )

    def _sections(self, root: Mapping) -> dict[str, Block]:
        node = root.entries.get("sections")
        if node is None:
            self.refuse(codes.SECTIONS_MISSING, "`sections` is missing", root.position, "")
        if not isinstance(node, Mapping):
            self.wrong(node, "sections", "a mapping of section names to lists of steps")
        if "main" not in node.entries:
            found = ", ".join(node.entries) if node.entries else "no section"
            self.refuse(
                codes.MAIN_MISSING, "`sections.main` is missing", node.position, "sections", found=found[:80]
            )
        blocks = {
            name: self.block(item, Place(f"sections.{name}", name)) for name, item in node.entries.items()
        }
        main = node.entries["main"]
        if not blocks["main"].steps and not (isinstance(main, Sequence) and main.items):
            self.refuse(codes.SECTION_EMPTY, "there is no step to run", main.position, "sections.main")
        return blocks

    # ------------------------------------------------ steps

    def block(self, node: Node, place: Place) -> Block:
        """A list of steps; null is an empty one."""
        if isinstance(node, Scalar) and node.value is None:
            return Block((), {})
        if not isinstance(node, Sequence):
            self.wrong(node, place.path, "a list of steps (each line begins with `-`)")
        if place.depth > MAX_NESTING:
            message = f"steps are nested deeper than {MAX_NESTING} levels"
            self.refuse(codes.NESTED_TOO_DEEP, message, node.position, place.path)
        labels = labels_of(node)
        inner = msgspec.structs.replace(place, labels=place.labels | labels.keys(), depth=place.depth + 1)
        if self._thorough:
            return Block(tuple(self._steps_that_can_be_read(node, inner)), labels)
        steps = tuple(self._step(item, index, inner) for index, item in enumerate(node.items))
        return Block(steps, labels)

    def _steps_that_can_be_read(self, node: Sequence, place: Place) -> Iterator[Step]:
        """One wrong step hides no other."""
        for index, item in enumerate(node.items):
            try:
                yield self._step(item, index, place)
            except DocumentError as error:
                if error.code == codes.NESTED_TOO_DEEP:
                    raise
                self.warnings.append(error.finding)

    def _step(self, node: Node, index: int, place: Place) -> Step:
        name, argument = self._named(node, place.path + f"[{index}]")
        top = index if place.index is None else place.index
        here = Place(f"{place.path}[{index}].{name}", place.section, top, place.depth, place.labels)
        method = METHODS.get(name) or self._unbuilt(name, node.position, here)
        return Step(
            method=name,
            run=method.run,
            argument=self._argument(argument, method, here),
            on_failure=method.shape.on_failure,
            section=place.section,
            index=top,
            line=node.position.line,
            column=node.position.column,
            path=here.path,
        )

    def _named(self, node: Node, path: str) -> tuple[str, Node]:
        """The method name and the argument of a step in any of its forms."""
        if isinstance(node, Scalar) and isinstance(node.value, str) and node.value:
            return node.value, Scalar(None, node.position)
        if not isinstance(node, Mapping):
            self.wrong(node, path, "a step: a mapping with one key, the name of a method")
        if not node.entries:
            self.refuse(codes.METHOD_NAME_MISSING, "the step has no method", node.position, path)
        if len(node.entries) > 1:
            found = ", ".join(list(node.entries)[:6])
            message = "a step has exactly one method (is the indentation right?)"
            second = list(node.keys.values())[1]
            self.refuse(codes.ELEMENT_INVALID, message, second, path, found=found[:120])
        return next(iter(node.entries.items()))

    def _unbuilt(self, name: str, position: Position, place: Place) -> Method:
        if name not in UNBUILT:
            known = (*METHODS, *UNBUILT)
            parent = place.path.removesuffix(f".{name}")
            self.refuse(
                codes.METHOD_UNDEFINED, "unknown method", position, parent, found=shown(name), known=known
            )
        message = f"`{name}` is not supported by this server yet: the script will stop here"
        self.warn(codes.EXECUTE_FAILED, message, position, place.path, severity="error")
        return UNBUILT[name]

    # ------------------------------------------------ arguments

    def _argument(self, node: Node, method: Method, place: Place) -> Argument:
        notes: list[Note] = []
        values: dict[str, Any] = {}
        parts: dict[str, Any] = {}
        fault: MethodError | None = None
        if self._thorough:
            self.check_literals(node, method.shape, place)
        try:
            if method.whole:
                values["value"] = plain(node)
            else:
                full = as_mapping(node, method.shape)
                inner = place if full is node else place.shortened()
                self._properties(full, method.shape, inner, values, parts, notes)
        except MethodError as error:
            fault = error
        return self._prepared(node, method, place, (values, parts, notes, fault))

    def _prepared(
        self,
        node: Node,
        method: Method,
        place: Place,
        made: tuple[dict[str, Any], dict[str, Any], list[Note], MethodError | None],
    ) -> Argument:
        values, parts, notes, fault = made
        template = expressions.compile_value(values)
        constant = not isinstance(template, expressions.TEMPLATES)
        self.check_closed(values, node, place)
        fault = fault or _unreachable_label(method, values, place)
        prepared = None
        if constant and fault is None:
            try:
                prepared = method.prepare(values, notes)
            except MethodError as error:
                fault = error
        if self._thorough and method.advise is not None:
            notes = [*notes, *method.advise(values)]
        if self._thorough:
            whole = dict(template.items)["value"] if method.whole and not constant else template
            self.check_expressions(whole, node, place)
        else:
            notes = [note for note in notes if not note.lint_only]
        self.report(node, place, notes, fault)
        return Argument(
            template=template,
            parts=parts,
            prepare=method.prepare,
            is_constant=constant,
            prepared=prepared,
            notes=tuple(notes),
            fault=fault,
        )

    def _properties(
        self,
        node: Mapping,
        shape: Shape,
        place: Place,
        values: dict[str, Any],
        parts: dict[str, Any],
        notes: list[Note],
    ) -> None:
        for name, item in node.entries.items():
            declared = shape.find(name)
            if declared is None:
                notes.append(_undefined((name,), shape.method, shape.names()))
            elif declared.kind in STRUCTURE:
                self._structure(item, declared, shape, place.at(f".{name}"), parts, notes)
            else:
                values[name] = read(item, declared, self._inline_at(place.at(f".{name}")), (name,))

    def _inline_at(self, place: Place) -> CompileInline:
        """Compiles steps and documents that stand in a property, or somewhere below it."""

        def compile_inline(node: Sequence | Scalar, path: Path) -> Inline:
            here = place if len(path) == 1 else place.at(dotted(("", *path[1:])))
            return self._inline(node, here, path)

        return compile_inline

    def _inline(self, node: Sequence | Scalar, place: Place, path: Path) -> Inline:
        if isinstance(node, Sequence):
            block = self.block(node, msgspec.structs.replace(place, labels=frozenset(), shorthand=False))
            document = Document(source=self.source, sections={"main": block})
            fault = fault_of(block, path)
            if self._thorough and fault is not None:
                self.warn(fault.code, fault.message, node.position, place.path, severity="error")
            return Inline(document=document, fault=fault)
        try:
            return Inline(document=self._load_inline(str(node.value)))
        except DocumentError as error:
            return Inline(fault=MethodError(error.code, f"{dotted(path)}: {error}", path=path))

    def _structure(
        self,
        node: Node,
        declared: Property,
        shape: Shape,
        place: Place,
        parts: dict[str, Any],
        notes: list[Note],
    ) -> None:
        name = declared.name
        if isinstance(node, Scalar) and node.value is None:
            return
        if declared.kind is Kind.STEPS:
            parts[name] = self.block(node, place)
        elif declared.kind is Kind.CASES:
            parts[name] = self.cases(node, place)
        elif declared.kind is Kind.BRANCHES:
            parts[name] = self.branches(node, place)
        elif declared.kind is Kind.CONDITION:
            parts[name] = self.condition(node, shape.method, place.at(f".{name}"), (name,))
        else:
            parts[name] = self._result(node, declared, shape, place, notes)

    # ------------------------------------------------ parts of the program

    def cases(self, node: Node, place: Place) -> dict[str, Block]:
        if not isinstance(node, Mapping):
            self.wrong(node, place.path, Kind.CASES.value)
        return {key: self.block(item, place.at(f".{key}")) for key, item in node.entries.items()}

    def branches(self, node: Node, place: Place) -> Branches:
        if not isinstance(node, Sequence):
            self.wrong(node, place.path, Kind.BRANCHES.value)
        found: list[tuple[Condition, Block]] = []
        otherwise: Block | None = None
        for index, item in enumerate(node.items):
            here = place.at(f"[{index}]")
            if not isinstance(item, Mapping):
                self.wrong(item, here.path, "a mapping with `when` and `then`, or with `else`")
            self._check_branch(item, here, index)
            if "when" in item.entries:
                found.append(self._branch(item, here, index))
            if "else" in item.entries:
                otherwise = self.block(item.entries["else"], here.at(".else"))
        return Branches(tuple(found), otherwise)

    def _check_branch(self, item: Mapping, place: Place, index: int) -> None:
        for key, position in item.keys.items():
            if key not in ("when", "then", "else"):
                message = f"unknown property `{key[:80]}` of a branch is ignored"
                near = nearest(key, ("when", "then", "else"))
                self.warn(codes.PARAMETER_UNDEFINED, message, position, place.path, near)
        if "when" not in item.entries and "else" not in item.entries:
            message = "cond: a branch has neither `when` nor `else`"
            raise MethodError(codes.PARAMETER_MISSING, message, path=(index,))

    def _branch(self, item: Mapping, place: Place, index: int) -> tuple[Condition, Block]:
        if "then" not in item.entries:
            raise MethodError(codes.PARAMETER_MISSING, "cond: a branch has no `then`", path=(index,))
        condition = self.condition(item.entries["when"], "cond", place.at(".when"), (index, "when"))
        return condition, self.block(item.entries["then"], place.at(".then"))

    def condition(self, node: Node, method: str, place: Place, path: Path) -> Condition:
        if not isinstance(node, Scalar) or node.value is None:
            found, allowed = shown(plain(node)), Kind.CONDITION.value
            message = f"{method}: `{path[-1]}` must be {allowed}, not {found}"
            raise MethodError(codes.WRONG_TYPE, message, path=path, found=found, allowed=allowed)
        value = node.value
        source = node.text or (("true" if value else "false") if isinstance(value, bool) else str(value))
        compiled = compile_condition(source)
        problem = compiled.problem or (None if compiled.parts else self.check_expression(compiled.source))
        if self._thorough and problem:
            self.warn(codes.JS_ERROR, f"{method}: `{source[:80]}`: {problem}", node.position, place.path)
        return compiled

    def _result(
        self, node: Node, declared: Property, shape: Shape, place: Place, notes: list[Note]
    ) -> Branches | Switch | None:
        """A `result` that cannot be used is a warning: the method itself still runs."""
        outer = msgspec.structs.replace(place, labels=frozenset())
        try:
            if isinstance(node, Sequence):
                return self.branches(node, outer)
            if isinstance(node, Mapping):
                unknown = [(declared.name, key) for key in node.entries if key not in _SWITCH_KEYS]
                notes += [_undefined(path, shape.method, _SWITCH_KEYS) for path in unknown]
                return self._result_switch(node, declared, outer)
        except MethodError as error:
            notes.append(
                Note(error.code, f"{shape.method}: `result` is ignored: {error.message}", (declared.name,))
            )
            return None
        message = f"{shape.method}: `result` is ignored: it must be {declared.described()}"
        notes.append(Note(codes.WRONG_TYPE, message, (declared.name,)))
        return None

    def _result_switch(self, node: Mapping, declared: Property, place: Place) -> Switch:
        if "case" not in node.entries and "default" not in node.entries:
            raise MethodError(codes.PARAMETER_MISSING, "`case` is required")
        default = node.entries.get("default")
        return Switch(
            expressions.variable_named(text_of(node.entries.get("variable")) or str(declared.default)),
            self.cases(node.entries["case"], place.at(".case")) if "case" in node.entries else {},
            None if default is None else self.block(default, place.at(".default")),
        )


def _unreachable_label(method: Method, values: dict[str, Any], place: Place) -> MethodError | None:
    """A `goto` whose label is not in its own block or one around it, inside the same section."""
    label = values.get("label")
    if method.shape.method != "goto" or not isinstance(label, str) or label in place.labels or "{" in label:
        return None
    near = nearest(label, place.labels)
    message = f"goto: there is no label {shown(label)} in this section" + (
        f"; nearest: `{near}`" if near else ""
    )
    return MethodError(codes.PARAMETER_INVALID, message, path=("label",), found=shown(label))


def _undefined(path: tuple[str, ...], method: str, known: tuple[str, ...]) -> Note:
    near = nearest(path[-1], known)
    hint = f"; did you mean `{near}`?" if near else ""
    message = f"{method}: unknown property `{'.'.join(path)[:80]}` is ignored{hint}"
    return Note(codes.PARAMETER_UNDEFINED, message, path)
