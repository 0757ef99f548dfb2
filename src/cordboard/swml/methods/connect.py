"""`connect` (swml.md 7): dials, bridges, and goes on with the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cordboard.call.actions import Connect, ConnectDone
from cordboard.call.plan import ConnectPlan
from cordboard.swml.connect_plan import SHAPE, make_plan, usable_status_url
from cordboard.swml.methods.method import Method
from cordboard.swml.problems import MethodError, Note
from cordboard.swml.program import Step, Steps

if TYPE_CHECKING:
    from cordboard.swml.interpreter import Interpreter

_OUTPUTS = (
    "connect_result",
    "connect_failed_reason",
    "connect_sip_code",
    "connect_sip_reason",
    "return_value",
)


def _prepare(values: dict[str, Any], notes: list[Note]) -> Connect:
    return Connect(plan=make_plan(values, notes))


def _run(step: Step, interpreter: Interpreter) -> Steps:
    values = yield from interpreter.values(step)
    interpreter.forget(*_OUTPUTS)
    try:
        action: Connect = interpreter.prepare(step, values)
    except MethodError as error:
        interpreter.failed(step, error)
        yield Connect(plan=_refused_plan(values, error))
    else:
        _remember((yield action), interpreter)
    return (yield from interpreter.result(step.argument.parts.get("result")))


def _refused_plan(values: dict[str, Any], error: MethodError) -> ConnectPlan:
    """Dials nobody and leaves the caller as it is: whoever listens learns why the connect failed."""
    status_url = usable_status_url(values)
    return ConnectPlan(groups=(), answer_on_bridge=True, status_url=status_url, problem=error.message)


def _remember(done: Any, interpreter: Interpreter) -> None:
    if not isinstance(done, ConnectDone):
        raise TypeError(f"the script waits for ConnectDone, not {type(done).__name__}")
    outcome = "connected" if done.connected else "failed"
    interpreter.set("connect_result", outcome)
    interpreter.set("return_value", outcome)
    if not done.connected:
        interpreter.set("connect_failed_reason", done.failed_reason or "error")
    if done.sip_code is not None:
        interpreter.set("connect_sip_code", done.sip_code)
        interpreter.set("connect_sip_reason", done.sip_reason)


METHOD = Method(shape=SHAPE, prepare=_prepare, run=_run)
