"""Calls that programs connect: what each far end hears, what the callbacks say, what a call may cost."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cordboard.media.tones import dominant_frequency
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone_call import PhoneCall

from .cases import ANSWERS, CALLER_TONE, FAR_TONE, RINGS, refuses, until
from .sdk.abilities import able
from .sdk.lab import Json, RelayCase, RelayLab, relay_laboratory
from .sdk.programs import NODE_3_9, OURS, PYTHON, Sdk
from .sdk.remote import RefusedError, Remote
from .sounds import FILE_TONE, hears_now, rings, tone

OTHER_TONE = 1000.0
RATE = 0.01
LISTENS = Behaviour(tone_hz=FAR_TONE, record=True)
_ON_ITS_WAY = 1920
"""Bytes of 120 ms that may still come from a peer that was left."""
STATES = ["created", "ringing", "answered", "ended"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.real_peer]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RelayLab]:
    trunk = {"allowed_prefixes": ["+1555123", "+1555124"], "rates": {"+1555123": RATE}}
    async with relay_laboratory(tmp_path_factory.mktemp("relay"), trunk=trunk) as made:
        made.lab.site.document("/tone.wav", tone(60.0, 8000))
        made.lab.site.document("/other.wav", tone(60.0, 8000, OTHER_TONE))
        yield made


async def taken(case: RelayCase, sdk: Sdk) -> tuple[Remote, str, PhoneCall]:
    """A call that came in and was answered: the client, the call's id, the caller."""
    remote = await case.lab.remote(sdk)
    caller = await case.calls(to=sdk.name)
    return remote, await remote.taken(), caller


def playing(case: RelayCase, name: str) -> list[Json]:
    """What to play: a tone of a minute."""
    return [{"type": "audio", "url": f"{case.lab.lab.site.url}/{name}.wav"}]


def reporting(case: RelayCase, device: Json, *, events: list[str] = STATES) -> Json:
    """The device, whose states go to a URL."""
    return {**device, "callStateUrl": case.case.url("state"), "callStateEvents": events}


# ------------------------------------------------------------ sound


@able()
async def test_two_who_are_connected_hear_what_is_played_to_each(case: RelayCase, sdk: Sdk) -> None:
    """As the documented program does, with tones in place of words."""
    remote, call, caller = await taken(case, sdk)
    peer = (await remote("connect", call=call, devices=[[case.phone("peer", LISTENS)]]))["id"]
    far = await case.case.incoming("peer")
    await remote("play", call=call, items=playing(case, "tone"))
    await remote("play", call=peer, items=playing(case, "other"))
    await until(lambda: hears_now(caller, FILE_TONE, FAR_TONE) and hears_now(far, OTHER_TONE, CALLER_TONE))
    await remote("hangup", call=call)
    await caller.ended()


@able()
async def test_a_peer_that_was_left_can_still_be_commanded(case: RelayCase, sdk: Sdk) -> None:
    remote, call, caller = await taken(case, sdk)
    peer = (await remote("connect", call=call, devices=[[case.phone("peer", LISTENS)]]))["id"]
    far = await case.case.incoming("peer")
    assert await caller.hears(FAR_TONE)
    await remote("disconnect", call=call)
    apart = len(caller.audio.recording or b"") + _ON_ITS_WAY
    await remote("play", call=peer, items=playing(case, "other"))
    await until(lambda: hears_now(far, OTHER_TONE))
    await remote("hangup", call=peer)
    await far.ended()
    await remote("play", call=call, items=playing(case, "tone"))
    await until(lambda: len(caller.audio.recording or b"") >= apart + 1600)
    since = bytes(caller.audio.recording or b"")[apart:]
    assert dominant_frequency(since) == pytest.approx(FILE_TONE, abs=10)
    await remote("hangup", call=call)
    await caller.ended()


@able()
async def test_the_caller_hears_the_ringback_that_the_program_gives(case: RelayCase, sdk: Sdk) -> None:
    remote, call, caller = await taken(case, sdk)
    ringback = [{"type": "ringtone", "name": "us", "duration": 20}]
    connecting = remote.begin("connect", call=call, devices=[[case.phone("peer", RINGS)]], ringback=ringback)
    await until(lambda: rings(caller))
    far = await case.case.incoming("peer")
    far.speak(FAR_TONE)
    far.accept()
    await connecting
    await until(lambda: hears_now(caller, FAR_TONE) and not rings(caller))
    await remote("hangup", call=call)
    await caller.ended()


@able()
async def test_the_caller_hears_the_peer_before_it_answers(case: RelayCase, sdk: Sdk) -> None:
    remote, call, caller = await taken(case, sdk)
    early = Behaviour(tone_hz=FAR_TONE, early_media=True, answer_after=None)
    connecting = remote.begin("connect", call=call, devices=[[case.phone("peer", early)]])
    assert await caller.hears(FAR_TONE)
    assert not connecting.done()
    (await case.case.incoming("peer")).accept()
    await connecting
    await remote("hangup", call=call)
    await caller.ended()


# ------------------------------------------------------------ the trunk, and what it costs


@able()
async def test_a_number_is_connected_through_the_trunk(case: RelayCase, sdk: Sdk) -> None:
    """At its rate exactly, which is not dearer than what the program wants to pay."""
    remote, call, caller = await taken(case, sdk)
    device = case.number("pstn", ANSWERS)
    params = {key: device[key] for key in ("from", "to", "timeout")}
    peer = await remote("connectPhone", call=call, maxPricePerMinute=RATE, **params)
    assert (peer.get("type"), peer["to"]) == ("phone", device["to"])
    assert await caller.hears(FAR_TONE)
    await remote("hangup", call=call)
    await caller.ended()


@able("tell why a connect failed")
@pytest.mark.parametrize("why", ["dearer", "no rate"])
async def test_a_connect_that_costs_too_much_is_not_dialled(case: RelayCase, sdk: Sdk, why: str) -> None:
    remote, call, caller = await taken(case, sdk)
    device = case.number("pstn", ANSWERS)
    to, limit = (device["to"], 0.0099) if why == "dearer" else ("+15551240000", 1.0)
    with pytest.raises(RefusedError) as failed:
        await remote("connectPhone", call=call, maxPricePerMinute=limit, **{"from": device["from"], "to": to})
    assert failed.value.reason == "error"
    assert case.case.labels(to) == []
    assert not caller.is_over
    await remote("hangup", call=call)
    await caller.ended()


@able("dial a phone by name")
async def test_a_number_is_dialled_through_the_trunk(case: RelayCase, sdk: Sdk) -> None:
    remote = await case.lab.remote(sdk)
    device = case.number("pstn", ANSWERS)
    params = {key: device[key] for key in ("from", "to", "timeout")}
    call = await remote("dialPhone", **params)
    assert (call["type"], call["to"], call["direction"]) == ("phone", device["to"], "outbound")
    await remote("hangup", call=call["id"])


@able("limit the price of a dial")
@pytest.mark.parametrize(("limit", "is_dialled"), [(RATE, True), (0.0099, False)])
async def test_the_price_of_a_dial_is_limited(
    case: RelayCase, sdk: Sdk, limit: float, is_dialled: bool
) -> None:
    remote = await case.lab.remote(sdk)
    device = case.number("pstn", ANSWERS)
    params = {"from": device["from"], "to": device["to"], "maxPricePerMinute": limit}
    if is_dialled:
        await remote("hangup", call=(await remote("dialPhone", **params))["id"])
    else:
        with pytest.raises(RefusedError) as failed:
            await remote("dialPhone", **params)
        assert failed.value.reason == "error"
    assert (case.case.labels(device["to"]) != []) is is_dialled


# ------------------------------------------------------------ callbacks


async def seen_to_end(remote: Remote, call: str, sdk: Sdk) -> str:
    """A call that is watched ends: its last state as the program says it."""
    await until(lambda: any(state.startswith("ended") for state in remote.states(call)))
    told = [state.split()[0] for state in remote.states(call)]
    # Ours is asked for a state; one that passed meanwhile is not seen.
    assert told == ["ending", "ended"] or (sdk is OURS and told == ["ended"])
    return remote.states(call)[-1]


@able()
async def test_the_states_of_a_dialled_call_agree_with_the_callbacks(case: RelayCase, sdk: Sdk) -> None:
    remote = await case.lab.remote(sdk)
    call = (await remote("dial", devices=[[reporting(case, case.phone("a", ANSWERS))]]))["id"]
    await remote("watch", call=call)
    (await case.case.incoming("a")).hang_up()
    assert await case.case.until_states("state", 4) == ["created", "ringing", "answered", "ended hangup"]
    told = await seen_to_end(remote, call, sdk)
    if sdk in (PYTHON, OURS):
        assert told == "ended hangup"
    assert {event["params"]["call_id"] for event in case.case.events("state")} == {call}


OUTCOMES = [
    (refuses(486), "busy", "busy"),
    (refuses(603), "decline", "declined"),
    (RINGS, "noAnswer", "no_answer"),
    (refuses(404), "notFound", "error"),
]


@able()
@pytest.mark.parametrize(
    ("behaviour", "word", "written"), OUTCOMES, ids=[written for _, _, written in OUTCOMES]
)
async def test_the_reason_of_a_failed_dial_agrees_with_the_callback(
    case: RelayCase, sdk: Sdk, behaviour: Behaviour, word: str, written: str
) -> None:
    remote = await case.lab.remote(sdk)
    device = reporting(case, {**case.phone("a", behaviour), "timeout": 1}, events=["ended"])
    with pytest.raises(RefusedError) as failed:
        await remote("dial", devices=[[device]])
    if sdk is not PYTHON:
        # It keeps the reason to itself.
        assert failed.value.reason == word
    assert await case.case.until_states("state", 1) == [f"ended {written}"]


@able("watch a peer")
async def test_the_states_of_a_peer_agree_with_the_callbacks(case: RelayCase, sdk: Sdk) -> None:
    remote, call, caller = await taken(case, sdk)
    device = reporting(case, case.phone("peer", ANSWERS))
    peer = (await remote("connect", call=call, devices=[[device]]))["id"]
    await remote("watch", call=peer)
    (await case.case.incoming("peer")).hang_up()
    assert await case.case.until_states("state", 4) == ["created", "ringing", "answered", "ended hangup"]
    await seen_to_end(remote, peer, sdk)
    await remote("hangup", call=call)
    await caller.ended()


@able("tell the events of a connect")
async def test_the_events_of_a_connect_agree_with_the_callbacks(case: RelayCase, sdk: Sdk) -> None:
    remote, call, caller = await taken(case, sdk)
    url = case.case.url("connect")
    if sdk is PYTHON:
        await remote("watch", call=call)
    refusing = [[case.phone("a", refuses(480))]]
    with pytest.raises(RefusedError) as failed:
        await remote("connect", call=call, devices=refusing, statusUrl=url)
    assert failed.value.reason == "noAnswer"
    await remote("connect", call=call, devices=[[case.phone("b", ANSWERS)]], statusUrl=url)
    (await case.case.incoming("b")).hang_up()
    written = ["connecting", "failed no_answer", "connecting", "connected", "disconnected"]
    assert await case.case.until_states("connect", 5) == written
    if sdk is PYTHON:
        await until(lambda: len(remote.connects(call)) >= 5)
        assert remote.connects(call) == [state.replace("no_answer", "noAnswer") for state in written]
    await remote("hangup", call=call)
    await caller.ended()


# ------------------------------------------------------------ the table of abilities


@able()
async def test_what_an_sdk_is_said_to_lack_is_not_there(case: RelayCase, sdk: Sdk) -> None:
    remote, call, caller = await taken(case, sdk)
    can = await remote("can", call=call, names=["pass", "pass_", "refer", "hold", "unhold", "transfer"])
    assert (can["pass"] or can["pass_"]) is (sdk is not NODE_3_9)
    assert can["refer"] is can["hold"] is can["unhold"] is can["transfer"] is (not sdk.is_node)
    await remote("hangup", call=call)
    await caller.ended()
