"""baresip as a phone: a real user agent with its own SIP stack, media and jitter buffer.

It says a tone out of a file, and writes what it hears to another (module `sndfile`); it is steered over its
control connection (module `ctrl_tcp`: JSON in netstrings).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import wave
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cordboard.media.tones import ToneMeter, tone

from .peers import bound, free_ports, program

_CONFIG = """\
sip_listen 127.0.0.1:{port}
net_interface 127.0.0.1
rtp_ports {rtp}-{rtp_end}
ctrl_tcp_listen 127.0.0.1:{control}
audio_source aufile,{directory}/says.wav
audio_player aubridge,ear
audio_alert aubridge,bell
snd_path {directory}
module_path {modules}
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
{more}module_app account.so
module_app menu.so
module_app ctrl_tcp.so
"""
_NEEDED = ("g711", "aufile", "aubridge", "sndfile", "account", "menu", "ctrl_tcp")
_PLACES = (
    "/usr/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/local/lib",
)
_SAYS_SECONDS = 60
_LASTS_S = 90
"""It leaves by itself then, so that none outlives a test run that was killed."""


class TlsPapers(NamedTuple):
    """PEM files of a phone that speaks TLS: its chain with the key, and whom it believes."""

    certificate: Path
    authority: Path


class Baresip:
    """One running baresip; it takes every call at once."""

    def __init__(
        self,
        name: str,
        tone_hz: float,
        directory: Path,
        encryption: str = "",
        tls: TlsPapers | None = None,
    ) -> None:
        self.name = name
        self.tone_hz = tone_hz
        self.port = free_ports(16)
        self.events: list[dict[str, Any]] = []
        self._directory = directory
        self._encryption = encryption
        self._tls = tls
        self._came = asyncio.Event()
        self._process: Process
        self._writer: asyncio.StreamWriter
        self._reading: asyncio.Task[None]

    @property
    def uri(self) -> str:
        """How it is dialled."""
        if self._tls is not None:  # its TLS port is the one after the other
            return f"sip:{self.name}@127.0.0.1:{self.port + 1};transport=tls"
        return f"sip:{self.name}@127.0.0.1:{self.port}"

    # ------------------------------------------------------------ life

    async def start(self) -> None:
        self._write_files()
        with (self._directory / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(program("baresip"), "-f", str(self._directory), "-t", str(_LASTS_S)),
                cwd=self._directory,
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
            )
        await bound(self.port, self._process, self._directory / "log")
        reader, self._writer = await self._connect()
        self._reading = asyncio.create_task(self._read(reader))

    async def stop(self) -> None:
        if hasattr(self, "_reading"):
            self._reading.cancel()
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
        if hasattr(self, "_process"):
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def _write_files(self) -> None:
        self._directory.mkdir(parents=True)
        settings = {
            "port": self.port,
            "control": self.port + 4,
            "rtp": self.port + 6,
            "rtp_end": self.port + 15,
            "directory": self._directory,
            "modules": _modules(),
            "more": "module srtp.so\n" if self._encryption else "",
        }
        secure = ""
        if self._tls is not None:
            secure = f"sip_certificate {self._tls.certificate}\nsip_cafile {self._tls.authority}\n"
        (self._directory / "config").write_text(secure + _CONFIG.format(**settings))
        account = f"<{self.uri}>;regint=0;answermode=auto"
        if self._encryption:
            account += f";mediaenc={self._encryption}"
        (self._directory / "accounts").write_text(f"{account}\n")
        (self._directory / "contacts").write_text("")
        with wave.open(str(self._directory / "says.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(tone([self.tone_hz], _SAYS_SECONDS * 1000))

    # ------------------------------------------------------------ control

    async def dial(self, uri: str) -> None:
        await self._command("dial", uri)

    async def hang_up(self) -> None:
        await self._command("hangup")

    async def until(self, event: str, within: float = 30.0) -> None:
        """Wait for an event such as `CALL_ESTABLISHED` or `CALL_CLOSED`."""
        try:
            async with asyncio.timeout(within):
                while event not in self.kinds():
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise AssertionError(f"baresip {self.name} did not come to {event}: {self.events}") from None

    def kinds(self) -> list[str]:
        return [str(event.get("type")) for event in self.events]

    async def _command(self, command: str, parameters: str = "") -> None:
        text = json.dumps({"command": command, "params": parameters}).encode()
        self._writer.write(b"%d:%s," % (len(text), text))
        await self._writer.drain()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(20.0):
            while True:
                try:
                    return await asyncio.open_connection("127.0.0.1", self.port + 4)
                except ConnectionRefusedError:
                    await asyncio.sleep(0.02)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int((await reader.readuntil(b":"))[:-1])
                message = json.loads((await reader.readexactly(length + 1))[:-1])
                if message.get("event"):
                    self.events.append(message)
                    self._came.set()

    # ------------------------------------------------------------ ears

    def heard(self, *candidates: float) -> list[float]:
        """The tones that it heard, as often as a tenth of a second was filled with one; after its call."""
        pcm = b"".join(_samples(path) for path in sorted(self._directory.glob("dump-*-dec.wav")))
        readings = ToneMeter(candidates).feed(pcm)
        return [reading.frequency for reading in readings if reading.frequency is not None]


def _samples(path: Path) -> bytes:
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        return file.readframes(file.getnframes())


def _modules() -> Path:
    for place in _PLACES:
        modules = Path(place) / "baresip" / "modules"
        if modules.is_dir():
            missing = [name for name in _NEEDED if not (modules / f"{name}.so").exists()]
            if missing:
                pytest.skip(f"this baresip has no module {', '.join(missing)}")
            return modules
    pytest.skip("the modules of baresip were not found")


class Baresips:
    """Starts baresips, and ends them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: list[Baresip] = []

    async def phone(
        self, name: str, tone_hz: float, encryption: str = "", *, tls: TlsPapers | None = None
    ) -> Baresip:
        """`encryption`: `srtp` (RTP/AVP with keys), `srtp-mand` (RTP/SAVP), or none."""
        phone = Baresip(name, tone_hz, self._directory / f"baresip-{name}", encryption, tls)
        self._running.append(phone)
        await phone.start()
        return phone

    async def stop(self) -> None:
        for phone in self._running:
            await phone.stop()
