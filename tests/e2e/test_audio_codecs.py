"""Audio through a whole server, measured at phones that speak every codec."""

from __future__ import annotations

import asyncio
import io
import math
import struct
import wave
from collections.abc import AsyncIterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from cordboard.media.codecs.rates import RateConverter
from cordboard.media.tones import dominant_frequency, level
from cordboard.testing.phone import SimulatedPhone
from cordboard.testing.phone_call import PhoneCall
from cordboard.testing.phone_hearing import envelope, likeness, longest_gap_ms

from .cases import Case, Lab, laboratory, until
from .measured import CODECS, TONE_HZ, Measured, between, comes_right, heard, measure, speaks
from .peers import free_ports

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADDED_S = {True: 0.025, False: 0.045}
"""Delay that the server may add, by whether both legs speak the same codec."""
LONGEST_GAP_MS = 20
_AT_ONCE = 5


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


async def directly(codec: str) -> Measured:
    """From phone to phone, without a server."""
    async with (
        SimulatedPhone(speaks(codec)) as bob,
        SimulatedPhone(speaks(codec), name="alice") as alice,
    ):
        call = await alice.call(bob.uri())
        assert await call.answered()
        there, _ = await measure(call, await bob.next_call())
        return there


def problems(there: Measured, codec: str, other: str, direct: dict[str, float]) -> list[str]:
    """Empty = as it should be."""
    added = there.delay - direct[codec]
    found = []
    if abs(there.level + 16.0) > 1.0:
        found.append(f"level {there.level:.2f}")
    if there.gap_ms > LONGEST_GAP_MS:
        found.append(f"gap {there.gap_ms}")
    if added > ADDED_S[codec == other]:
        found.append(f"added {1000 * added:.1f} ms")
    return [f"{codec} to {other}: {text}" for text in found]


async def test_every_pairing_of_codecs_is_as_loud_without_gaps_and_prompt(lab: Lab) -> None:
    direct = {codec: (await directly(codec)).delay for codec in CODECS}

    async def pair(a: str, b: str) -> list[str]:
        caller, callee = await between(lab.case(), speaks(a), speaks(b))
        there, back = await measure(caller, callee)
        caller.hang_up()
        assert callee.report.audio.encodings == [b]
        assert caller.report.audio.encodings == [a]
        return problems(there, a, b, direct) + problems(back, b, a, direct)

    pairs = [(a, b) for a, b in product(CODECS, CODECS) if a <= b]
    for first in range(0, len(pairs), _AT_ONCE):
        some = pairs[first : first + _AT_ONCE]
        found = await asyncio.gather(*(pair(a, b) for a, b in some))
        # A busy machine may have been late.
        for _ in range(2):
            found = [await pair(*some[n]) if one else [] for n, one in enumerate(found)]
        assert not [one for one in found if one]


PTIMES = [(10, 20), (20, 60), (60, 10), (30, 40)]


@pytest.mark.parametrize(("ours", "theirs"), PTIMES)
@pytest.mark.parametrize(("a", "b"), [("PCMU", "PCMU"), ("PCMU", "G722"), ("L16@8000H", "PCMA")])
async def test_each_leg_has_packets_of_its_own_length(
    case: Case, a: str, b: str, ours: int, theirs: int
) -> None:
    caller, callee = await between(
        case,
        speaks(a, ptime_ms=ours, tone_hz=TONE_HZ),
        speaks(b, ptime_ms=theirs, tone_hz=TONE_HZ),
        wish=f"{b}@{theirs}I",
    )
    for call, length in ((caller, ours), (callee, theirs)):
        await comes_right(partial(unsteady, call))
        assert dominant_frequency(heard(call).pcm()[-9600:]) == pytest.approx(TONE_HZ, abs=3)
        sizes = [len(piece) // 16 for _, _, piece in heard(call).since(0.0)]
        assert sizes.count(length) > 0.8 * len(sizes), (length, sizes)
        assert call.report.audio.packets_lost == 0


async def test_opus_packets_have_the_length_that_each_leg_asks_for(case: Case) -> None:
    caller, callee = await between(
        case, speaks("OPUS", ptime_ms=40, tone_hz=TONE_HZ), speaks("OPUS", ptime_ms=20, tone_hz=TONE_HZ)
    )
    for call in (caller, callee):
        await comes_right(partial(unsteady, call))


def unsteady(call: PhoneCall) -> str:
    """What is wrong with the last 0.6 s that a phone has heard of a tone."""
    pcm = heard(call).pcm()
    if len(pcm) < 16_000:
        return f"only {len(pcm) // 16} ms were heard"
    pcm = pcm[-9600:]
    gap, loud = longest_gap_ms(pcm), level(pcm)
    return "" if gap <= LONGEST_GAP_MS and abs(loud + 16.0) <= 1.0 else f"gap {gap} ms, level {loud:.1f}"


# ---------------------------------------------------------------- which codec


def passing(directory: Path) -> dict[str, Any]:
    ports = free_ports(80, busy=20)
    return {
        "workers": 1,
        "port_min": ports,
        "port_max": ports + 79,
        "directory": str(directory),
        "codecs": "G729,PCMU",
    }


async def test_g729_is_passed_on_where_both_ends_speak_it(tmp_path: Path) -> None:
    async with laboratory(tmp_path, media=passing(tmp_path)) as lab:
        caller, callee = await between(lab.case(), speaks("G729"), speaks("G729"))
        await until(lambda: min(c.report.audio.packets_received for c in (caller, callee)) > 20)
        assert [call.report.audio.encodings for call in (caller, callee)] == [["G729"], ["G729"]]


async def test_g729_that_only_the_caller_speaks_is_a_failure_that_says_so(tmp_path: Path) -> None:
    async with laboratory(tmp_path, media=passing(tmp_path)) as lab:
        case = lab.case()
        connect = {"to": case.phone("b", speaks("PCMU"))}
        assert await case.outcome(connect, behaviour=speaks("G729")) == ("failed", "error")
        await until(lambda: len(lab.book.calls()) >= 1)
        (peer,) = {info.to for info in lab.book.calls()} - {case.number}
        sentence = await lab.book.sentence(peer)
        assert "codec" in sentence
        assert "G729" in sentence or "PCMU" in sentence


@pytest.mark.parametrize(
    ("wish", "spoken", "encoding"),
    [
        ("G722,PCMU", ("PCMU", "G722"), "PCMU"),
        ("PCMA,G722", ("G722", "PCMA", "PCMU"), "G722"),
        ("opus", ("OPUS", "PCMU"), "OPUS"),
        ("L16@8000H,PCMU", ("L16@8000H",), "L16"),
        ("G722, nonsense", ("G722", "PCMU"), "G722"),
    ],
)
async def test_the_codecs_of_a_destination_are_all_that_is_offered(
    case: Case, wish: str, spoken: tuple[str, ...], encoding: str
) -> None:
    _, callee = await between(case, speaks("PCMU", tone_hz=TONE_HZ), speaks(*spoken), wish=wish)
    await until(lambda: callee.report.audio.packets_received > 20)
    assert callee.report.audio.encodings == [encoding]
    names = {part.partition("@")[0].strip().upper() for part in wish.split(",")} - {"NONSENSE"}
    lines = [line for line in case.packet("> INVITE", "b").text.splitlines() if "rtpmap" in line]
    offered = {line.split()[1].partition("/")[0].upper() for line in lines}
    assert offered - {"TELEPHONE-EVENT"} == names


async def test_the_callers_codec_is_offered_first_where_nothing_is_wished_for(case: Case) -> None:
    caller = await case.connect({"to": case.phone("b", speaks("G722", "PCMU"))}, behaviour=speaks("G722"))
    callee = await case.incoming("b")
    assert await callee.answered()
    media = next(line for line in case.packet("> INVITE", "b").text.splitlines() if line.startswith("m="))
    assert media.split()[3] == "9"
    caller.hang_up()


@pytest.mark.parametrize("codec", CODECS)
async def test_an_answer_takes_the_codec_that_the_script_prefers(case: Case, codec: str) -> None:
    call = await case.call(
        {"answer": {"codecs": f"{codec},PCMU"}}, {"play": "ring:10:us"}, behaviour=speaks(*CODECS)
    )
    assert await call.answered()
    await until(lambda: call.report.audio.packets_received > 20)
    assert call.report.audio.encodings == [codec]


# ---------------------------------------------------------------- a file


def speech(rate: int = 16_000, seconds: float = 2.5) -> bytes:
    """Like speech: a buzz with formants, in syllables of different loudness with pauses between them."""
    samples = []
    for n in range(int(rate * seconds)):
        t = n / rate
        syllable = max(0.0, math.sin(2 * math.pi * 3.1 * t)) * (
            0.4 + 0.6 * abs(math.sin(2 * math.pi * 0.7 * t))
        )
        voice = sum(math.sin(2 * math.pi * 140 * k * t) / (1 + abs(k - 5)) for k in range(1, 20))
        samples.append(round(5000 * syllable * voice))
    return struct.pack(f"<{len(samples)}h", *(max(-32768, min(32767, one)) for one in samples))


def as_wav(pcm: bytes, rate: int = 16_000) -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(pcm)
    return written.getvalue()


def serve(case: Case, name: str, data: bytes, kind: str) -> str:
    case.lab.site.on(f"/{case.serial}/{name}", lambda _: web.Response(body=data, content_type=kind))
    return case.url(name)


@pytest.mark.parametrize("codec", CODECS)
async def test_a_file_of_speech_is_played_as_loud_as_it_is_and_whole(case: Case, codec: str) -> None:
    pcm = speech()
    url = serve(case, "speech.wav", as_wav(pcm), "audio/wav")
    call = await case.call({"answer": {}}, {"play": url}, case.tail, behaviour=speaks(codec))
    await case.told()
    got = heard(call).pcm()
    there = [max(-45.0, one) for one in envelope(_at_8k(pcm))]
    here = [max(-45.0, one) for one in envelope(got)]
    assert likeness(there, here, reach=40) > 0.95
    assert level(_loud(got)) == pytest.approx(level(_loud(_at_8k(pcm))), abs=1.0)


def _at_8k(pcm: bytes) -> bytes:
    converter = RateConverter(16_000, 8000)
    return b"".join(converter.convert(pcm[at : at + 640]) for at in range(0, len(pcm), 640))


def _loud(pcm: bytes) -> bytes:
    """Without what is silent at its ends and between."""
    frames = (pcm[at : at + 320] for at in range(0, len(pcm) - 319, 320))
    return b"".join(frame for frame in frames if level(frame) > -45.0)
