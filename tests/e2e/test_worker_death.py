"""`kill -9` of a media worker in the middle of 50 calls."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from cordboard.server.server import Server
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone
from cordboard.testing.phone_call import PhoneCall
from cordboard.testing.phone_report import PhoneReport

from .book import Book
from .conftest import Receiver, StartServer
from .peers import free_ports
from .soak.remains import is_running, until

CALLS = 50
QUIET = Behaviour(answer_after=0.0, ring=False, muted=True)
CALLER_TONE, PHONE_TONE = 350.0, 659.0
LOUD = Behaviour(answer_after=0.0, tone_hz=PHONE_TONE)


def document(phone: SimulatedPhone, receiver: Receiver) -> str:
    return f"""
version: 1.0.0
sections:
  main:
    - connect:
        to: {phone.uri("bob")}
        status_url: {receiver.url}/connect
        call_state_url: {receiver.url}/state
        call_state_events: [created, answered, ended]
    - play:
        url: "silence:30"
"""


async def connected(server: Server, callers: SimulatedPhone, count: int) -> list[PhoneCall]:
    target = f"sip:+15551230000@{server.socket.local.host_port}"
    calls = [await callers.call(target) for _ in range(count)]
    for call in calls:
        assert await call.answered(within=10.0)
    return calls


def over(calls: Sequence[PhoneCall]) -> list[PhoneReport]:
    return [call.report for call in calls if call.is_over]


@pytest.mark.parametrize("workers", [1, 2])
async def test_the_calls_of_a_killed_worker_end_with_the_true_reason_and_no_others(
    workers: int, start_server: StartServer, receiver: Receiver
) -> None:
    media = {"workers": workers, "port_min": (first := free_ports(600)), "port_max": first + 599}
    async with SimulatedPhone(QUIET) as phone, SimulatedPhone(QUIET, name="caller") as callers:
        server = await start_server(document(phone, receiver), media=media)
        book = Book(server)
        calls = await connected(server, callers, CALLS)
        await until(lambda: book.connects().count("connected") == CALLS, 10.0, book.connects)
        far = list(phone.calls)
        pids = server.media.worker_pids()
        os.kill(pids[0], signal.SIGKILL)

        hit = CALLS // workers
        await until(lambda: len(over(calls)) >= hit, 10.0, lambda: len(over(calls)))
        await until(lambda: len(server.media.worker_pids()) == workers, 5.0, server.media.worker_pids)
        assert not is_running(pids[0])
        assert pids[0] not in server.media.worker_pids()

        ended = over(calls)
        assert len(ended) == hit, "calls of other workers live on"
        assert {report.cause for report in ended} == {"bye_received"}
        await until(lambda: len(over(far)) == hit, 5.0, lambda: len(over(far)))
        assert {report.cause for report in over(far)} == {"bye_received"}
        assert book.caller_ends() == ["media_worker_died"] * hit
        assert book.connects().count("disconnected") == hit
        await receiver.until(lambda seen: seen.states("/state").count("ended") == hit, within=10.0)
        ends = [body["params"] for _, body in receiver.events if body["params"].get("call_state") == "ended"]
        assert {params["end_reason"] for params in ends} == {"error"}
        await expect_records(server, book)

        await expect_conversation(server, phone)
        for call in calls:
            call.hang_up()
        await book.rest()


async def expect_records(server: Server, book: Book) -> None:
    """Both legs of each call, and a sentence that says what happened."""
    await server.store.flush()
    for info in book.calls():
        record = await server.store.call(info.call_id)
        assert record is not None
        assert record.end is not None
        assert (record.end.cause, record.end.reason) == ("media_worker_died", "error")
        assert "killed by signal 9" in record.end.sentence


async def expect_conversation(server: Server, phone: SimulatedPhone) -> None:
    """A new call has audio both ways."""
    phone.behaviour = LOUD
    async with SimulatedPhone(Behaviour(tone_hz=CALLER_TONE), name="another") as caller:
        (call,) = await connected(server, caller, 1)
        assert await call.hears(PHONE_TONE)
        assert await phone.calls[-1].hears(CALLER_TONE)
        call.hang_up()
        await call.ended()


async def test_a_worker_that_is_killed_again_and_again_costs_only_the_calls_on_it(
    start_server: StartServer, receiver: Receiver, tmp_path: Path
) -> None:
    """Kills at random moments of the set-up: every call ends, once, with a reason; nothing is left."""
    async with (
        SimulatedPhone(Behaviour(answer_after=0.1, muted=True)) as phone,
        SimulatedPhone(QUIET, name="caller") as callers,
    ):
        server = await start_server(document(phone, receiver), media={"workers": 2})
        book = Book(server)
        target = f"sip:+15551230000@{server.socket.local.host_port}"
        calls: list[PhoneCall] = []
        for _ in range(5):
            calls += [await callers.call(target) for _ in range(10)]
            await asyncio.sleep(0.05)
            if pids := server.media.worker_pids():
                os.kill(pids[0], signal.SIGKILL)
            await asyncio.sleep(0.2)
        for call in calls:
            if not call.is_over and await call.answered(within=10.0):
                call.hang_up()
        reports = [await call.ended(within=10.0) for call in calls]
        assert {report.cause for report in reports} <= {"bye_received", "bye_sent", "refused"}
        await book.rest()
        await until(lambda: len(server.media.worker_pids()) == 2, 10.0, server.media.worker_pids)
        assert "media_worker_died" in book.caller_ends()
        states = receiver.states("/connect")
        assert states.count("connecting") == states.count("failed") + states.count("disconnected")
