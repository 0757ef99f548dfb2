"""`connect` (swml.md 7): dials, bridges, and goes on with the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from cordboard.call.actions import Connect, ConnectDone
from cordboard.call.plan import ConnectPlan
from cordboard.swml.checking import is_inline
from cordboard.swml.connect_advice import advise
from cordboard.swml.connect_plan import checked, plan_of, usable_status_url
from cordboard.swml.connect_table import SHAPE
from cordboard.swml.interpreter import expect
from cordboard.swml.methods.method import Method
from cordboard.swml.playable import with_voices
from cordboard.swml.problems import MethodError, Note, ScriptStopped
from cordboard.swml.program import Document, Inline, Step, Steps, Target

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Asking, Interpreter

_OUTPUTS = (
    "connect_result",
    "connect_failed_reason",
    "connect_sip_code",
    "connect_sip_reason",
    "return_value",
)


class Prepared(msgspec.Struct, frozen=True):
    """The action, and where the caller goes when the far end has hung up: a URL or a document."""

    action: Connect
    after: str | Document | None


def _prepare(values: dict[str, Any], notes: list[Note]) -> Prepared:
    top = checked(values, notes)
    after = top.get("transfer_after_bridge")
    return Prepared(Connect(plan=plan_of(top, notes)), after.document if isinstance(after, Inline) else after)


def _run(step: Step, interpreter: Interpreter) -> Steps:
    values = yield from interpreter.values(step)
    interpreter.forget(*_OUTPUTS)
    try:
        prepared: Prepared = interpreter.prepare(step, values)
        after = _document_after(prepared.after, interpreter)
    except MethodError as error:
        interpreter.failed(step, error)
        yield Connect(plan=_refused_plan(values, error))
    else:
        done = expect((yield _with_voices(prepared.action, interpreter)), ConnectDone)
        _remember(done, interpreter)
        if done.connected and after is not None:
            return (yield from _transfer(after, interpreter))
    return (yield from interpreter.result(step.argument.parts.get("result")))


def _document_after(after: str | Document | None, interpreter: Interpreter) -> str | Document | None:
    """What cannot be read is found before anybody is dialled.  Raises `MethodError`."""
    return interpreter.inline(after) if isinstance(after, str) and is_inline(after) else after


def _with_voices(action: Connect, interpreter: Interpreter) -> Connect:
    ringback = action.plan.ringback
    if ringback is None:
        return action
    items = with_voices(ringback.items, interpreter.scopes.vars.values)
    spoken = msgspec.structs.replace(ringback, items=items)
    return Connect(plan=msgspec.structs.replace(action.plan, ringback=spoken))


def _transfer(after: str | Document, interpreter: Interpreter) -> Asking[Target]:
    """The caller has nothing else to go on with: without the document the call is over (swml.md 7.13)."""
    if isinstance(after, Document):
        return Target(after, "main", {})
    try:
        return Target((yield from interpreter.fetch(after, {})), "main", {})
    except MethodError as error:
        raise ScriptStopped(error.code, f"connect: `transfer_after_bridge`: {error.message}") from None


def _refused_plan(values: dict[str, Any], error: MethodError) -> ConnectPlan:
    """Dials nobody and leaves the caller as it is: whoever listens learns why the connect failed."""
    status_url = usable_status_url(values)
    return ConnectPlan(groups=(), answer_on_bridge=True, status_url=status_url, problem=error.message)


def _remember(done: ConnectDone, interpreter: Interpreter) -> None:
    outcome = "connected" if done.connected else "failed"
    interpreter.set("connect_result", outcome)
    interpreter.set("return_value", outcome)
    if not done.connected:
        interpreter.set("connect_failed_reason", done.failed_reason or "error")
    if done.sip_code is not None:
        interpreter.set("connect_sip_code", done.sip_code)
        interpreter.set("connect_sip_reason", done.sip_reason)


METHOD = Method(shape=SHAPE, prepare=_prepare, run=_run, advise=advise)
