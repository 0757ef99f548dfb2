"""Two calls joined: who hears whom, and what the end of one means for the other."""

from __future__ import annotations

import pytest

from cordboard.call.bridge import PARTING_LIMIT, Bridge, ending_for_peer
from cordboard.call.effects import ConnectStateChanged, Effect, Join, Report, TellCall, Unjoin
from cordboard.call.facts import Bridged, Unbridged
from cordboard.call.info import CallInfo
from cordboard.call.peer import Peer, peer_of
from cordboard.call.reasons import ending

PEER = Peer(call_id="b", device_type="sip", from_="+1", to="sip:b@h")
HUNG_UP = ending("hangup_far_end", who="The caller")


def info(call_id: str = "a") -> CallInfo:
    return CallInfo(
        call_id=call_id, node_id="n", segment_id="s", project_id="p", space_id="s", session_id="s",
        call_state="answered", direction="inbound", type="sip", from_="sip:a@h", to="sip:x@h",
    )  # fmt: skip


def joined(own: CallInfo | None = None) -> Bridge:
    bridge = Bridge(own or info(), PEER, "http://h/status")
    bridge.join()
    return bridge


def states(effects: list[Effect]) -> list[str]:
    happenings = [effect.happening for effect in effects if isinstance(effect, Report)]
    return [happening.state for happening in happenings if isinstance(happening, ConnectStateChanged)]


def test_joining_lets_both_hear_and_tells_the_peer_and_the_listeners() -> None:
    join, tell, report = Bridge(info(), PEER, "http://h/status").join()
    assert join == Join(a="a", b="b")
    assert tell == TellCall(call_id="b", fact=Bridged(call_id="a", peer=peer_of(info())))
    assert report == Report(
        happening=ConnectStateChanged(
            state="connected", peer_call_id="b", peer_device_type="sip", peer_from="+1", peer_to="sip:b@h"
        ),
        callback_url="http://h/status",
    )


def test_those_who_hear_each_other_already_are_not_joined_again() -> None:
    effects = Bridge(info(), PEER, None).join(already_heard=True)
    assert not [effect for effect in effects if isinstance(effect, Join)]
    assert states(effects) == ["connected"]


def test_the_end_of_the_peer_ends_the_bridge_once() -> None:
    bridge = joined()
    effects = bridge.peer_left("b")
    assert effects[0] == Unjoin(a="a", b="b")
    assert states(effects) == ["disconnected"]
    assert bridge.is_over
    assert bridge.peer_left("b") == []


def test_the_end_of_a_third_call_means_nothing() -> None:
    bridge = joined()
    assert bridge.peer_left("c") == []
    assert not bridge.is_over


def test_our_own_end_asks_the_peer_to_go_once_and_waits_for_it() -> None:
    bridge = joined()
    unjoin, tell = bridge.part(HUNG_UP, 10.0)
    assert unjoin == Unjoin(a="a", b="b")
    assert isinstance(tell, TellCall)
    assert isinstance(tell.fact, Unbridged)
    assert tell.fact.call_id == "a"
    assert tell.fact.ending.cause == "hangup_peer"
    assert bridge.part(HUNG_UP, 12.0) == []
    assert bridge.next_timeout() == 10.0 + PARTING_LIMIT
    assert [type(effect) for effect in bridge.peer_left("b")] == [Report]
    assert bridge.next_timeout() is None


def test_a_peer_that_does_not_go_is_waited_for_only_so_long() -> None:
    bridge = joined()
    bridge.part(HUNG_UP, 10.0)
    assert bridge.handle_timeout(10.0 + PARTING_LIMIT - 0.1) == []
    assert states(bridge.handle_timeout(10.0 + PARTING_LIMIT)) == ["disconnected"]
    assert bridge.handle_timeout(100.0) == []


def test_a_bridge_that_was_never_joined_has_nothing_to_part() -> None:
    assert Bridge(info(), PEER, None).part(HUNG_UP, 1.0) == []


def test_the_call_knows_its_peer_as_long_as_there_is_one() -> None:
    own = info()
    bridge = joined(own)
    assert own.peer_call_id == "b"
    bridge.peer_left("b")
    assert own.peer_call_id is None


def test_after_its_longest_duration_the_peer_is_told_to_go_and_the_call_is_not() -> None:
    bridge = joined()
    bridge.until = 20.0
    assert bridge.next_timeout() == 20.0
    assert bridge.handle_timeout(19.9) == []
    _, tell = bridge.handle_timeout(20.0)
    assert isinstance(tell, TellCall)
    assert isinstance(tell.fact, Unbridged)
    assert tell.fact.ending.cause == "max_duration"
    assert states(bridge.peer_left("b")) == ["disconnected"]


def test_another_peer_takes_the_place_of_the_first_and_is_reported_as_connected() -> None:
    bridge = joined()
    effects = [*bridge.replace(Peer(call_id="c", device_type="phone", from_="+1", to="+2")), *bridge.join()]
    assert effects[:2] == [Unjoin(a="a", b="b"), Join(a="a", b="c")]
    assert states(effects) == ["connected"]
    assert bridge.peer_left("b") == []
    assert states(bridge.peer_left("c")) == ["disconnected"]


def test_a_place_that_is_kept_for_another_peer_reports_its_end_once() -> None:
    own = info()
    bridge = joined(own)
    assert bridge.lose_peer() == [Unjoin(a="a", b="b")]
    assert own.peer_call_id is None
    assert states(bridge.part(HUNG_UP, 5.0)) == ["disconnected"]
    assert bridge.is_over


@pytest.mark.parametrize(
    ("own", "bridged", "theirs"),
    [
        ("hangup_far_end", True, "hangup_peer"),
        ("hangup_script", True, "hangup_peer"),
        ("max_duration", True, "max_duration"),
        ("media_worker_died", True, "media_worker_died"),
        ("no_ack", True, "no_ack"),
        ("caller_cancelled", False, "caller_gone"),
        ("hangup_far_end", False, "caller_gone"),
        ("max_duration", False, "caller_gone"),
        ("media_worker_died", False, "media_worker_died"),
    ],
)
def test_why_the_other_call_ends_when_ours_does(own: str, bridged: bool, theirs: str) -> None:
    end = ending_for_peer(ending(own, who="The caller"), who="sip:b@h", bridged=bridged)
    assert end.cause == theirs
    assert end.sentence


def test_a_failure_of_ours_is_told_to_the_peer_in_the_same_words_without_our_sip_code() -> None:
    own = ending("no_ack", who="The caller", sip_code=408)
    theirs = ending_for_peer(own, who="sip:b@h", bridged=True)
    assert theirs.sentence == own.sentence
    assert theirs.sip_code is None
