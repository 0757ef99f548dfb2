"""The sample operations of `audioop`, imported in one place.

`audioop` is part of Python up to 3.12 (3.11 and 3.12 warn that it will go) and comes from the package
`audioop-lts` from 3.13.  Samples are 16-bit little-endian throughout this project; `audioop` itself uses the
machine's order, which is the same on everything it is run on.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # Exactly this warning: anything else that an import may say stays visible.
    warnings.filterwarnings("ignore", message="'audioop' is deprecated", category=DeprecationWarning)
    from audioop import (
        add,
        alaw2lin,
        bias,
        byteswap,
        findfactor,
        lin2alaw,
        lin2lin,
        lin2ulaw,
        mul,
        rms,
        tomono,
        tostereo,
        ulaw2lin,
    )

__all__ = [
    "add",
    "alaw2lin",
    "bias",
    "byteswap",
    "findfactor",
    "lin2alaw",
    "lin2lin",
    "lin2ulaw",
    "mul",
    "rms",
    "tomono",
    "tostereo",
    "ulaw2lin",
]
