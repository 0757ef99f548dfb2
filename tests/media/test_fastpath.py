"""The compiled way of packets: whatever comes, it does what Python would have done, and no more."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import select
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.media import fastpath
from cordboard.media.clock import Clock
from cordboard.media.fastpath import FastPath, Heads, Kind, Lane
from cordboard.media.protocol import Srtp
from cordboard.media.srtp import Protection, Way

from .both_ways import STEPS, Outcome, Setting, Step, play
from .endpoint_bench import WAYS, ByHand, Leg, compiled, rtp
from .test_endpoint_srtp import Phone, srtp

AT_ONCE = (1, 63, 64, 65, 192, 193, 256, 257, 300)
"""Packets of one turn: around what goes through the stages together, and what a turn can tell."""
FIRST = Heads((0x8000 << 48) + (1 << 32) + 160, (1 << 32) + 160, 7)
"""Of `rtp(1)`."""
LENGTH = 172

both_ways = pytest.mark.parametrize("way", WAYS)


# ---------------------------------------------------------------- the same as Python

_settings = st.builds(
    Setting,
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0, 100, 65_500, 65_535]),
    st.sampled_from([0, 8_000, 2**32 - 8_000, 2**32 - 160]),
)
_steps = st.builds(Step, st.sampled_from(list(STEPS)), st.integers(0, 255), st.binary(max_size=200))
_runs = st.builds(Step, st.just("run"), st.integers(0, 255))


@settings(max_examples=100, deadline=None)
@given(_settings, st.lists(st.one_of(_steps, _runs), max_size=30))
def test_whichever_way_packets_go_the_same_leaves_and_the_same_is_counted(
    setting: Setting, script: list[Step]
) -> None:
    compiled()
    assert play("compiled", setting, script) == play("python", setting, script)


@pytest.mark.parametrize("what", STEPS)
@pytest.mark.parametrize("setting", [Setting(), Setting(True, True, True, 65_500), Setting(True)])
def test_in_the_middle_of_a_run_anything_is_the_same_either_way(what: str, setting: Setting) -> None:
    compiled()
    surprises = [Step(what, number, b"some octets") for number in range(8)]
    script = [one for surprise in surprises for one in (Step("run", 5), surprise, Step("note"))]
    script += [Step("run", 5), *surprises, Step("run", 5)]
    assert play("compiled", setting, script) == play("python", setting, script)


def test_what_is_compared_is_something() -> None:
    compiled()
    played = [play(way, Setting(), [Step("run", 9), Step("digit")]) for way in WAYS]
    assert [len(one.heard) for one in played] == [303, 303]
    assert all(isinstance(one, Outcome) and "packets_received=303" in one.noted[0] for one in played)


# ---------------------------------------------------------------- legs


@pytest.fixture
def make_leg(way: str) -> Iterator[Callable[[], Leg]]:
    """All of one loop."""
    loop = ByHand(way)
    with ExitStack() as closing:
        closing.callback(loop.close)

        def make() -> Leg:
            leg = Leg(loop=loop, ssrc=1)
            closing.callback(leg.close)
            return leg

        yield make


def in_the_turn_of(control: Leg, command: Callable[[], object], *datagrams: tuple[Leg, bytes]) -> None:
    """`command` is a handler of the very turn in which the datagrams are found."""

    def handle() -> None:
        control.endpoint.ports.rtp.recv(10)
        command()

    control.loop.hand_over(control.endpoint.ports.rtp, handle)
    control.phone.sendto(b"now", control.server)
    for leg, data in datagrams:
        leg.phone.sendto(data, leg.server)
    control.loop.serve()


@both_ways
def test_what_came_for_a_leg_closed_in_that_turn_is_not_heard_by_the_next_with_its_file_number(
    make_leg: Callable[[], Leg],
) -> None:
    control, gone, other = make_leg(), make_leg(), make_leg()
    gone.set_remote(latch=False)
    gone.send(*(rtp(n) for n in range(3)))

    def command() -> None:
        gone.endpoint.close()
        other.set_remote(latch=False)

    in_the_turn_of(control, command, (gone, rtp(77)))
    assert other.endpoint.statistics().packets_received == 0
    other.send(rtp(1), rtp(2))
    assert other.endpoint.statistics().packets_received == 2


@both_ways
def test_a_leg_that_a_handler_closes_hears_nothing_more_of_that_turn(make_leg: Callable[[], Leg]) -> None:
    control, gone = make_leg(), make_leg()
    gone.set_remote(latch=False)
    gone.send(*(rtp(n) for n in range(3)))
    key = rtp(77, struct.pack("!BBH", 5, 0x8A, 800), 101)
    in_the_turn_of(control, gone.endpoint.close, (gone, key))
    assert gone.endpoint.statistics().packets_received == 3
    assert gone.events == []


@both_ways
def test_what_came_plain_is_not_heard_once_there_are_keys(make_leg: Callable[[], Leg]) -> None:
    control, leg = make_leg(), make_leg()
    leg.set_remote(latch=False)
    leg.send(*(rtp(n) for n in range(3)))
    in_the_turn_of(control, lambda: leg.set_remote(latch=False, srtp=srtp()), (leg, rtp(77)))
    assert leg.endpoint.statistics().packets_received == 3


@both_ways
def test_every_source_that_libsrtp_knows_is_remembered(make_leg: Callable[[], Leg]) -> None:
    """Else its memory would grow with every source that a far end thinks of."""

    def of(ssrc: int, packet: bytes) -> bytes:
        return packet[:8] + struct.pack("!I", ssrc) + packet[12:]

    def key(number: int, ssrc: int) -> bytes:
        return of(ssrc, rtp(number, struct.pack("!BBH", 9, 10, 160), 101))

    leg = make_leg()
    leg.set_remote(srtp=srtp())
    phone = Phone(leg, srtp())
    phone.says(rtp(0), rtp(1), key(2, 7), rtp(3), rtp(4))
    for ssrc in range(100, 108):
        phone.says(*(of(ssrc, rtp(n)) for n in range(1, 4)))
    phone.says(key(10, 107), rtp(30))
    direction = leg.endpoint._protection._receive
    assert direction is not None
    assert int.from_bytes(struct.pack("!I", 7), sys.byteorder) in direction._sources


@both_ways
def test_a_run_that_is_long_enough_is_counted_and_goes_on(make_leg: Callable[[], Leg]) -> None:
    leg, peer = make_leg(), make_leg()
    leg.set_remote()
    peer.set_remote()
    leg.endpoint.incoming.feed(peer.endpoint.outgoing)
    heard: list[bytes] = []
    for begin in range(0, 1000, 50):
        leg.send(*(rtp(begin + n) for n in range(50)))
        heard += peer.heard()
    # What the run has not told yet is less than one of them.
    assert leg.endpoint.incoming.statistics.received > 1000 - 260
    assert [packet[2:8] for packet in heard] == [
        struct.pack("!HI", n + first, n * 160 + start)
        for first, start in [struct.unpack("!HI", heard[0][2:8])]
        for n in range(1000)
    ]
    assert leg.endpoint.incoming.is_armed
    assert leg.endpoint.statistics().packets_received == 1000
    assert peer.endpoint.statistics().packets_sent == 1000


@both_ways
@pytest.mark.parametrize("later", [0.0, 6.0])
def test_keys_change_in_the_middle_of_a_run(make_leg: Callable[[], Leg], later: float) -> None:
    """`later`: seconds after which the old keys hold no more."""
    leg, peer = make_leg(), make_leg()
    old, new = srtp(), srtp(send=5, receive=6)
    leg.set_remote(srtp=old)
    peer.set_remote(srtp=old)
    leg.endpoint.incoming.feed(peer.endpoint.outgoing)
    speaker, listener = Phone(leg, old), Phone(peer, old)
    speaker.says(*(rtp(n) for n in range(20)))
    assert leg.endpoint.incoming.is_armed
    assert len(listener.hears()) == 20
    leg.set_remote(srtp=new)
    peer.set_remote(srtp=new)
    gc.collect()
    leg.clock.now += later
    speaker.says(*(rtp(n) for n in range(20, 30)))
    assert len(peer.heard()) == (0 if later else 10)
    begin = 20 if later else 30
    speaker, listener = Phone(leg, new), Phone(peer, new)
    speaker.says(*(rtp(n) for n in range(begin, begin + 20)))
    heard = listener.hears()
    assert len(heard) == 20
    assert None not in heard


# ---------------------------------------------------------------- lanes


class Told:
    """A passenger that writes down what it is told."""

    def __init__(self) -> None:
        self.accepted: list[bytes] = []
        self.ended = 0

    def accept(self, data: bytes) -> None:
        self.accepted.append(data)

    def disarm(self) -> None:
        self.ended += 1


class Lanes:
    """Sockets with lanes, all of one sender."""

    def __init__(self, closing: ExitStack) -> None:
        self._closing = closing
        self.fast = compiled()
        self.epoll = closing.enter_context(select.epoll())
        self.sender = self.udp()
        self.protection = Protection(Clock(0.0))
        self.readable: list[int] = []

    def udp(self) -> socket.socket:
        one = self._closing.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        one.bind(("127.0.0.1", 0))
        one.settimeout(5)
        return one

    def add(self, sink: Way = Way(-1)) -> tuple[socket.socket, Told, Lane]:  # noqa: B008
        """One with a run that begins with `FIRST`."""
        one, told = self.udp(), Told()
        one.connect(self.sender.getsockname())
        self.epoll.register(one.fileno(), select.EPOLLIN)
        lane = self.fast.lane(one, told, self.protection)
        assert lane is not None
        assert lane.arm(FIRST, LENGTH, FIRST, sink=sink, marks=32, table=None)
        return one, told, lane

    def send(self, to: socket.socket, data: bytes) -> None:
        self.sender.sendto(data, to.getsockname())

    def turn(self) -> int:
        found = self.fast.turn(self.epoll.fileno(), 0)
        for number, kind, data in self.fast.happened():
            if kind == Kind.READABLE:
                self.readable.append(number)
            elif (lane := self.fast.lane_of(number)) is not None:
                lane.tell(kind, data)
        return found


@pytest.fixture
def lanes() -> Iterator[Lanes]:
    with ExitStack() as closing:
        yield Lanes(closing)


@pytest.mark.parametrize("count", AT_ONCE)
@pytest.mark.parametrize("is_protected", [False, True])
def test_packets_that_surprise_all_arrive_however_many_come_at_once(
    lanes: Lanes, count: int, is_protected: bool
) -> None:
    keys = srtp()
    far_end = Protection(Clock(0.0))
    if is_protected:
        lanes.protection.use(keys)
        far_end.use(Srtp(send=keys.receive, receive=keys.send))
    added = [lanes.add() for _ in range(count)]
    plain = [rtp(70, b"%03d" % number * 50) for number in range(count)]
    sources = [packet[:8] + struct.pack("!I", 1000 + n) + packet[12:] for n, packet in enumerate(plain)]
    for (one, _, _), packet in zip(added, sources, strict=True):
        lanes.send(one, far_end.protect(packet))
    found = 0
    while turned := lanes.turn():
        found += turned
    assert found == count
    assert [told.accepted for _, told, _ in added] == [[packet] for packet in sources]


@pytest.mark.parametrize("count", AT_ONCE)
def test_packets_that_do_not_surprise_all_pass_however_many_come_at_once(lanes: Lanes, count: int) -> None:
    sink = lanes.udp()
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    out = lanes.udp()
    out.connect(sink.getsockname())
    added = [lanes.add(Way(out.fileno())) for _ in range(count)]
    numbered = [rtp(1, b"%04d" % number * 40) for number in range(count)]
    heard = []
    for begin in range(0, count, 100):
        # No more than the sink's memory takes, whatever the system allows it.
        part = slice(begin, begin + 100)
        for (one, _, _), packet in zip(added[part], numbered[part], strict=True):
            lanes.send(one, packet)
        while lanes.turn():
            pass
        heard += [sink.recv(2048) for _ in added[part]]
    assert sorted(heard) == sorted(numbered)
    assert all(told.accepted == [] for _, told, _ in added)
    assert all(lane.heads() == (FIRST.head + FIRST.step,) * 2 for _, _, lane in added)


def test_sockets_without_a_lane_are_told_to_be_readable_among_the_others(lanes: Lanes) -> None:
    bare = [lanes.udp() for _ in range(100)]
    added = []
    for one in bare:
        lanes.epoll.register(one.fileno(), select.EPOLLIN)
        added.append(lanes.add())
    for one, (other, _, _) in zip(bare, added, strict=True):
        lanes.send(one, b"x")
        lanes.send(other, b"y")
    lanes.turn()
    assert sorted(lanes.readable) == sorted(one.fileno() for one in bare)
    while any(not told.accepted for _, told, _ in added):
        assert lanes.turn()
    assert [told.accepted for _, told, _ in added] == [[b"y"]] * 100


def test_a_lane_that_was_closed_in_that_turn_is_told_nothing(lanes: Lanes) -> None:
    (first, told, _), (second, silent, lane) = lanes.add(), lanes.add()
    lanes.send(first, b"a")
    lanes.send(second, b"b")
    lanes.fast.turn(lanes.epoll.fileno(), 0)
    lane.close()
    found = [(lanes.fast.lane_of(number), kind, data) for number, kind, data in lanes.fast.happened()]
    assert [(kind, data) for _, kind, data in found] == [(Kind.RECEIVED, b"a"), (Kind.RECEIVED, b"b")]
    assert found[0][0] is not None
    assert found[1][0] is None
    lanes.send(second, b"c")
    lanes.turn()
    assert lanes.readable == [second.fileno()]
    assert (told.accepted, silent.accepted) == ([], [])


def test_a_run_ends_after_its_marks_and_says_so_once(lanes: Lanes) -> None:
    one, told, lane = lanes.add()
    assert lane.arm(FIRST, LENGTH, FIRST, sink=Way(-1), marks=2, table=None)
    for number in range(1, 18):
        lanes.send(one, rtp(number))
        lanes.turn()
    assert told.ended == 1
    assert [head >> 32 & 0xFFFF for head, _ in lane.take_marks()] == [8, 16]
    assert lanes.readable == [one.fileno()]
    assert told.accepted == []


def test_a_session_lives_as_long_as_a_run_uses_it(lanes: Lanes) -> None:
    """Also when the keys have changed and nobody has said so to the run yet."""
    sink = lanes.udp()
    out = lanes.udp()
    out.connect(sink.getsockname())
    keys = srtp()
    lanes.protection.use(keys)
    one, told, lane = lanes.add(lanes.protection.way_out(out.fileno()))
    far_end = Protection(Clock(0.0))
    far_end.use(Srtp(send=keys.receive, receive=keys.send))
    lanes.protection.use(srtp(send=7, receive=8))
    lanes.protection.use(None)
    gc.collect()
    # What was freed would be taken by these.
    others = [Protection(Clock(0.0)) for _ in range(50)]
    for number, other in enumerate(others):
        other.use(srtp(send=10 + number, receive=70 + number))
    for number in range(1, 200):
        lanes.send(one, far_end.protect(rtp(number)))
        lanes.turn()
        assert far_end.open(sink.recv(2048)) == rtp(number)
    assert told.accepted == []
    assert lane.take_unsent() == 0


def test_what_the_system_does_not_take_is_counted(lanes: Lanes) -> None:
    out = lanes.udp()
    one, _, lane = lanes.add(Way(out.fileno()))
    lanes.send(one, rtp(1))
    lanes.turn()
    assert lane.take_unsent() == 1
    assert lane.take_unsent() == 0


def test_what_is_not_authentic_is_counted_and_the_run_goes_on(lanes: Lanes) -> None:
    keys = srtp()
    lanes.protection.use(keys)
    far_end = Protection(Clock(0.0))
    far_end.use(Srtp(send=keys.receive, receive=keys.send))
    one, told, lane = lanes.add()
    sealed = far_end.protect(rtp(1))
    for data in (sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed):
        lanes.send(one, data)
        lanes.turn()
    lane.take_unsent()
    assert lanes.protection.refused == 1
    assert lane.heads()[0] == FIRST.head + FIRST.step
    assert told.accepted == []


def test_a_turn_on_what_is_closed_is_an_error() -> None:
    fast = compiled()
    with select.epoll() as epoll:
        number = epoll.fileno()
    with pytest.raises(OSError, match="epoll"):
        fast.turn(number, 0)


def test_a_socket_that_is_closed_has_no_lane() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        pass
    assert compiled().lane(one, Told(), Protection(Clock(0.0))) is None


# ---------------------------------------------------------------- what is loaded


Loading = Callable[[str | None], FastPath | None]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Loading:
    """As if that file had been compiled, or none."""

    def found(origin: str | None) -> FastPath | None:
        spec = None if origin is None else ModuleSpec("cordboard.media._fastpath", None, origin=origin)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
        return fastpath.load()

    return found


def test_without_it_there_is_none(load: Loading) -> None:
    assert load(None) is None


def test_a_foreign_library_is_refused(load: Loading) -> None:
    libc = "libc.so.6"
    assert ctypes.CDLL(libc)._name == libc
    assert load(libc) is None


def test_what_is_no_library_is_refused(load: Loading, tmp_path: Path) -> None:
    file = tmp_path / "_fastpath.so"
    assert load(str(file)) is None
    file.write_bytes(b"no library")
    assert load(str(file)) is None


@pytest.mark.parametrize("other", [None, *range(len(fastpath._LAYOUT))])
def test_another_layout_is_refused(load: Loading, tmp_path: Path, other: int | None) -> None:
    """`other`: which of its figures differs."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    figures = ", ".join(str(figure + (at == other)) for at, figure in enumerate(fastpath._LAYOUT))
    source, library = tmp_path / "other.c", tmp_path / "other.so"
    source.write_text(
        "int fastpath_turn(void *turn, int epoll, int milliseconds) { return 0; }\n"
        "long long fastpath_layout(int at) {\n"
        f"    static const long long all[] = {{ {figures} }};\n"
        "    return all[at];\n"
        "}\n"
    )
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    assert (load(str(library)) is None) == (other is not None)
