"""What a caller sees, hears and ends: answering, ringing, playing, hanging up (cases B, G and M)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from aiohttp import web

from .cases import (
    ANSWERS,
    CALLER_TONE,
    FAR_TONE,
    RINGS,
    TALKS_BRIEFLY,
    Case,
    Lab,
    Silent,
    about,
    in_order,
    laboratory,
    refuses,
    result_of,
    silence,
    until,
)
from .sounds import FILE_TONE, rings, tone

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    directory = tmp_path_factory.mktemp("lab")
    (directory / "tone.wav").write_bytes(tone())
    async with laboratory(directory) as made:
        made.site.on("/tone.wav", lambda _: web.Response(body=tone(), content_type="audio/wav"))
        made.site.on("/none.wav", lambda _: web.Response(status=404))
        yield made


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


@pytest_asyncio.fixture(loop_scope="module")
async def silent() -> AsyncIterator[Silent]:
    async with silence() as far:
        yield far


def gone(case: Case) -> Callable[[], bool]:
    return lambda: any(info.to == case.number for info in case.lab.book.calls())


async def cancelled(case: Case, name: str) -> None:
    await until(lambda: in_order(["> CANCEL", "< 487", "> ACK"], case.labels(name)))


# ---------------------------------------------------------------- B: answer_on_bridge


async def test_the_caller_is_answered_before_anybody_is_dialled(case: Case) -> None:
    """B1"""
    caller = await case.call({"connect": {"to": case.phone("b1", RINGS)}})
    await case.seen("> INVITE", "b1")
    packets = case.lab.packets
    assert packets.index(case.packet("> 200")) < packets.index(case.packet("> INVITE", "b1"))
    caller.hang_up()


async def test_with_answer_on_bridge_the_caller_rings_until_then(case: Case) -> None:
    """B2"""
    connect = {"to": case.phone("b1"), "answer_on_bridge": True}
    caller = await case.call({"connect": connect}, case.tail)
    b1 = await case.incoming("b1")
    assert await caller.ringing()
    assert case.packet("> 180").text == ""
    b1.ring()
    await case.seen("< 180", "b1")
    await asyncio.sleep(0.1)
    assert "> 200" not in case.labels()
    b1.speak(FAR_TONE)
    b1.accept()
    assert await caller.answered()
    packets = case.lab.packets
    assert packets.index(case.packet("< 200", "b1")) < packets.index(case.packet("> 200"))
    assert await caller.hears(FAR_TONE)
    assert await b1.hears(CALLER_TONE)
    b1.hang_up()
    assert result_of(await case.told()) == ("connected", "")


async def test_the_caller_rings_before_the_far_end_does(case: Case) -> None:
    """7.11: 180 at once"""
    connect = {"to": case.phone("b1"), "answer_on_bridge": True}
    caller = await case.call({"connect": connect})
    await case.incoming("b1")
    assert await caller.ringing()
    assert "< 180" not in case.labels("b1")
    caller.hang_up()
    await caller.ended()


async def test_after_a_failure_play_answers(case: Case) -> None:
    """B4"""
    connect = {"to": case.phone("b1", refuses(486)), "answer_on_bridge": True}
    caller = await case.call({"connect": connect}, case.tail, {"play": "ring:us"})
    assert result_of(await case.told()) == ("failed", "busy")
    assert (await case.told())["call"]["call_state"] in ("created", "ringing")
    assert await caller.answered()
    caller.hang_up()


async def test_answer_on_bridge_means_nothing_once_answered(case: Case) -> None:
    """B11"""
    connect = {"to": case.phone("b1", TALKS_BRIEFLY), "answer_on_bridge": True}
    caller = await case.connect(connect)
    await caller.ended()
    assert [label for label in case.labels() if label.startswith("> ") and label != "> 100"] == [
        "> 200",
        "> BYE",
    ]


async def test_early_media_is_heard_by_an_unanswered_caller(case: Case) -> None:
    """7.11: a lone far end's 183 passes through, with its sound"""
    connect = {"to": case.phone("b1"), "answer_on_bridge": True}
    caller = await case.call({"connect": connect})
    b1 = await case.incoming("b1")
    b1.speak(FAR_TONE)
    b1.ring(early_media=True)
    assert await caller.hears(FAR_TONE)
    assert "m=audio" in case.packet("> 183").text
    assert "> 200" not in case.labels()
    b1.accept()
    assert await caller.answered()
    assert await b1.hears(CALLER_TONE)
    caller.hang_up()


async def test_early_media_is_heard_by_an_answered_caller(case: Case) -> None:
    """7.11"""
    caller = await case.connect({"to": case.phone("b1")})
    b1 = await case.incoming("b1")
    b1.speak(FAR_TONE)
    b1.ring(early_media=True)
    assert await caller.hears(FAR_TONE)
    caller.hang_up()


async def test_an_answered_caller_hears_a_ring_until_the_answer(case: Case) -> None:
    """7.11: on 180 only"""
    caller = await case.connect({"to": case.phone("b1")})
    b1 = await case.incoming("b1")
    await asyncio.sleep(0.2)
    assert not rings(caller)
    b1.ring()
    await until(lambda: rings(caller))
    b1.speak(FAR_TONE)
    b1.accept()
    assert await caller.hears(FAR_TONE)
    caller.hang_up()


async def test_of_a_group_no_early_media_passes(case: Case) -> None:
    """7.11: parallel: a generated ring"""
    group = [{"to": case.phone("b1")}, {"to": case.phone("b2", RINGS)}]
    caller = await case.connect({"parallel": group})
    b1 = await case.incoming("b1")
    b1.speak(FAR_TONE)
    b1.ring(early_media=True)
    await until(lambda: rings(caller))
    caller.hang_up()


# ---------------------------------------------------------------- G: the caller hangs up


async def test_a_caller_who_leaves_before_the_connect_dials_nobody(case: Case) -> None:
    """7.18, before any INVITE"""
    caller = await case.call({"answer": {}}, {"sleep": 300}, {"connect": {"to": case.phone("b1", RINGS)}})
    assert await caller.answered()
    caller.hang_up()
    await until(gone(case))
    await asyncio.sleep(0.35)
    assert not case.ladder("b1")


async def test_a_caller_who_leaves_while_nobody_has_said_anything(case: Case, silent: Silent) -> None:
    """7.18, dialling: the CANCEL waits for a provisional response"""
    connect = {"to": silent.uri, "status_url": case.url("status"), "call_state_url": case.url("state")}
    caller = await case.connect(connect)
    await silent.next("INVITE")
    caller.hang_up()
    assert await case.until_states("status", 2) == ["connecting", "failed cancel"]
    assert await case.until_states("state", 1) == ["ended cancel"]
    assert set(silent.methods()) == {"INVITE"}
    silent.answer("INVITE", 100)
    await silent.next("CANCEL")
    silent.answer("CANCEL", 200)
    silent.answer("INVITE", 487)
    await silent.next("ACK")


async def test_a_caller_who_leaves_cancels_who_rings(case: Case) -> None:
    """G2"""
    connect = {"to": case.phone("b1", RINGS), "call_state_url": case.url("state")}
    caller = await case.connect(connect)
    await case.seen("< 180", "b1")
    caller.hang_up()
    await cancelled(case, "b1")
    assert await case.until_states("state", 1) == ["ended cancel"]
    assert not case.was_told()


async def test_a_caller_who_leaves_cancels_all_who_ring(case: Case) -> None:
    """G3"""
    group = [{"to": case.phone(name, RINGS)} for name in ("b1", "b2")]
    caller = await case.connect({"parallel": group})
    await case.seen("< 180", "b1")
    await case.seen("< 180", "b2")
    caller.hang_up()
    for name in ("b1", "b2"):
        await cancelled(case, name)
    assert not case.was_told()


async def test_a_caller_who_leaves_in_a_series_ends_it(case: Case) -> None:
    """7.18: nobody else is dialled"""
    serial = [{"to": case.phone("b1", RINGS)}, {"to": case.phone("b2", RINGS)}]
    caller = await case.connect({"serial": serial})
    await case.seen("< 180", "b1")
    caller.hang_up()
    await cancelled(case, "b1")
    assert not case.ladder("b2")


async def test_a_caller_who_leaves_the_bridge_takes_the_far_end_along(case: Case) -> None:
    """G5"""
    connect = {
        "to": case.phone("b1", ANSWERS),
        "call_state_url": case.url("state"),
        "status_url": case.url("status"),
        "result": {"case": {"connected": [case.mark("result")]}},
    }
    caller = await case.connect(connect)
    assert await caller.hears(FAR_TONE)
    caller.hang_up()
    await case.seen("> BYE", "b1")
    assert await case.until_states("state", 1) == ["ended hangup"]
    assert await case.until_states("status", 3) == ["connecting", "connected", "disconnected"]
    await until(gone(case))
    assert not case.was_told("result")
    assert not case.was_told()


async def test_an_unanswered_caller_cancels(case: Case) -> None:
    """7.18: its CANCEL gets 200, its INVITE 487"""
    connect = {
        "to": case.phone("b1", RINGS),
        "answer_on_bridge": True,
        "status_url": case.url("status"),
    }
    caller = await case.call({"connect": connect}, case.tail)
    await case.seen("< 180", "b1")
    caller.hang_up()
    assert (await caller.ended()).status == 487
    await until(lambda: case.labels()[-4:] == ["< CANCEL", "> 200", "> 487", "< ACK"])
    await cancelled(case, "b1")
    assert await case.until_states("status", 2) == ["connecting", "failed cancel"]
    assert not case.was_told()


# ---------------------------------------------------------------- M: durations


async def test_a_call_has_a_longest_duration(case: Case) -> None:
    """M3"""
    connect = {"to": case.phone("b1", ANSWERS), "status_url": case.url("status")}
    caller = await case.call({"answer": {"max_duration": 1}}, {"connect": connect}, case.tail)
    assert await caller.answered()
    answered = case.packet("> 200").at
    assert (await caller.ended()).cause == "bye_received"
    assert case.packet("> BYE").at - answered == about(1.0)
    assert case.packet("> BYE", "b1").at - answered == about(1.0)
    assert await case.until_states("status", 3) == ["connecting", "connected", "disconnected"]
    assert not case.was_told()


# ---------------------------------------------------------------- hangup


@pytest.mark.parametrize(
    ("step", "status"),
    [
        ({"hangup": {"reason": "busy"}}, 486),
        ({"hangup": {}}, 486),
        ("hangup", 486),
        ({"hangup": {"reason": "decline"}}, 603),
        ({"hangup": "decline"}, 603),
        ({"hangup": {"reason": "hangup"}}, 480),
    ],
)
async def test_hangup_refuses_an_unanswered_caller(case: Case, step: object, status: int) -> None:
    """6.2"""
    caller = await case.call(step, case.tail)
    assert (await caller.ended()).status == status
    assert not case.was_told()


@pytest.mark.parametrize(("reason", "cause"), [("hangup", 16), ("busy", 17), ("decline", 21), (None, 16)])
async def test_hangup_says_why_in_its_bye(case: Case, reason: str | None, cause: int) -> None:
    """6.2"""
    caller = await case.call({"answer": {}}, {"hangup": {"reason": reason} if reason else {}}, case.tail)
    await caller.ended()
    assert (case.packet("> BYE").header("Reason") or "").startswith(f"Q.850;cause={cause}")
    assert not case.was_told()


# ---------------------------------------------------------------- play


async def played(case: Case) -> str:
    """play_result, and script_error if there is one."""
    variables = (await case.told())["vars"]
    return " ".join(filter(None, (variables["play_result"], variables.get("script_error"))))


async def test_play_answers_and_takes_its_time(case: Case) -> None:
    """6.3: silence"""
    caller = await case.call({"play": {"url": "silence: 0.5"}}, case.tail)
    assert await caller.answered()
    assert await played(case) == "success"
    (told,) = case.lab.site.at(case.tail_path)
    assert told.at - case.packet("> 200").at == about(0.5)


async def test_play_rings(case: Case) -> None:
    """6.3: ring"""
    caller = await case.call({"play": {"url": "ring:1:us"}}, case.tail)
    await until(lambda: rings(caller))
    assert await played(case) == "success"


@pytest.mark.parametrize("source", ["http", "file"])
async def test_play_reads_a_wav_file(case: Case, lab: Lab, source: str) -> None:
    """6.3"""
    url = f"{lab.site.url}/tone.wav" if source == "http" else "file:tone.wav"
    caller = await case.call({"play": {"urls": [url, "silence:0.1"]}}, case.tail)
    assert await caller.hears(FILE_TONE)
    assert await played(case) == "success"


async def test_play_goes_on_after_what_cannot_be_played(case: Case, lab: Lab) -> None:
    """6.3: an item that fails"""
    urls = [f"{lab.site.url}/none.wav", f"{lab.site.url}/tone.wav"]
    caller = await case.call({"play": {"urls": urls}}, case.tail)
    assert await caller.hears(FILE_TONE)
    assert await played(case) == "failed relay_script_method_execute_failed"


@pytest.mark.parametrize("url", ["file:../document.yaml", "file:/etc/passwd", "file:data/cordboard.sqlite3"])
async def test_play_reads_only_audio_of_its_directory(case: Case, url: str) -> None:
    await case.call({"play": {"url": url}}, case.tail)
    assert await played(case) == "failed relay_script_method_execute_failed"


async def test_play_may_leave_the_caller_unanswered(case: Case, lab: Lab) -> None:
    """6.3: auto_answer false → 183"""
    play = {"url": f"{lab.site.url}/tone.wav", "auto_answer": False}
    caller = await case.call({"play": play}, case.tail, {"hangup": {"reason": "busy"}})
    assert await caller.hears(FILE_TONE)
    assert "m=audio" in case.packet("> 183").text
    assert (await case.told())["call"]["call_state"] in ("created", "ringing")
    assert (await caller.ended()).status == 486
    assert "> 200" not in case.labels()


async def test_play_is_louder_or_softer(case: Case, lab: Lab) -> None:
    """6.3: volume in dB"""

    async def level(volume: int) -> float:
        own = lab.case()
        play = {"url": f"{lab.site.url}/tone.wav", "volume": volume}
        caller = await own.call({"play": play}, {"sleep": -1})
        assert await caller.hears(FILE_TONE)
        loudness = caller.audio.report().level
        caller.hang_up()
        assert loudness is not None
        return loudness

    plain, soft = await asyncio.gather(level(0), level(-20))
    assert plain - soft == pytest.approx(20.0, abs=2.0)


async def test_unanswered_and_out_of_steps_is_busy(case: Case) -> None:
    """4.1: the end of the script ends the call, here before any answer"""
    caller = await case.call({"set": {"a": 1}})
    assert (await caller.ended()).status in (480, 486)
