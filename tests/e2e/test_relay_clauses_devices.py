"""Every parameter of a RELAY device, to the wire: what `cordboard.client` asks, and what the far end gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from cordboard.client import Call, Client, ConnectError, Device, DialError, RequestError, phone, sip
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.challenge import Challenge

from .cases import ANSWERS, CALLER, FAR_TONE, RINGS, until
from .sdk.lab import PROJECT, TOKEN, RelayCase, RelayLab, relay_laboratory

FROM = "sip:office@example.com"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RelayLab]:
    async with relay_laboratory(tmp_path_factory.mktemp("relay")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def client(lab: RelayLab) -> AsyncIterator[Client]:
    async with Client(PROJECT, TOKEN, f"ws://127.0.0.1:{lab.lab.server.http.port}") as made:
        yield made


async def dialled(client: Client, case: RelayCase, behaviour: Behaviour = ANSWERS, **device: Any) -> Call:
    """A call to the phone `b` of a case."""
    return await client.dial(sip(**{"to": case.case.phone("b", behaviour), "from_": FROM, **device}))


def media_line(case: RelayCase, name: str = "b") -> str:
    lines = case.case.invite(name).body.decode().splitlines()
    return next(line for line in lines if line.startswith("m=audio"))


# ------------------------------------------------------------ sip


async def test_who_calls_and_what_is_sent_along_is_in_the_invite(client: Client, case: RelayCase) -> None:
    call = await dialled(
        client, case, from_name="The Office", headers={"X-Reason": "sales", "X-Two": "2"}, session_timeout=120
    )
    invite = case.case.invite("b")
    assert '"The Office" <sip:office@example.com>' in str(invite.headers.get("From"))
    assert [invite.headers.get(name) for name in ("X-Reason", "X-Two")] == ["sales", "2"]
    assert str(invite.headers.get("Session-Expires")).startswith("120")
    assert (call.from_, call.from_name) == (FROM, "The Office")
    assert call.headers == {"X-Reason": "sales", "X-Two": "2"}
    await call.hangup()


async def test_a_session_timer_below_what_sip_knows_is_raised(client: Client, case: RelayCase) -> None:
    call = await dialled(client, case, session_timeout=30)
    assert str(case.case.invite("b").headers.get("Session-Expires")).startswith("90")
    await call.hangup()


@pytest.mark.parametrize(
    ("codecs", "types"), [(["PCMA", "PCMU"], "8 0 101"), (["PCMU"], "0 101"), (["G722", "PCMU"], "9 0 101")]
)
async def test_codecs_are_offered_in_the_order_of_preference(
    client: Client, case: RelayCase, codecs: list[str], types: str
) -> None:
    call = await dialled(client, case, codecs=codecs)
    assert media_line(case).split(maxsplit=3)[3] == types
    await call.hangup()


@pytest.mark.parametrize(
    ("encryption", "profile", "has_keys"),
    [("mandatory", "RTP/SAVP", True), ("optional", "RTP/AVP", True), ("forbidden", "RTP/AVP", False)],
)
async def test_encryption_is_offered_as_it_is_asked_for(
    client: Client, case: RelayCase, encryption: str, profile: str, has_keys: bool
) -> None:
    call = await dialled(
        client,
        case,
        Behaviour(tone_hz=FAR_TONE, encryption="forbidden" if encryption == "forbidden" else encryption),
        encryption=encryption,
    )
    assert media_line(case).split()[2] == profile
    assert ("a=crypto" in case.case.invite("b").body.decode()) is has_keys
    far = await case.case.incoming("b")
    assert far.is_secure is has_keys
    await call.hangup()


async def test_a_challenge_is_answered_with_the_credentials_of_the_device(
    client: Client, case: RelayCase
) -> None:
    asks = Behaviour(tone_hz=FAR_TONE, challenge=Challenge(username="u", password="p4ss"))
    call = await dialled(client, case, asks, username="u", password="p4ss")
    assert case.case.labels("b").count("> INVITE") == 2
    assert "p4ss" not in str(call.params)
    await call.hangup()


async def test_wrong_credentials_fail_the_dial(client: Client, case: RelayCase) -> None:
    asks = Behaviour(tone_hz=FAR_TONE, challenge=Challenge(username="u", password="p4ss"))
    with pytest.raises(DialError):
        await dialled(client, case, asks, username="u", password="wrong")


async def test_webrtc_media_are_refused_by_name(client: Client, case: RelayCase) -> None:
    with pytest.raises(RequestError, match="WebRTC media are not built") as refused:
        await dialled(client, case, webrtc_media=True)
    assert refused.value.code == "501"
    assert "> INVITE" not in case.case.labels("b")


# ------------------------------------------------------------ both kinds


def to(case: RelayCase, kind: str, behaviour: Behaviour, **params: Any) -> Device:
    if kind == "sip":
        return sip(to=case.case.phone("b", behaviour), from_=FROM, **params)
    return phone(to=case.case.pstn(behaviour), from_=CALLER, **params)


KINDS = pytest.mark.parametrize("kind", ["sip", "phone"])


@KINDS
async def test_a_device_rings_no_longer_than_its_timeout(client: Client, case: RelayCase, kind: str) -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(DialError) as failed:
        await client.dial(to(case, kind, RINGS, timeout=1))
    assert failed.value.reason == "noAnswer"
    assert asyncio.get_running_loop().time() - began >= 1.0
    await case.case.seen("> CANCEL", "b" if kind == "sip" else case.case.pstn(RINGS))


@KINDS
async def test_a_call_lasts_no_longer_than_its_device_allows(
    client: Client, case: RelayCase, kind: str
) -> None:
    call = await client.dial(to(case, kind, ANSWERS, max_duration=1))
    assert await call.ended(timeout=20.0) == "maxDuration"


@KINDS
@pytest.mark.parametrize(
    ("events", "told"),
    [
        (None, ["ended"]),
        (["answered"], ["answered"]),
        (["created", "ringing", "answered", "ended"], ["created", "ringing", "answered", "ended"]),
    ],
    ids=["only the end unless said", "one", "all"],
)
async def test_the_wanted_states_are_posted(
    client: Client, case: RelayCase, kind: str, events: list[str] | None, told: list[str]
) -> None:
    url = case.case.url("states")
    device = to(case, kind, ANSWERS, call_state_url=url, call_state_events=events)
    call = await client.dial(device)
    await call.hangup()
    await until(lambda: len(case.case.events("states")) >= len(told), within=20.0)
    bodies = case.case.events("states")
    assert [body["params"]["call_state"] for body in bodies] == told
    assert {body["params"]["call_id"] for body in bodies} == {call.id}
    assert {body["event_type"] for body in bodies} == {"calling.call.state"}


async def test_a_number_is_shown_as_the_caller(client: Client, case: RelayCase) -> None:
    call = await client.dial(to(case, "phone", ANSWERS))
    assert f"sip:{CALLER}@" in str(case.case.invite(call.to).headers.get("From"))
    assert (call.type, call.from_) == ("phone", CALLER)
    await call.hangup()


async def test_the_price_is_limited_to_four_decimals(client: Client, case: RelayCase) -> None:
    with pytest.raises(RequestError, match="at most 4 decimals") as refused:
        await client.dial(to(case, "sip", ANSWERS), max_price_per_minute=0.00751)
    assert refused.value.code == "400"


async def test_a_dialled_number_without_a_rate_is_not_dialled_where_the_price_counts(
    client: Client, case: RelayCase
) -> None:
    with pytest.raises(DialError) as failed:
        await client.dial(to(case, "phone", ANSWERS), max_price_per_minute=0.01)
    assert failed.value.reason == "error"
    assert "> INVITE" not in case.case.labels(case.case.pstn(ANSWERS))


# ------------------------------------------------------------ groups


async def test_a_device_that_is_wrong_costs_the_others_nothing(client: Client, case: RelayCase) -> None:
    wrong = {"type": "sip", "params": {"to": "nobody"}}
    call = await client.dial([[wrong], [wrong, to(case, "sip", ANSWERS)]])
    assert call.to == case.case.phone("b", ANSWERS)
    await call.hangup()


async def test_of_a_group_the_others_are_cancelled_when_one_has_answered(
    client: Client, case: RelayCase
) -> None:
    rings = sip(to=case.case.phone("a", RINGS), from_=FROM)
    call = await client.dial([[rings, to(case, "sip", Behaviour(tone_hz=FAR_TONE, answer_after=0.3))]])
    await case.case.seen("> CANCEL", "a")
    await call.hangup()


async def test_devices_that_are_other_things_refuse_the_request(client: Client, case: RelayCase) -> None:
    call = await client.dial(to(case, "sip", ANSWERS))
    for kind in ("webrtc", "stream", "queue", "agora", "call"):
        with pytest.raises((RequestError, ConnectError)) as refused:
            await call.connect({"type": kind, "params": {}})
        assert isinstance(refused.value, RequestError)
        assert refused.value.code == "400"
        assert "cannot be dialled here" in refused.value.message
    assert call.state == "answered"
    await call.hangup()


async def test_the_parameters_are_those_that_the_server_reads() -> None:
    """`SipParams` lacks none that a device of the protocol has."""
    names = {"from", "to", "from_name", "timeout", "max_duration", "headers", "codecs", "webrtc_media"}
    names |= {"session_timeout", "encryption", "username", "password", "call_state_url", "call_state_events"}
    given: dict[str, Any] = dict.fromkeys(names - {"from", "headers"}, "x")
    made = sip(**given, from_="x", headers={"X-A": "b"})
    assert msgspec.json.decode(msgspec.json.encode(made))["params"].keys() == names
