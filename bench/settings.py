"""How long and how much: the full benchmark and the quick one."""

from __future__ import annotations

from typing import NamedTuple

from bench.machine import Cores


class Settings(NamedTuple):
    """What all parts need to know."""

    cores: Cores
    priority: int = 0
    cost_rate: int = 100
    """Calls a second at which the cost of a call is taken."""
    busy_rate: int = 200
    """The same, of a server whose caches are warm."""
    cost_seconds: float = 15.0
    rates: tuple[int, ...] = (50, 100, 150, 200, 300, 400, 500, 600, 700)
    """The ladder; it ends at the first rate that is not clean."""
    rung_seconds: float = 8.0
    relayed: tuple[tuple[int, str], ...] = ((100, "PCMU"), (300, "PCMU"), (100, "PCMA"), (300, "PCMA"))
    """Calls, and the codec of the callee; the caller speaks PCMU."""
    relay_seconds: float = 10.0
    worked_calls: int = 100
    idle_calls: int = 200
    setup_calls: int = 500
    clients: int = 1_000
    """Of RELAY, each with a session of its own."""
    idle_seconds: float = 30.0
    """Long enough for two of the pings that show that a client is there."""
    event_rates: tuple[int, ...] = (1_000, 5_000, 10_000)
    event_seconds: float = 6.0


def quick(cores: Cores, priority: int) -> Settings:
    """About a minute: enough to see a regression, not for comparing."""
    return Settings(
        cores=cores,
        priority=priority,
        cost_seconds=4.0,
        rates=(100, 300),
        rung_seconds=3.0,
        relayed=((100, "PCMU"),),
        relay_seconds=4.0,
        idle_calls=100,
        setup_calls=50,
        idle_seconds=5.0,
        event_rates=(5_000,),
        event_seconds=4.0,
    )
