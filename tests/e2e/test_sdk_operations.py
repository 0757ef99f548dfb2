"""What programs do with a call, with the real SDKs; what they are told agrees with what the phone heard."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from cordboard.media.codecs import g711
from cordboard.media.tones import dominant_frequency, level
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone_call import PhoneCall

from .cases import FAR_TONE, until
from .sdk.lab import RelayCase, RelayLab, relay_laboratory
from .sdk.programs import Program, Sdk
from .sounds import FILE_TONE, share_of, tone
from .taker import taking

LISTENS = Behaviour(tone_hz=FAR_TONE, record=True)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.real_peer]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RelayLab]:
    async with relay_laboratory(tmp_path_factory.mktemp("relay")) as made:
        made.lab.site.document("/tone.wav", tone(60.0, 8000))
        yield made


async def working(case: RelayCase, sdk: Sdk, name: str, **options: Any) -> tuple[Program, PhoneCall]:
    """A program that has dialled a phone, and the phone."""
    program = await case.program(sdk, name, devices=[[case.phone("a", LISTENS)]], **options)
    await program.says("answered")
    return program, await case.case.incoming("a")


async def finished(program: Program, far: PhoneCall) -> None:
    """It hangs up, and both see it."""
    program.go()
    await program.says("over")
    await far.ended()


async def goes_quiet(far: PhoneCall) -> None:
    """For as long as 300 ms nothing of the file is heard."""
    recording = far.audio.recording
    assert recording is not None
    async with asyncio.timeout(10.0):
        while True:
            before = len(recording)
            await asyncio.sleep(0.3)
            new = bytes(recording[before:])
            if not new or level(new) < -50.0:
                return


def _last(far: PhoneCall) -> bytes:
    """100 ms of what it hears."""
    return bytes(far.audio.recording or b"")[-1600:]


async def test_a_file_is_played_paused_resumed_and_stopped(case: RelayCase, sdk: Sdk) -> None:
    program, far = await working(case, sdk, "play", url=f"{case.lab.lab.site.url}/tone.wav")
    await program.says("playing")
    assert await far.hears(FILE_TONE, within=10.0)
    program.go()
    await program.says("paused")
    await goes_quiet(far)
    program.go()
    await program.says("resumed")
    await until(lambda: dominant_frequency(_last(far)) == pytest.approx(FILE_TONE, abs=10), within=10.0)
    program.go()
    assert (await program.says("stopped"))["state"] == "finished"
    await goes_quiet(far)
    await finished(program, far)


async def test_a_prompt_takes_the_keys_of_the_phone(case: RelayCase, sdk: Sdk) -> None:
    program, far = await working(case, sdk, "prompt")
    await program.says("asking")
    far.press("12#")
    heard = await program.says("heard")
    assert (heard["type"], heard["digits"], heard["terminator"]) == ("digit", "12", "#")
    await finished(program, far)


async def test_keys_are_collected(case: RelayCase, sdk: Sdk) -> None:
    program, far = await working(case, sdk, "collect")
    await program.says("collecting")
    far.press("705")
    heard = await program.says("heard")
    if sdk.over_tls:
        # This SDK is content with the first event of a collect, whatever that says.
        assert heard["type"] in ("start_of_input", "digit")
    else:
        assert (heard["type"], heard["digits"]) == ("digit", "705")
    await finished(program, far)


async def test_a_recording_can_be_fetched_and_holds_what_the_phone_said(case: RelayCase, sdk: Sdk) -> None:
    program, far = await working(case, sdk, "record")
    await program.says("recording")
    before = far.report.audio.packets_sent
    await until(lambda: far.report.audio.packets_sent >= before + 75, within=10.0)
    program.go()
    recorded = await program.says("recorded")
    assert recorded["state"] == "finished"
    assert recorded["duration"] >= 1.2
    async with aiohttp.ClientSession() as session, session.get(recorded["url"]) as response:
        assert response.status == 200
        data = await response.read()
    assert len(data) == recorded["size"]
    with wave.open(io.BytesIO(data)) as file:
        pcm = file.readframes(file.getnframes())
        assert file.getnframes() / file.getframerate() == pytest.approx(recorded["duration"], abs=0.1)
    assert share_of(pcm, FAR_TONE) > 0.5
    await finished(program, far)


async def test_a_key_is_detected(case: RelayCase, sdk: Sdk) -> None:
    program, far = await working(case, sdk, "detect")
    await program.says("detecting")
    far.press("2")
    detected = await program.says("detected")
    assert detected["type"] == "digit"
    # 3.x show the last event only, which says that it has finished.
    assert detected["result"] in ("2", "finished")
    await finished(program, far)


async def test_a_tap_sends_what_is_heard_to_a_socket(case: RelayCase, sdk: Sdk) -> None:
    async with taking() as taker:
        program, far = await working(case, sdk, "tap", uri=taker.uri)
        await program.says("tapping")
        await until(lambda: len(taker.messages) >= 50, within=10.0)
        pcm = g711.decode("PCMU", b"".join(taker.messages[-26:-1]))
        assert dominant_frequency(pcm) == pytest.approx(FAR_TONE, abs=10)
        program.go()
        await program.says("stopped")
        await until(lambda: taker.close_code is not None, within=10.0)
        await finished(program, far)


async def test_the_phone_hears_the_keys_that_are_sent(case: RelayCase, sdk: Sdk) -> None:
    program, far = await working(case, sdk, "sendDigits")
    await program.says("sent")
    assert await far.hears_digits("12#")
    await finished(program, far)
