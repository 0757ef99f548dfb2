"""`cordboard.client` as its page has it: what other tests do not call, with a real server and real phones."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cordboard.client import (
    Call,
    CallEndedError,
    Client,
    OperationError,
    Plan,
    Playing,
    Playlist,
    RequestError,
    audio,
    ringtone,
    silence,
    sip,
    tts,
)
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone_call import PhoneCall

from .cases import ANSWERS, FAR_TONE, refuses
from .sdk.lab import PROJECT, TOKEN, RelayCase, RelayLab, relay_laboratory
from .sounds import FILE_TONE, tone

FROM = "sip:office@example.com"
LISTENS = Behaviour(tone_hz=FAR_TONE, record=True)
PRESSES = Behaviour(tone_hz=FAR_TONE, digits="1", digits_after=0.5)
ITALIAN = 425.0

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RelayLab]:
    async with relay_laboratory(tmp_path_factory.mktemp("relay")) as made:
        made.lab.site.document("/tone.wav", tone(2.0, 8000))
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def client(lab: RelayLab) -> AsyncIterator[Client]:
    async with Client(PROJECT, TOKEN, f"ws://127.0.0.1:{lab.lab.server.http.port}") as made:
        yield made


async def dialled(client: Client, case: RelayCase, behaviour: Behaviour = LISTENS) -> tuple[Call, PhoneCall]:
    call = await client.dial_sip(to=case.case.phone("b", behaviour), from_=FROM, timeout=20)
    return call, await case.case.incoming("b")


async def test_the_ringing_of_a_country_is_heard(client: Client, case: RelayCase) -> None:
    call, far = await dialled(client, case)
    async with call, call.play_ringtone("it", 2.0):
        assert await far.hears(ITALIAN, within=10.0)


async def test_a_playlist_is_played_in_order_with_its_volume(client: Client, case: RelayCase) -> None:
    call, far = await dialled(client, case)
    items = Playlist(silence(0.2), volume=-2).add(audio(f"{case.lab.lab.site.url}/tone.wav"))
    async with call:
        playing = await call.play(items)
        assert await far.hears(FILE_TONE, within=10.0)
        await playing.pause()
        await playing.resume()
        await playing.set_volume(3)
        assert (await playing.ended(timeout=20.0)).state == "finished"
        assert (await (await call.play([ringtone("us", 0.1), tts("hi")])).ended(timeout=20.0)).has_ended


async def test_an_operation_of_ones_own_is_begun_by_its_name(client: Client, case: RelayCase) -> None:
    call, _ = await dialled(client, case)
    async with call:
        playing = await call.begin(Playing, "play", play=[silence(30)], loop=2)
        await playing.stop()
        assert (await playing.ended(timeout=10.0)).state == "finished"


async def test_timers_of_a_collect_start_when_they_are_told(client: Client, case: RelayCase) -> None:
    call, far = await dialled(client, case)
    async with call:
        collecting = await call.collect(max_digits=2, initial_timeout=0.2, start_input_timers=False)
        await call.send_digits("1")  # longer than the timer
        assert not collecting.has_ended
        await collecting.start_input_timers()
        assert (await collecting.ended(timeout=10.0)).type == "no_input"
        assert await far.hears_digits("1")


async def test_a_prompt_is_made_louder_and_takes_a_key(client: Client, case: RelayCase) -> None:
    call, _ = await dialled(client, case, PRESSES)
    async with call:
        asking = await call.prompt(silence(30), max_digits=1)
        await asking.set_volume(2)
        heard = await asking.ended(timeout=20.0)
        assert (heard.type, heard.digits, heard.terminator) == ("digit", "1", "")


async def test_detectors_that_hear_nothing_end(client: Client, case: RelayCase) -> None:
    call, _ = await dialled(client, case)
    async with call:
        fax = await (await call.detect_fax(tone="CED", timeout=0.3)).ended(timeout=10.0)
        digit = await (await call.detect("digit", timeout=0.3, digits="12")).ended(timeout=10.0)
        assert (fax.type, fax.first, fax.heard) == ("fax", "", [])
        assert (digit.type, digit.heard) == ("digit", [])


async def test_a_tap_says_where_its_packets_come_from(client: Client, case: RelayCase) -> None:
    call, _ = await dialled(client, case)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10.0)
        async with call, call.tap(f"rtp://127.0.0.1:{listener.getsockname()[1]}") as tapping:
            _, address = await asyncio.to_thread(listener.recvfrom, 2048)
            assert address == (tapping.source["addr"], tapping.source["port"])


async def test_a_recording_leaves_out_what_was_skipped(client: Client, case: RelayCase) -> None:
    call, _ = await dialled(client, case)
    async with call:
        async with call.record(format="wav", beep=False) as recording:
            await recording.pause(skip=True)
            await call.send_digits("1w2")
            await recording.resume()
            await call.send_digits("1")
        assert recording.state == "finished"
        assert 0.0 < recording.duration < 1.5
        assert recording.size > 0
        assert recording.url.startswith("http://")


async def test_a_plan_a_peer_and_its_states(client: Client, case: RelayCase) -> None:
    call, _ = await dialled(client, case)
    busy = sip(to=case.case.phone("busy", refuses(486)), from_=FROM)
    answers = sip(to=case.case.phone("peer", ANSWERS), from_=FROM)
    async with call:
        async with await call.connect(Plan(busy).then(answers), ringback=ringtone("us")) as peer:
            assert call.peer is peer
            assert await peer.wait_for("answered", timeout=5.0) == "answered"
            assert call.connect_state == "connected"
        await call.disconnected(timeout=10.0)
        assert peer.has_ended
        assert await call.wait_for("answered", timeout=5.0) == "answered"


async def test_what_cannot_be_is_an_exception_with_its_reason(client: Client, case: RelayCase) -> None:
    call, _ = await dialled(client, case)
    with pytest.raises(OperationError):
        await (await call.play_audio("http://127.0.0.1:1/nothing.wav")).ended(timeout=10.0)
    with pytest.raises(RequestError, match=r"calling\.stream is not built") as refused:
        await call.request("stream", url="wss://example.com")
    assert refused.value.code == "501"
    with pytest.raises(RequestError, match="must be an http"):
        await call.play_audio("nothing.wav")
    await call.hangup("busy")
    assert call.end_reason == "busy"
    with pytest.raises(CallEndedError):
        await call.play_silence(1)
