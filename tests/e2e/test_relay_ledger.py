"""The ledger of the soak finds what is wrong: each single change of a good diary is a fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import aiohttp
import pytest

from .soak.relay_client import Asked, RelayClient, Told
from .soak.relay_ledger import faults, faults_between

Json = dict[str, Any]


def state(call_id: str, word: str, direction: str = "outbound", kind: str = "state") -> Told:
    params = {"call_id": call_id, "node_id": "n", "call_state": word, "direction": direction}
    return Told(f"calling.call.{kind}", "own", params)


def about(call_id: str, kind: str, **params: Any) -> Told:
    return Told(f"calling.call.{kind}", "own", {"call_id": call_id, **params})


def good() -> RelayClient:
    """One call in, connected to another, with a play and a recording; and a dial that failed."""
    client = RelayClient("http://nowhere/", cast(aiohttp.ClientSession, None))
    client.protocol, client.names = "own", ["own"]
    peer = {"call_id": "b", "node_id": "n"}
    client.diary = [
        state("a", "created", "inbound", kind="receive"),
        state("a", "answered", "inbound"),
        about("a", "connect", connect_state="connecting"),
        state("b", "created"),
        state("b", "ringing"),
        state("b", "answered"),
        about("a", "connect", connect_state="connected", peer=peer),
        about("a", "play", control_id="p", state="playing"),
        about("a", "record", control_id="r", state="recording"),
        state("b", "ending"),
        state("b", "ended"),
        about("a", "connect", connect_state="disconnected", peer=peer),
        about("a", "play", control_id="p", state="finished"),
        about("a", "record", control_id="r", state="finished"),
        state("a", "ending", "inbound"),
        state("a", "ended", "inbound"),
        Told("calling.call.dial", "own", {"tag": "d", "dial_state": "dialing"}),
        Told("calling.call.dial", "own", {"tag": "d", "dial_state": "failed"}),
    ]
    ask(client, "1", "calling.play", call_id="a", control_id="p")
    ask(client, "2", "calling.record", call_id="a", control_id="r")
    ask(client, "3", "calling.dial", tag="d")
    return client


def ask(client: RelayClient, request_id: str, method: str, *, code: str = "200", **params: Any) -> None:
    client.asked[request_id] = Asked(method, params)
    client.results[request_id] = [{"id": request_id, "result": {"code": code}}]


def test_a_good_diary_has_no_fault() -> None:
    assert faults(good()) == []
    assert faults_between([good()]) == []


@pytest.mark.parametrize("at", range(18))
def test_an_event_that_is_missing_is_a_fault(at: int) -> None:
    client = good()
    missing = client.diary.pop(at)
    may_be_missing = missing.params.get("call_state") in ("ringing", "answered")
    may_be_missing |= missing.params.get("state") in ("playing", "recording")
    assert bool(faults(client)) is not may_be_missing


@pytest.mark.parametrize("at", range(18))
def test_an_event_that_comes_twice_is_a_fault(at: int) -> None:
    client = good()
    client.diary.insert(at, client.diary[at])
    # A far end that transfers makes a connect connected to another one.
    may_be_told_again = client.diary[at].params.get("connect_state") == "connected"
    assert bool(faults(client)) is not may_be_told_again


def _other_channel(client: RelayClient) -> None:
    client.diary[4] = client.diary[4]._replace(channel="another")


def _unknown_call(client: RelayClient) -> None:
    client.diary.append(state("c", "answered"))


def _after_the_end(client: RelayClient) -> None:
    client.diary.append(about("b", "play", control_id="q", state="finished"))


def _tagged_play(client: RelayClient) -> None:
    client.diary[7].params["tag"] = "t"


def _without_peer(client: RelayClient) -> None:
    del client.diary[6].params["peer"]


def _two_answers(client: RelayClient) -> None:
    client.results["1"] *= 2


def _no_answer(client: RelayClient) -> None:
    client.results["1"] = []


def _unasked_answer(client: RelayClient) -> None:
    client.results["9"] = [{"id": "9", "result": {"code": "200"}}]


def _internal_error(client: RelayClient) -> None:
    ask(client, "9", "calling.end", code="500", call_id="a")


def _refused_but_done(client: RelayClient) -> None:
    ask(client, "1", "calling.play", code="409", call_id="a", control_id="p")


def _accepted_but_not_done(client: RelayClient) -> None:
    ask(client, "9", "calling.play", call_id="a", control_id="never")


def _dial_never_decided(client: RelayClient) -> None:
    ask(client, "9", "calling.dial", tag="never")


def _answered_before_created(client: RelayClient) -> None:
    client.diary[3], client.diary[5] = client.diary[5], client.diary[3]


@pytest.mark.parametrize(
    "change",
    [
        _other_channel,
        _unknown_call,
        _after_the_end,
        _tagged_play,
        _without_peer,
        _two_answers,
        _no_answer,
        _unasked_answer,
        _internal_error,
        _refused_but_done,
        _accepted_but_not_done,
        _dial_never_decided,
        _answered_before_created,
    ],
)
def test_what_is_wrong_otherwise_is_a_fault(change: Callable[[RelayClient], None]) -> None:
    client = good()
    change(client)
    assert faults(client)


def test_a_dialled_call_that_two_clients_know_is_a_fault() -> None:
    one, two = good(), good()
    two.protocol = "other"
    assert faults_between([one, two])
