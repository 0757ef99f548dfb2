"""A client of one SDK that does what a test says, step by step: `await remote("play", call=…, items=[…])`.

The names of the verbs and of their parameters are those of the Node SDK; the programs (`remote.cjs`,
`*_remote.py`) spell them as their SDK does.  Calls are named by their ids, operations by numbers.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec

from .programs import PATIENCE, Program

Json = dict[str, Any]


class RefusedError(Exception):
    """The SDK threw, or rejected its promise: `error` as it did."""

    def __init__(self, verb: str, error: Json) -> None:
        super().__init__(f"{verb}: {error}")
        self.error = error

    @property
    def reason(self) -> str | None:
        """Why a dial or a connect failed, in the words of RELAY."""
        found: str | None = self.error.get("failedReason") or self.error.get("reason")
        return found


class Remote:
    """A running client."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._numbers = itertools.count(1)

    async def __call__(self, verb: str, *, within: float = PATIENCE, **params: Any) -> Json:
        """Do it; what came of it.  Raises `RefusedError`."""
        number = next(self._numbers)
        self.program.tell(msgspec.json.encode({"id": number, "verb": verb, **params}).decode())
        told = await self.program.says(f"#{number}", within=within)
        if "error" in told:
            raise RefusedError(verb, told["error"])
        value: Json = told["value"]
        return value

    def begin(self, verb: str, **params: Any) -> asyncio.Task[Json]:
        """Do it meanwhile."""
        return asyncio.create_task(self(verb, **params))

    async def offered(self) -> str:
        """The id of the next call that comes to it."""
        return str((await self.program.says("offered"))["id"])

    async def taken(self) -> str:
        """The next call that comes to it, answered."""
        call = await self.offered()
        await self("answer", call=call)
        return call

    def states(self, call: str) -> list[str]:
        """What it said of a call that it watches: `answered`, `ended busy`."""
        return [_state(line) for line in self._said("state", call)]

    def connects(self, call: str) -> list[str]:
        """The same of its connects."""
        return [_state(line) for line in self._said("connect", call)]

    def _said(self, what: str, call: str) -> list[Json]:
        return [line for line in self.program.said if line["what"] == what and line["call"] == call]


def _state(line: Json) -> str:
    reason = line.get("reason")
    return f"{line['state']} {reason}" if reason else str(line["state"])
