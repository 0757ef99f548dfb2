"""What transcoding calls costs a media worker.

    python bench/media_transcoding.py --calls 100 --pair PCMU G722 --seconds 10
    python bench/media_transcoding.py --pair PCMU OPUS

Every call is talked on from both sides all the time.  The worker runs on the first core, the far ends (one
process, which sends what it encoded before) on the second.  Percentages are CPU time of the worker alone,
user and system; microseconds are the same for each packet that came.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import multiprocessing
import os
import select
import socket
import struct
import tempfile
import time
from multiprocessing.connection import Connection

from bench.media_relay import FRAME, Bench, cpu_seconds
from cordboard.media.codecs import catalogue
from cordboard.media.codecs.codec import Wish
from cordboard.media.protocol import Format, SetRemote

FORMATS = {
    "PCMU": Format(name="PCMU", payload_type=0),
    "PCMA": Format(name="PCMA", payload_type=8),
    "G722": Format(name="G722", payload_type=9),
    "OPUS": Format(name="OPUS", payload_type=96, clock_rate=48000, channels=2),
    "L16": Format(name="L16", payload_type=97, clock_rate=16000),
}
_LOOP = 100


def payloads(format_: Format) -> list[bytes]:
    """Two seconds of harmonics, loud and soft."""
    codec = catalogue.codec(catalogue.encoding_of(format_.name, format_.clock_rate))
    assert codec.make_encoder is not None
    rate = codec.rate_for(16000)
    encoder = codec.make_encoder(rate, Wish())
    size = rate // 50
    made = []
    for number in range(_LOOP):
        times = [(number * size + n) / rate for n in range(size)]
        samples = [
            round(
                5000
                * (0.2 + 0.8 * math.sin(9 * t) ** 2)
                * sum(math.sin(2 * math.pi * 140 * k * t) / k for k in range(1, 9))
            )
            for t in times
        ]
        made.append(encoder.encode(struct.pack(f"<{size}h", *samples)))
    return made


def far_ends(pipe: Connection, formats: list[Format], core: int) -> None:
    """The process: tells its ports, is told the server's, then talks for the seconds it is told."""
    os.sched_setaffinity(0, {core})
    spoken = {format_.name: payloads(format_) for format_ in formats[:2]}
    ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in formats]
    poll = select.epoll()
    for end in ends:
        end.bind(("127.0.0.1", 0))
        end.setblocking(False)
        poll.register(end.fileno(), select.EPOLLIN)
    by_number = {end.fileno(): end for end in ends}
    pipe.send([end.getsockname()[1] for end in ends])
    for end, port in zip(ends, pipe.recv(), strict=True):
        end.connect(("127.0.0.1", port))
    sent = received = 0
    while (seconds := pipe.recv()) is not None:
        begin, before = time.monotonic(), received
        frames = int(seconds / FRAME) * len(ends)
        last = sent + frames
        first = sent
        while sent < last or time.monotonic() - begin < seconds + 0.2:
            due = min(last, first + int((time.monotonic() - begin) / FRAME * len(ends)))
            while sent < due:
                number, index = divmod(sent, len(ends))
                format_ = formats[index]
                stamp = number * format_.clock_rate // 50
                header = struct.pack("!BBHII", 0x80, format_.payload_type, number & 0xFFFF, stamp, index)
                ends[index].send(header + spoken[format_.name][number % _LOOP])
                sent += 1
            for number, _ in poll.poll(0.001):
                by_number[number].recv(2048)
                received += 1
        pipe.send((frames, received - before))


async def measure(bench: Bench, options: argparse.Namespace) -> None:
    """Calls at rest, talking."""
    formats = [FORMATS[name] for name in options.pair] * options.calls
    pipe, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=far_ends, args=(theirs, formats, options.load_core), daemon=True)
    process.start()
    ports = await asyncio.to_thread(pipe.recv)
    ids = [f"leg-{index}" for index in range(len(formats))]
    for endpoint_id, port, format_ in zip(ids, ports, formats, strict=True):
        bench.engine.open(endpoint_id)
        bench.engine.set_remote(
            SetRemote(
                endpoint_id=endpoint_id,
                address="127.0.0.1",
                port=port,
                rtcp_port=port + 1,
                send=format_,
                accepted=((format_.payload_type, format_.name),),
                dtmf_send_type=101,
                dtmf_receive_type=101,
                dtmf_clock_rate=format_.clock_rate,
            )
        )
    for index in range(0, len(ids), 2):
        bench.engine.join(ids[index], ids[index + 1])
    await bench.settle()
    pipe.send([bench.opened[endpoint_id] for endpoint_id in ids])
    pipe.send(2.0)
    await asyncio.to_thread(pipe.recv)
    (pid,) = bench.engine.worker_pids()
    before = cpu_seconds(pid)
    pipe.send(options.seconds)
    sent, received = await asyncio.to_thread(pipe.recv)
    user, system = (b - a for a, b in zip(before, cpu_seconds(pid), strict=True))
    pong = await bench.settle()
    print(
        json.dumps(
            {
                "calls": options.calls,
                "codecs": "-".join(options.pair),
                "sent": sent,
                "received": received,
                "cpu_pct": round((user + system) / options.seconds * 100, 1),
                "user_pct": round(user / options.seconds * 100, 1),
                "us_a_packet": round((user + system) / sent * 1e6, 1),
                "tick_late_ms_p99": round(pong.tick_late_p99_ms, 2),
                "resident_kib": pong.resident_kib,
            }
        )
    )
    pipe.send(None)
    process.join(5)


async def main(options: argparse.Namespace) -> None:
    """One engine, one measurement."""
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(directory, options.first_port)
        await bench.engine.start()
        for pid in bench.engine.worker_pids():
            os.sched_setaffinity(pid, {options.core})
        os.sched_setaffinity(0, {options.load_core})
        try:
            await measure(bench, options)
        finally:
            await bench.engine.stop()


if __name__ == "__main__":
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--pair", nargs=2, choices=sorted(FORMATS), default=["PCMU", "G722"])
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--first-port", type=int, default=22000)
    asyncio.run(main(parser.parse_args()))
