"""A laboratory for one script at a time: a server, a web service, far ends, and all that went over the wire.

A `Case` has a number of its own.  Who dials it gets the document that the case wrote, fetched over http.  The
step `case.tail` posts the script's variables, so that a test sees what a script sees.  Far ends are phones of
one bank; their user part names the case and the phone.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from aiohttp import web

from cordboard.server.config import Config
from cordboard.server.server import Server
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.message import Request, Response, parse
from cordboard.sip.uri import Uri
from cordboard.testing.behaviour import Behaviour as Behaviour
from cordboard.testing.phone import MANUAL, PhoneBank, SimulatedPhone
from cordboard.testing.phone_call import PhoneCall

from .book import Book
from .conftest import serving
from .peers import free_ports

Json = dict[str, Any]

CALLER = "+15557770001"
CALLER_TONE = 350.0
FAR_TONE = 659.0

RINGS = Behaviour(answer_after=None)
ANSWERS = Behaviour(tone_hz=FAR_TONE)
TALKS_BRIEFLY = Behaviour(tone_hz=FAR_TONE, hang_up_after=0.1)
"""Answers and hangs up soon, so that the script goes on."""

RETURN = {"sections": {"main": [{"return": "seen"}]}}
_LOOK_AGAIN = 0.005


def refuses(status: int, after: float = 0.0) -> Behaviour:
    return Behaviour(refuse=status, refuse_after=after)


class Hit(msgspec.Struct, kw_only=True):
    """One request that the web service got."""

    at: float
    method: str
    path: str
    headers: dict[str, str]
    raw: bytes
    url: str

    @property
    def body(self) -> Json:
        decoded: Json = msgspec.json.decode(self.raw)
        return decoded


Answer = Callable[[Hit], web.Response]


class Site:
    """A web service: keeps what it is asked, and answers what the test says; otherwise an empty 200."""

    def __init__(self) -> None:
        self.url = ""
        self.hits: list[Hit] = []
        self._answers: dict[str, Answer] = {}
        self._delays: dict[str, float] = {}

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        return app

    def on(self, path: str, answer: Answer, *, delay: float = 0.0) -> None:
        """What a path answers, and after how many seconds."""
        self._answers[path] = answer
        self._delays[path] = delay

    def document(self, path: str, document: Json | str | bytes) -> str:
        """Serve a document; its URL."""
        data = document if isinstance(document, bytes) else as_text(document).encode()
        self.on(path, lambda _: web.Response(body=data, content_type="application/json"))
        return self.url + path

    def at(self, path: str) -> list[Hit]:
        """The requests for a path, in order."""
        return [hit for hit in self.hits if hit.path == path]

    async def _take(self, request: web.Request) -> web.Response:
        hit = Hit(
            at=asyncio.get_running_loop().time(),
            method=request.method,
            path=request.path,
            headers={name.lower(): value for name, value in request.headers.items()},
            raw=await request.read(),
            url=str(request.url),
        )
        self.hits.append(hit)
        await asyncio.sleep(self._delays.get(hit.path, 0.0))
        answer = self._answers.get(hit.path)
        return answer(hit) if answer is not None else web.Response()


def as_text(document: Json | str) -> str:
    return document if isinstance(document, str) else msgspec.json.encode(document).decode()


class Packet(msgspec.Struct, kw_only=True):
    """One SIP message as the server saw it."""

    at: float
    sent: bool
    """By the server."""
    message: Request | Response
    peer: Endpoint

    @property
    def label(self) -> str:
        """`> INVITE`: sent by the server; `< 180`: received by it."""
        message = self.message
        what = message.method if isinstance(message, Request) else str(message.status)
        if isinstance(message, Response) and message.cseq.method not in ("INVITE", "BYE", "CANCEL", "ACK"):
            what += f" ({message.cseq.method})"
        return ("> " if self.sent else "< ") + what

    @property
    def text(self) -> str:
        return self.message.body.decode()

    def header(self, name: str) -> str | None:
        return self.message.headers.get(name)


class Lab:
    """Server, web service, far ends, caller; lives as long as the tests of a module."""

    def __init__(self, server: Server, site: Site, phones: PhoneBank, caller: SimulatedPhone) -> None:
        self.server = server
        self.site = site
        self.phones = phones
        self.caller = caller
        self.packets: list[Packet] = []
        self.behaviours: dict[str, Behaviour] = {}
        self.documents: dict[str, Json | str] = {}
        self.book = Book(server)
        self._numbers = itertools.count(1)
        server.exchange.taps.append(self._note)

    def _note(self, direction: str, data: bytes, peer: Endpoint) -> None:
        now = asyncio.get_running_loop().time()
        packet = Packet(at=now, sent=direction == "sent", message=parse(data), peer=peer)
        self.packets.append(packet)

    def case(self) -> Case:
        return Case(self, next(self._numbers))

    def serve_document(self, hit: Hit) -> web.Response:
        to = hit.body["call"]["to"]
        document = self.documents.get(to)
        return web.Response(status=404) if document is None else web.Response(text=as_text(document))


class Case:
    """One document, one number, its far ends."""

    def __init__(self, lab: Lab, serial: int) -> None:
        self.lab = lab
        self.serial = serial
        self.number = f"+1555900{serial:04d}"
        self.tail_path = f"/{serial}/tail"
        lab.site.document(self.tail_path, RETURN)

    # ------------------------------------------------------------ setting up

    def phone(self, name: str, behaviour: Behaviour = MANUAL) -> str:
        """The SIP URI of a far end."""
        user = f"{name}-{self.serial}"
        self.lab.behaviours[user] = behaviour
        return f"{self.lab.phones.uri(user)};transport=udp"

    def pstn(self, behaviour: Behaviour = MANUAL) -> str:
        """A number that the trunk leads to."""
        number = f"+1555123{self.serial:04d}"
        self.lab.behaviours[number] = behaviour
        return number

    def url(self, name: str) -> str:
        """A URL of this case at the web service."""
        return f"{self.lab.site.url}/{self.serial}/{name}"

    @property
    def tail(self) -> Json:
        """The step that says what the script knows, under `params` and `vars`."""
        return self.mark("tail", r="${connect_result}", f="${connect_failed_reason}")

    def mark(self, name: str, **params: Any) -> Json:
        """A step that posts to `url(name)` and goes on."""
        self.lab.site.document(f"/{self.serial}/{name}", RETURN)
        return {"execute": {"dest": self.url(name), "params": params}}

    # ------------------------------------------------------------ calling

    async def call(
        self,
        *steps: Any,
        text: str | None = None,
        sections: Json | None = None,
        behaviour: Behaviour | None = None,
        headers: Sequence[tuple[str, str]] = (),
        from_user: str | None = None,
    ) -> PhoneCall:
        """Call a document with that `main`, or with that whole text."""
        document: Json = {"version": "1.0.0", "sections": {"main": list(steps), **(sections or {})}}
        self.lab.documents[self.number] = document if text is None else text
        return await self.lab.caller.call(
            f"sip:{self.number}@{self.lab.server.socket.local.host_port}",
            behaviour=behaviour,
            headers=headers,
            from_user=from_user,
        )

    async def connect(
        self, connect: Json, *then: Any, answered: bool = True, behaviour: Behaviour | None = None
    ) -> PhoneCall:
        """Call a document that answers, connects and tells its tail."""
        first: list[Json] = [{"answer": {}}] if answered else []
        return await self.call(*first, {"connect": connect}, self.tail, *then, behaviour=behaviour)

    async def outcome(self, connect: Json, **options: Any) -> tuple[str, str]:
        """The tail's (result, reason) of such a document, which must leave an answered caller up."""
        await self.connect(connect, **options)
        told = await self.told()
        if options.get("answered", True):
            assert told["call"]["call_state"] == "answered"
        return result_of(told)

    async def told(self, name: str = "tail", *, within: float = 20.0) -> Json:
        """The body that the step `mark(name)` posted."""
        path = f"/{self.serial}/{name}"
        try:
            await until(lambda: bool(self.lab.site.at(path)), within)
        except TimeoutError:
            print(self.labels(), self.labels("b1"))
            for p in self.ladder("b1"):
                print(p.at, p.label)
            raise
        return self.lab.site.at(path)[0].body

    async def incoming(self, name: str, *, within: float = 20.0) -> PhoneCall:
        """The call that a far end of this case gets."""
        user = f"{name}-{self.serial}"
        calls = self.lab.phones.calls
        await until(lambda: any(user in call.report.local_uri for call in calls), within)
        return next(call for call in calls if user in call.report.local_uri)

    # ------------------------------------------------------------ what happened

    def was_told(self, name: str = "tail") -> bool:
        return bool(self.lab.site.at(f"/{self.serial}/{name}"))

    def events(self, name: str) -> list[Json]:
        """What was posted to `url(name)`."""
        return [hit.body for hit in self.lab.site.at(f"/{self.serial}/{name}")]

    def states(self, name: str) -> list[str]:
        """The states posted to `url(name)`; an end or a failure with its reason: `ended busy`."""
        return [_state(event["params"]) for event in self.events(name)]

    async def until_states(self, name: str, count: int, *, within: float = 20.0) -> list[str]:
        """Wait for so many events."""
        await until(lambda: len(self.events(name)) >= count, within)
        return self.states(name)

    def ladder(self, name: str | None = None) -> list[Packet]:
        """All messages between the server and a far end; without a name, the caller."""
        user = self.number if name is None else name if name.startswith("+") else f"{name}-{self.serial}"
        packets = self.lab.packets
        ids = {packet.message.call_id for packet in packets if _invites(packet.message, user)}
        return [packet for packet in packets if packet.message.call_id in ids]

    def labels(self, name: str | None = None) -> list[str]:
        return [packet.label for packet in self.ladder(name)]

    def packet(self, label: str, name: str | None = None) -> Packet:
        """The first message of that label."""
        return next(packet for packet in self.ladder(name) if packet.label == label)

    def invite(self, name: str) -> Request:
        message = self.packet("> INVITE", name).message
        assert isinstance(message, Request)
        return message

    async def seen(
        self, label: str, name: str | None = None, *, count: int = 1, within: float = 20.0
    ) -> Packet:
        """Wait for a message."""
        await until(lambda: self.labels(name).count(label) >= count, within)
        return self.packet(label, name)

    def observed(self) -> str:
        """In one line: what the script was told, and what went over the wire to the far ends."""
        parts = [f"tail({', '.join(result_of(hit.body))})" for hit in self.lab.site.at(self.tail_path)]
        for user, packets in self._far_ends().items():
            parts.append(f"{user}: {' '.join(packet.label.replace(' ', '') for packet in packets[:12])}")
        return "; ".join(parts)

    def _far_ends(self) -> dict[str, list[Packet]]:
        mark = f"-{self.serial}"
        names = [user.removesuffix(mark) for user in self.lab.behaviours if user.endswith(mark)]
        return {name: self.ladder(name) for name in names}

    def warnings(self) -> list[str]:
        """The messages of the script's warnings."""
        return [warning["message"] for warning in self._warnings()]

    def codes(self) -> list[str]:
        return [warning["code"].removeprefix("relay_script_") for warning in self._warnings()]

    def _warnings(self) -> list[Json]:
        return [
            {"code": happening.warning.code, "message": happening.warning.message}
            for info, happening in self.lab.book.events
            if info.to == self.number and hasattr(happening, "warning")
        ]


def result_of(told: Json) -> tuple[str, str]:
    """(connect_result, connect_failed_reason); params and variables must agree."""
    pair = told["params"]["r"], told["params"]["f"]
    assert pair == (told["vars"].get("connect_result", ""), told["vars"].get("connect_failed_reason", ""))
    return pair


def _state(params: Json) -> str:
    state = params.get("connect_state") or params.get("call_state") or params["state"]
    reason = params.get("end_reason") or params.get("failed_reason")
    return state if reason is None else f"{state} {reason}"


def _invites(message: Request | Response, user: str) -> bool:
    return isinstance(message, Request) and message.method == "INVITE" and Uri.parse(message.uri).user == user


def about(seconds: float) -> Any:
    """What a time that was measured must equal: never early, and on a busy machine late."""
    return pytest.approx(seconds + 0.35, abs=0.45)


async def until(done: Callable[[], bool], within: float = 20.0) -> None:
    """Wait until something is so; TimeoutError if it does not become so."""
    async with asyncio.timeout(within):
        while not done():  # noqa: ASYNC110 - many kinds of things are waited for
            await asyncio.sleep(_LOOK_AGAIN)


def in_order(wanted: Iterable[str], labels: Sequence[str]) -> bool:
    """Whether the wanted labels occur in that order, perhaps with others between."""
    rest = iter(labels)
    return all(label in rest for label in wanted)


class Silent(asyncio.DatagramProtocol):
    """A SIP far end that says only what it is told to."""

    def __init__(self) -> None:
        self.got: list[Request] = []
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        message = parse(data)
        if isinstance(message, Request):
            self.got.append(message)
            self.address = address

    def methods(self) -> list[str]:
        return [request.method for request in self.got]

    def answer(self, method: str, status: int, body: bytes = b"") -> None:
        request = next(one for one in self.got if one.method == method)
        host, port = self.transport.get_extra_info("sockname")
        headers = [("Contact", f"<sip:{host}:{port}>")]
        if body:
            headers.append(("Content-Type", "application/sdp"))
        response = request.response(status, to_tag="silent", headers=tuple(headers), body=body)
        self.transport.sendto(response.to_bytes(), self.address)

    @property
    def uri(self) -> str:
        host, port = self.transport.get_extra_info("sockname")
        return f"sip:silent@{host}:{port};transport=udp"

    async def next(self, method: str, *, count: int = 1) -> Request:
        await until(lambda: self.methods().count(method) >= count)
        return [request for request in self.got if request.method == method][-1]


@asynccontextmanager
async def silence() -> AsyncIterator[Silent]:
    """A far end on a port of its own."""
    loop = asyncio.get_running_loop()
    transport, far = await loop.create_datagram_endpoint(Silent, local_addr=("127.0.0.1", 0))
    try:
        yield far
    finally:
        transport.close()


@asynccontextmanager
async def laboratory(directory: Path, *, trunk: Json | None = None, **sections: Any) -> AsyncIterator[Lab]:
    """A lab; at its end nothing of any call may be left.  `trunk`: what its trunk has beside its address.

    `sections`: of the configuration, in place of those of the lab; `routes` may be made from the site's URL.
    """
    site = Site()
    async with (
        serving(site.application()) as url,
        PhoneBank(lambda user: lab.behaviours.get(user, refuses(404))) as phones,
        SimulatedPhone(Behaviour(tone_hz=CALLER_TONE), name=CALLER, record=True) as caller,
    ):
        site.url = url
        ports = free_ports(1600, busy=400)
        settings: dict[str, Any] = {
            "server": {"data_directory": str(directory / "data")},
            "sip": {"port": 0},
            "http": {"port": 0},
            "media": {"workers": 1, "port_min": ports, "port_max": ports + 1599, "directory": str(directory)},
            "phones": {"enabled": False},
            "trunks": {
                "p": {
                    "address": f"127.0.0.1:{phones.port}",
                    "allowed_prefixes": ["+1555123"],
                    **(trunk or {}),
                }
            },
            "routes": {"*": f"{url}/doc"},
            **sections,
        }
        if callable(settings["routes"]):
            settings["routes"] = settings["routes"](url)
        async with Server(Config.model_validate(settings), directory=directory) as server:
            lab = Lab(server, site, phones, caller)
            site.on("/doc", lab.serve_document)
            yield lab
            for call in list(caller.calls):
                call.hang_up()
            await lab.book.rest()
