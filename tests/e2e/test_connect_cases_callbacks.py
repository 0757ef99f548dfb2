"""What callbacks tell of a connect (cases K), each signed so that an independent check accepts it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from .cases import (
    RINGS,
    TALKS_BRIEFLY,
    Behaviour,
    Case,
    Hit,
    Json,
    Lab,
    laboratory,
    refuses,
    result_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = ["created", "ringing", "answered", "ended"]
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
KEY = b"the key of this project"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    directory = tmp_path_factory.mktemp("lab")
    server = {"data_directory": str(directory / "data"), "signing_key": KEY.decode()}
    async with laboratory(directory, server=server) as made:
        yield made


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


# ---------------------------------------------------------------- leg state


async def test_by_default_only_the_end_is_told(case: Case) -> None:
    """K1"""
    connect = {"to": case.phone("b1", TALKS_BRIEFLY), "call_state_url": case.url("state")}
    assert await case.outcome(connect) == ("connected", "")
    assert await case.until_states("state", 1) == ["ended hangup"]
    await case.lab.server.exchange.quiet()
    assert len(case.events("state")) == 1


async def test_all_states_are_told_in_order(case: Case) -> None:
    """K2"""
    connect = {
        "to": case.phone("b1", TALKS_BRIEFLY),
        "call_state_url": case.url("state"),
        "call_state_events": ALL,
    }
    assert await case.outcome(connect) == ("connected", "")
    assert await case.until_states("state", 4) == ["created", "ringing", "answered", "ended hangup"]
    a_leg = (await case.told())["call"]["call_id"]
    params = [event["params"] for event in case.events("state")]
    (b_leg,) = {one["call_id"] for one in params}
    assert b_leg != a_leg
    assert {one["direction"] for one in params} == {"outbound"}
    for one in params:
        assert one["device"]["type"] == "sip"
        assert one["device"]["params"]["to"] == f"b1-{case.serial}@127.0.0.1"
        assert "from" in one["device"]["params"]
        assert one["parent"]["call_id"] == a_leg
    assert ["end_reason" in one for one in params] == [False, False, False, True]


async def test_without_180_nothing_rings(case: Case) -> None:
    """K3"""
    connect = {
        "to": case.phone("b1", Behaviour(ring=False, answer_after=0.1, hang_up_after=0.1)),
        "call_state_url": case.url("state"),
        "call_state_events": ALL,
    }
    assert await case.outcome(connect) == ("connected", "")
    assert await case.until_states("state", 3) == ["created", "answered", "ended hangup"]


async def test_several_signs_of_ringing_are_told_once(case: Case) -> None:
    """7.12: `ringing` at most once"""
    connect = {"to": case.phone("b1"), "call_state_url": case.url("state"), "call_state_events": ALL}
    await case.connect(connect)
    b1 = await case.incoming("b1")
    b1.ring()
    b1.ring(early_media=True)
    b1.ring()
    await case.seen("< 180", "b1", count=2)
    b1.refuse(486)
    await case.told()
    assert await case.until_states("state", 3) == ["created", "ringing", "ended busy"]


async def test_a_busy_leg_was_never_answered(case: Case) -> None:
    """K5"""
    connect = {
        "to": case.phone("b1", refuses(486)),
        "call_state_url": case.url("state"),
        "call_state_events": ALL,
    }
    assert await case.outcome(connect) == ("failed", "busy")
    assert await case.until_states("state", 2) == ["created", "ended busy"]


async def test_no_events_may_be_wanted(case: Case) -> None:
    """`[]` = none"""
    connect = {
        "to": case.phone("b1", refuses(486)),
        "call_state_url": case.url("state"),
        "call_state_events": [],
        "status_url": case.url("status"),
    }
    assert await case.outcome(connect) == ("failed", "busy")
    await case.until_states("status", 2)
    assert not case.events("state")


async def test_a_number_is_a_phone_device(case: Case) -> None:
    """K13"""
    number = case.pstn(TALKS_BRIEFLY)
    connect = {
        "to": number,
        "from": "+15552223333",
        "call_state_url": case.url("state"),
        "status_url": case.url("status"),
    }
    assert await case.outcome(connect) == ("connected", "")
    await case.until_states("status", 3)
    device = {"type": "phone", "params": {"from_number": "+15552223333", "to_number": number}}
    assert case.events("state")[0]["params"]["device"] == device
    assert case.events("status")[1]["params"]["peer"]["device"] == device


async def test_a_state_that_cannot_be_subscribed_is_invalid(case: Case) -> None:
    """K14"""
    connect = {
        "to": case.phone("b1", TALKS_BRIEFLY),
        "call_state_url": case.url("state"),
        "call_state_events": ["ending"],
    }
    await case.connect(connect)
    told = await case.told()
    assert result_of(told) == ("failed", "error")
    assert told["vars"]["script_error"] == "relay_script_method_parameter_invalid_value"
    assert not case.ladder("b1")


# ---------------------------------------------------------------- the connect itself


async def test_a_connect_is_told_from_connecting_to_disconnected(case: Case) -> None:
    """K7"""
    connect = {
        "to": case.phone("b1", TALKS_BRIEFLY),
        "status_url": case.url("status"),
        "call_state_url": case.url("state"),
    }
    assert await case.outcome(connect) == ("connected", "")
    assert await case.until_states("status", 3) == ["connecting", "connected", "disconnected"]
    await case.until_states("state", 1)
    connecting, connected, disconnected = (event["params"] for event in case.events("status"))
    a_leg = (await case.told())["call"]["call_id"]
    assert {one["call_id"] for one in (connecting, connected, disconnected)} == {a_leg}
    assert "peer" not in connecting
    assert connected["peer"]["call_id"] == case.events("state")[0]["params"]["call_id"]
    assert disconnected["peer"] == connected["peer"]
    assert connected["peer"]["device"]["type"] == "sip"


async def test_a_failed_connect_tells_why(case: Case) -> None:
    """K8"""
    connect = {"to": case.phone("b1", refuses(486)), "status_url": case.url("status")}
    assert await case.outcome(connect) == ("failed", "busy")
    assert await case.until_states("status", 2) == ["connecting", "failed busy"]
    await case.lab.server.exchange.quiet()
    assert len(case.events("status")) == 2


async def test_every_event_has_the_envelope(case: Case) -> None:
    """K10"""
    connect = {
        "to": case.phone("b1", TALKS_BRIEFLY),
        "status_url": case.url("hook"),
        "call_state_url": case.url("hook"),
        "call_state_events": ALL,
    }
    assert await case.outcome(connect) == ("connected", "")
    states = await case.until_states("hook", 7)
    assert states == [
        *("connecting", "created", "ringing", "answered", "connected"),
        *("ended hangup", "disconnected"),
    ]
    bodies = case.events("hook")
    call = (await case.told())["call"]
    for body in bodies:
        assert set(body) == {
            *("event_type", "event_channel", "timestamp", "project_id", "space_id", "params")
        }
        assert body["event_type"] in ("calling.call.connect", "calling.call.state")
        assert UUID.fullmatch(body["event_channel"].removeprefix("swml:"))
        assert isinstance(body["timestamp"], float)
        assert body["project_id"] == call["project_id"]
        assert body["space_id"] == call["space_id"]
        assert {"call_id", "node_id", "segment_id"} <= set(body["params"])
    assert len({body["event_channel"] for body in bodies}) == 1
    assert [body["timestamp"] for body in bodies] == sorted(body["timestamp"] for body in bodies)


# ---------------------------------------------------------------- delivery


async def test_callbacks_are_signed_and_have_ids(case: Case) -> None:
    """swml.md 2.2, checked with nothing but hmac"""
    hook = case.url("hook?a=b%20c&d=e").replace("http://", "http://user:pass@")
    assert await case.outcome({"to": case.phone("b1", refuses(486)), "status_url": hook}) == (
        "failed",
        "busy",
    )
    await case.until_states("hook", 2)
    hits = case.lab.site.at(f"/{case.serial}/hook")
    signed_url = case.url("hook?a=b%20c&d=e").encode()
    for hit in hits:
        material = signed_url + hit.raw
        assert hit.headers["x-signalwire-signature"] == hmac.new(KEY, material, hashlib.sha1).hexdigest()
        assert (
            hit.headers["x-signalwire-sha256-signature"]
            == hmac.new(KEY, material, hashlib.sha256).hexdigest()
        )
        assert hit.headers["authorization"] == "Basic dXNlcjpwYXNz"
        assert hit.headers["content-type"].startswith("application/json")
        assert hit.method == "POST"
    assert len({hit.headers["x-cordboard-event-id"] for hit in hits}) == 2


async def test_a_receiver_that_fails_hangs_or_is_gone_delays_nothing(lab: Lab) -> None:
    """K12"""

    async def run(url: str, case: Case) -> None:
        connect = {
            "to": case.phone("b1", TALKS_BRIEFLY),
            "status_url": url,
            "call_state_url": url,
            "call_state_events": ALL,
        }
        began = asyncio.get_running_loop().time()
        assert await case.outcome(connect) == ("connected", "")
        assert asyncio.get_running_loop().time() - began < 4.5

    failing, hanging, gone = lab.case(), lab.case(), lab.case()
    lab.site.on(f"/{failing.serial}/state", lambda _: web.Response(status=500))
    lab.site.on(f"/{hanging.serial}/state", lambda _: web.Response(), delay=1.5)
    await asyncio.gather(
        run(failing.url("state"), failing),
        run(hanging.url("state"), hanging),
        run("http://127.0.0.1:9/state", gone),
    )


async def test_a_failed_callback_comes_again_before_those_after_it(case: Case) -> None:
    """K12: tried again with the same id, in order"""
    tries: list[Hit] = []

    def first_fails(hit: Hit) -> web.Response:
        tries.append(hit)
        return web.Response(status=500 if len(tries) == 1 else 200)

    case.lab.site.on(f"/{case.serial}/state", first_fails)
    connect = {
        "to": case.phone("b1", refuses(486)),
        "call_state_url": case.url("state"),
        "call_state_events": ALL,
    }
    assert await case.outcome(connect) == ("failed", "busy")
    assert await case.until_states("state", 3) == ["created", "created", "ended busy"]
    ids = [hit.headers["x-cordboard-event-id"] for hit in tries]
    assert ids[0] == ids[1] != ids[2]
    assert tries[0].raw == tries[1].raw


async def test_a_caller_who_leaves_cancels_the_connect(case: Case) -> None:
    """7.12: `failed` with `cancel`"""
    connect = {
        "to": case.phone("b1", RINGS),
        "status_url": case.url("status"),
        "call_state_url": case.url("state"),
    }
    caller = await case.connect(connect)
    await case.seen("< 180", "b1")
    caller.hang_up()
    assert await case.until_states("status", 2) == ["connecting", "failed cancel"]
    assert await case.until_states("state", 1) == ["ended cancel"]
    assert not case.was_told()


async def test_play_tells_its_states(case: Case) -> None:
    """6.3: playing, finished"""
    await case.call({"play": {"url": "silence:0.1", "status_url": case.url("play")}}, case.tail)
    await case.told()
    assert await case.until_states("play", 2) == ["playing", "finished"]
    params: list[Json] = [event["params"] for event in case.events("play")]
    assert {event["event_type"] for event in case.events("play")} == {"calling.call.play"}
    assert len({one["control_id"] for one in params}) == 1
