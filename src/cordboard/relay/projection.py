"""What happens to calls → the events of one client, in the order and with the tags that its SDK can bear.

The SDKs break in ways that only the server can avoid (relay-protocol.md 10.2 to 10.4, 12):

* A dial or connect with one destination: all events of its leg carry the tag.  With several, no leg has it
  until one has won; the winner's `answered` is held back until then and is the first that carries it.
* `dial answered` comes before the `answered` of a sole leg, and after that of a winner among several; a
  `dial failed` comes after the last `ended` of its legs.
* `ending` is sent right before `ended`; after that the client has forgotten the call, so nothing follows.
* A leg that a connect has made names its `peer` from the start, and connect events are about the other leg:
  the one for which the client has asked `connect`, or `disconnect`, and none without its asking.

A call is this client's from its offer, or from the `created` of a leg that it dialled, until its `ended`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from cordboard.call.effects import CallStateChanged, ConnectStateChanged, DialStateChanged, Happening
from cordboard.call.info import CallInfo
from cordboard.call.reasons import Ending, relay_word
from cordboard.events.call_object import parent
from cordboard.relay.event_params import bare_device, device, names, operation

Event = tuple[str, dict[str, Any]]
"""`event_type` and inner `params` of a `signalwire.event`."""

STATE, CONNECT, DIAL = "calling.call.state", "calling.call.connect", "calling.call.dial"


class _Leg(msgspec.Struct, kw_only=True, eq=False):
    """A call that the client knows, or will know."""

    info: CallInfo
    device: dict[str, Any]
    context: str | None = None
    is_tagged: bool
    has_answered: bool = False
    """Its `answered` is out."""
    is_held: bool = False
    """Its `answered` waits until it is known who has won."""
    peer: dict[str, Any] | None = None
    """Of a connecting call: as in its last `connected`."""
    is_asked: bool = False
    """Connect events of it are waited for, until `failed` or `disconnected`."""


class _Dial(msgspec.Struct, kw_only=True, eq=False):
    """A dial that is not decided yet."""

    live: set[str]
    """Its legs that have not ended."""
    failed: Event | None = None
    """Waits for them."""
    last_reason: str = "error"


class Projection:
    """One client session's view of its calls.  Pure; bounded by the calls that are alive."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._legs: dict[str, _Leg] = {}
        self._dials: dict[str, _Dial] = {}
        self._begun: set[str] = set()
        self._tags: set[str] = set()
        """Of dials whose outcome is not told."""

    def __len__(self) -> int:
        """What is remembered."""
        return len(self._legs) + len(self._dials) + len(self._begun) + len(self._tags)

    # ------------------------------------------------------------ from the session

    def offer(self, info: CallInfo, context: str) -> Event:
        """`calling.call.receive`: from now on the events of this inbound call are this client's."""
        leg = _Leg(info=info, device=device(info), context=context, is_tagged=False)
        self._legs[info.call_id] = leg
        params = self._call(leg, "created") | {"project_id": info.project_id, "space_id": info.space_id}
        return "calling.call.receive", params

    def is_dialling(self, tag: str) -> bool:
        """A dial with this tag has no outcome yet: the events of another one could not be told apart."""
        return tag in self._tags or tag in self._begun

    def dials(self, tag: str) -> None:
        """Say before `Control.dial` that this tag is of a `calling.dial`."""
        self._tags.add(tag)

    def begun(self, tag: str) -> None:
        """Say before `Control.dial` that this tag is of a `calling.begin`: no dial events for it."""
        self._begun.add(tag)

    def asked(self, call_id: str) -> None:
        """One of `open_ends.BRIDGES` was accepted for this call: its connect events are the client's."""
        if (leg := self._legs.get(call_id)) is not None:
            leg.is_asked = True

    def forget(self, call_id: str) -> None:
        """The call is no longer this client's (`calling.pass`, another owner): nothing more about it."""
        self._legs.pop(call_id, None)

    def events(self, info: CallInfo, happening: Happening, body: dict[str, Any]) -> list[Event]:
        """The events that follow from what happened.  `body`: the envelope that all listeners get."""
        take = _TAKE.get(type(happening))
        if take is not None:
            return take(self, info, happening)
        said = operation(happening)
        if said is None or info.call_id not in self._legs:
            return []
        return [(said[0], names(info, self._node_id) | said[1])]

    # ------------------------------------------------------------ states

    def _state(self, info: CallInfo, happening: CallStateChanged) -> list[Event]:
        if happening.state == "created" and info.direction == "outbound":
            return self._created(info)
        leg = self._legs.get(info.call_id)
        if leg is None or happening.state in ("created", "ending"):
            return []
        if happening.state == "ringing" and info.direction == "inbound":
            return []  # the offer has said that it is there; programs expect it to read `created` still
        if happening.state == "answered":
            return self._answered(leg)
        if happening.state == "ended":
            return self._ended(leg, happening.ending)
        return [self._state_event(leg, happening.state)]

    def _created(self, info: CallInfo) -> list[Event]:
        leg = self._legs[info.call_id] = _Leg(info=info, device=device(info), is_tagged=info.sole)
        dial = self._dial_of(info)
        if dial is not None:
            dial.live.add(info.call_id)
        return [self._state_event(leg, "created")]

    def _answered(self, leg: _Leg) -> list[Event]:
        if leg.has_answered:
            return []
        leg.is_held = self._waits(leg)
        return [] if leg.is_held else [self._say_answered(leg)]

    def _waits(self, leg: _Leg) -> bool:
        """A dialled leg for its dial; one of several that a connect has made, for its `connected`."""
        if leg.info.parent_call_id is not None:
            return not leg.is_tagged
        return leg.info.direction == "outbound" and self._dial_of(leg.info) is not None

    def _say_answered(self, leg: _Leg) -> Event:
        leg.has_answered, leg.is_held = True, False
        return self._state_event(leg, "answered")

    def _ended(self, leg: _Leg, why: Ending | None) -> list[Event]:
        held = [self._say_answered(leg)] if leg.is_held else []
        del self._legs[leg.info.call_id]
        reason = _end(leg.info, why) if why is not None else {}
        over = [(STATE, self._call(leg, state) | reason) for state in ("ending", "ended")]
        return [*held, *over, *self._leg_out(leg, reason.get("end_reason", "error"))]

    # ------------------------------------------------------------ dials

    def _dial(self, info: CallInfo, happening: DialStateChanged) -> list[Event]:
        if info.tag in self._begun:
            return self._begin(info.tag, happening)
        if happening.state == "dialing":
            self._dials[info.session_id] = _Dial(live=set())
            return [self._dial_event(info, "dialing")]
        dial = self._dials.get(info.session_id) or _Dial(live=set())
        if happening.state == "answered":
            return self._dial_answered(info, dial, happening.call_id or "")
        word = relay_word(happening.ending) if happening.ending is not None else dial.last_reason
        dial.failed = self._failed(info, word)
        return self._settle(info.session_id, dial)

    def _begin(self, tag: str, happening: DialStateChanged) -> list[Event]:
        if happening.state != "dialing":
            self._begun.discard(tag)
        return []

    def _dial_answered(self, info: CallInfo, dial: _Dial, call_id: str) -> list[Event]:
        leg = self._legs.get(call_id)
        if leg is None:  # it answered, and was gone before it could win
            dial.failed = self._failed(info, dial.last_reason)
            return self._settle(info.session_id, dial)
        self._dials.pop(info.session_id, None)
        self._tags.discard(info.tag or "")
        is_sole, leg.is_tagged = leg.is_tagged, True
        answered = [] if leg.has_answered else [self._say_answered(leg)]
        call = self._call(leg, "answered") | {"dial_winner": "true"}
        won = self._dial_event(info, "answered", {"call": call})
        return [won, *answered] if is_sole else [*answered, won]

    def _leg_out(self, leg: _Leg, reason: str) -> list[Event]:
        dial = self._dial_of(leg.info)
        if dial is None:
            return []
        dial.live.discard(leg.info.call_id)
        dial.last_reason = reason
        return self._settle(leg.info.session_id, dial)

    def _settle(self, session_id: str, dial: _Dial) -> list[Event]:
        """A failure is told when nothing of it is left."""
        if dial.failed is None or dial.live:
            return []
        self._dials.pop(session_id, None)
        self._tags.discard(dial.failed[1]["tag"])
        return [dial.failed]

    def _dial_of(self, info: CallInfo) -> _Dial | None:
        """The open dial that has made a call."""
        return self._dials.get(info.session_id) if info.parent_call_id is None else None

    def _failed(self, info: CallInfo, reason: str) -> Event:
        return self._dial_event(info, "failed", {"reason": reason, "source": "outbound"})

    def _dial_event(self, info: CallInfo, state: str, more: dict[str, Any] | None = None) -> Event:
        params = {"node_id": self._node_id, "tag": info.tag or "", "dial_state": state}
        return DIAL, params | (more or {})

    # ------------------------------------------------------------ connects

    def _connect(self, info: CallInfo, happening: ConnectStateChanged) -> list[Event]:
        leg = self._legs.get(info.call_id)
        if leg is None:
            return []
        before: list[Event] = []
        params: dict[str, Any] = {"connect_state": happening.state}
        if happening.state == "connected":
            before = self._won(happening)
        if not leg.is_asked:
            return before
        leg.is_asked = happening.state not in ("failed", "disconnected")
        if happening.state == "failed" and happening.ending is not None:
            params["failed_reason"] = relay_word(happening.ending)
        if happening.state in ("connected", "disconnected") and happening.peer_call_id is not None:
            params["peer"] = self._peer(leg, happening)
        return [*before, (CONNECT, self._asking(leg) | params)]

    def _won(self, happening: ConnectStateChanged) -> list[Event]:
        """The peer's `answered`, where it waited for this: v4 knows the peer by a tagged state event only."""
        winner = self._legs.get(happening.peer_call_id or "")
        if winner is None or winner.info.parent_call_id is None:
            return []
        winner.is_tagged = True
        return [] if winner.has_answered else [self._say_answered(winner)]

    def _peer(self, leg: _Leg, happening: ConnectStateChanged) -> dict[str, Any]:
        """The other side, also when it has been forgotten meanwhile."""
        if leg.peer is not None and leg.peer["call_id"] == happening.peer_call_id:
            return leg.peer
        known = self._legs.get(happening.peer_call_id or "")
        kind = happening.peer_device_type
        shown = known.device if known else bare_device(kind, happening.peer_from, happening.peer_to)
        peer: dict[str, Any] = {"call_id": happening.peer_call_id, "node_id": self._node_id}
        if happening.peer_tag is not None:
            peer["tag"] = happening.peer_tag
        leg.peer = peer | {"device": shown}
        return leg.peer

    # ------------------------------------------------------------ what is said

    def _asking(self, leg: _Leg) -> dict[str, Any]:
        """The tag of the connect that has made a leg names that connect alone: v3 goes by it."""
        is_made_by_connect = leg.info.parent_call_id is not None
        return names(leg.info, self._node_id) if is_made_by_connect else self._tagged(leg)

    def _tagged(self, leg: _Leg) -> dict[str, Any]:
        params = names(leg.info, self._node_id)
        if leg.is_tagged and leg.info.tag is not None:
            params["tag"] = leg.info.tag
        return params

    def _call(self, leg: _Leg, state: str) -> dict[str, Any]:
        """The call object."""
        info = leg.info
        params = self._tagged(leg)
        params |= {"call_state": state, "direction": info.direction, "device": leg.device}
        if leg.context is not None:
            params["context"] = leg.context
        if info.parent_call_id is not None:
            params["parent"] = parent(info)
            peer = info.peer_call_id or info.parent_call_id
            params["peer"] = {"call_id": peer, "node_id": self._node_id}
        return params

    def _state_event(self, leg: _Leg, state: str) -> Event:
        return STATE, self._call(leg, state)


_BY_FAR_END = ("hangup_far_end", "caller_cancelled", "confirm_hung_up")


def _end(info: CallInfo, why: Ending) -> dict[str, Any]:
    """Why it ended, and on which side: the far end's is named by the direction of the call."""
    is_theirs = why.cause in _BY_FAR_END or why.sip_code is not None
    return {"end_reason": relay_word(why), "end_source": info.direction if is_theirs else "none"}


_TAKE: dict[type, Callable[[Projection, CallInfo, Any], list[Event]]] = {
    CallStateChanged: Projection._state,
    DialStateChanged: Projection._dial,
    ConnectStateChanged: Projection._connect,
}
