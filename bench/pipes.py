"""Processes of the benchmark, as their parent hears them."""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Any


def answer(pipe: Connection, patience: float, who: str) -> Any:
    """The next thing that it says.  Raises RuntimeError after `patience` seconds, or when it has died."""
    if not pipe.poll(patience):
        raise RuntimeError(f"{who} does not answer")
    try:
        return pipe.recv()
    except EOFError:
        raise RuntimeError(f"{who} has died") from None
