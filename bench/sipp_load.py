"""SIPp at both ends: a caller and a callee with scenarios of ours, on one core, and what they count."""

from __future__ import annotations

import csv
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench.machine import LOOPBACK, free_port, settle_on, sipp_path

_SCENARIOS = Path(__file__).parent / "sipp"
_CALLER_MEDIA, _CALLEE_MEDIA = 40_000, 50_000


class SippError(Exception):
    """SIPp is not installed, or does not start."""


class LoadResult(NamedTuple):
    """What the two SIPp processes have seen."""

    asked: int
    succeeded: int
    retransmissions: int
    """Of requests and of the 200, by either side."""
    setup_ms: list[float]
    """INVITE to 200 of each call, sorted."""
    seconds: float

    @property
    def failed(self) -> int:
        return self.asked - self.succeeded

    @property
    def is_clean(self) -> bool:
        return self.failed == 0 and self.retransmissions == 0

    def setup(self, share: float) -> float:
        """The quantile of the set-up times in ms; 0.0 without any."""
        return quantile(self.setup_ms, share)


def quantile(ordered: list[float], share: float) -> float:
    """Of a sorted list; 0.0 if it is empty."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


class Callee:
    """A SIPp that answers every call; a context manager."""

    def __init__(self, *, core: int, priority: int = 0) -> None:
        self.port = free_port()
        self._core = core
        self._priority = priority
        self._directory = tempfile.TemporaryDirectory(prefix="cordboard-callee-")
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Callee:
        directory = Path(self._directory.name)
        arguments = ["-sf", str(_SCENARIOS / "callee.xml"), "-p", str(self.port)]
        arguments += ["-mp", str(free_port(even_from=_CALLEE_MEDIA))]
        self._process = _start(arguments, directory, self._core, self._priority)
        time.sleep(0.7)
        if self._process.poll() is not None:
            raise SippError(f"the callee does not start: {_said(directory)}")
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._directory.cleanup()

    def retransmissions(self) -> int:
        """So far; its file is a second old at most."""
        return _last_row(Path(self._directory.name) / "statistics.csv").get("Retransmissions(C)", 0)


def place_calls(
    callee: Callee, port: int, *, rate: int, seconds: float, core: int, priority: int = 0
) -> LoadResult:
    """`rate` calls a second for so long, to `port`; returns when all have ended."""
    asked = int(rate * seconds)
    resent = callee.retransmissions()
    with tempfile.TemporaryDirectory(prefix="cordboard-caller-") as name:
        directory = Path(name)
        arguments = [f"{LOOPBACK}:{port}", "-sf", str(_SCENARIOS / "caller.xml"), "-p", str(free_port())]
        arguments += [
            "-s",
            "+15550100",
            "-mp",
            str(free_port(even_from=_CALLER_MEDIA)),
            "-trace_rtt",
            "-rtt_freq",
            "1",
        ]
        arguments += ["-r", str(rate), "-m", str(asked), "-l", "50000", "-timeout", f"{int(seconds) + 30}s"]
        began = time.monotonic()
        process = _start(arguments, directory, core, priority)
        try:
            process.wait(seconds + 60)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        took = time.monotonic() - began
        time.sleep(1.2)  # the callee writes its figures once a second
        row = _last_row(directory / "statistics.csv")
        if not row:
            raise SippError(f"the caller does not start: {_said(directory)}")
        return LoadResult(
            asked=asked,
            succeeded=row["SuccessfulCall(C)"],
            retransmissions=row["Retransmissions(C)"] + callee.retransmissions() - resent,
            setup_ms=_response_times(directory),
            seconds=took,
        )


def _start(arguments: list[str], directory: Path, core: int, priority: int) -> subprocess.Popen[bytes]:
    path = sipp_path()
    if path is None:
        raise SippError("SIPp is not installed (Debian: apt-get install sip-tester)")
    common = ["-i", LOOPBACK, "-mi", LOOPBACK, "-nostdin", "-buff_size", "8388608", "-timer_resol", "5"]
    common += ["-trace_stat", "-fd", "1", "-stf", str(directory / "statistics.csv")]
    common += ["-default_behaviors", "all,-bye"]
    with (directory / "said").open("w") as said:
        process = subprocess.Popen(
            [path, *arguments, *common],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
    settle_on(core, priority, process.pid)
    return process


def _said(directory: Path) -> str:
    return (directory / "said").read_text(errors="replace")[-500:].strip()


def _last_row(path: Path) -> dict[str, int]:
    """The whole numbers of the last complete row."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    rows = [row for row in csv.DictReader(lines, delimiter=";") if row.get("Retransmissions(C)")]
    return (
        {k: int(v) for k, v in rows[-1].items() if k and isinstance(v, str) and v.isdigit()} if rows else {}
    )


def _response_times(directory: Path) -> list[float]:
    times = []
    for path in directory.glob("*_rtt.csv"):
        for row in path.read_text(errors="replace").splitlines()[1:]:
            fields = row.split(";")
            if len(fields) >= 2:
                times.append(float(fields[1]))
    return sorted(times)
