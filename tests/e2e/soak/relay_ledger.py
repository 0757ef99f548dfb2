"""What must be true of all that a client was told."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from .relay_client import Json, RelayClient, Told

_INBOUND = r"created( answered)? ending ended"
_OUTBOUND = r"created( ringing)?( answered)? ending ended"
_CONNECTS = r"(connecting (failed|connected( connected)* disconnected) )*"
_OPERATIONS = {
    "calling.call.play": r"(playing( paused playing)*( paused)? )?(finished|error)",
    "calling.call.record": r"(recording( paused recording)*( paused)? )?(finished|no_input)",
    "calling.call.collect": r"(collecting )*finished",
    "calling.call.detect": r"(going )*over",
    "calling.call.send_digits": r"(finished|error)",
}
"""By the event, its states from the first to the last."""
_BEGUN_BY = {
    "calling.play": ("calling.call.play",),
    "calling.play_and_collect": ("calling.call.collect",),
    "calling.record": ("calling.call.record",),
    "calling.collect": ("calling.call.collect",),
    "calling.detect": ("calling.call.detect",),
    "calling.send_digits": ("calling.call.send_digits",),
}
"""The events that an accepted request is followed by."""


def faults(client: RelayClient) -> list[str]:
    """Sentences.  A client that was killed has seen the beginning of everything only."""
    found = [
        *_of_others(client),
        *_of_answers(client),
        *_of_calls(client),
        *_of_connects(client),
        *_of_operations(client),
        *_of_dials(client),
    ]
    return [f"{client.protocol[-60:]}: {fault}" for fault in found]


def faults_between(clients: Iterable[RelayClient]) -> list[str]:
    """No call that a client dialled is known to another; inbound ones go from one to the next."""
    owners: dict[str, set[str]] = defaultdict(set)
    for client in clients:
        for told in client.diary:
            if told.event_type == "calling.call.state" and told.params["direction"] == "outbound":
                owners[told.params["call_id"]].add(client.protocol)
    return [f"{call_id} is known to {len(who)} clients" for call_id, who in owners.items() if len(who) > 1]


# ---------------------------------------------------------------- whose they are


def _of_others(client: RelayClient) -> Iterable[str]:
    known: set[str] = set()
    over: set[str] = set()
    for told in client.diary:
        params = told.params
        if told.channel not in client.names:
            yield f"an event of the channel {told.channel}"
        call_id = params.get("call_id")
        if call_id is None:
            continue
        if _begins(told):
            known.add(call_id)
        elif call_id not in known:
            yield f"{told.event_type} {_state(told)} of {call_id} before it was told of it"
        if call_id in over:
            yield f"{told.event_type} {_state(told)} of {call_id} after its end"
        if params.get("call_state") == "ended":
            over.add(call_id)
        if told.event_type in _NEVER_TAGGED and "tag" in params:
            yield f"{told.event_type} of {call_id} has a tag"


_NEVER_TAGGED = ("calling.call.play", "calling.call.collect", "calling.call.tap")


def _begins(told: Told) -> bool:
    if told.event_type == "calling.call.receive":
        return True
    return told.event_type == "calling.call.state" and told.params["call_state"] == "created"


def _state(told: Told) -> str:
    params = told.params
    named = (params.get(key) for key in ("call_state", "connect_state", "dial_state", "state"))
    return str(next((state for state in named if state), ""))


# ---------------------------------------------------------------- requests


def _of_answers(client: RelayClient) -> Iterable[str]:
    for request_id, (method, params) in client.asked.items():
        answers = client.results.get(request_id, [])
        if len(answers) != 1 and not (client.is_dead and not answers):
            yield f"{method} {params} has {len(answers)} answers"
        for answer in answers:
            code = str(answer.get("result", {}).get("code", ""))
            if code not in ("200", "404", "409") and method.startswith("calling."):
                yield f"{method} {params} is answered {answer}"
    for request_id in client.results.keys() - client.asked.keys():
        yield f"an answer to {request_id}, which nobody has asked"


# ---------------------------------------------------------------- calls


def _of_calls(client: RelayClient) -> Iterable[str]:
    states: dict[str, list[str]] = defaultdict(list)
    directions: dict[str, str] = {}
    for told in client.diary:
        if told.event_type in ("calling.call.receive", "calling.call.state"):
            states[told.params["call_id"]].append(told.params["call_state"])
            directions[told.params["call_id"]] = told.params["direction"]
    for call_id, seen in states.items():
        whole = _INBOUND if directions[call_id] == "inbound" else _OUTBOUND
        if not _fits(whole, seen, partly=client.is_dead):
            yield f"{directions[call_id]} call {call_id}: {seen}"


def _of_connects(client: RelayClient) -> Iterable[str]:
    states: dict[str, list[str]] = defaultdict(list)
    for told in client.diary:
        if told.event_type == "calling.call.connect":
            state = told.params["connect_state"]
            states[told.params["call_id"]].append(state)
            if state in ("connected", "disconnected") and not told.params.get("peer", {}).get("call_id"):
                yield f"{state} of {told.params['call_id']} without a peer"
    for call_id, seen in states.items():
        # Who asks for the end of a bridge hears of it, also who has not begun it.
        own = _without_own_disconnects(seen) if _asked(client, "calling.disconnect", call_id) else seen
        if not _fits(_CONNECTS, own, partly=client.is_dead):
            yield f"connects of {call_id}: {seen}"


def _without_own_disconnects(seen: list[str]) -> list[str]:
    kept: list[str] = []
    for state in seen:
        if state != "disconnected" or (kept and kept[-1] == "connected"):
            kept.append(state)
    return kept


def _asked(client: RelayClient, method: str, call_id: str) -> bool:
    return any(
        asked.method == method and asked.params.get("call_id") == call_id for asked in client.asked.values()
    )


# ---------------------------------------------------------------- operations


def _of_operations(client: RelayClient) -> Iterable[str]:
    states: dict[tuple[str, str], list[str]] = defaultdict(list)
    for told in client.diary:
        if told.event_type in _OPERATIONS:
            states[told.params["control_id"], told.event_type].append(_progress(told))
    for (control_id, kind), seen in states.items():
        if not _fits(_OPERATIONS[kind], seen, partly=client.is_dead):
            yield f"{kind} of {control_id}: {seen}"
    if client.is_dead:
        return
    for request_id, (method, params) in client.asked.items():
        accepted = any(_code(answer) == "200" for answer in client.results.get(request_id, []))
        for kind in _BEGUN_BY.get(method, ()):
            if accepted != ((params["control_id"], kind) in states):
                about = f"{params['control_id']} on {params['call_id']}"
                yield f"{method} {about}: {'no' if accepted else 'refused, but there is a'} {kind}"


def _progress(told: Told) -> str:
    if told.event_type == "calling.call.detect":
        return "over" if told.params["detect"]["params"]["event"] in ("finished", "error") else "going"
    if told.event_type == "calling.call.collect":
        return "finished" if told.params["final"] else "collecting"
    return str(told.params["state"])


def _code(answer: Json) -> str:
    return str(answer.get("result", {}).get("code", ""))


def _of_dials(client: RelayClient) -> Iterable[str]:
    states: dict[str, list[str]] = defaultdict(list)
    for told in client.diary:
        if told.event_type == "calling.call.dial":
            states[told.params["tag"]].append(told.params["dial_state"])
    for tag, seen in states.items():
        if not _fits("dialing (answered|failed)", seen, partly=client.is_dead):
            yield f"dial {tag}: {seen}"
    for request_id, (method, params) in client.asked.items():
        accepted = any(_code(answer) == "200" for answer in client.results.get(request_id, []))
        if method == "calling.dial" and not client.is_dead and accepted != (params["tag"] in states):
            yield f"dial {params['tag']}: accepted {accepted}, told {states.get(params['tag'])}"


def _fits(pattern: str, seen: list[str], *, partly: bool) -> bool:
    """`partly`: the beginning of what fits is enough."""
    text = " ".join(seen)
    whole = re.compile(pattern)
    if whole.fullmatch(text) or whole.fullmatch(text + " "):
        return True
    return partly
