"""Why a connect failed, as scripts, callbacks and unanswered callers learn it (cases F; SIP mapping)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from .cases import (
    Behaviour,
    Case,
    Lab,
    in_order,
    laboratory,
    refuses,
    result_of,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


REASONS = {
    "busy": (486, 600),
    "declined": (603, 607, 608, 401, 402, 403, 407),
    "no_answer": (480, 408),
    "cancel": (487,),
    "error": (
        *(400, 404, 405, 406, 410, 413, 414, 415, 416, 420, 421, 423, 428, 429, 437, 438),
        *(481, 482, 483, 484, 485, 488, 493, 500, 501, 502, 503, 504, 505, 513, 580, 604, 606),
    ),
}
"""What a far end answers, by what a script learns."""

FOR_CALLERS = {
    486: 486,
    600: 486,
    603: 603,
    608: 603,
    607: 607,
    401: 603,
    402: 603,
    403: 603,
    407: 603,
    480: 408,
    408: 504,
    504: 504,
    487: 487,
    404: 404,
    485: 404,
    604: 404,
    410: 410,
    484: 484,
    488: 488,
    606: 488,
    406: 501,
    415: 501,
    501: 501,
    413: 480,
    414: 480,
    416: 480,
    420: 480,
    421: 480,
    423: 480,
    505: 480,
    513: 480,
    405: 480,
    400: 503,
    481: 503,
    500: 503,
    503: 503,
    502: 503,
    482: 483,
    483: 483,
    428: 428,
    429: 429,
    437: 437,
    438: 438,
    493: 480,
    580: 480,
}
"""What a caller who was never answered gets; the far end's own code will do too, except for challenges."""


async def test_every_status_has_its_reason_for_script_and_callbacks(lab: Lab) -> None:
    """F1, F3, F4, F6, F7, F9, F10, F18 and the rest of the table"""

    async def run(status: int) -> tuple[int, tuple[str, ...]]:
        case = lab.case()
        connect = {
            "to": case.phone("b1", refuses(status)),
            "status_url": case.url("status"),
            "call_state_url": case.url("state"),
        }
        result, reason = await case.outcome(connect)
        assert (await case.told())["vars"]["connect_sip_code"] == status
        failed = (await case.until_states("status", 2))[1].removeprefix("failed ")
        ended = (await case.until_states("state", 1))[0].removeprefix("ended ")
        # A far end that may have refused the keys is asked once more without (F8).
        asked = [packet.message for packet in case.ladder("b1") if packet.label == "> INVITE"]
        attempts = {invite.via.params["branch"] for invite in asked}
        assert len(attempts) == (2 if status in (415, 488, 606) else 1)
        return status, (result, reason, failed, ended)

    wanted = {status: ("failed", *[reason] * 3) for reason, codes in REASONS.items() for status in codes}
    got = dict(await asyncio.gather(*(run(status) for status in wanted)))
    assert got == wanted


async def test_an_unanswered_caller_gets_what_the_far_end_meant(lab: Lab) -> None:
    """7.15, right column: the script ends without an answer"""

    async def run(status: int) -> tuple[int, int]:
        case = lab.case()
        connect = {"to": case.phone("b1", refuses(status)), "answer_on_bridge": True}
        caller = await case.call({"connect": connect})
        return status, (await caller.ended()).status

    got = dict(await asyncio.gather(*(run(status) for status in FOR_CALLERS)))
    challenges = (401, 407)
    wrong = {
        status: code
        for status, code in got.items()
        if code != FOR_CALLERS[status] and (status in challenges or code != status)
    }
    assert not wrong


async def test_an_unanswered_caller_gets_480_after_a_ring_timeout(case: Case) -> None:
    """7.15, ring timeout"""
    connect = {"to": case.phone("b1", Behaviour(answer_after=None)), "answer_on_bridge": True, "timeout": 1}
    caller = await case.call({"connect": connect})
    assert (await caller.ended()).status == 480


@pytest.mark.parametrize(
    "to",
    [
        "sip:x@no-such-host.invalid;transport=udp",
        "sip:x@127.0.0.1:1;transport=udp",
        "sip:x@127.0.0.1:1;transport=tcp",
    ],
)
async def test_an_unreachable_host_fails_without_waiting(case: Case, to: str) -> None:
    """F12"""
    began = asyncio.get_running_loop().time()
    assert await case.outcome({"to": to}) == ("failed", "error")
    assert asyncio.get_running_loop().time() - began < 5.0


@pytest.mark.parametrize("to", ["+442071234567", "sip:x@169.254.169.254"])
async def test_what_may_not_be_dialled_fails_at_once(case: Case, to: str) -> None:
    """A number outside the allowed prefixes; a metadata address"""
    assert await case.outcome({"to": to}) == ("failed", "error")
    assert not any(
        packet.label == "> INVITE" and packet.peer.address != "127.0.0.1" for packet in case.lab.packets
    )


async def test_an_answer_without_a_description_is_hung_up(case: Case) -> None:
    """F16"""
    silent = Behaviour(answer_without_sdp=True)
    assert await case.outcome({"to": case.phone("b1", silent)}) == ("failed", "error")
    await until(lambda: in_order(["> INVITE", "< 200", "> ACK", "> BYE", "< 200"], case.labels("b1")))


async def test_the_last_of_a_series_gives_the_reason(case: Case) -> None:
    """F17"""
    serial = [{"to": case.phone("b1", refuses(486))}, {"to": case.phone("b2", refuses(404))}]
    assert await case.outcome({"serial": serial}) == ("failed", "error")


async def test_a_group_that_ended_by_time_gives_no_answer(case: Case) -> None:
    """7.14: the last group's time-out counts more than its first refusal"""
    parallel = [
        {"to": case.phone("b1", refuses(486))},
        {"to": case.phone("b2", Behaviour(answer_after=None))},
    ]
    assert await case.outcome({"parallel": parallel, "timeout": 1}) == ("failed", "no_answer")


async def test_an_invalid_destination_fails_alone(case: Case) -> None:
    """7.14"""
    serial = [{"to": "ftp://x"}, {"to": case.phone("b1", Behaviour(hang_up_after=0.1))}]
    await case.connect({"serial": serial})
    told = await case.told()
    assert result_of(told) == ("connected", "")
    assert told["vars"]["script_error"] == "relay_script_method_parameter_invalid_value"


async def test_the_record_of_a_failed_leg_says_what_to_do(case: Case) -> None:
    """The cause and what to change, in one sentence"""
    connect = {"to": case.phone("b1", refuses(486)), "call_state_url": case.url("state")}
    assert await case.outcome(connect) == ("failed", "busy")
    await case.until_states("state", 1)
    leg = case.events("state")[0]["params"]["call_id"]
    await case.lab.server.store.flush()
    record = await case.lab.server.store.call(leg)
    assert record is not None
    assert record.end is not None
    assert record.end.reason == "busy"
    assert "486" in record.end.sentence
    assert f"b1-{case.serial}" in record.end.sentence


async def test_nothing_is_wrong_with_a_good_phone(case: Case) -> None:
    """The same table with an answer: no reason, no code"""
    await case.connect({"to": case.phone("b1", Behaviour(hang_up_after=0.05))})
    told = await case.told()
    assert result_of(told) == ("connected", "")
    assert "connect_failed_reason" not in told["vars"]
    assert "connect_sip_code" not in told["vars"]


async def test_the_log_says_what_to_do(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    """The same sentence for the operator, with the call"""
    with caplog.at_level("INFO", logger="cordboard"):
        assert await case.outcome({"to": case.phone("b1", refuses(486)), "foo": 1}) == ("failed", "busy")
    lines = [record.getMessage() for record in caplog.records if case.number in record.getMessage()]
    assert [line.partition(": ")[2] for line in lines] == [
        "connect: unknown property `foo` is ignored (relay_script_method_parameter_undefined, line 1)",
        f"connect failed: {case.phone('b1')} is busy (486 Busy Here): "
        "add another destination, or call again later.",
    ]
