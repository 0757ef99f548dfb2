"""`kill -9` of the server under calls: after a restart the far ends are hung up, and all is reported."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone
from cordboard.testing.phone_call import PhoneCall

from .conftest import Receiver
from .soak import ledger
from .soak.remains import until
from .soak.subject import Subject

CALLS = 40
RINGING = 5
QUIET = Behaviour(answer_after=0.0, muted=True)


def document(target: str, receiver: str) -> str:
    connect = {
        "to": target,
        "answer_on_bridge": True,
        "status_url": f"{receiver}/connect",
        "call_state_url": f"{receiver}/state",
        "call_state_events": ["created", "answered", "ended"],
    }
    return json.dumps({"version": "1.0.0", "sections": {"main": [{"connect": connect}]}})


async def place(server: Subject, callers: SimulatedPhone, number: str, count: int) -> list[PhoneCall]:
    return [await callers.call(f"sip:{number}@{server.address}") for _ in range(count)]


async def test_far_ends_of_a_killed_server_are_hung_up_and_reported_after_its_restart(
    tmp_path: Path, receiver: Receiver
) -> None:
    server = Subject(tmp_path)
    ringing = SimulatedPhone(Behaviour(answer_after=None))
    async with SimulatedPhone(QUIET) as phone, ringing, SimulatedPhone(QUIET, name="caller") as callers:
        server.write(
            {
                "talk": document(phone.uri("bob"), receiver.url),
                "ring": document(ringing.uri("carol"), receiver.url),
            }
        )
        async with server:
            calls = await place(server, callers, "talk", CALLS)
            for call in calls:
                assert await call.answered(within=25.0)
            waiting = await place(server, callers, "ring", RINGING)
            for call in waiting:
                assert await call.ringing()
            await receiver.until(lambda seen: len(seen.events) == 4 * CALLS + 2 * RINGING, within=25.0)
            far = list(phone.calls)

            await server.kill()
            assert not any(call.is_over for call in (*calls, *far)), "nobody can have told them"
            await server.start()

            for call in (*calls, *far):
                report = await call.ended(within=25.0)
                assert report.cause == "bye_received"
            await receiver.until(lambda seen: seen.states("/state").count("ended") == CALLS + RINGING)
            # What was delivered in the moment of the kill comes once more, in between.
            await receiver.until(lambda seen: _ended_connects(seen) == CALLS + RINGING, within=25.0)
            ends = [b["params"] for _, b in receiver.events if b["params"].get("call_state") == "ended"]
            assert {params["end_reason"] for params in ends} == {"error"}
            states = receiver.states("/connect")
            assert (states.count("disconnected"), states.count("failed")) == (CALLS, RINGING)
            await until(lambda: ledger.is_settled(server.database), 20.0, lambda: "callbacks")
            assert ledger.causes(server.database) == {"server_restarted": 2 * (CALLS + RINGING)}

            (again,) = await place(server, callers, "talk", 1)
            assert await again.answered(), "and it takes new calls"
            again.hang_up()
            await again.ended()
            for call in waiting:
                call.hang_up()
            assert await server.terminate() == 0


def _ended_connects(seen: Receiver) -> int:
    states = seen.states("/connect")
    return states.count("disconnected") + states.count("failed")


async def test_a_second_kill_right_after_the_restart_closes_nothing_twice(
    tmp_path: Path, receiver: Receiver
) -> None:
    server = Subject(tmp_path)
    async with SimulatedPhone(QUIET) as phone, SimulatedPhone(QUIET, name="caller") as callers:
        server.write({"talk": document(phone.uri("bob"), receiver.url)})
        async with server:
            for call in await place(server, callers, "talk", 10):
                assert await call.answered(within=25.0)
            # What is told was stored before.  Of a call that began a few milliseconds ago nothing may be
            # on the disk yet, and then nobody has heard of it either.
            await receiver.until(lambda seen: seen.states("/state").count("answered") == 10, within=25.0)
            await server.kill()
            for _ in range(3):
                await server.start()
                await server.kill()
            await server.start()
            await until(lambda: ledger.is_settled(server.database), 10.0, lambda: "callbacks")
            ids = [headers["X-Cordboard-Event-Id"] for headers in receiver.headers]
            seen = {
                event_id: body["params"] for event_id, (_, body) in zip(ids, receiver.events, strict=True)
            }
            ended = [params["call_id"] for params in seen.values() if params.get("call_state") == "ended"]
            assert len(ended) == len(set(ended)) == 10
            assert await server.terminate() == 0


async def test_a_server_that_is_asked_to_stop_hangs_up_and_delivers_before_it_ends(
    tmp_path: Path, receiver: Receiver
) -> None:
    server = Subject(tmp_path)
    async with SimulatedPhone(QUIET) as phone, SimulatedPhone(QUIET, name="caller") as callers:
        server.write({"talk": document(phone.uri("bob"), receiver.url)})
        async with server:
            calls = await place(server, callers, "talk", 10)
            for call in calls:
                assert await call.answered(within=25.0)
            began = asyncio.get_running_loop().time()
            assert await server.terminate() == 0
            assert asyncio.get_running_loop().time() - began < 5.0
            for call in calls:
                assert (await call.ended()).cause == "bye_received"
            assert receiver.states("/state").count("ended") == 10
            assert receiver.states("/connect").count("disconnected") == 10
            assert ledger.causes(server.database) == {"server_stopping": 10, "hangup_peer": 10}
