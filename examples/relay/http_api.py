"""Calls somebody without a socket, has a document speak to them, and tells what became of the call.

python examples/relay/http_api.py sip:alice@phones.test
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import aiohttp

URL = os.environ.get("CORDBOARD_URL", "http://127.0.0.1:8080")
TOKEN = os.environ.get("CORDBOARD_TOKEN", "demo-token")
DOCUMENT = {
    "version": "1.0.0",
    "sections": {"main": [{"play": "say:Your order has been sent."}, {"hangup": {}}]},
}
POLL_EVERY = 0.5
"""Seconds.  A `status_url` tells the same without asking."""


async def call(session: aiohttp.ClientSession, to: str) -> dict[str, Any]:
    """Make a call; it as it is when it is over."""
    params = {"from": "+15551230000", "to": to, "swml": DOCUMENT, "timeout": 30}
    async with session.post("/api/calling/calls", json={"command": "dial", "params": params}) as answer:
        made: dict[str, Any] = await answer.json()
        if answer.status != 200:
            raise SystemExit(made["message"])
    while made["state"] != "ended":
        await asyncio.sleep(POLL_EVERY)
        async with session.get(f"/api/calling/calls/{made['id']}") as answer:
            made = await answer.json()
    return made


async def main(to: str) -> None:
    async with aiohttp.ClientSession(URL, headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        ended = await call(session, to)
        print(f"{ended['to']}: {ended['end']['sentence']}")
        async with session.get(f"/api/calling/calls/{ended['id']}/events") as answer:
            for event in (await answer.json())["data"]:
                params = event["params"]
                print(event["event_type"], params.get("call_state") or params.get("state"))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
