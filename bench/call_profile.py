"""What one call costs in the control process, counted: Python functions and C functions of a connected call.

    python bench/call_profile.py [--calls 300] [--rounds 12] [--top 40] [--callbacks] [--own]

A real server in this process, its store and a media worker included, and far ends that only fill in
texts: calls through a document with one `connect` and `answer_on_bridge`, each INVITE, 180, 200, ACK and
BYE on both legs.  Messages are handed over without sockets.  The counts are the same on every machine and
in every minute, to a hundredth; the time is that of the best round.  `PYTHONPATH=OTHER/src` measures
another state of the server with this harness.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import logging
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import CodeType
from typing import Any

import uvloop

from bench.subject import connect_document
from cordboard.server.config import Config
from cordboard.server.server import Server
from cordboard.sip.endpoint import Endpoint

_CALLER = Endpoint("UDP", "127.0.0.1", 5071)
_CALLEE = Endpoint("UDP", "127.0.0.1", 5072)
_AT_ONCE = 8
_WARM_UP = 400
_PATIENCE = 60.0
_GC_THRESHOLDS = (50_000, 20, 50)
"""As `cordboard serve` has them."""
_HERE = str(Path(__file__))

_OFFER = (
    "v=0\r\no=caller 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
)
_ANSWER = (
    "v=0\r\no=callee 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"
)
_ECHOED = re.compile(rb"\r\n((?:Via|From|To|Call-ID|CSeq):[^\r]*)")


class FarEnds:
    """The caller and the callee of every call."""

    def __init__(self, to_server: Callable[[bytes, Endpoint], None], port: int) -> None:
        self._to_server = to_server
        self._port = port
        self._numbers = count(1)
        self.left = 0
        """Calls that have not ended; those that have not begun begin as others end."""
        self.waiting = 0
        self.all_ended: asyncio.Future[None]

    def call(self, calls: int) -> asyncio.Future[None]:
        """So many, a few at once; done with the end of the last.  It fails if one is refused."""
        self.all_ended = asyncio.get_running_loop().create_future()
        self.left = self.waiting = calls
        for _ in range(min(_AT_ONCE, calls)):
            self._begin()
        return self.all_ended

    def _begin(self) -> None:
        self.waiting -= 1
        number = next(self._numbers)
        head = (
            f"INVITE sip:+15550100@127.0.0.1:{self._port} SIP/2.0\r\n{_via(number, 'i')}"
            "Max-Forwards: 70\r\n"
            f'From: "Caller" <sip:caller@{_CALLER.host_port}>;tag=a{number}\r\n'
            f"To: <sip:+15550100@127.0.0.1:{self._port}>\r\nCall-ID: {number}-bench@127.0.0.1\r\n"
            f"CSeq: 1 INVITE\r\nContact: <sip:caller@{_CALLER.host_port}>\r\n"
            "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nUser-Agent: bench\r\n"
        )
        self._to_server(_with_body(head, _OFFER, number), _CALLER)

    def sent(self, data: bytes, destination: Endpoint) -> None:
        """What the server sends."""
        if destination.port == _CALLER.port:
            self._caller_gets(data)
        else:
            self._callee_gets(data)

    def _caller_gets(self, data: bytes) -> None:
        if data.startswith(b"SIP/2.0 1"):
            return
        if not data.startswith(b"SIP/2.0 200"):
            self.all_ended.set_exception(RuntimeError(f"a call failed: {data.decode()}"))
            return
        number = _found(rb"\r\nCall-ID: (\d+)", data)
        if b" INVITE\r\n" in data:
            to = _found(rb"\r\nTo: ([^\r]*)", data)
            for method, step in (("ACK", 1), ("BYE", 2)):
                self._to_server(self._in_dialog(method, step, int(number), to), _CALLER)
        else:
            self._ended()

    def _ended(self) -> None:
        self.left -= 1
        if self.waiting:
            self._begin()
        elif not self.left:
            self.all_ended.set_result(None)

    def _in_dialog(self, method: str, step: int, number: int, to: str) -> bytes:
        return (
            f"{method} sip:127.0.0.1:{self._port} SIP/2.0\r\n{_via(number, method)}Max-Forwards: 70\r\n"
            f'From: "Caller" <sip:caller@{_CALLER.host_port}>;tag=a{number}\r\n'
            f"To: {to}\r\nCall-ID: {number}-bench@127.0.0.1\r\n"
            f"CSeq: {step} {method}\r\nContent-Length: 0\r\n\r\n"
        ).encode()

    def _callee_gets(self, data: bytes) -> None:
        if data.startswith(b"INVITE"):
            self._answer(data, "180 Ringing")
            self._answer(data, "200 OK", _ANSWER)
        elif data.startswith(b"BYE"):
            self._answer(data, "200 OK")
        else:
            assert data.startswith(b"ACK"), data

    def _answer(self, request: bytes, status: str, body: str = "") -> None:
        echoed = [line.decode() for line in _ECHOED.findall(request)]
        lines = [
            f"{line};tag=b" if line.startswith("To:") and "tag=" not in line else line for line in echoed
        ]
        head = f"SIP/2.0 {status}\r\n" + "\r\n".join(lines) + "\r\n"
        head += f"Contact: <sip:callee@{_CALLEE.host_port}>\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\n"
        self._to_server(_with_body(head, body, 1), _CALLEE)


def _via(number: int, what: str) -> str:
    return f"Via: SIP/2.0/UDP {_CALLER.host_port};branch=z9hG4bK-{number}-{what}\r\n"


def _with_body(head: str, body: str, number: int) -> bytes:
    body = body.format(port=40_000 + number * 2 % 10_000)
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return f"{head}{kind}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def _found(pattern: bytes, data: bytes) -> str:
    found = re.search(pattern, data)
    assert found is not None, data
    return found[1].decode()


class Bench:
    """A server and its far ends in one loop."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._far_ends = FarEnds(self._to_server, server.socket.local.port)
        server.exchange._send = self._sent

    def _to_server(self, data: bytes, source: Endpoint) -> None:
        # Each in a turn of the loop of its own, as from a socket.
        self._loop.call_later(0.0, self._server.exchange.received, data, source)

    def _sent(self, data: bytes, destination: Endpoint) -> None:
        self._loop.call_later(0.0, self._far_ends.sent, data, destination)

    async def run(self, calls: int) -> None:
        """So many calls; returns when the last has left nothing behind but transactions."""
        async with asyncio.timeout(_PATIENCE):
            await self._far_ends.call(calls)
            await self._server.exchange.quiet()
        await self._server.store.flush()
        self._server.exchange.sip_log.sweep(everything=True)
        await self._server.store.flush()


async def measure(options: argparse.Namespace, directory: Path) -> None:
    async with Server(_config(directory, options.callbacks), directory=directory) as server:
        bench = Bench(server)
        await bench.run(_WARM_UP)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        await _time(bench, options)
        profile = cProfile.Profile()
        profile.enable()
        await bench.run(options.calls)
        profile.disable()
        _tell(profile, options)
        assert server.exchange.switchboard.defects == 0


async def _time(bench: Bench, options: argparse.Namespace) -> None:
    """All threads of the control process, and the loop alone; the far ends are in it."""
    rounds = []
    for _ in range(options.rounds):
        everything, loop = time.process_time(), time.thread_time()
        await bench.run(options.calls)
        loop = time.thread_time() - loop
        rounds.append((time.process_time() - everything, loop))
    for name, which in (("best", min(rounds)), ("middle", sorted(rounds)[len(rounds) // 2])):
        together, loop = (seconds / options.calls * 1e6 for seconds in which)
        print(f"{name:6} round  {together:6.0f} us a call, of them {loop:6.0f} in the loop's thread")


def _tell(profile: cProfile.Profile, options: argparse.Namespace) -> None:
    python: Counter[str] = Counter()
    own: Counter[str] = Counter()
    compiled: Counter[str] = Counter()
    for entry in profile.getstats():
        code: CodeType | str = entry.code
        if isinstance(code, str):
            compiled[code] += entry.callcount
        elif code.co_filename != _HERE:
            name = f"{_short(code.co_filename)}:{code.co_qualname}"
            python[name] += entry.callcount
            own[name] += int(entry.inlinetime * 1e6)
    calls = options.calls
    print(f"{python.total() / calls:.0f} Python functions a call, {compiled.total() / calls:.0f} C functions")
    packages: Counter[str] = Counter()
    for name, number in python.items():
        packages[re.split(r"[/:]", name)[0]] += number
    print("  ".join(f"{name} {number / calls:.0f}" for name, number in packages.most_common(14)))
    ranked: Counter[Any] = own if options.own else python
    for name, _ in ranked.most_common(options.top):
        print(f"{python[name] / calls:7.2f} calls {own[name] / calls:7.2f} us  {name}")
    if options.compiled:
        for name, number in compiled.most_common(options.top):
            print(f"{number / calls:7.2f} {name}")


def _short(path: str) -> str:
    parts = Path(path).parts
    return "/".join(parts[parts.index("cordboard") + 1 :]) if "cordboard" in parts else "/".join(parts[-2:])


def _config(directory: Path, callbacks: bool) -> Config:
    document = directory / "document.yaml"
    document.write_text(connect_document(_CALLEE.port, "http://127.0.0.1:9/" if callbacks else None))
    return Config.model_validate(
        {
            "server": {"data_directory": str(directory / "data"), "max_calls": 20_000},
            "sip": {"port": 0},
            "http": {"port": 0},
            "media": {"workers": 1, "port_min": 10_000, "port_max": 29_999},
            "phones": {"enabled": False},
            "routes": {"*": str(document)},
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=300, help="in each round")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--top", type=int, default=40)
    parser.add_argument("--callbacks", action="store_true", help="all states are stored for a callback")
    parser.add_argument("--own", action="store_true", help="by time instead of by count")
    parser.add_argument("--compiled", action="store_true", help="C functions too")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    with (
        tempfile.TemporaryDirectory(prefix="cordboard-bench-") as name,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(measure(options, Path(name)))


if __name__ == "__main__":
    main()
