"""A server process for clients of RELAY, that can be asked what it holds."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cordboard.sip.timers import Timers

from .remains import until
from .subject import Subject

PROJECT, TOKEN = "soak", "token-of-the-soak"
OTHER, OTHER_TOKEN = "other", "token-of-the-other"


class RelaySubject(Subject):
    """Every number goes to the clients of the context with its name; `write({})`, then `async with`."""

    def __init__(
        self,
        directory: Path,
        *,
        ports: int = 400,
        workers: int = 1,
        numbers: Iterable[str] = ("office",),
        session_timeout: float = 300.0,
        offer_timeout: float = 20.0,
        trunk: str = "",
        timers: Timers | None = None,
    ) -> None:
        """`trunk`: `address:port` of a phone bank that has numbers."""
        super().__init__(directory, ports=ports, workers=workers)
        self._counts = directory / "counts.json"
        t = timers or Timers()
        script = Path(__file__).with_name("inspected.py")
        self._program = (str(script), str(self._counts), str(t.t1), str(t.t2), str(t.t4))
        self._numbers = list(numbers)
        self._session_timeout = session_timeout
        self._offer_timeout = offer_timeout
        self._trunk = trunk

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/"

    def _lines(self, numbers: Iterable[str]) -> Iterable[str]:
        yield from super()._lines(numbers)
        for number in self._numbers:
            offered = f'context = "{number}", project = "{PROJECT}", offer_timeout = {self._offer_timeout}'
            yield f"{json.dumps(number)} = {{ {offered} }}"
        yield f"[relay]\nsession_timeout = {self._session_timeout}"
        yield f'[projects.{PROJECT}]\ntokens = ["{TOKEN}"]\n[projects.{OTHER}]\ntokens = ["{OTHER_TOKEN}"]'
        if self._trunk:
            yield f'[trunks.bank]\naddress = "{self._trunk}"\nallowed_prefixes = ["+1555"]'

    async def counts(self) -> dict[str, Any]:
        """What it holds now, and its defects."""
        self._counts.unlink(missing_ok=True)
        os.kill(self.pid, signal.SIGUSR1)
        await until(self._counts.exists, 30.0, lambda: "the server does not say what it holds")
        told: dict[str, Any] = json.loads(self._counts.read_text())
        return told
