"""The server under test: a real `cordboard serve` with a configuration of its own, on one core."""

from __future__ import annotations

import re
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple

from bench.machine import LOOPBACK, CpuTime, children, cpu_time, resident_kib, settle_on

_PATIENCE = 20.0
_CONFIG = """\
[server]
data_directory = "data"
log_level = "warning"
max_calls = 20000

[sip]
port = 0

[http]
port = 0

[media]
workers = 1
port_min = 10000
port_max = 29999

[phones]
enabled = false

"""
_DOCUMENT_ROUTE = """\
[routes]
"*" = "document.yaml"
"""


class Cost(NamedTuple):
    """CPU time of the two kinds of process."""

    control: CpuTime
    workers: CpuTime

    @property
    def total(self) -> float:
        return self.control.total + self.workers.total

    def since(self, earlier: Cost) -> Cost:
        return Cost(self.control.since(earlier.control), self.workers.since(earlier.workers))


def connect_document(
    port: int, callbacks_to: str | None = None, *, before: tuple[str, ...] = (), more: tuple[str, ...] = ()
) -> str:
    """Connect the caller to a phone on this port, and report all states to `callbacks_to`.

    `before`: steps before the connect; `more`: further properties of it.
    """
    lines = [
        "version: 1.0.0",
        "sections:",
        "  main:",
        *(f"    - {step}" for step in before),
        "    - connect:",
        f"        to: sip:callee@{LOOPBACK}:{port}",
        "        answer_on_bridge: true",
        "        timeout: 20",
        *(f"        {line}" for line in more),
    ]
    if callbacks_to is not None:
        lines += [
            f"        call_state_url: {callbacks_to}",
            "        call_state_events: [created, ringing, answered, ended]",
            f"        status_url: {callbacks_to}",
        ]
    return "\n".join(lines) + "\n"


def write_config(directory: Path, document: str = "", sections: str = _DOCUMENT_ROUTE) -> Path:
    """What a server is started with; `sections`: those that differ, routes among them."""
    (directory / "document.yaml").write_text(document)
    path = directory / "cordboard.toml"
    path.write_text(_CONFIG + sections)
    return path


class Subject:
    """`with Subject(document, …) as server:` starts it, waits until it is ready, and stops it.

    `sections`: of its configuration, in place of the route to the document.
    """

    def __init__(
        self, document: str = "", *, sections: str = _DOCUMENT_ROUTE, core: int, priority: int = 0
    ) -> None:
        self._document = document
        self._sections = sections
        self._core = core
        self._priority = priority
        self._directory = tempfile.TemporaryDirectory(prefix="cordboard-bench-")
        self._log: IO[str]
        self._process: subprocess.Popen[str]
        self.port = 0
        """Of its SIP listener."""
        self.http_port = 0
        self.workers: list[int] = []

    def __enter__(self) -> Subject:
        directory = Path(self._directory.name)
        config = write_config(directory, self._document, self._sections)
        self._log = (directory / "log").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cordboard", "serve", str(config)],
            stdout=subprocess.PIPE,
            stderr=self._log,
            stdin=subprocess.DEVNULL,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
        try:
            # It has no threads and no workers yet: they inherit this.
            settle_on(self._core, self._priority, self.pid)
            self.port = self._wait_until_ready()
            self.workers = self._wait_for_workers()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def pid(self) -> int:
        """Of the control process."""
        return self._process.pid

    def cost(self) -> Cost:
        """What it has used since its start.  Raises RuntimeError if it has died."""
        if self._process.poll() is not None:
            raise RuntimeError(f"the server ended with {self._process.returncode}:\n{self.log()}")
        workers = [cpu_time(pid) for pid in self.workers]
        together = CpuTime(sum(w.user for w in workers), sum(w.system for w in workers))
        return Cost(cpu_time(self.pid), together)

    def resident_kib(self) -> tuple[int, int]:
        """(control process, workers)."""
        return resident_kib(self.pid), sum(resident_kib(pid) for pid in self.workers)

    def log(self) -> str:
        """Warnings and errors so far: "" if all is well."""
        self._log.flush()
        return Path(self._log.name).read_text()[-4000:]

    def wait_until_idle(self, patience: float = 30.0) -> None:
        """Until it uses less than a twentieth of a core (callbacks may still be on their way)."""
        deadline = time.monotonic() + patience
        before = self.cost()
        while time.monotonic() < deadline:
            time.sleep(0.4)
            now = self.cost()
            if now.since(before).total < 0.02:
                return
            before = now

    def _wait_until_ready(self) -> int:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            deadline = time.monotonic() + _PATIENCE
            while selector.select(max(0.0, deadline - time.monotonic())):
                line = self._process.stdout.readline()
                if found := re.search(r"ready: SIP on UDP \S+:(\d+)", line):
                    also = re.search(r"HTTP http://\S+:(\d+)", self._process.stdout.readline())
                    self.http_port = int(also[1]) if also else 0
                    return int(found[1])
                if not line:
                    break
        raise RuntimeError(f"the server does not start:\n{self.log()}")

    def _wait_for_workers(self) -> list[int]:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if found := children(self._process.pid):
                time.sleep(1.0)  # its imports are no cost of a call
                return found
            time.sleep(0.1)
        raise RuntimeError("the server has no media worker")

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()
        self._directory.cleanup()
