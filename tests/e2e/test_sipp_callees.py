"""SIPps that are called behave in every way that a far end can, under each strategy."""

from __future__ import annotations

import asyncio
import itertools
import socket

import pytest

from .book import Book
from .conftest import StartServer
from .peers import Sipps
from .scenario import (
    ANSWERED,
    CANCELLED,
    G729,
    SDP,
    ack,
    ack_refusal,
    answer_bye,
    bye,
    callee,
    caller,
    hang_up,
    invite,
    invited,
    pause,
    provisionals,
    receive,
    reply,
    response,
    sdp,
)
from .strategies import NAMES, connect

pytestmark = pytest.mark.real_peer

STAYS = caller(invite(), provisionals(), response(200), ack(), answer_bye())
"""A caller who waits until the server hangs up."""

every_strategy = pytest.mark.parametrize("strategy", NAMES)


def refused(status: int) -> str:
    """A caller who is told why it did not work."""
    return caller(invite(), provisionals(), response(status), ack_refusal())


class Silent:
    """A far end that says nothing, and knows when it was asked."""

    def __enter__(self) -> Silent:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._came: list[tuple[float, bytes]] = []
        asyncio.get_running_loop().add_reader(self._socket, self._take)
        return self

    def __exit__(self, *exc: object) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    @property
    def uri(self) -> str:
        return f"sip:silent@127.0.0.1:{self._socket.getsockname()[1]}"

    def received(self) -> list[tuple[float, bytes]]:
        """(when, what), in order."""
        return list(self._came)

    def _take(self) -> None:
        self._came.append((asyncio.get_running_loop().time(), self._socket.recv(65_535)))


class Stage:
    """A server, one far end of interest, and a caller."""

    def __init__(self, start_server: StartServer, sipps: Sipps) -> None:
        self._start_server = start_server
        self._sipps = sipps

    async def play(
        self,
        strategy: str,
        far_end: str,
        near_end: str,
        *,
        ring_s: int = 20,
        options: str = "",
        then: str = "",
        extra: tuple[str, ...] = (),
    ) -> Book:
        """Run one call; both ends must see what their scenarios say, and nothing may be left."""
        self.callee = await self._sipps.callee("far", far_end, extra=extra)
        self.document = connect(strategy, self.callee.uri, timeout=ring_s, options=options, then=then)
        server = await self._start_server(self.document)
        book = Book(server)
        self.caller = await self._sipps.caller(server.socket.local.host_port, near_end)
        await self.caller.finished()
        await self.callee.finished()
        await book.rest()
        return book

    def end(self, book: Book) -> str:
        """Cause of the end of the called leg."""
        return book.ends()[self.callee.uri]


@pytest.fixture
def stage(start_server: StartServer, sipps: Sipps) -> Stage:
    return Stage(start_server, sipps)


# ---------------------------------------------------------------- nobody is connected


@every_strategy
@pytest.mark.parametrize(
    ("status", "reason", "cause"),
    [(486, "busy", "user_busy"), (603, "declined", "call_rejected"), (404, "error", "not_found")],
)
async def test_a_refusal_ends_with_its_reason(
    stage: Stage, strategy: str, status: int, reason: str, cause: str
) -> None:
    far_end = callee(invited(), reply(180), reply(status), receive("ACK"))
    book = await stage.play(strategy, far_end, refused(status))
    assert stage.end(book) == cause
    assert book.connects() == ["connecting", f"failed {reason}"]
    variables = await book.variables()
    assert variables["connect_result"] == variables["return_value"] == "failed"
    assert variables["connect_failed_reason"] == reason
    assert variables["connect_sip_code"] == status


@every_strategy
async def test_a_phone_that_rings_too_long_is_cancelled(stage: Stage, strategy: str) -> None:
    far_end = callee(invited(), reply(180), receive("CANCEL"), *CANCELLED)
    book = await stage.play(strategy, far_end, refused(480), ring_s=1)
    assert stage.end(book) == "ring_timeout"
    assert book.connects() == ["connecting", "failed no_answer"]
    assert "Call completed elsewhere" not in stage.callee.messages("CANCEL")[0]
    waited = stage.callee.times("CANCEL")[0] - stage.callee.times("INVITE")[0]
    assert 0.6 < waited < 5.0


@every_strategy
async def test_an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up(
    stage: Stage, strategy: str
) -> None:
    far_end = callee(
        invited(),
        reply(180),
        receive("CANCEL"),
        reply(200, of="CANCEL"),
        reply(200, SDP),
        *ANSWERED,
    )
    book = await stage.play(strategy, far_end, refused(480), ring_s=1)
    assert book.connects() == ["connecting", "failed no_answer"]
    assert stage.end(book) == "ring_timeout"


@every_strategy
async def test_a_silent_far_end_is_asked_again_and_never_cancelled(
    strategy: str, start_server: StartServer, sipps: Sipps
) -> None:
    with Silent() as silent:
        seconds = 4 if strategy == "to" else 1
        server = await start_server(connect(strategy, silent.uri, timeout=seconds))
        book = Book(server)
        await (await sipps.caller(server.socket.local.host_port, refused(480))).finished()
        assert book.connects() == ["connecting", "failed no_answer"]
        assert book.ends()[silent.uri] == "ring_timeout"
        came = silent.received()
        assert {data.partition(b" ")[0] for _, data in came} == {b"INVITE"}
        assert len({data for _, data in came}) == 1
        pauses = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(came)]
        assert pauses == pytest.approx([0.5, 1.0, 2.0] if seconds == 4 else [0.5], abs=0.4)


@pytest.mark.usefixtures("brisk")
async def test_nothing_is_left_of_a_silent_far_end(start_server: StartServer, sipps: Sipps) -> None:
    with Silent() as silent:
        server = await start_server(connect("to", silent.uri, timeout=1))
        book = Book(server)
        await (await sipps.caller(server.socket.local.host_port, refused(480))).finished()
        # 64*T1 after the INVITE; until then a late 200 would be hung up.
        await book.rest()
        assert {data.partition(b" ")[0] for _, data in silent.received()} == {b"INVITE"}
        assert len(silent.received()) == 7


async def test_a_far_end_that_wakes_up_too_late_is_cancelled(stage: Stage) -> None:
    far_end = callee(invited(), pause(1600), reply(180), receive("CANCEL"), *CANCELLED)
    book = await stage.play("to", far_end, refused(480), ring_s=1)
    assert book.connects() == ["connecting", "failed no_answer"]


async def test_a_far_end_that_answers_too_late_is_hung_up(stage: Stage) -> None:
    far_end = callee(invited(), pause(1600), reply(200, SDP), *ANSWERED)
    book = await stage.play("to", far_end, refused(480), ring_s=1)
    assert book.connects() == ["connecting", "failed no_answer"]


@pytest.mark.parametrize(("body", "cause"), [("", "no_sdp"), (sdp(G729), "codec_mismatch")])
async def test_an_answer_without_usable_audio_is_hung_up(stage: Stage, body: str, cause: str) -> None:
    book = await stage.play("to", callee(invited(), reply(200, body), *ANSWERED), refused(488))
    assert stage.end(book) == cause
    assert book.connects() == ["connecting", "failed error"]


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        ("487 Request Terminated", 487, "cancel"),
        ("480 Temporarily Unavailable", 480, "no_answer"),
        ("380 Alternative Service", 480, "error"),
        ("503 Service Unavailable", 503, "error"),
        ("600 Busy Everywhere", 600, "busy"),
    ],
)
async def test_what_the_caller_is_told(stage: Stage, line: str, code: int, reason: str) -> None:
    book = await stage.play("to", callee(invited(), reply(line), receive("ACK")), refused(code))
    assert book.connects() == ["connecting", f"failed {reason}"]


# ---------------------------------------------------------------- somebody is connected


@every_strategy
async def test_after_the_far_end_hung_up_the_script_goes_on(stage: Stage, strategy: str) -> None:
    far_end = callee(invited(), reply(180), reply(200, SDP), receive("ACK"), hang_up())
    book = await stage.play(strategy, far_end, STAYS, then="    - set: {went_on: 1}\n")
    assert book.connects() == ["connecting", "connected", "disconnected"]
    assert stage.end(book) == "hangup_far_end"
    assert book.caller_ends() == ["script_ended"]
    variables = await book.variables()
    assert variables["went_on"] == 1
    assert variables["connect_result"] == variables["return_value"] == "connected"
    assert "connect_failed_reason" not in variables


@every_strategy
async def test_early_media_of_a_lone_far_end_reaches_the_caller(stage: Stage, strategy: str) -> None:
    far_end = callee(invited(), reply(183, SDP), pause(200), reply(200, SDP), *ANSWERED)
    audio = ["m=audio [0-9]+ RTP/AVP 0"]
    alone = strategy in ("to", "serial")
    near_end = caller(
        invite(),
        response(100, optional="true"),
        response(180),
        *([response(183, check=audio)] if alone else []),
        response(200, check=audio),
        ack(),
        pause(100),
        bye(),
    )
    book = await stage.play(strategy, far_end, near_end)
    assert book.connects() == ["connecting", "connected", "disconnected"]


@every_strategy
async def test_of_forked_early_dialogs_the_one_that_answers_is_taken(stage: Stage, strategy: str) -> None:
    of_b = ["To:[^\r\n]*tag=[0-9]+-[0-9]+-b"]
    far_end = callee(
        invited(),
        reply(180, tag="a"),
        reply(183, SDP, tag="b"),
        reply(180, tag="c"),
        reply(200, SDP, tag="b"),
        receive("ACK", check=of_b),
        receive("BYE", check=of_b),
        reply(200, of="BYE"),
    )
    book = await stage.play(strategy, far_end, TALKS)
    assert book.connects() == ["connecting", "connected", "disconnected"]


async def test_the_second_answer_of_a_fork_is_acknowledged_and_hung_up(stage: Stage) -> None:
    far_end = callee(
        invited(),
        reply(180, tag="a"),
        reply(180, tag="b"),
        reply(200, SDP, tag="b"),
        receive("ACK", check=["To:[^\r\n]*-b"]),
        reply(200, SDP, tag="a"),
        receive("ACK", check=["To:[^\r\n]*-a"]),
        receive("BYE", check=["To:[^\r\n]*-a"]),
        reply(200, of="BYE"),
        receive("BYE", check=["To:[^\r\n]*-b"]),
        reply(200, of="BYE"),
    )
    book = await stage.play("to", far_end, TALKS)
    assert book.connects() == ["connecting", "connected", "disconnected"]
    assert stage.end(book) == "hangup_peer"


async def test_an_answer_that_is_repeated_is_acknowledged_again(stage: Stage) -> None:
    # The far end does not look at the first ACK, so that it sends its 200 again.
    far_end = callee(invited(), reply(180), reply(200, SDP), pause(800), *ANSWERED)
    near_end = caller(invite(), provisionals(), response(200), ack(), pause(1800), bye())
    book = await stage.play("to", far_end, near_end, extra=("-pause_msg_ign",))
    assert len(stage.callee.times("ACK")) >= 2
    assert book.connects() == ["connecting", "connected", "disconnected"]


@every_strategy
async def test_the_route_of_the_answer_is_followed(stage: Stage, strategy: str) -> None:
    # One loose router, which is the far end itself: the request goes to its Contact's URI by way of it.
    route = "<sip:edge@[local_ip]:[local_port];lr>"
    there = "^ACK sip:inside@192.0.2.7:5099"
    far_end = callee(
        invited(),
        reply(180, headers=[f"Record-Route: {route}"], contact="<sip:inside@192.0.2.7:5099>"),
        reply(200, SDP, headers=[f"Record-Route: {route}"], contact="<sip:inside@192.0.2.7:5099>"),
        receive("ACK", check=[there, "Route: *<sip:edge@127.0.0.1:[0-9]+;lr>"]),
        receive("BYE", check=[there.replace("ACK", "BYE"), "Route: *<sip:edge@127.0.0.1:[0-9]+;lr>"]),
        reply(200, of="BYE"),
    )
    book = await stage.play(strategy, far_end, TALKS)
    assert book.connects() == ["connecting", "connected", "disconnected"]


TALKS = caller(invite(), provisionals(), response(200), ack(), pause(150), bye())
"""A caller who hangs up soon after the answer."""
