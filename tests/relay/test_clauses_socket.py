"""What leaves a client's socket together, and what waits for a moment: SDKs lose an event that comes with the
answer to the request that began it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from cordboard import jsonrpc
from cordboard.relay.frames import Acceptance, Answer
from cordboard.server.relay_socket import BREATH, RelaySocket

ANSWER = Acceptance(jsonrpc.result("4d4e-1", {"code": "200", "message": "Collecting"}))
REFUSAL = Answer(jsonrpc.result("4d4e-1", {"code": "404"}))
EVENT = jsonrpc.request("e1", "signalwire.event", {"event_type": "calling.call.collect", "result": {}})


class Line:
    """A connection whose far end notes what comes when; between two packets the loop has turned."""

    def __init__(self, far: socket.socket, near: RelaySocket) -> None:
        self.near = near
        self._far = far
        self._loop = asyncio.get_running_loop()
        self.came: list[tuple[float, bytes]] = []

    async def until(self, count: int) -> None:
        """So many octets of text have come."""
        async with asyncio.timeout(10.0):
            while sum(len(data) for _, data in self.came) < count:
                data = await self._loop.sock_recv(self._far, 65_536)
                self.came.append((self._loop.time(), data))

    @property
    def text(self) -> bytes:
        return b"".join(data for _, data in self.came)


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    near, far = socket.socketpair()
    far.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
    made = Line(far, RelaySocket(transport, "127.0.0.1", lambda: None))
    yield made
    made.near.cut()
    far.close()


def size(*messages: bytes) -> int:
    """Of their frames: two octets before each short one, four before a longer one."""
    return sum(len(message) + (2 if len(message) < 126 else 4) for message in messages)


async def test_what_comes_behind_an_answer_waits_for_a_moment(line: Line) -> None:
    line.near.send(ANSWER)
    line.near.send(EVENT)
    asked = asyncio.get_running_loop().time()
    await line.until(size(ANSWER, EVENT))
    assert line.text.index(ANSWER) < line.text.index(EVENT)
    assert line.came[-1][0] - asked >= BREATH * 0.9


async def test_nothing_waits_for_a_refusal(line: Line) -> None:
    line.near.send(REFUSAL)
    line.near.send(EVENT)
    await line.until(size(REFUSAL, EVENT))
    assert len(line.came) == 1


async def test_an_event_of_the_moment_after_an_answer_waits_too(line: Line) -> None:
    line.near.send(ANSWER)
    asked = asyncio.get_running_loop().time()
    await line.until(size(ANSWER))
    line.near.send(EVENT)
    await line.until(size(ANSWER, EVENT))
    assert line.came[-1][0] - asked >= BREATH * 0.9


def _accepted(id_: int) -> bytes:
    return Acceptance(jsonrpc.result(str(id_), {"code": "200"}))


async def test_answers_wait_for_nothing_and_nothing_overtakes(line: Line) -> None:
    messages = [_accepted(n) if n % 2 else EVENT for n in range(100)]
    for message in messages:
        line.near.send(message)
    await line.until(size(*messages))
    assert len(line.came) == 1  # the last is an answer: all that is before it goes with it
    at = 0
    for message in messages:
        at = line.text.index(message, at) + len(message)


async def test_events_without_an_answer_leave_in_one_write_at_once(line: Line) -> None:
    for _ in range(5):
        line.near.send(EVENT)
    await line.until(size(*[EVENT] * 5))
    assert len(line.came) == 1


async def test_the_last_words_leave_before_the_end(line: Line) -> None:
    line.near.send(ANSWER)
    line.near.send(EVENT)
    line.near.finished()
    await line.until(size(ANSWER, EVENT))
