"""What a process holds: to be the same after the storm as before it."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cordboard.server.outbound_policy import LOOKUPS_AT_ONCE
from cordboard.server.server import Server
from cordboard.server.sip_log import SipLog
from cordboard.sip.headers.layout import RememberedLayouts

_LISTENED = ("cordboard.testing",)
"""Simulated phones keep reports of their calls."""


class Holdings(NamedTuple):
    """Of the process that runs the test, with the server in it."""

    tasks: int
    threads: int
    """Without those of pools, as long as these have no more than they may."""
    descriptors: int
    media_sockets: int
    """Sockets in the server's port range beyond one for each bound port."""
    objects: Counter[str]
    """Instances of the product's classes."""


def holdings(ports: range) -> Holdings:
    used = udp_ports(ports)
    return Holdings(
        tasks=len(asyncio.all_tasks()),
        threads=_threads(),
        descriptors=descriptors(os.getpid()),
        media_sockets=len(used) - len(set(used)),
        objects=_objects(),
    )


_POOLS = {"lookup_": LOOKUPS_AT_ONCE, "uvloop_": min(32, (os.cpu_count() or 1) + 4)}
"""By the beginning of their threads' names, how many these may be: they come one by one, when many wait at
once, and stay."""


def _threads() -> int:
    names = [thread.name for thread in threading.enumerate()]
    pooled = {pool: sum(name.startswith(pool) for name in names) for pool in _POOLS}
    return len(names) - sum(min(count, _POOLS[pool]) for pool, count in pooled.items())


KEPT = 16
"""Descriptors that may stay for the next call: both ends of connections, pipes to the encoder."""


def grown(before: Holdings, after: Holdings) -> list[str]:
    """What is more than it was, as sentences."""
    names = ("tasks", "threads", "media_sockets")
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in names]
    if after.descriptors > before.descriptors + KEPT:
        pairs.append(("descriptors", before.descriptors, after.descriptors))
    pairs += [(name, before.objects[name], count) for name, count in after.objects.items()]
    return [f"{name}: {was} → {now}" for name, was, now in pairs if now > was]


def _objects() -> Counter[str]:
    """Without what the bounded caches of the parsers remember."""
    for thing in gc.get_objects():
        if isinstance(thing, functools._lru_cache_wrapper) and str(thing.__module__).startswith("cordboard."):
            thing.cache_clear()
        elif isinstance(thing, RememberedLayouts):
            thing.clear()
        elif isinstance(thing, SipLog):
            thing.forget_strays()
    gc.collect()
    found: Counter[str] = Counter()
    for thing in gc.get_objects():
        kind = type(thing)
        module = kind.__module__
        if isinstance(module, str) and module.startswith("cordboard.") and not module.startswith(_LISTENED):
            found[f"{module}.{kind.__qualname__}"] += 1
    return found


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def children(pid: int) -> list[int]:
    """Of all threads of a process."""
    tasks = Path(f"/proc/{pid}/task")
    found = [task.joinpath("children").read_text().split() for task in tasks.iterdir()]
    return [int(child) for some in found for child in some]


def resident_kib(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def is_running(pid: int) -> bool:
    """Neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def udp_ports(within: range) -> list[int]:
    """Ports of all UDP sockets of the machine in a range, once for each socket."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    ports = [int(line.split()[1].rpartition(":")[2], 16) for line in lines]
    return [port for port in ports if port in within]


async def until(done: Callable[[], bool], within: float, what: Callable[[], object]) -> None:
    """Poll; AssertionError with `what()` if it does not come true in time."""
    deadline = asyncio.get_running_loop().time() + within
    while not done():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"after {within:g} s: {what()}")
        await asyncio.sleep(0.1)


async def at_rest(server: Server, within: float) -> None:
    """Every table of the server is empty."""
    counts = server.exchange.counts
    await until(lambda: not any(counts().values()), within, counts)


class Memory:
    """The resident size of a process over the calls that it has had; a background task."""

    def __init__(self, name: str, pid: int, calls: Callable[[], int]) -> None:
        self._name = name
        self._pid = pid
        self._calls = calls
        self._samples: list[tuple[int, int]] = []
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while is_running(self._pid):
            self._samples.append((self._calls(), resident_kib(self._pid)))
            await asyncio.sleep(0.5)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @property
    def slope(self) -> float:
        """KiB a call over the second half of the calls, by least squares; 0.0 without enough samples."""
        half = self._samples[-1][0] // 2 if self._samples else 0
        points = [(x, y) for x, y in self._samples if x > half]
        if len({x for x, _ in points}) < 2:
            return 0.0
        mean_x = sum(x for x, _ in points) / len(points)
        mean_y = sum(y for _, y in points) / len(points)
        spread = sum((x - mean_x) ** 2 for x, _ in points)
        return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread

    @property
    def figures(self) -> str:
        sizes = [size for _, size in self._samples] or [0]
        return (
            f"{self._name}: {sizes[0] / 1024:.1f} MiB at first, {max(sizes) / 1024:.1f} at most, "
            f"{sizes[-1] / 1024:.1f} at last, {self.slope:+.2f} KiB a call in the second half"
        )


def say(line: str) -> None:
    """Figures, for whoever runs this with -s."""
    sys.stdout.write(f"\n{line}\n")
