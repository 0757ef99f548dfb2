"""Documents that programs send: a long one is read beside the calls, which must not wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

MAX_AT_ONCE = 16 * 1024
"""Characters of a document that is read where calls wait for it: some milliseconds."""

Read = TypeVar("Read")


async def beside_calls(size: int, read: Callable[[], Read]) -> Read:
    """What `read` makes of a document of so many characters; it touches nothing that calls have."""
    return read() if size <= MAX_AT_ONCE else await asyncio.to_thread(read)
