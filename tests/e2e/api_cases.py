"""A whole server with an HTTP API for two projects, real SIP phones, and what tests do with both."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from .api_client import Api, found
from .cases import ANSWERS, CALLER, Case, Json, Lab, laboratory

TOKENS = {"alpha": "alpha-token", "beta": "beta-token"}
"""By project."""
WAIT: Json = {"sleep": -1}
NOWHERE = "http://[nowhere"
"""A URL that no callback can be sent to: it is given up at the first try."""
PLAY: Json = {"play": [{"type": "ringtone", "params": {"name": "us", "duration": 30}}]}


@asynccontextmanager
async def api_laboratory(directory: Path) -> AsyncIterator[Lab]:
    """A lab whose callers belong to `alpha`."""

    def routes(url: str) -> Json:
        return {"*": {"document": f"{url}/doc", "project": "alpha"}}

    projects = {name: {"tokens": [token]} for name, token in TOKENS.items()}
    async with laboratory(directory, routes=routes, projects=projects) as made:
        yield made


@asynccontextmanager
async def api_clients(lab: Lab) -> AsyncIterator[dict[str, Api]]:
    """By project."""
    async with AsyncExitStack() as stack:
        base, made = f"http://127.0.0.1:{lab.server.http.port}", {}
        for project, token in TOKENS.items():
            headers = {"Authorization": _basic(project, token)}
            session = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
            async with session.get(f"{base}/api/openapi.json") as response:
                made[project] = Api(base, session, await response.json())
        yield made


def _basic(project: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{project}:{token}".encode()).decode()


def document(*steps: Any) -> Json:
    return {"version": "1.0.0", "sections": {"main": list(steps) or [{"hangup": {}}]}}


async def dialled(api: Api, case: Case, *steps: Any, behaviour: Any = ANSWERS, **params: Any) -> Json:
    """A call that the API has made to the phone `b` of a case."""
    to = case.phone("b", behaviour)
    swml = {} if "url" in params else {"swml": document(*steps)}
    return await api.command("dial", **{"from": CALLER, "to": to, **swml, **params})


async def until_dead(api: Api, call_id: str, *, attempts: int = 1) -> Json:
    """The delivery of a call that has been given up, after so many tries."""

    async def there() -> Json | None:
        dead = await api.listed("/api/deliveries?state=dead")
        mine = (one for one in dead if one["call_id"] == call_id and one["attempts"] >= attempts)
        return next(mine, None)

    return await found(there)
