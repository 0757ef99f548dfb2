"""`POST /api/calling/calls`: what is asked of calls, carried out through `Control`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cordboard.call.actions import Driver
from cordboard.call.call import Call
from cordboard.call.effects import CommandAnswered
from cordboard.call.outgoing_dial import OutgoingDial
from cordboard.call.reasons import ending
from cordboard.call.wording import nearest, shown
from cordboard.relay import answers
from cordboard.relay.methods import read
from cordboard.relay.requests import CallCommand, Refusal, TransferRequest
from cordboard.relay.requests import Request as RelayRequest
from cordboard.server.calling_api_dial import documented, plan_of, routed_to
from cordboard.server.calling_api_errors import ApiError
from cordboard.server.calling_api_params import DIAL, UPDATE, checked, only_known
from cordboard.server.calling_api_reading import NOT_FOUND, Reading
from cordboard.server.control import Control
from cordboard.server.late_script import LateScript
from cordboard.server.long_documents import beside_calls
from cordboard.server.new_calls import NewCalls
from cordboard.server.routes import Routed
from cordboard.server.switchboard import Actor

Data = dict[str, Any]

ANSWER_TIMEOUT = 10.0
"""Seconds in which a call answers a command; it takes milliseconds."""
OF_CLIENTS = frozenset({"calling.dial", "calling.begin", "calling.pass"})
"""Methods that have a meaning only for a client that is connected."""


class Commands:
    """`decided` is told of a call that gets a document: no client is asked about it any more.

    `problem`: the cause (`causes`) for which no call can be made now, or nothing.
    """

    def __init__(
        self,
        *,
        reading: Reading,
        control: Control,
        new_calls: NewCalls,
        actor: Callable[[str], Actor | None],
        decided: Callable[[str], None],
        problem: Callable[[], str],
        node_id: str,
        new_id: Callable[[], str],
    ) -> None:
        self._reading = reading
        self._control = control
        self._new_calls = new_calls
        self._actor = actor
        self._decided = decided
        self._problem = problem
        self._node_id = node_id
        self._new_id = new_id

    async def carry_out(self, body: Data, project: str) -> Data:
        """The body of the answer.  Raises `ApiError`, `StoreError`."""
        only_known(body, ("command", "id", "params"))
        command, params = body.get("command"), body.get("params") or {}
        if not isinstance(command, str):
            raise _wrong("command", f"must be a string such as `dial`, not {shown(command)}")
        if not isinstance(params, dict):
            raise _wrong("params", f"must be an object, not {shown(params)}")
        if command == "dial":
            return await self._dial(params, project)
        call_id = body.get("id") or (params.get("id") if command == "update" else None)
        if not isinstance(call_id, str) or not call_id:
            _check_command(command)
            raise _wrong("id", f"must be the id of a call for `{command[:80]}`, not {shown(call_id)}")
        if command == "update":
            return await self._update(call_id, params, project)
        return await self._command(call_id, command, params, project)

    # ------------------------------------------------------------ dial

    async def _dial(self, given: Data, project: str) -> Data:
        params = checked(given, DIAL)
        dialled = plan_of(params)
        routed, remarks = await documented(params)
        if problem := self._problem():
            raise ApiError(503, ending(problem).sentence, code=problem)
        call_id = self._new_id()
        self._control.dial(
            dialled.plan,
            project_id=project,
            owner=None,
            call_id=call_id,
            driver=LateScript(lambda: self._script(call_id, routed)),
        )
        warnings = [*dialled.warnings, *remarks]
        return {**await self._reading.brief(call_id, project), "url": params.get("url"), "warnings": warnings}

    def _script(self, call_id: str, routed: Routed) -> Driver:
        call = self._control.call(call_id)
        if call is None:
            raise LookupError(f"call {call_id} has gone")
        return self._new_calls.script(routed, call.info)

    # ------------------------------------------------------------ update, transfer

    async def _update(self, call_id: str, given: Data, project: str) -> Data:
        params = checked(given, UPDATE)
        if "status" in params:
            return await self._end(await self._call(call_id, project), params["status"], project)
        routed, remarks = await documented(params)
        self._give(await self._call(call_id, project), routed)
        return {
            **await self._reading.brief(call_id, project),
            "url": params.get("url"),
            "warnings": remarks,
        }

    async def _end(self, call: Call, status: str, project: str) -> Data:
        if status == "canceled" and call.info.call_state not in ("created", "ringing"):
            raise ApiError(
                409, f"The call is {call.info.call_state}: `completed` ends it", code="call_answered"
            )
        return await self._command(call.info.call_id, "calling.end", {}, project)

    def _give(self, call: Call, routed: Routed) -> None:
        """An outbound call that has not been answered takes its document from its dial."""
        info = call.info
        if info.direction == "inbound" or info.call_state == "answered":
            self._decided(info.call_id)
            self._control.give_driver(info.call_id, self._new_calls.script(routed, info))
        elif isinstance(self._actor(info.session_id), OutgoingDial):
            late = LateScript(lambda: self._script(info.call_id, routed))
            self._control.give_driver(info.session_id, late)
        else:
            sentence = f"The call is {info.call_state}: it can be given a document when it is answered"
            raise ApiError(409, sentence, code="call_not_answered")

    # ------------------------------------------------------------ calling.*

    async def _command(self, call_id: str, method: str, given: Data, project: str) -> Data:
        _check_command(method)
        params = {**given, "call_id": call_id, "node_id": self._node_id}
        if method.count(".") == 1:
            params = {"control_id": self._new_id(), **params}
        if method == "calling.connect":
            params = {"tag": self._new_id(), **params}
        wanted = read(method, params)
        if isinstance(wanted, Refusal):
            raise _refused(wanted.code, wanted.message)
        await self._call(call_id, project)
        if isinstance(wanted, TransferRequest):
            dest = wanted.dest
            routed = await beside_calls(len(dest), lambda: routed_to(dest))
            self._give(await self._call(call_id, project), routed)
            return await self._answer(wanted, None, call_id, project)
        if not isinstance(wanted, CallCommand):
            raise ApiError(400, f"`{method}` has no meaning without a connected client")
        answered = await self._answered(wanted)
        if not answered.code.startswith("2"):
            raise _refused(answered.code, answered.message)
        return await self._answer(wanted, answered, call_id, project)

    async def _answered(self, wanted: CallCommand) -> CommandAnswered:
        future: asyncio.Future[CommandAnswered] = asyncio.get_running_loop().create_future()

        def answered(answer: CommandAnswered) -> None:
            if not future.done():
                future.set_result(answer)

        self._control.command(wanted.call_id, wanted.command, answered)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return await future
        except TimeoutError:
            raise ApiError(504, "The call has not answered the command in time") from None

    async def _answer(
        self, wanted: RelayRequest, answered: CommandAnswered | None, call_id: str, project: str
    ) -> Data:
        result = answers.result(wanted, answered, node_id=self._node_id, call_id=call_id)
        return {**await self._reading.brief(call_id, project), "result": result}

    async def _call(self, call_id: str, project: str) -> Call:
        """One that goes on.  Raises `ApiError`: 404, or 409 for one that is over."""
        call = self._control.call(call_id)
        if call is not None and call.info.project_id != project:
            raise ApiError(404, NOT_FOUND)
        if call is not None and call.info.call_state != "ended":
            return call
        await self._reading.record(call_id, project)
        raise ApiError(409, "The call has ended", code="call_ended")


def _check_command(command: str) -> None:
    if command in OF_CLIENTS:
        raise ApiError(
            400, f"`{command}` is for clients that are connected: calls are made with `dial`", path="command"
        )
    if not command.startswith("calling."):
        near = nearest(command, ("dial", "update", "calling.end", "calling.play"))
        hint = f"did you mean `{near}`?" if near else "known are `dial`, `update` and `calling.…`"
        raise ApiError(400, f"There is no command {shown(command)}: {hint}", path="command", nearest=near)


def _refused(code: str, sentence: str) -> ApiError:
    return ApiError(int(code) if code.isdigit() and 400 <= int(code) < 600 else 500, sentence)


def _wrong(name: str, what: str) -> ApiError:
    return ApiError(400, f"`{name}` {what}", code="invalid_parameter", path=name)
