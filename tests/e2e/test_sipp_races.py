"""Two phones answer in the same millisecond, again and again, under load: one is connected, none is left."""

from __future__ import annotations

from collections import Counter

import pytest

from cordboard.call.effects import CallStateChanged, ConnectStateChanged

from .book import Book
from .conftest import StartServer
from .peers import Sipps, free_ports
from .scenario import (
    SDP,
    callee,
    go_to,
    invited,
    label,
    pause,
    receive,
    reply,
)
from .strategies import document

pytestmark = pytest.mark.real_peer

RUNS = 200
RATE = 30

AT_ONCE = callee(
    invited(),
    reply(200, SDP),
    # A CANCEL that crosses the 200 finds nothing to cancel.
    receive("CANCEL", optional="true", next="crossed"),
    receive("ACK"),
    label("up"),
    receive("BYE"),
    reply(200, of="BYE"),
    go_to("end"),
    label("crossed"),
    reply(200, of="CANCEL"),
    receive("ACK", next="up"),
    label("end"),
    pause(1),
)
"""Answers without a pause; then ACK and BYE, whether it was taken or not."""


@pytest.mark.parametrize(
    "strategy",
    [
        'parallel: [{{to: "{a}"}}, {{to: "{b}"}}]',
        'serial_parallel: [[{{to: "sip:busy@phones.test"}}], [{{to: "{a}"}}, {{to: "{b}"}}]]',
    ],
)
async def test_of_two_who_answer_at_once_exactly_one_is_connected(
    strategy: str, start_server: StartServer, sipps: Sipps
) -> None:
    first = await sipps.callee("first", AT_ONCE, calls=RUNS)
    second = await sipps.callee("second", AT_ONCE, calls=RUNS)
    # Three pairs a run, and a pair rests for some seconds before it is used again.
    port = free_ports(2_400, busy=600)
    ports = {"port_min": port, "port_max": port + 2_399}
    server = await start_server(document(strategy.format(a=first.uri, b=second.uri)), media=ports)
    book = Book(server)
    calling = await sipps.caller(
        server.socket.local.host_port, "uac", calls=RUNS, rate=RATE, talk_ms=300, traced=False
    )
    await calling.finished(RUNS)
    # Each far end has had all its calls as its scenario says: an ACK, then a BYE.
    await first.finished(RUNS)
    await second.finished(RUNS)
    await book.rest()
    check_runs(book, {first.uri, second.uri})


def check_runs(book: Book, far_ends: set[str]) -> None:
    """Each run was connected once, with one of the two; the other was hung up because it lost."""
    connects: dict[str, list[str]] = {}
    for info, happening in book.events:
        if isinstance(happening, ConnectStateChanged):
            connects.setdefault(info.session_id, []).append(happening.state)
    assert len(connects) == RUNS
    assert set(map(tuple, connects.values())) == {("connecting", "connected", "disconnected")}
    ends = Counter(
        (info.session_id, happening.ending.cause)
        for info, happening in book.events
        if isinstance(happening, CallStateChanged) and happening.ending and info.to in far_ends
    )
    assert len(ends) == 2 * RUNS
    assert Counter(cause for _, cause in ends) == {"hangup_peer": RUNS, "lost_race": RUNS}
