"""stunnel: another TLS between a program that speaks only TCP, such as Debian's SIPp, and the server.

One process a tunnel, which ends with all its connections; by itself after `PATIENCE` seconds, so that none
outlives a test run that was killed.  What it logs says which TLS was spoken.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path

from .peers import PATIENCE, bound, free_ports, program

_COMMON = """\
foreground = yes
pid =
syslog = no
debug = info
output = {log}
[tunnel]
accept = 127.0.0.1:{port}
connect = {onward}
sslVersion = {version}
TIMEOUTclose = 0
"""

TLS_1_2, TLS_1_3 = "TLSv1.2", "TLSv1.3"


class Stunnel:
    """One running stunnel."""

    def __init__(self, process: Process, port: int, log: Path) -> None:
        self.process = process
        self.port = port
        """Where it listens."""
        self._log = log

    @property
    def host_port(self) -> str:
        return f"127.0.0.1:{self.port}"

    def spoken(self) -> list[str]:
        """The version of each TLS connection that came about, in order."""
        return re.findall(r"\b(TLSv[0-9.]+) ciphersuite: ", self.log())

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    async def stop(self) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()  # `timeout` hands it on
        await self.process.wait()


class Stunnels:
    """Starts stunnels, and ends them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: list[Stunnel] = []

    async def before(
        self, port: int, certificate: Path, *, version: str = TLS_1_3, clients_of: Path | None = None
    ) -> Stunnel:
        """TLS comes in, TCP goes on to `port`; who shows no certificate of the authority `clients_of` is sent
        away."""
        lines = [f"cert = {certificate}"]
        if clients_of is not None:
            lines += [f"CAfile = {clients_of}", "requireCert = yes", "verifyChain = yes"]
        return await self._start(f"127.0.0.1:{port}", version, lines)

    async def towards(
        self,
        server: str,
        authority: Path,
        *,
        version: str = TLS_1_3,
        certificate: Path | None = None,
    ) -> Stunnel:
        """TCP comes in, TLS goes on to `server` (`address:port`), whose certificate must be for the address
        and of that authority; `certificate` is what it is shown."""
        address = server.rpartition(":")[0]
        lines = ["client = yes", f"CAfile = {authority}", "verifyChain = yes", f"checkIP = {address}"]
        if certificate is not None:
            lines.append(f"cert = {certificate}")
        return await self._start(server, version, lines)

    async def stop(self) -> None:
        for one in self._running:
            await one.stop()

    async def _start(self, onward: str, version: str, lines: list[str]) -> Stunnel:
        directory = self._directory / f"stunnel-{len(self._running)}"
        directory.mkdir(parents=True)
        port, log = free_ports(1), directory / "log"
        common = _COMMON.format(log=log, port=port, onward=onward, version=version)
        (directory / "config").write_text(common + "".join(f"{line}\n" for line in lines))
        process = await asyncio.create_subprocess_exec(
            *("timeout", str(PATIENCE), program("stunnel"), str(directory / "config")),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=DEVNULL,
        )
        self._running.append(Stunnel(process, port, log))
        await bound(port, process, log, transport="t1")
        return self._running[-1]
