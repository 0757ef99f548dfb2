"""How much: a soak for every test run, and the whole one."""

from __future__ import annotations

import os
from typing import NamedTuple

from cordboard.sip.timers import Timers

SEED = int(os.environ.get("CORDBOARD_SEED", "20261122"))


class Size(NamedTuple):
    """Of a soak."""

    calls: int
    rate: float
    documents: int
    timers: Timers
    timeouts: tuple[float, ...]
    """Of connects, in seconds."""
    ports: int
    """For RTP: two for each leg, and those of ended calls rest for some seconds."""
    failures: int
    """Of one callback, at most: 2 take up to 3 s and 4 up to 15 s, without hanging."""


SMALL = Size(150, 20.0, 40, Timers(t1=0.06, t2=1.0, t4=0.5), (1,), 600, 2)
"""Silent far ends are given up after 3.8 s instead of 32 s."""
FULL = Size(2_000, 25.0, 150, Timers(), (1, 1, 2, 3), 1_500, 4)
