"""The four strategies, what destinations override, and the ring timer (cases S, O and T)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from .cases import (
    ANSWERS,
    CALLER_TONE,
    FAR_TONE,
    RINGS,
    TALKS_BRIEFLY,
    Behaviour,
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

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFUSED = ["> INVITE", "< 486", "> ACK"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


def without_trying(labels: list[str]) -> list[str]:
    return [label for label in labels if label != "< 100"]


# ---------------------------------------------------------------- S: strategies


async def test_a_single_destination_is_bridged_and_the_script_goes_on_after_it(case: Case) -> None:
    """S1"""
    caller = await case.connect({"to": case.phone("b1", ANSWERS)}, {"sleep": -1})
    b1 = await case.incoming("b1")
    assert await caller.hears(FAR_TONE)
    assert await b1.hears(CALLER_TONE)
    assert case.labels("b1").count("> INVITE") == 1
    assert not case.was_told()
    b1.hang_up()
    told = await case.told()
    assert result_of(told) == ("connected", "")
    assert told["call"]["call_state"] == "answered"
    assert not caller.is_over
    caller.hang_up()


async def test_the_end_of_the_script_hangs_up_the_caller(case: Case) -> None:
    """S1, the end"""
    caller = await case.connect({"to": case.phone("b1", TALKS_BRIEFLY)})
    assert (await caller.ended()).cause == "bye_received"
    assert result_of(await case.told()) == ("connected", "")


async def test_a_busy_destination_fails_the_connect_at_once(case: Case) -> None:
    """S2"""
    began = asyncio.get_running_loop().time()
    assert await case.outcome({"to": case.phone("b1", refuses(486))}) == ("failed", "busy")
    assert asyncio.get_running_loop().time() - began < 5.0
    assert without_trying(case.labels("b1")) == REFUSED


async def test_serial_goes_to_the_next_only_after_a_final_response(case: Case) -> None:
    """S3"""
    b1, b2 = case.phone("b1", refuses(486, after=0.3)), case.phone("b2", TALKS_BRIEFLY)
    assert await case.outcome({"serial": [{"to": b1}, {"to": b2}]}) == ("connected", "")
    assert case.packet("> INVITE", "b2").at >= case.packet("< 486", "b1").at


async def test_serial_stops_at_the_first_answer(case: Case) -> None:
    """S4"""
    b1, b2 = case.phone("b1", TALKS_BRIEFLY), case.phone("b2", ANSWERS)
    caller = await case.connect({"serial": [{"to": b1}, {"to": b2}]})
    await caller.ended()
    assert result_of(await case.told()) == ("connected", "")
    assert not case.ladder("b2")


async def test_serial_gives_each_destination_the_whole_timeout(case: Case) -> None:
    """S5"""
    names = ("b1", "b2", "b3")
    serial = [{"to": case.phone(name, RINGS)} for name in names]
    assert await case.outcome({"serial": serial, "timeout": 1}) == ("failed", "no_answer")
    start = case.packet("> INVITE", "b1").at
    for index, name in enumerate(names):
        assert case.packet("> INVITE", name).at - start == about(index)
        assert case.packet("> CANCEL", name).at - start == about(index + 1)


async def test_parallel_rings_all_and_cancels_the_slower(case: Case) -> None:
    """S6"""
    parallel = [
        {"to": case.phone("b1", RINGS)},
        {"to": case.phone("b2", Behaviour(answer_after=0.4, tone_hz=FAR_TONE))},
    ]
    caller = await case.connect({"parallel": parallel})
    assert await caller.hears(FAR_TONE)
    assert abs(case.packet("> INVITE", "b1").at - case.packet("> INVITE", "b2").at) < 0.4
    cancel = await case.seen("> CANCEL", "b1")
    assert cancel.header("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    await until(lambda: in_order(["> CANCEL", "< 487", "> ACK"], case.labels("b1")))
    (await case.incoming("b2")).hang_up()
    assert result_of(await case.told()) == ("connected", "")


async def test_a_refusal_does_not_stop_the_others_of_a_group(case: Case) -> None:
    """S8"""
    parallel = [
        {"to": case.phone("b1", refuses(486))},
        {"to": case.phone("b2", Behaviour(answer_after=0.5, hang_up_after=0.1))},
    ]
    assert await case.outcome({"parallel": parallel}) == ("connected", "")
    assert "> CANCEL" not in case.labels("b1")


@pytest.mark.parametrize("slow_first", [False, True])
async def test_the_first_of_a_group_gives_the_reason(case: Case, slow_first: bool) -> None:
    """S9"""
    b1 = case.phone("b1", refuses(486, after=0.2 if slow_first else 0.0))
    b2 = case.phone("b2", refuses(603, after=0.0 if slow_first else 0.2))
    assert await case.outcome({"parallel": [{"to": b1}, {"to": b2}]}) == ("failed", "busy")


async def test_groups_come_one_after_the_other(case: Case) -> None:
    """S11"""
    b1, b2 = case.phone("b1", refuses(486)), case.phone("b2", refuses(480, after=0.3))
    b3 = case.phone("b3", TALKS_BRIEFLY)
    groups = [[{"to": b1}, {"to": b2}], [{"to": b3}]]
    assert await case.outcome({"serial_parallel": groups}) == ("connected", "")
    third = case.packet("> INVITE", "b3").at
    assert third >= case.packet("< 480", "b2").at >= case.packet("< 486", "b1").at


async def test_groups_of_one_are_serial(lab: Lab) -> None:
    """S13: the same messages in the same order, whichever way it is written"""

    async def run(strategy: str) -> list[str]:
        case = lab.case()
        uris = [case.phone("b1", refuses(486)), case.phone("b2", refuses(486))]
        uris.append(case.phone("b3", TALKS_BRIEFLY))
        listed = [{"to": uri} for uri in uris]
        value = listed if strategy == "serial" else [[item] for item in listed]
        assert await case.outcome({strategy: value}) == ("connected", "")
        await case.seen("> 200", "b3")
        ours = {id(p): name for name in ("b1", "b2", "b3") for p in case.ladder(name)}
        labels = [f"{ours[id(p)]} {p.label}" for p in lab.packets if id(p) in ours]
        return [label for label in labels if not label.endswith(("< 100", "< 180"))]

    assert await run("serial") == await run("serial_parallel")


async def test_an_empty_group_is_skipped(case: Case) -> None:
    """S14"""
    groups: list[list[dict[str, str]]] = [[], [{"to": case.phone("b1", TALKS_BRIEFLY)}]]
    assert await case.outcome({"serial_parallel": groups}) == ("connected", "")


async def test_a_number_goes_through_the_trunk(case: Case) -> None:
    """S15, and K13 has its device"""
    number = case.pstn(refuses(404))
    serial = [number, case.phone("b1", TALKS_BRIEFLY)]
    listed = [{"to": to} for to in serial]
    assert await case.outcome({"serial": listed}) == ("connected", "")
    assert case.invite(number).uri.startswith(f"sip:{number}@127.0.0.1:")
    assert case.packet("> INVITE", "b1").at >= case.packet("< 404", number).at


# ---------------------------------------------------------------- O: overrides


async def test_a_destination_has_its_own_caller(case: Case) -> None:
    """O1"""
    connect = {
        "from": "+15550001",
        "serial": [
            {"to": case.phone("b1", refuses(486))},
            {"to": case.phone("b2", TALKS_BRIEFLY), "from": "+15550002"},
        ],
    }
    assert await case.outcome(connect) == ("connected", "")
    assert case.invite("b1").from_.uri.user == "+15550001"
    assert case.invite("b2").from_.uri.user == "+15550002"


async def test_a_destination_has_its_own_timeout(case: Case) -> None:
    """O3"""
    connect = {
        "timeout": 2,
        "serial": [{"to": case.phone("b1", RINGS), "timeout": 1}, {"to": case.phone("b2", RINGS)}],
    }
    assert await case.outcome(connect) == ("failed", "no_answer")
    for name, seconds in (("b1", 1.0), ("b2", 2.0)):
        rang = case.packet("> CANCEL", name).at - case.packet("> INVITE", name).at
        assert rang == about(seconds)


async def test_a_destination_reports_to_its_own_url(case: Case) -> None:
    """O5"""
    connect = {
        "call_state_url": case.url("state"),
        "parallel": [
            {"to": case.phone("b1", Behaviour(answer_after=0.2, hang_up_after=0.1))},
            {"to": case.phone("b2", RINGS), "call_state_url": case.url("state2")},
        ],
    }
    assert await case.outcome(connect) == ("connected", "")
    assert await case.until_states("state2", 1) == ["ended cancel"]
    assert await case.until_states("state", 1) == ["ended hangup"]


async def test_headers_of_a_destination_replace_those_above(case: Case) -> None:
    """O7"""
    connect = {
        "headers": [{"name": "X-A", "value": "1"}],
        "serial": [
            {"to": case.phone("b1", refuses(480))},
            {"to": case.phone("b2", TALKS_BRIEFLY), "headers": [{"name": "X-B", "value": "2"}]},
        ],
    }
    assert await case.outcome(connect) == ("connected", "")
    first, second = case.invite("b1").headers, case.invite("b2").headers
    assert (first.get("X-A"), first.get("X-B")) == ("1", None)
    assert (second.get("X-A"), second.get("X-B")) == (None, "2")


# ---------------------------------------------------------------- T: ring timeout


async def test_a_phone_that_only_rings_is_cancelled_in_time(case: Case) -> None:
    """T1, with a shorter timeout"""
    assert await case.outcome({"to": case.phone("b1", RINGS), "timeout": 1}) == ("failed", "no_answer")
    rang = case.packet("> CANCEL", "b1").at - case.packet("> INVITE", "b1").at
    assert rang == about(1.0)


async def test_early_media_does_not_stop_the_timer(case: Case) -> None:
    """T3"""
    speaks = Behaviour(early_media=True, answer_after=None)
    assert await case.outcome({"to": case.phone("b1", speaks), "timeout": 1}) == ("failed", "no_answer")
    rang = case.packet("> CANCEL", "b1").at - case.packet("> INVITE", "b1").at
    assert rang == about(1.0)


async def test_an_answer_just_in_time_counts(case: Case) -> None:
    """T4"""
    late = Behaviour(answer_after=0.75, hang_up_after=0.5)
    assert await case.outcome({"to": case.phone("b1", late), "timeout": 1}) == ("connected", "")
    assert "> CANCEL" not in case.labels("b1")


@pytest.mark.parametrize("seconds", [0, -1])
async def test_no_time_at_all_is_invalid(case: Case, seconds: int) -> None:
    """T7"""
    await case.connect({"to": case.phone("b1", ANSWERS), "timeout": seconds})
    told = await case.told()
    assert result_of(told) == ("failed", "error")
    assert told["vars"]["script_error"] == "relay_script_method_parameter_invalid_value"
    assert not case.ladder("b1")


@pytest_asyncio.fixture(loop_scope="module")
async def silent() -> AsyncIterator[Silent]:
    async with silence() as far:
        yield far


async def test_a_silent_far_end_is_not_cancelled_before_it_spoke(case: Case, silent: Silent) -> None:
    """T2, with a late 180"""
    assert await case.outcome({"to": silent.uri, "timeout": 1}) == ("failed", "no_answer")
    assert set(silent.methods()) == {"INVITE"}
    assert len(silent.got) >= 2  # repeated after T1
    silent.answer("INVITE", 180)
    await silent.next("CANCEL")
    silent.answer("CANCEL", 200)
    silent.answer("INVITE", 487)
    await silent.next("ACK")


async def test_a_silent_far_end_that_answers_too_late_is_hung_up(case: Case, silent: Silent) -> None:
    """T2, with a late 200"""
    assert await case.outcome({"to": silent.uri, "timeout": 1}) == ("failed", "no_answer")
    offer = silent.got[0].body
    silent.answer("INVITE", 200, offer)
    await silent.next("BYE")
    assert silent.methods().index("ACK") < silent.methods().index("BYE")
    assert "CANCEL" not in silent.methods()
    silent.answer("BYE", 200)
