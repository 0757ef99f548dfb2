"""The HTTP API: its routes, who may use them, and how mistakes are told.

What each route takes and gives is said once, in `openapi_operations`; this module has a handler for each.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from cordboard.events.encoding import encode
from cordboard.server.calling_api_access import Judge, project_behind
from cordboard.server.calling_api_commands import Commands
from cordboard.server.calling_api_errors import ApiError, closed
from cordboard.server.calling_api_reading import Reading
from cordboard.server.http_server import HttpServer
from cordboard.server.openapi import describe
from cordboard.server.openapi_operations import OPERATIONS, Operation
from cordboard.server.store import StoreError

_log = logging.getLogger(__name__)

Data = dict[str, Any]
Handler = Callable[[web.Request, str], Awaitable[Data]]
"""(request, project) → the body of a 200."""

_BODY_TIMEOUT = 30.0
"""Seconds for a body to arrive."""


class CallingApi:
    """`add_to` a server before it starts; `attach` what it works on before calls are taken."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._loop = asyncio.get_running_loop()
        self._reading: Reading | None = None
        self._commands: Commands | None = None
        self._description = describe()
        self.handlers: dict[str, Handler] = {
            "command": self._command,
            "command_by_put": self._command,
            "list_calls": self._list_calls,
            "get_call": self._get_call,
            "list_events": self._list_events,
            "get_ladder": self._get_ladder,
            "list_deliveries": self._list_deliveries,
            "resend_delivery": self._resend_delivery,
            "describe": self._describe,
        }
        """By the `id` of an operation."""

    def add_to(self, server: HttpServer) -> None:
        """Serve it there."""
        for operation in OPERATIONS:
            server.add(operation.method, operation.path, self._route(operation))

    def attach(self, reading: Reading, commands: Commands) -> None:
        """The store and the calls; until then requests get 503."""
        self._reading, self._commands = reading, commands

    # ------------------------------------------------------------ every request

    def _route(self, operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        handler = self.handlers[operation.id]

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                project = "" if operation.is_public else self._project(request)
                data = await handler(request, project)
                return web.Response(body=encode(data), content_type="application/json")
            except ApiError as error:
                return error.response()
            except web.HTTPRequestEntityTooLarge:
                return ApiError(413, "The body is longer than 1 MiB").response()
            except StoreError as error:
                _log.error("the HTTP API cannot read: %s", error)
                return ApiError(503, closed(f"The store cannot be used: {error}")).response()

        return answer

    def _project(self, request: web.Request) -> str:
        authorization = request.headers.get("Authorization", "")
        return project_behind(self._judge, authorization, request.remote or "", self._loop.time())

    def _reader(self) -> Reading:
        if self._reading is None:
            raise _starting()
        return self._reading

    # ------------------------------------------------------------ handlers

    async def _command(self, request: web.Request, project: str) -> Data:
        if self._commands is None:
            raise _starting()
        return await self._commands.carry_out(await _body(request), project)

    async def _list_calls(self, request: web.Request, project: str) -> Data:
        return await self._reader().calls(request.path, request.query, project)

    async def _get_call(self, request: web.Request, project: str) -> Data:
        return await self._reader().call(request.match_info["id"], project)

    async def _list_events(self, request: web.Request, project: str) -> Data:
        call_id = request.match_info["id"]
        return await self._reader().events(request.path, request.query, call_id, project)

    async def _get_ladder(self, request: web.Request, project: str) -> Data:
        return await self._reader().ladder(request.match_info["id"], project)

    async def _list_deliveries(self, request: web.Request, project: str) -> Data:
        return await self._reader().deliveries(request.path, request.query, project)

    async def _resend_delivery(self, request: web.Request, project: str) -> Data:
        return await self._reader().resend(request.match_info["id"], project)

    async def _describe(self, request: web.Request, project: str) -> Data:
        return self._description


async def _body(request: web.Request) -> Data:
    """A JSON object.  Browsers cannot send one elsewhere without asking: nobody's stored password is used."""
    if request.content_type != "application/json":
        raise ApiError(415, "The body must be JSON, with `Content-Type: application/json`")
    try:
        async with asyncio.timeout(_BODY_TIMEOUT):
            raw = await request.read()
    except TimeoutError:
        raise ApiError(408, "The body has not arrived in time") from None
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"The body must be a JSON object: {error}", code="invalid_json") from None


def _starting() -> ApiError:
    return ApiError(503, "The server is starting")
