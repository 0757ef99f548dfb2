"""Carries out what clients ask of calls.  Each request has one answer; a call of another project is none."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from cordboard.call.effects import CommandAnswered
from cordboard.relay import answers, methods
from cordboard.relay.requests import (
    BeginRequest,
    CallCommand,
    DialRequest,
    PassRequest,
    Refusal,
    TransferRequest,
)
from cordboard.server.control import GONE, Control
from cordboard.server.relay_hub import Hub
from cordboard.server.relay_inbound import RelayInbound
from cordboard.server.relay_sessions import Client
from cordboard.server.relay_transfers import RelayTransfers

_log = logging.getLogger(__name__)

_INTERNAL = {"code": "500", "message": "Internal error; the server's log says more."}


class RelayRequests:
    """The performer of the hub."""

    def __init__(
        self,
        hub: Hub,
        control: Control,
        inbound: RelayInbound,
        transfers: RelayTransfers,
        *,
        node_id: str,
        new_id: Callable[[], str],
        closed_because: Callable[[], str],
    ) -> None:
        """`closed_because`: a sentence while no call can be made, else empty."""
        self._hub = hub
        self._control = control
        self._inbound = inbound
        self._transfers = transfers
        self._node_id = node_id
        self._new_id = new_id
        self._closed_because = closed_because

    def perform(self, client: Client, ticket: int, method: str, params: Any) -> None:
        """Answers at once, or when the call has."""
        try:
            request = methods.read(method, params)
            _PERFORM[type(request)](self, client, ticket, request)
        except Exception:
            _log.exception("internal error in %s of a RELAY client", method[:100])
            self._hub.answer(client, ticket, _INTERNAL)

    def _refused(self, client: Client, ticket: int, request: Refusal) -> None:
        self._hub.answer(client, ticket, answers.result(request))

    def _command(self, client: Client, ticket: int, request: CallCommand) -> None:
        if not self._is_theirs(client, request.call_id):
            self._answer(client, ticket, request, GONE)
            return
        self._inbound.claimed(request.call_id, client.session.protocol)

        def answered(answer: CommandAnswered) -> None:
            if answer.code.startswith("2"):
                self._hub.accepted(request)
            self._answer(client, ticket, request, answer)

        self._control.command(request.call_id, request.command, answered)

    def _dial(self, client: Client, ticket: int, request: DialRequest) -> None:
        if self._is_closed(client, ticket) or self._is_dialling(client, ticket, request.tag):
            return
        client.projection.dials(request.tag)
        # The result comes before the first event of the dial.
        self._hub.answer(client, ticket, answers.result(request, node_id=self._node_id))
        session = client.session
        self._control.dial(request.plan, project_id=session.project, owner=session.protocol, tag=request.tag)

    def _begin(self, client: Client, ticket: int, request: BeginRequest) -> None:
        if self._is_closed(client, ticket) or self._is_dialling(client, ticket, request.tag):
            return
        call_id, session = self._new_id(), client.session
        client.projection.begun(request.tag)
        told = answers.result(request, node_id=self._node_id, call_id=call_id)
        self._hub.answer(client, ticket, told)
        self._control.dial(
            request.plan,
            project_id=session.project,
            owner=session.protocol,
            tag=request.tag,
            call_id=call_id,
        )

    def _pass(self, client: Client, ticket: int, request: PassRequest) -> None:
        if not self._is_theirs(client, request.call_id):
            self._answer(client, ticket, request, GONE)
        elif self._inbound.holder(request.call_id) != client.session.protocol:
            self._refuse(client, ticket, request, "409", "The call is not offered to this client now.")
        else:
            self._answer(client, ticket, request, None)
            self._inbound.passed(request.call_id, client.session.protocol)

    def _transfer(self, client: Client, ticket: int, request: TransferRequest) -> None:
        call = self._control.call(request.call_id)
        if call is None or not self._is_theirs(client, request.call_id):
            self._answer(client, ticket, request, GONE)
            return
        self._inbound.claimed(request.call_id, client.session.protocol)

        def done(code: str, sentence: str) -> None:
            if code == "200":
                self._answer(client, ticket, request, None)
            else:
                self._refuse(client, ticket, request, code, sentence)

        self._transfers.transfer(call.info, request.dest, done)

    # ------------------------------------------------------------ inside

    def _is_theirs(self, client: Client, call_id: str) -> bool:
        """Its project's, and not over: one whose `ended` is out may still write a recording."""
        call = self._control.call(call_id)
        if call is None or call.info.call_state == "ended":
            return False
        return call.info.project_id == client.session.project

    def _is_closed(self, client: Client, ticket: int) -> bool:
        sentence = self._closed_because()
        if sentence:
            self._hub.answer(client, ticket, {"code": "503", "message": sentence})
        return bool(sentence)

    def _is_dialling(self, client: Client, ticket: int, tag: str) -> bool:
        found = client.projection.is_dialling(tag)
        if found:
            sentence = f"A dial with the tag {tag} is under way: give each dial a tag of its own."
            self._hub.answer(client, ticket, {"code": "409", "message": sentence})
        return found

    def _answer(self, client: Client, ticket: int, request: Any, answer: CommandAnswered | None) -> None:
        self._hub.answer(client, ticket, answers.result(request, answer))

    def _refuse(self, client: Client, ticket: int, request: Any, code: str, sentence: str) -> None:
        refused = CommandAnswered(ticket="", code=code, message=sentence)
        self._answer(client, ticket, request, refused)


_PERFORM: dict[type, Callable[[RelayRequests, Client, int, Any], None]] = {
    Refusal: RelayRequests._refused,
    CallCommand: RelayRequests._command,
    DialRequest: RelayRequests._dial,
    BeginRequest: RelayRequests._begin,
    PassRequest: RelayRequests._pass,
    TransferRequest: RelayRequests._transfer,
}
