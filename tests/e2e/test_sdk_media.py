"""What programs of the SDKs have heard, recorded and played at once; the phone agrees."""

from __future__ import annotations

import asyncio
import io
import re
import wave
from collections.abc import AsyncIterator

import aiohttp
import av
import pytest
import pytest_asyncio

from cordboard.media.tones import level
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone_call import PhoneCall

from .cases import FAR_TONE, until
from .sdk.abilities import able
from .sdk.lab import Json, RelayCase, RelayLab, relay_laboratory
from .sdk.programs import Sdk
from .sdk.remote import Remote
from .sounds import FILE_TONE, hears_now, share_of, tone, voice

OTHER_TONE = 1000.0
HELLO = voice((0.16, 0.03), (0.28, 0.0))
PHRASE = ((0.18, 0.03), (0.15, 0.04), (0.22, 0.08), (0.12, 0.03), (0.2, 0.05), (0.25, 0.1), (0.36, 0.0))
GREETING = voice(*PHRASE)

LISTENS = Behaviour(tone_hz=FAR_TONE, record=True)
QUIET = Behaviour(tone_hz=None)
FAX = Behaviour(tone_hz=2100.0)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.real_peer]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RelayLab]:
    async with relay_laboratory(tmp_path_factory.mktemp("relay")) as made:
        made.lab.site.document("/tone.wav", tone(60.0, 8000))
        made.lab.site.document("/other.wav", tone(60.0, 8000, OTHER_TONE))
        yield made


async def dialled(
    case: RelayCase, sdk: Sdk, behaviour: Behaviour = LISTENS, name: str = "a"
) -> tuple[Remote, str, PhoneCall]:
    """A client, a call that it has made, and the phone."""
    remote = await case.lab.remote(sdk)
    call = (await remote("dial", devices=[[case.phone(name, behaviour)]]))["id"]
    return remote, call, await case.case.incoming(name)


def playing(case: RelayCase, name: str) -> list[Json]:
    """What to play: a tone of a minute."""
    return [{"type": "audio", "url": f"{case.lab.lab.site.url}/{name}.wav"}]


async def says_for(far: PhoneCall, seconds: float) -> None:
    """Let the phone speak so long, by its own count of packets."""
    before = far.report.audio.packets_sent
    await until(lambda: far.report.audio.packets_sent >= before + seconds * 50, within=10.0)


async def fetched(told: Json) -> bytes:
    """The file of a recording, as long as it was said to be."""
    async with aiohttp.ClientSession() as session, session.get(told["url"]) as response:
        assert response.status == 200
        data = await response.read()
    assert len(data) == told["size"]
    return data


@able("pause a recording")
async def test_a_recording_that_is_paused_is_silent_meanwhile(case: RelayCase, sdk: Sdk) -> None:
    remote, call, far = await dialled(case, sdk)
    recording = (await remote("record", call=call, format="wav", direction="speak"))["op"]
    await says_for(far, 0.5)
    await remote("pause", op=recording)
    await says_for(far, 0.6)
    await remote("resume", op=recording)
    await says_for(far, 0.5)
    await remote("stop", op=recording)
    told = await remote("ended", op=recording)
    assert told["state"] == "finished"
    with wave.open(io.BytesIO(await fetched(told))) as file:
        pcm = file.readframes(file.getnframes())
        assert file.getnframes() / file.getframerate() == pytest.approx(told["duration"], abs=0.1)
    shape = "".join(".-"[level(pcm[at : at + 1600]) > -50.0] for at in range(0, len(pcm) - 1599, 1600))
    assert re.search(r"-{2,}\.{3,8}-{2,}", shape), shape
    await remote("hangup", call=call)


@able()
async def test_an_mp3_holds_what_the_phone_said(case: RelayCase, sdk: Sdk) -> None:
    remote, call, far = await dialled(case, sdk)
    recording = (await remote("record", call=call, format="mp3", direction="speak"))["op"]
    await says_for(far, 1.0)
    await remote("stop", op=recording)
    told = await remote("ended", op=recording)
    assert ".mp3" in told["url"]
    with av.open(io.BytesIO(await fetched(told)), "r") as sound:
        converter = av.AudioResampler(format="s16", layout="mono", rate=8000)
        frames = [out for frame in sound.decode(audio=0) for out in converter.resample(frame)]
    pcm = b"".join(bytes(frame.planes[0])[: 2 * frame.samples] for frame in frames)
    assert len(pcm) / 16_000 == pytest.approx(told["duration"], abs=0.2)
    assert share_of(pcm, FAR_TONE) > 0.5
    await remote("hangup", call=call)


@able()
async def test_a_person_an_answering_machine_and_a_fax_are_told_apart(case: RelayCase, sdk: Sdk) -> None:
    """Three calls at once, each with a detector."""
    remote, first, person = await dialled(case, sdk, QUIET, "person")
    _, second, machine = await dialled(case, sdk, QUIET, "machine")
    _, third, _ = await dialled(case, sdk, FAX, "fax")
    machines = [
        (await remote("detect", call=call, kind="machine", timeout=10, endSilenceTimeout=0.8))["op"]
        for call in (first, second)
    ]
    fax = (await remote("detect", call=third, kind="fax", tone="CED", timeout=10))["op"]
    person.audio.play(HELLO)
    machine.audio.play(GREETING)
    told = await asyncio.gather(*(remote("ended", op=op) for op in (*machines, fax)))
    assert [one["heard"] for one in told] == [["HUMAN"], ["MACHINE", "READY"], ["CED"]]
    await asyncio.gather(*(remote("hangup", call=call) for call in (first, second, third)))


@able()
async def test_two_plays_a_recording_and_a_collect_go_on_at_once(case: RelayCase, sdk: Sdk) -> None:
    remote, call, far = await dialled(case, sdk)
    recording = (await remote("record", call=call, format="wav", direction="listen"))["op"]
    first = (await remote("play", call=call, items=playing(case, "tone")))["op"]
    await remote("play", call=call, items=playing(case, "other"))
    collecting = await remote("collect", call=call, digits={"max": 2, "digitTimeout": 5}, initialTimeout=10)
    await until(lambda: hears_now(far, FILE_TONE, OTHER_TONE))
    far.press("42")
    told = await remote("ended", op=collecting["op"])
    assert (told["type"], told["digits"]) == ("digit", "42")
    assert hears_now(far, FILE_TONE, OTHER_TONE)
    await remote("stop", op=first)
    await until(lambda: hears_now(far, OTHER_TONE))
    await remote("stop", op=recording)
    with wave.open(io.BytesIO(await fetched(await remote("ended", op=recording)))) as file:
        pcm = file.readframes(file.getnframes())
    assert share_of(pcm, FILE_TONE, OTHER_TONE) > 0.3
    await remote("hangup", call=call)
    await far.ended()


@able("hold")
async def test_a_phone_is_held_and_taken_back(case: RelayCase, sdk: Sdk) -> None:
    remote, call, far = await dialled(case, sdk)
    await remote("hold", call=call)
    assert await far.held()
    await remote("unhold", call=call)
    assert await far.held(False)
    await remote("hangup", call=call)
    await far.ended()


@able("refer")
async def test_a_phone_is_referred_to_somebody_else(case: RelayCase, sdk: Sdk) -> None:
    remote, call, far = await dialled(case, sdk)
    told = await remote("refer", call=call, to="sip:else@example.com")
    assert far.referred_to == ["<sip:else@example.com>"]
    if told:
        assert (told["state"], told["sip_refer_response_code"]) == ("success", "202")
    await remote("hangup", call=call)
    await far.ended()


@able("transfer")
async def test_a_call_is_given_to_a_document(case: RelayCase, sdk: Sdk) -> None:
    remote, call, far = await dialled(case, sdk)
    steps = [{"play": f"{case.lab.lab.site.url}/tone.wav"}]
    url = case.lab.lab.site.document(f"/{call}.json", {"version": "1.0.0", "sections": {"main": steps}})
    await remote("transfer", call=call, dest=url)
    assert await far.hears(FILE_TONE, within=10.0)
    far.hang_up()
    await remote("waitFor", call=call, state="ended")
