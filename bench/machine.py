"""The machine under the figures: versions, cores, the CPU time and the memory of processes (Linux)."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import socket
import subprocess
import timeit
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from cordboard.media import fastpath

LOOPBACK = "127.0.0.1"
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


class Cores(NamedTuple):
    """Where the server runs, and where its load."""

    server: int
    load: int


def pick_cores() -> Cores:
    """The first two that this process may use; with one, both share it and the figures say little."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[1 % len(allowed)])


# ------------------------------------------------------------------ processes


class CpuTime(NamedTuple):
    """Seconds of CPU, of a process and all its threads."""

    user: float
    system: float

    @property
    def total(self) -> float:
        return self.user + self.system

    def since(self, earlier: CpuTime) -> CpuTime:
        return CpuTime(self.user - earlier.user, self.system - earlier.system)


def cpu_time(pid: int) -> CpuTime:
    """From /proc: in steps of a clock tick (10 ms), so only for what lasts seconds."""
    fields = _stat(pid)
    return CpuTime(int(fields[11]) / _TICKS_A_SECOND, int(fields[12]) / _TICKS_A_SECOND)


def resident_kib(pid: int) -> int:
    """Pages of the process that are in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_KIB


def children(pid: int) -> list[int]:
    """Processes that `pid` has started."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and int(_stat(int(entry))[1]) == pid:
                found.append(int(entry))
        except OSError:
            continue  # it ended meanwhile
    return sorted(found)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat that follow the name."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def settle_on(core: int, priority: int, pid: int = 0) -> None:
    """Keep a process (0: this one) on one core.

    `priority`: its nice value; below 0 (needs root) when other programs use the machine too.
    """
    os.sched_setaffinity(pid, {core})
    if priority:
        os.setpriority(os.PRIO_PROCESS, pid, priority)
        _raise_group(pid, priority)


def _raise_group(pid: int, priority: int) -> None:
    """Where the kernel groups processes by session, a nice value counts only within the group.

    Only for a process that leads a session of its own: the group is not to be shared with a shell.
    """
    who = pid or os.getpid()
    with contextlib.suppress(OSError):
        if os.getsid(who) == who:
            Path(f"/proc/{who}/autogroup").write_text(str(priority))


def free_port(*, even_from: int = 0) -> int:
    """A UDP port that nobody has at this moment; or an even one from a port on, with three behind it."""
    if not even_from:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((LOOPBACK, 0))
            return int(probe.getsockname()[1])
    blocks = (range(first, first + 4) for first in range(even_from, even_from + 4_000, 4))
    return next(block.start for block in blocks if all(map(_is_free, block)))


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


# ------------------------------------------------------------------ what it is


def describe(cores: Cores) -> dict[str, str]:
    """Everything that a figure depends on."""
    return {
        "Cordboard": _cordboard(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "uvloop": _package("uvloop"),
        "fast path": "compiled" if fastpath.load() is not None else "Python",
        "SIPp": _sipp(),
        "kernel": f"{platform.system()} {platform.release()}",
        "CPU": f"{_cpu_model()}, {os.cpu_count()} cores",
        "cores": f"server on {cores.server}, load on {cores.load}",
        "load average": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def speed() -> str:
    """What this core does now: two small things that all costs are made of, the best of a few tries.

    The same machine may be half as fast an hour later; a figure is compared together with these.
    """
    turns, datagrams = 100_000, 2_000
    python = min(timeit.repeat("d['a'] = len(d)", "d = {'a': 1}", repeat=7, number=turns)) / turns
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        other.bind((LOOPBACK, 0))
        one.connect(other.getsockname())
        packet = bytes(172)

        def there() -> None:
            one.send(packet)
            other.recv(2048)

        udp = min(timeit.repeat(there, repeat=7, number=datagrams)) / datagrams
    return f"{python * 1e9:.0f} ns a step of Python, {udp * 1e6:.1f} us a datagram sent and received"


def _cordboard() -> str:
    try:
        commit = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return _package("cordboard")
    return f"{_package('cordboard')} ({commit})"


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"


def sipp_path() -> str | None:
    """None: not installed."""
    return shutil.which("sipp")


def _sipp() -> str:
    path = sipp_path()
    if path is None:
        return "not installed"
    # `sipp -v` ends with a status that is not 0.
    shown = subprocess.run([path, "-v"], capture_output=True, text=True, check=False, timeout=10).stdout
    found = re.search(r"SIPp (v[\w.]+)", shown)
    return found[1] if found else "?"


def _cpu_model() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1].strip() if found else platform.machine()
