"""Video through a whole server: two far ends with cameras, one without, and what becomes of the m-lines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cordboard.testing.phone_call import PhoneCall
from cordboard.testing.phone_video import PhoneVideo

from .cases import Case, Lab, laboratory, until
from .measured import between, speaks
from .peers import free_ports

pytestmark = pytest.mark.asyncio(loop_scope="module")

_PLI = (206, 1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    directory: Path = tmp_path_factory.mktemp("lab")
    ports = free_ports(400, busy=40)
    media = {"workers": 1, "port_min": ports, "port_max": ports + 399, "codecs": "PCMU,VP8,H264"}
    async with laboratory(directory, media={**media, "directory": str(directory)}) as made:
        yield made


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


def camera(call: PhoneCall) -> PhoneVideo:
    assert call.video is not None
    return call.video


async def sees(ear: PhoneCall, encoding: bytes, *, count: int = 25) -> None:
    """So many packets more came, none of them missing or out of order."""
    video = camera(ear)
    before = len(video.heard)
    await until(lambda: len(video.heard) >= before + count)
    numbers = video.numbers[before:]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert {payload.split(b" ")[0] for _, payload in list(video.heard)[before:]} == {encoding}


def types(call: PhoneCall) -> set[int]:
    return {number for number, _ in camera(call).heard}


def lines(text: str, kind: str = "m=") -> list[str]:
    return [line for line in text.splitlines() if line.startswith(kind)]


@pytest.mark.parametrize(("name", "encoding"), [("VP8", b"VP8"), ("H264", b"H264/1/42")])
async def test_packets_and_feedback_pass_both_ways(case: Case, name: str, encoding: bytes) -> None:
    ours = speaks("PCMU", tone_hz=440.0, video=(name,))
    theirs = speaks("PCMU", tone_hz=660.0, video=("VP8", "H264"))
    caller, callee = await between(case, ours, theirs, wish="PCMU,VP8,H264")
    await sees(caller, encoding)
    await sees(callee, encoding)
    for call in (caller, callee):
        camera(call).ask_for_picture()
    await until(lambda: all(_PLI in camera(call).feedback for call in (caller, callee)))
    for call in (caller, callee):
        agreed = camera(call).agreed
        assert agreed is not None
        assert "nack pli" in agreed.feedback
        assert types(call) <= {number for number, _ in agreed.accepted}
    assert await caller.hears(660.0)
    assert await callee.hears(440.0)


async def test_a_far_end_without_a_camera_leaves_the_caller_without_video(case: Case) -> None:
    ours = speaks("PCMU", tone_hz=440.0, video=("VP8",))
    caller, callee = await between(case, ours, speaks("PCMU", tone_hz=660.0), wish="PCMU,VP8")
    video = lines(case.packet("< 200", "b").text, "m=video")
    assert [line.split()[1] for line in video] == ["0"]
    assert await caller.hears(660.0)
    assert await callee.hears(440.0)


async def test_nobody_is_offered_video_that_was_not_wished_for(case: Case) -> None:
    ours = speaks("PCMU", video=("VP8",))
    await between(case, ours, speaks("PCMU", video=("VP8",)), wish="PCMU")
    assert lines(case.packet("> INVITE", "b").text, "m=video") == []


async def test_hold_and_resume_keep_the_lines_and_the_pictures(case: Case) -> None:
    ours = speaks("PCMU", tone_hz=440.0, video=("VP8",))
    theirs = speaks("PCMU", tone_hz=660.0, video=("VP8",))
    caller, callee = await between(case, ours, theirs, wish="PCMU,VP8")
    await sees(caller, b"VP8")
    callee.hold()
    await until(lambda: callee.answers == [("INVITE", 200)])
    callee.resume()
    await until(lambda: callee.answers == [("INVITE", 200)] * 2)
    await sees(caller, b"VP8")
    await sees(callee, b"VP8")
    bodies = [packet.text for packet in case.ladder("b") if packet.message.body]
    assert len(bodies) >= 6
    assert {tuple(line.split()[0] for line in lines(text)) for text in bodies} == {("m=audio", "m=video")}
