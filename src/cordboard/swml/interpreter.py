"""Runs the steps of a script (swml.md 4).

Every running piece is a generator: it yields what it wants of the call or of the shell and is sent the
result, so that a step reads from top to bottom although it is suspended in between.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from cordboard.call.actions import (
    DocumentFailed,
    DocumentFetched,
    Evaluate,
    Evaluated,
    FetchDocument,
    Request,
    Result,
    ScriptWarning,
)
from cordboard.swml import codes
from cordboard.swml.conditions import Condition, Hole, fill
from cordboard.swml.expressions import Expression, ListTemplate, Lookup, MapTemplate, Template
from cordboard.swml.frame import Frame
from cordboard.swml.limits import (
    EVALUATION_COST,
    MAX_EVALUATION_SECONDS,
    MAX_NESTING,
    MAX_STEPS,
    MAX_STEPS_WITHOUT_PAUSE,
    MAX_TRANSFERS,
    MAX_VALUE,
)
from cordboard.swml.problems import DocumentError, MethodError, Note, ScriptStopped
from cordboard.swml.program import (
    Block,
    Branches,
    Document,
    Jump,
    Outcome,
    Returned,
    Step,
    Steps,
    Switch,
    Target,
)
from cordboard.swml.scopes import Scopes
from cordboard.swml.values import size, to_text, truth

T = TypeVar("T")
Parse = Callable[[bytes, str], Document]
Asking = Generator[Request, Result | None, T]
"""A piece that only asks the shell, and makes a value."""


class Interpreter:
    """The state of one running script."""

    def __init__(self, scopes: Scopes, parse: Parse, refused: frozenset[str] = frozenset()) -> None:
        self.scopes = scopes
        self.warnings: list[ScriptWarning] = []
        self._refused = refused
        """Methods that this script may not use, by the purpose it serves."""
        self._parse = parse
        self._frame = Frame(Document(source="", sections={}), scopes.params)
        self._step: Step | None = None
        self._depth = 0
        self._transfers = 0
        self._steps = 0
        self._steps_since_pause = 0
        self._evaluation_seconds = 0.0

    # ------------------------------------------------ sections and blocks

    def run(self, target: Target) -> Generator[Any, Result | None, None]:
        """A section, and whatever it transfers to, until the script is over.  Raises `ScriptStopped`."""
        outcome: Outcome = target
        while isinstance(outcome, Target):
            self._depth = 0
            outcome = yield from self._section(outcome)
            if isinstance(outcome, Target):
                self._transfers += 1
                if self._transfers > MAX_TRANSFERS:
                    message = f"more than {MAX_TRANSFERS} transfers in one call"
                    raise ScriptStopped(codes.TOO_MANY_TRANSFERS, message)

    def call_section(self, target: Target) -> Steps:
        """`execute`: a section as a subroutine; the caller's frame and `params` come back afterwards."""
        frame, depth = self._frame, self._depth
        self._enter()
        outcome = yield from self._section(target)
        if not isinstance(outcome, Target):
            self._frame, self._depth = frame, depth
            self.scopes.params = frame.params
        return outcome

    def _section(self, target: Target) -> Steps:
        self._frame = Frame(target.document, target.params)
        self.scopes.params = target.params
        return (yield from self._block(target.document.sections[target.section]))

    def nested(self, block: Block | None, *, own_labels: bool = False) -> Steps:
        """A block inside a step.  With `own_labels` no `goto` leaves it."""
        if block is None or not block.steps:
            return None
        frame = self._frame
        outer = frame.blocks
        if own_labels:
            frame.blocks = []
        self._enter()
        outcome = yield from self._block(block)
        self._depth -= 1
        frame.blocks = outer
        return outcome

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            message = f"steps and `execute` frames are nested deeper than {MAX_NESTING} levels"
            raise ScriptStopped(codes.NESTED_TOO_DEEP, message)

    def _block(self, block: Block) -> Steps:
        blocks = self._frame.blocks
        blocks.append(block)
        outcome: Outcome = None
        index = 0
        while outcome is None and index < len(block.steps):
            outcome = yield from self._one(block.steps[index])
            index += 1
            if isinstance(outcome, Jump) and outcome.label in block.labels:
                index, outcome = block.labels[outcome.label], None
        blocks.pop()
        return outcome

    def _one(self, step: Step) -> Steps:
        self._count()
        self._step = step
        if step.method in self._refused:
            message = f"`{step.method}` cannot be used in a confirm script"
            raise ScriptStopped(codes.EXECUTE_FAILED, message)
        try:
            return (yield from step.run(step, self))
        except MethodError as error:
            self._step = step
            self.failed(step, error)
        return None

    def _count(self) -> None:
        self._steps += 1
        self._steps_since_pause += 1
        if self._steps > MAX_STEPS or self._steps_since_pause > MAX_STEPS_WITHOUT_PAUSE:
            raise ScriptStopped(codes.INTERNAL_ERROR, "the script runs in an endless loop")

    def bounded(self, value: Any) -> Any:
        """The value itself, paid for as steps; raises `MethodError` if it is too large."""
        cost = size(value)
        if cost > MAX_VALUE:
            raise MethodError(codes.PARAMETER_INVALID, "a value of this step is larger than 1 MiB")
        self._steps_since_pause += cost >> 10
        return value

    def paused(self) -> None:
        """An action on the call came in between."""
        self._steps_since_pause = 0

    # ------------------------------------------------ errors and variables

    def failed(self, step: Step, error: MethodError) -> None:
        """A step failed: its result variables say so, and the script goes on (swml.md 4.4)."""
        for name, value in step.on_failure:
            self.set(name, value)
        self.error(error.code, error.message)

    def error(self, code: str, message: str) -> None:
        """A warning that also sets `script_error`."""
        self.set("script_error", code)
        self.warn(code, message)

    def warn(self, code: str, message: str) -> None:
        step = self._step
        if step is None:
            self.warnings.append(ScriptWarning(code=code, message=message))
            return
        warning = ScriptWarning(
            code=code,
            message=message,
            section=step.section,
            step=step.index,
            method=step.method,
            line=step.line,
        )
        self.warnings.append(warning)

    def note(self, notes: tuple[Note, ...] | list[Note]) -> None:
        for note in notes:
            if note.lint_only:
                continue
            if note.is_error:
                self.error(note.code, note.message)
            else:
                self.warn(note.code, note.message)

    def set(self, name: str, value: Any) -> None:
        """Write the output of a method: there is room for it beyond what `set` may use."""
        try:
            self.scopes.vars.set(name, value, limit=2 * MAX_VALUE)
        except MethodError as error:
            self.warn(error.code, error.message)

    def forget(self, *names: str) -> None:
        for name in names:
            self.scopes.vars.unset(name)

    # ------------------------------------------------ arguments

    def values(self, step: Step) -> Asking[dict[str, Any]]:
        """The values of a step's argument, placeholders resolved.  Raises `MethodError`."""
        argument = step.argument
        if argument.is_constant:
            return dict(argument.template)
        resolved: dict[str, Any] = self.bounded((yield from self.resolve(argument.template)))
        return resolved

    def prepare(self, step: Step, values: dict[str, Any]) -> Any:
        """What the method makes of the values.  Raises `MethodError`."""
        argument = step.argument
        if argument.is_constant or argument.fault is not None:
            self.note(argument.notes)
            if argument.fault is not None:
                raise argument.fault.again()
            return argument.prepared
        notes = list(argument.notes)
        try:
            return argument.prepare(values, notes)
        finally:
            self.note(notes)

    def prepared(self, step: Step) -> Asking[Any]:
        """Both in one.  Raises `MethodError`."""
        if step.argument.is_constant:
            return self.prepare(step, {})
        values = yield from self.values(step)
        return self.prepare(step, values)

    def resolve(self, template: Any) -> Asking[Any]:
        """A compiled value with its placeholders replaced (swml.md 3.2)."""
        if isinstance(template, Lookup):
            return self.scopes.lookup(template.path)
        if isinstance(template, Expression):
            return (yield from self.evaluate(template))
        if isinstance(template, Template):
            return (yield from self._text(template))
        if isinstance(template, MapTemplate):
            mapping: dict[str, Any] = {}
            for key, item in template.items:
                mapping[key] = yield from self.resolve(item)
            return mapping
        if isinstance(template, ListTemplate):
            listed: list[Any] = []
            for item in template.items:
                listed.append((yield from self.resolve(item)))
            return listed
        return template

    def _text(self, template: Template) -> Asking[str]:
        texts: list[str] = []
        for part in template.parts:
            texts.append(part if isinstance(part, str) else to_text((yield from self.resolve(part))))
        return "".join(texts)

    def evaluate(self, expression: Expression) -> Asking[Any]:
        """The value of a JavaScript expression; an empty string and a warning if it fails."""
        outcome = yield from self._ask(expression.source, expression.problem)
        if outcome.error is None:
            return "" if outcome.value is None else outcome.value
        self.error(codes.JS_ERROR, f"{_short(expression.source)}: {outcome.error}")
        return ""

    def _ask(self, source: str, problem: str | None) -> Asking[Evaluated]:
        if problem is not None:
            return Evaluated(error=problem)
        self._steps_since_pause += EVALUATION_COST
        result = yield Evaluate(expression=source, bindings=self.scopes.bindings(source))
        return self._paid(expect(result, Evaluated))

    def _paid(self, outcome: Evaluated) -> Evaluated:
        """Each evaluation is bounded; this bounds them all.  Raises `ScriptStopped`."""
        self._evaluation_seconds += outcome.seconds
        if self._evaluation_seconds > MAX_EVALUATION_SECONDS:
            message = (
                f"the expressions of this script have used more than {MAX_EVALUATION_SECONDS:g} s"
                " of processor time together"
            )
            raise ScriptStopped(codes.JS_ERROR, message)
        return outcome

    # ------------------------------------------------ conditions

    def condition(self, condition: Condition) -> Asking[bool]:
        """Whether a `when` holds; false and a warning if it cannot be evaluated."""
        if condition.path is not None:
            found, value = self._condition_path(condition)
            if found:
                return truth(value)
        if condition.parts:
            outcome = yield from self._filled(condition)
        else:
            outcome = yield from self._ask(condition.source, condition.problem)
        if outcome.error is None:
            return truth(outcome.value)
        self.error(codes.JS_ERROR, f"{_short(condition.source)}: {outcome.error}")
        return False

    def _condition_path(self, condition: Condition) -> tuple[bool, Any]:
        if condition.source in ("true", "false"):
            return True, condition.source == "true"
        return self.scopes.find(condition.path or ())

    def _filled(self, condition: Condition) -> Asking[Evaluated]:
        """Placeholders as text first; if that cannot be evaluated, once more with strings quoted."""
        if condition.problem is not None:
            return Evaluated(error=condition.problem)
        values: list[Any] = []
        for part in condition.parts:
            if isinstance(part, Hole):
                values.append((yield from self.resolve(part.placeholder)))
        raw = fill(condition.parts, values, quoted=False)
        outcome = yield from self._ask(raw, None)
        quoted = fill(condition.parts, values, quoted=True)
        if outcome.error is not None and quoted != raw:
            outcome = yield from self._ask(quoted, None)
        return outcome

    def branch(self, branches: Branches, *, own_labels: bool = False) -> Steps:
        """`cond`: runs the first branch whose condition holds, else the `else`."""
        for condition, block in branches.branches:
            if (yield from self.condition(condition)):
                return (yield from self.nested(block, own_labels=own_labels))
        return (yield from self.nested(branches.otherwise, own_labels=own_labels))

    def case(self, switch: Switch) -> Asking[tuple[bool, Block | None]]:
        """Whether a `switch` has something for the variable's value, and the block."""
        value = to_text((yield from self.resolve(switch.variable)))
        if value in switch.cases:
            return True, switch.cases[value]
        return switch.default is not None, switch.default

    def result(self, result: Branches | Switch | None) -> Steps:
        """The `result` of `connect` and `execute`; nothing that matches is no error."""
        if isinstance(result, Branches):
            return (yield from self.branch(result, own_labels=True))
        if isinstance(result, Switch):
            _, block = yield from self.case(result)
            return (yield from self.nested(block, own_labels=True))
        return None

    # ------------------------------------------------ labels and documents

    def jump(self, step: Step, label: str, limit: int) -> Jump | None:
        """A `goto`: None once its count is used up.  Raises `MethodError` for an unknown label."""
        frame = self._frame
        if not any(label in block.labels for block in frame.blocks):
            raise MethodError(
                codes.PARAMETER_INVALID, f"goto: there is no label `{label[:80]}` in this section"
            )
        done = frame.jumps.get(step.path, 0)
        if done >= limit:
            return None
        frame.jumps[step.path] = done + 1
        return Jump(label)

    def own_section(self, name: str, params: dict[str, Any]) -> Target | None:
        """A section of the running document."""
        document = self._frame.document
        return Target(document, name, params) if name in document.sections else None

    def section_names(self) -> list[str]:
        return list(self._frame.document.sections)

    def fetch(self, url: str, params: dict[str, Any], fallback_url: str | None = None) -> Asking[Document]:
        """A document from the web.  Raises `MethodError` if it cannot be fetched or is not one."""
        variables = dict(self.scopes.vars.values)
        result = yield FetchDocument(url=url, params=params, vars=variables, fallback_url=fallback_url)
        if isinstance(result, DocumentFailed):
            raise MethodError(codes.EXECUTE_FAILED, result.sentence)
        fetched = expect(result, DocumentFetched)
        try:
            return self._parse(fetched.body, fetched.url)
        except DocumentError as error:
            if fallback_url is None or fetched.url != url:
                raise MethodError(error.code, str(error)) from None
        self.warn(codes.PARSE_ERROR, f"the document of {url} cannot be used: the fallback is fetched")
        return (yield from self.fetch(fallback_url, params))

    def inline(self, text: str) -> Document:
        """A document given as text.  Raises `MethodError`."""
        try:
            return self._parse(text.encode("utf-8", "replace"), "inline document")
        except DocumentError as error:
            raise MethodError(error.code, str(error)) from None


def expect(result: Result | None, kind: type[T]) -> T:
    """The result as the kind that the last turn asked for; anything else is the caller's mistake."""
    if not isinstance(result, kind):
        raise TypeError(f"the script waits for {kind.__name__}, not {type(result).__name__}")
    return result


def _short(source: str) -> str:
    return f"`{source}`" if len(source) <= 80 else f"`{source[:79]}…`"


__all__ = ["Frame", "Interpreter", "Returned", "expect"]
