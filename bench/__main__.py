"""`python -m bench`: what a call and a relayed packet cost on this machine, against the budgets.

The server under test is a real `cordboard serve` on the first core; the load (SIPp, and phones with RTP) is
on the second.  Everything stays on loopback.  Percentages are CPU time, so other programs on the machine
disturb the delays and the calls a second more than the costs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator

from bench import machine, memory, relay, relay_call, relay_clients, settings, signalling, worked
from bench.report import Figure, table
from bench.sipp_load import SippError

Part = Callable[[settings.Settings], Iterator[Figure]]

PARTS: dict[str, tuple[str, Part]] = {
    "cost": ("CPU of a connected call", signalling.cost),
    "ladder": ("clean calls a second on one core", signalling.ladder),
    "setup": ("time to set a call up", signalling.setup_time),
    "relay": ("relayed calls with RTP both ways", relay.relay),
    "confirm": ("CPU of a call with a confirm script", signalling.confirm),
    "worked": ("calls that are transcoded, encrypted or recorded", worked.worked),
    "memory": ("memory of idle calls", memory.memory),
    "relay-call": ("CPU of a call driven through RELAY", relay_call.call),
    "relay-clients": ("clients of RELAY: memory, events in order", relay_clients.clients),
}


def main() -> int:
    """0: everything was measured (and with --strict: every budget is met)."""
    options = _options()
    cores = machine.pick_cores()
    make = settings.quick if options.quick else settings.Settings
    chosen = make(cores, options.priority)
    for name, value in machine.describe(cores).items():
        print(f"{name:>13}: {value}", flush=True)
    os.sched_setaffinity(0, {cores.server})
    print(f"{'speed':>13}: {machine.speed()}", flush=True)
    os.sched_setaffinity(0, {cores.load})
    began = time.monotonic()
    figures: list[Figure] = []
    complete = True
    for name in options.only or PARTS:
        complete &= _run(name, chosen, figures)
    print(f"\n{table(figures)}\n\nmeasured in {time.monotonic() - began:.0f} s")
    missed = any(figure.is_met is False for figure in figures)
    return 1 if not complete or (options.strict and missed) else 0


def _run(name: str, chosen: settings.Settings, figures: list[Figure]) -> bool:
    """False: it could not be measured."""
    title, part = PARTS[name]
    print(f"\n{name}: {title}", flush=True)
    try:
        for figure in part(chosen):
            figures.append(figure)
            sys.stdout.flush()
    except (SippError, RuntimeError, OSError) as error:
        print(f"  not measured: {error}")
        return False
    return True


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="about a minute; rougher figures")
    parser.add_argument("--strict", action="store_true", help="fail if a budget is not met")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="one part (may be repeated)")
    parser.add_argument(
        "--priority",
        type=int,
        default=0,
        help="nice value of server and load; negative (needs root) where other programs use the machine",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
