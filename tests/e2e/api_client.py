"""A client of the HTTP API that holds every answer against the description that the server gives."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it has no types of its own

Json = dict[str, Any]
CALLS = "/api/calling/calls"
_LOOK_AGAIN = 0.02


_T = TypeVar("_T")


async def found(look: Callable[[], Awaitable[_T | None]], *, within: float = 30.0) -> _T:
    """What `look` finds, as soon as it finds something; TimeoutError if it does not."""
    async with asyncio.timeout(within):
        while True:
            result = await look()
            if result:
                return result
            await asyncio.sleep(_LOOK_AGAIN)


class Api:
    """One project at one server."""

    def __init__(self, base: str, session: aiohttp.ClientSession, description: Json) -> None:
        self._base = base
        self._session = session
        self._description = description

    async def ask(self, method: str, path: str, *, status: int = 200, **options: Any) -> Json:
        """The body of the answer, which must have this status and be as described."""
        async with self._session.request(method, self._base + path, **options) as response:
            body: Json = await response.json()
            assert response.status == status, body
            self._check(method, path.partition("?")[0], status, body)
            return body

    async def get(self, path: str, *, status: int = 200) -> Json:
        return await self.ask("GET", path, status=status)

    async def command(self, command: str, *, status: int = 200, id: str | None = None, **params: Any) -> Json:
        body = {"command": command, "params": params, **({"id": id} if id is not None else {})}
        return await self.ask("POST", CALLS, status=status, json=body)

    async def call(self, call_id: str) -> Json:
        return await self.get(f"{CALLS}/{call_id}")

    async def until_state(self, call_id: str, state: str, *, within: float = 30.0) -> Json:
        """The call as soon as it is in that state."""

        async def there() -> Json | None:
            call = await self.call(call_id)
            return call if call["state"] == state else None

        return await found(there, within=within)

    async def listed(self, path: str) -> list[Json]:
        """All items of a list, over all its pages."""
        items: list[Json] = []
        following: str | None = path
        while following is not None:
            page = await self.get(following)
            items += page["data"]
            following = page["links"]["next"]
        return items

    async def ids(self, query: str = "") -> list[str]:
        return [call["id"] for call in await self.listed(CALLS + query)]

    async def event_types(self, call_id: str) -> list[str]:
        return [event["event_type"] for event in await self.listed(f"{CALLS}/{call_id}/events")]

    def _check(self, method: str, path: str, status: int, body: Json) -> None:
        operation = self._operation(method, path)
        content = operation["responses"][str(status)]["content"]["application/json"]
        whole = {**content["schema"], "components": self._description["components"]}
        Draft202012Validator(whole).validate(body)

    def _operation(self, method: str, path: str) -> Json:
        for template, methods in self._description["paths"].items():
            if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) and method.lower() in methods:
                operation: Json = methods[method.lower()]
                return operation
        raise AssertionError(f"{method} {path} is not described")
