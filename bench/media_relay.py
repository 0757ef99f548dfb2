"""What relaying calls costs a media worker, and how much it delays them.

    python bench/media_relay.py --calls 100 --seconds 10
    python bench/media_relay.py --calls 100 --other PCMA
    python bench/media_relay.py --calls 100 --wants 30      (the far ends send 20 ms and want 30: paced)
    python bench/media_relay.py --calls 100 --srtp AES_CM_128_HMAC_SHA1_80      (one leg of each call)
    python bench/media_relay.py --calls 100 --play          (tones to every leg instead of a relay)
    python bench/media_relay.py --churn 2000                (open, join and close pairs)

The worker runs on the first core, the far ends (all calls in one other process) on the second.  Percentages
are CPU time, user and system, of the worker alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import select
import socket
import struct
import tempfile
import time
from multiprocessing.connection import Connection

from cordboard.media.clock import Clock
from cordboard.media.protocol import (
    EndpointClosed,
    EndpointOpened,
    Event,
    Format,
    PlaySource,
    Pong,
    SetRemote,
    Srtp,
    SrtpKeys,
    StartPlay,
)
from cordboard.media.srtp import Protection
from cordboard.sdp.crypto import KEY_LENGTHS
from cordboard.server.media_engine import MediaEngine

PAYLOAD_TYPES = {"PCMU": 0, "PCMA": 8}
FRAME = 0.020
_HEADER = struct.Struct("!BBHII")
_STAMP = struct.Struct("!d")
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> tuple[float, float]:
    """(user, system) of a process."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) / _TICKS_A_SECOND, int(fields[12]) / _TICKS_A_SECOND


# ------------------------------------------------------------------ the far ends


class FarEnd:
    """One leg's phone: sends a packet every 20 ms, reads the time of sending from what it hears."""

    __slots__ = ("payload_type", "put", "sequence", "server", "socket", "ssrc")

    def __init__(self, index: int, payload_type: int, suite: str = "") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.payload_type = payload_type
        self.ssrc = 0x1000 + index
        self.sequence = 1
        self.server = ("127.0.0.1", 0)
        protection = Protection(Clock())
        protection.use(_keys(suite, index) if suite else None)
        self.put = protection.protecting(self.socket.send)

    def send(self) -> None:
        """The next packet."""
        header = _HEADER.pack(0x80, self.payload_type, self.sequence & 0xFFFF, self.sequence * 160, self.ssrc)
        self.sequence += 1
        self.put(header + _STAMP.pack(time.monotonic()) + bytes(152))


def _keys(suite: str, index: int) -> Srtp:
    """The same in both directions: a bench has no secrets."""
    keys = SrtpKeys(suite=suite, key=index.to_bytes(KEY_LENGTHS[suite], "big"))
    return Srtp(send=keys, receive=keys)


def far_ends(pipe: Connection, payload_types: list[int], core: int, suite: str) -> None:
    """The process: tells its ports, is told the server's, then runs for the seconds it is told."""
    os.sched_setaffinity(0, {core})
    ends = [
        FarEnd(index, payload_type, suite if index % 2 == 0 else "")
        for index, payload_type in enumerate(payload_types)
    ]
    pipe.send([end.socket.getsockname()[1] for end in ends])
    for end, port in zip(ends, pipe.recv(), strict=True):
        end.socket.connect(("127.0.0.1", port))
    poll = select.epoll()
    by_number = {end.socket.fileno(): end.socket for end in ends}
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    while (seconds := pipe.recv()) is not None:
        pipe.send(_exchange(ends, poll, by_number, seconds))


def _exchange(
    ends: list[FarEnd], poll: select.epoll, by_number: dict[int, socket.socket], seconds: float
) -> dict[str, float]:
    """Send for so long, listen a little longer."""
    delays: list[float] = []
    sent = 0
    begin = time.monotonic()
    step = FRAME / len(ends)
    frames = int(seconds / FRAME) * len(ends)
    while sent < frames or time.monotonic() - begin < seconds + 0.3:
        due = min(frames, int((time.monotonic() - begin) / step))
        while sent < due:
            ends[sent % len(ends)].send()
            sent += 1
        for number, _ in poll.poll(0.001):
            data = by_number[number].recv(2048)
            delays.append(time.monotonic() - _STAMP.unpack_from(data, 12)[0])
    delays.sort()
    count = len(delays)
    return {
        "sent": sent,
        "received": count,
        "delay_ms_p50": round(delays[count // 2] * 1000, 2) if count else 0.0,
        "delay_ms_p99": round(delays[count * 99 // 100] * 1000, 2) if count else 0.0,
        "delay_ms_p999": round(delays[count * 999 // 1000] * 1000, 2) if count else 0.0,
    }


# ------------------------------------------------------------------ the server


class Bench:
    """An engine with one worker."""

    def __init__(self, directory: str, first_port: int) -> None:
        self.opened: dict[str, int] = {}
        self.closed = 0
        self.pong: asyncio.Future[Pong]
        self.engine = MediaEngine(
            workers=1,
            address="127.0.0.1",
            port_range=(first_port, first_port + 9999),
            directory=directory,
            on_event=self._heard,
            on_worker_died=lambda ids, sentence: print("DIED", len(ids), sentence),
        )

    def _heard(self, event: Event) -> None:
        if isinstance(event, EndpointOpened):
            self.opened[event.endpoint_id] = event.port
        elif isinstance(event, EndpointClosed):
            self.closed += 1
        elif isinstance(event, Pong):
            self.pong.set_result(event)

    async def settle(self) -> Pong:
        """Until all commands so far are carried out."""
        self.pong = asyncio.get_running_loop().create_future()
        self.engine.ping(1)
        return await self.pong


def _remote(endpoint_id: str, port: int, codec: str, wants: int = 20, srtp: Srtp | None = None) -> SetRemote:
    payload_type = PAYLOAD_TYPES[codec]
    return SetRemote(
        endpoint_id=endpoint_id,
        address="127.0.0.1",
        port=port,
        rtcp_port=port + 1,
        send=Format(name=codec, payload_type=payload_type, ptime_ms=wants),
        accepted=((payload_type, codec),),
        dtmf_send_type=101,
        dtmf_receive_type=101,
        srtp=srtp,
    )


async def relay(bench: Bench, options: argparse.Namespace) -> None:
    """Calls at rest, talking."""
    codecs = ["PCMU", options.other] * options.calls
    pipe, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=far_ends,
        args=(theirs, [PAYLOAD_TYPES[codec] for codec in codecs], options.load_core, options.srtp),
        daemon=True,
    )
    process.start()
    ports = await asyncio.to_thread(pipe.recv)
    ids = [f"leg-{index}" for index in range(len(codecs))]
    for index, (endpoint_id, port, codec) in enumerate(zip(ids, ports, codecs, strict=True)):
        srtp = _keys(options.srtp, index) if options.srtp and index % 2 == 0 else None
        bench.engine.open(endpoint_id)
        bench.engine.set_remote(_remote(endpoint_id, port, codec, options.wants, srtp))
    for index in range(0, len(ids), 2):
        bench.engine.join(ids[index], ids[index + 1])
    if options.play:
        for endpoint_id in ids:
            tone = (PlaySource(kind="ring", duration_ms=600_000),)
            bench.engine.play(StartPlay(endpoint_id=endpoint_id, play_id="p", sources=tone))
    await bench.settle()
    pipe.send([bench.opened[endpoint_id] for endpoint_id in ids])
    pipe.send(2.0)
    await asyncio.to_thread(pipe.recv)
    (pid,) = bench.engine.worker_pids()
    before, begin = cpu_seconds(pid), time.monotonic()
    pipe.send(options.seconds)
    result = await asyncio.to_thread(pipe.recv)
    after, took = cpu_seconds(pid), time.monotonic() - begin
    share = options.seconds / took
    user, system = ((b - a) / took / share * 100 for a, b in zip(before, after, strict=True))
    pong = await bench.settle()
    if options.play or options.other != "PCMU" or options.wants != 20 or options.srtp:
        # The payload is not what was sent: there is no time in it.
        result = {name: value for name, value in result.items() if "delay" not in name}
    result |= {
        "calls": options.calls,
        "codecs": f"PCMU-{options.other}",
        "srtp": options.srtp,
        "cpu_pct": round(user + system, 2),
        "user_pct": round(user, 2),
        "system_pct": round(system, 2),
        "tick_late_ms_p99": round(pong.tick_late_p99_ms, 2),
        "resident_kib": pong.resident_kib,
    }
    print(json.dumps(result))
    pipe.send(None)
    process.join(5)


async def churn(bench: Bench, options: argparse.Namespace) -> None:
    """Pairs opened, set up, joined and closed, a few at a time."""
    (pid,) = bench.engine.worker_pids()
    await asyncio.sleep(2)
    before, own = cpu_seconds(pid), time.process_time()
    for start in range(0, options.churn, 10):
        numbers = range(start, min(start + 10, options.churn))
        for number in numbers:
            for side in "ab":
                bench.engine.open(f"{number}{side}")
        await bench.settle()
        for number in numbers:
            for side in "ab":
                bench.engine.set_remote(_remote(f"{number}{side}", 9, "PCMU"))
            bench.engine.join(f"{number}a", f"{number}b")
        await bench.settle()
        for number in numbers:
            for side in "ab":
                bench.engine.close(f"{number}{side}")
        await bench.settle()
    after, own = cpu_seconds(pid), time.process_time() - own
    used = sum(after) - sum(before)
    print(
        json.dumps(
            {
                "pairs": options.churn,
                "closed": bench.closed,
                "worker_us_a_pair": round(used / options.churn * 1e6, 1),
                "engine_us_a_pair": round(own / options.churn * 1e6, 1),
            }
        )
    )


async def main(options: argparse.Namespace) -> None:
    """One engine, one measurement."""
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(directory, options.first_port)
        await bench.engine.start()
        for pid in bench.engine.worker_pids():
            os.sched_setaffinity(pid, {options.core})
        os.sched_setaffinity(0, {options.load_core})
        try:
            await (churn(bench, options) if options.churn else relay(bench, options))
        finally:
            await bench.engine.stop()


if __name__ == "__main__":
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--other", choices=sorted(PAYLOAD_TYPES), default="PCMU")
    parser.add_argument("--srtp", choices=sorted(KEY_LENGTHS), default="")
    parser.add_argument("--play", action="store_true")
    parser.add_argument("--wants", type=int, choices=(10, 20, 30, 40, 60), default=20)
    parser.add_argument("--churn", type=int, default=0)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--first-port", type=int, default=22000)
    asyncio.run(main(parser.parse_args()))
