"""`python -m fuzz [--minutes 30] [--only TARGET]`: each target in a process of its own, two at a time.

A target is one function of bytes that must not raise.  What makes one raise is kept in `fuzz/found`, and
the run fails.  The corpus grows in `fuzz/corpus`, so that a later run begins where this one ended.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fuzz.targets import TARGETS

HERE = Path(__file__).parent
_AT_ONCE = 2
_SLOWEST = 30
"""Seconds that one input may take."""


def main() -> int:
    """0: every target ran its time and none raised."""
    options = _options()
    names = options.only or list(TARGETS)
    seconds = max(1, round(60 * options.minutes * _AT_ONCE / len(names)))
    began = time.monotonic()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        results = dict(zip(names, pool.map(lambda name: _run(name, seconds), names), strict=True))
    bad = [name for name, good in results.items() if not good]
    print(f"{len(names)} targets, {seconds} s each, {time.monotonic() - began:.0f} s in all")
    print(f"failed: {', '.join(bad)}; inputs in {HERE / 'found'}" if bad else "no failure")
    return 1 if bad else 0


def _run(name: str, seconds: int) -> bool:
    corpus, found = HERE / "corpus" / name, HERE / "found"
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    command = [sys.executable, "-m", "fuzz.one", name, str(corpus)]
    limits = [f"-max_total_time={seconds}", f"-timeout={_SLOWEST}", "-rss_limit_mb=2048", "-max_len=8192"]
    done = subprocess.run(
        [*command, *limits, f"-artifact_prefix={found}/{name}-", "-print_final_stats=1"],
        cwd=HERE.parent,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    said = done.stderr.splitlines() + done.stdout.splitlines()
    runs = next((line.split()[-1] for line in said if "number_of_executed_units" in line), "?")
    print(f"{name:<14} {'clean' if done.returncode == 0 else 'FAILED'}, {runs} inputs", flush=True)
    if done.returncode:
        print("\n".join(said[-40:]), flush=True)
    return done.returncode == 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the whole run")
    parser.add_argument("--only", action="append", choices=list(TARGETS), help="one target (repeatable)")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
