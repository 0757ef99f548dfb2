"""The openssl program at either end of a TLS connection."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import PIPE, STDOUT, Process
from pathlib import Path

from .peers import free_ports, program

_OPTIONS = """\
OPTIONS sip:{to} SIP/2.0\r
Via: SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bK-openssl-{number};rport\r
From: <sip:openssl@127.0.0.1>;tag=openssl\r
To: <sip:{to}>\r
Call-ID: openssl-{number}@127.0.0.1\r
CSeq: {number} OPTIONS\r
Max-Forwards: 70\r
Content-Length: 0\r
\r
"""


class Openssl:
    """One running openssl."""

    def __init__(self, process: Process, port: int = 0) -> None:
        self.port = port
        """Where it listens."""
        self._process = process
        self._said = ""
        self._asked = 0

    async def said(self, *words: str, within: float = 10.0) -> str:
        """All that it has printed, as soon as one of the words is there, or it has ended."""
        assert self._process.stdout is not None
        async with asyncio.timeout(within):
            while not any(word in self._said for word in words):
                data = await self._process.stdout.read(65_536)
                if not data:
                    break
                self._said += data.decode("utf-8", "replace")
        return self._said

    async def options(self, to: str) -> str:
        """Send OPTIONS; all that was printed until the answer, or the end of the connection."""
        self._said = ""
        self._asked += 1
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(_OPTIONS.format(to=to, number=self._asked).encode())
            await self._process.stdin.drain()
        return await self.said("\r\n\r\n")

    async def stop(self) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._process.communicate()


class Openssls:
    """Starts openssls, and ends them."""

    def __init__(self) -> None:
        self._running: list[Openssl] = []

    async def client(self, server: str, *arguments: str, authority: Path) -> Openssl:
        """`s_client` of `address:port`, which goes on only with a server that it believes."""
        return await self._start(
            *("s_client", "-connect", server, "-CAfile", str(authority), "-verify_return_error"),
            *("-ign_eof", *arguments),
        )

    async def server(self, certificate: Path, *arguments: str) -> Openssl:
        """`s_server` on a port of its own; it prints what it is sent."""
        port = free_ports(1)
        started = await self._start(
            "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(certificate), *arguments, port=port
        )
        assert "ACCEPT" in await started.said("ACCEPT")
        return started

    async def stop(self) -> None:
        for one in self._running:
            await one.stop()

    async def _start(self, *arguments: str, port: int = 0) -> Openssl:
        process = await asyncio.create_subprocess_exec(
            program("openssl"), *arguments, stdin=PIPE, stdout=PIPE, stderr=STDOUT
        )
        self._running.append(Openssl(process, port))
        return self._running[-1]
