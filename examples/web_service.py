"""A web service that routes calls: it gets the call as JSON and answers with a SWML document.

python examples/web_service.py 8080
"""

from __future__ import annotations

import sys
from typing import Any

from aiohttp import web

DEPARTMENTS = {"sales": "sip:bob@phones.test", "support": "sip:alice@phones.test"}


def document_for(request: dict[str, Any]) -> dict[str, Any]:
    """Connect to the department that was asked for; strangers get sales."""
    department = request.get("params", {}).get("department", "sales")
    destination = DEPARTMENTS.get(department, DEPARTMENTS["sales"])
    return {
        "version": "1.0.0",
        "sections": {"main": [{"answer": {}}, {"connect": {"to": destination, "timeout": 10}}]},
    }


async def route(request: web.Request) -> web.Response:
    """POST /route"""
    return web.json_response(document_for(await request.json()))


async def lookup(request: web.Request) -> web.Response:
    """POST /lookup"""
    caller = (await request.json()).get("caller", "")
    known = "+15557770001" in caller
    return web.json_response({"destination": DEPARTMENTS["support" if known else "sales"]})


def application() -> web.Application:
    """The service, for a runner or a test."""
    app = web.Application()
    app.router.add_post("/route", route)
    app.router.add_post("/lookup", lookup)
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(sys.argv[1]))
