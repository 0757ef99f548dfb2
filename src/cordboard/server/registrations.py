"""Trunks are looked after: registered where the carrier wants that, asked by OPTIONS whether they live.

The way from a carrier that has registered us over UDP is held open through NAT (TCP and TLS connections do
that for themselves), and a server that is stopped takes its registrations back.  A trunk whose registration
or OPTIONS fails is passed over until it works again.  A password that is refused is not tried again:
carriers block accounts for that.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from cordboard.server.config import Trunk, split_host
from cordboard.server.resolver import Resolver, Wanted
from cordboard.server.trunk_requests import TrunkRequests
from cordboard.server.trunks import Trunks, credentials_of
from cordboard.sip.endpoint import Endpoint, bracketed
from cordboard.sip.events import ResponseReceived
from cordboard.sip.message import Response

_log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]
Send = Callable[[bytes, Endpoint], None]

PING = b"\r\n\r\n"
"""RFC 5626 section 3.5.1; over UDP no answer is expected, and every SIP server ignores it."""

_REGISTER_AGAIN = 0.9
"""Of the granted time."""
_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 600.0
_SHORTEST_GRANT = 10.0
_REFUSED = frozenset({401, 403, 407})


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a trunk is, and how it is named."""

    endpoint: Endpoint
    uri: str
    """`sip:host` with port and transport."""
    domain: str


class Binding:
    """A registration: REGISTERs of one Call-ID, numbered on."""

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self.stands_at: Endpoint | None = None
        """The registrar, while the registration holds."""
        self._cseq = -1

    def next_cseq(self) -> int:
        self._cseq += 2  # an answered challenge takes one
        return self._cseq


class TrunkWatch:
    """`told`: our endpoints as far ends know them; `random`: in [0, 1); `keep_alive`: seconds, 0 = never."""

    def __init__(
        self,
        trunks: Mapping[str, Trunk],
        chooser: Trunks,
        resolver: Resolver,
        requests: TrunkRequests,
        *,
        told: Sequence[Endpoint],
        random: Callable[[], float],
        sleep: Sleep = asyncio.sleep,
        send: Send | None = None,
        keep_alive: float = 0.0,
    ) -> None:
        self._trunks = trunks
        self._chooser = chooser
        self._resolver = resolver
        self._requests = requests
        self._told = told
        self._random = random
        self._sleep = sleep
        self._send = send
        self._keep_alive = keep_alive
        self._bindings: dict[str, Binding] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """One task for each trunk and each duty."""
        for name, trunk in self._trunks.items():
            if trunk.registers:
                self._tasks.append(asyncio.create_task(self.keep_registered(name, trunk)))
            if trunk.options_interval:
                self._tasks.append(asyncio.create_task(self.keep_asking(name, trunk)))
        if self._send is not None and self._keep_alive and any(t.registers for t in self._trunks.values()):
            self._tasks.append(asyncio.create_task(self.keep_open(self._send)))

    async def farewell(self) -> None:
        """Stop, and take back what is registered; who calls this says for how long at most."""
        await self.stop()
        registered = [name for name, binding in self._bindings.items() if binding.stands_at is not None]
        await asyncio.gather(*(self._unregister(name) for name in registered), return_exceptions=True)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ------------------------------------------------------------ REGISTER (RFC 3261 section 10)

    async def keep_registered(self, name: str, trunk: Trunk) -> None:
        """Until the carrier refuses the credentials."""
        binding = Binding(f"register-{name.encode().hex()}-{self._random():.12f}")
        self._bindings[name] = binding
        wanted, failures = trunk.register_expires, 0
        while True:
            outcome = await self._register(trunk, binding, wanted)
            if isinstance(outcome, ResponseReceived) and outcome.status in _REFUSED:
                binding.stands_at = None
                self._refused(name, outcome)
                return
            shortest = _min_expires(outcome, wanted)
            if shortest is not None:
                wanted = shortest
                continue
            if isinstance(outcome, ResponseReceived) and 200 <= outcome.status < 300:
                self._up(name, "register")
                failures = 0
                await self._sleep(_REGISTER_AGAIN * granted(outcome.response, self._told, wanted))
                continue
            self._down(name, "register", f"it could not be registered with: {_outcome(outcome)}")
            failures += 1
            await self._sleep(self._pause(failures))

    async def _unregister(self, name: str) -> None:
        await self._register(self._trunks[name], self._bindings[name], 0)

    async def _register(self, trunk: Trunk, binding: Binding, expires: int) -> ResponseReceived | OSError:
        try:
            place = await self.place(trunk)
        except OSError as error:
            return error
        user = trunk.username or trunk.from_user or ""
        account = f"<sip:{user}@{trunk.from_domain or place.domain}>"
        outcome = await self._requests.send(
            "REGISTER",
            uri=place.uri,
            to=account,
            from_=account,
            destination=place.endpoint,
            headers=(("Contact", self._contact(user, place.endpoint)), ("Expires", str(expires))),
            credentials=credentials_of(trunk),
            call_id=binding.call_id,
            cseq=binding.next_cseq(),
        )
        if 200 <= outcome.status < 300:
            binding.stands_at = place.endpoint if expires else None
        return outcome

    async def keep_open(self, send: Send) -> None:
        """The NAT binding that a carrier's calls come through."""
        while True:
            await self._sleep(self._keep_alive)
            for binding in self._bindings.values():
                if binding.stands_at is not None and binding.stands_at.transport == "UDP":
                    send(PING, binding.stands_at)

    def _contact(self, user: str, destination: Endpoint) -> str:
        ours = next((e for e in self._told if _kind(e) == _kind(destination)), self._told[0])
        transport = "" if ours.transport == "UDP" else f";transport={ours.transport.lower()}"
        return f"<sip:{user}@{ours.host_port}{transport}>"

    def _refused(self, name: str, outcome: ResponseReceived) -> None:
        sentence = f"it refused to register this server ({_outcome(outcome)})"
        self._chooser.mark_down(name, "register", sentence)
        _log.error(
            "trunk %s: %s. It is not tried again before a restart: check trunks.%s.username and password",
            *(name, sentence, name),
        )

    def _pause(self, failures: int) -> float:
        """Growing, and drawn, so that not all servers come back in the same second."""
        longest: float = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures - 1, 20))
        return longest * (0.5 + self._random() / 2)

    # ------------------------------------------------------------ OPTIONS

    async def keep_asking(self, name: str, trunk: Trunk) -> None:
        """For ever: a trunk that gives any answer but 503 lives."""
        while True:
            outcome = await self.ask(trunk)
            if (
                isinstance(outcome, ResponseReceived)
                and outcome.cause == "response"
                and outcome.status != 503
            ):
                self._up(name, "options")
            else:
                self._down(name, "options", f"it does not answer OPTIONS: {_outcome(outcome)}")
            await self._sleep(trunk.options_interval)

    async def ask(self, trunk: Trunk) -> ResponseReceived | OSError:
        """One OPTIONS."""
        try:
            place = await self.place(trunk)
        except OSError as error:
            return error
        user = trunk.from_user or trunk.username or "cordboard"
        return await self._requests.send(
            "OPTIONS",
            uri=place.uri,
            to=f"<{place.uri}>",
            from_=f"<sip:{user}@{trunk.from_domain or self._told[0].host_port}>",
            destination=place.endpoint,
            headers=(("Accept", "application/sdp"),),
            credentials=credentials_of(trunk),
        )

    async def place(self, trunk: Trunk) -> Place:
        """Raises OSError."""
        host, port = split_host(trunk.address, 0)
        transport = trunk.transport.upper() if trunk.transport else None
        hop = (await self._resolver.locate(Wanted(host=host, port=port or None, transport=transport)))[0]
        name = host if hop.transport == "TLS" else ""
        suffix = f":{port}" if port else ""
        suffix += f";transport={trunk.transport}" if trunk.transport in ("tcp", "tls") else ""
        return Place(
            endpoint=Endpoint(hop.transport, hop.address, hop.port, name),
            uri=f"sip:{bracketed(host)}{suffix}",
            domain=bracketed(host),
        )

    # ------------------------------------------------------------ up and down

    def _up(self, name: str, check: str) -> None:
        if self._chooser.mark_up(name, check):
            _log.info("trunk %s: %s works", name, check.upper())

    def _down(self, name: str, check: str, sentence: str) -> None:
        if self._chooser.mark_down(name, check, sentence):
            _log.warning("trunk %s: %s", name, sentence)


def _kind(endpoint: Endpoint) -> tuple[str, bool]:
    return (endpoint.transport, ":" in endpoint.address)


def _outcome(outcome: ResponseReceived | OSError) -> str:
    if isinstance(outcome, OSError):
        return outcome.strerror or str(outcome)
    if outcome.response is not None:
        return f"{outcome.status} {outcome.response.reason}"
    return "no answer" if outcome.cause == "timeout" else "it cannot be reached"


def _min_expires(outcome: ResponseReceived | OSError, asked: int) -> int | None:
    """What a 423 demands; None for anything else."""
    if not isinstance(outcome, ResponseReceived) or outcome.status != 423 or outcome.response is None:
        return None
    text = outcome.response.headers.get("Min-Expires") or ""
    least = int(text) if text.isdigit() and len(text) < 7 else 0
    return least if asked < least <= 86_400 else None


_EXPIRES = re.compile(r";\s*expires\s*=\s*\"?([0-9]{1,9})", re.I)


def granted(response: Response | None, ours: Sequence[Endpoint], asked: int) -> float:
    """Seconds for which a 200 has registered us: of our Contact, else of Expires, else what was asked."""
    if response is None:
        return float(asked)
    for name, value in response.headers:
        if name != "Contact":
            continue
        for contact in value.split(","):
            match = _EXPIRES.search(contact)
            if match is not None and any(endpoint.host_port in contact for endpoint in ours):
                return max(_SHORTEST_GRANT, min(float(match[1]), 86_400.0))
    text = (response.headers.get("Expires") or "").strip()
    usable = text.isdigit() and len(text) < 7
    return max(_SHORTEST_GRANT, float(text) if usable else float(asked))
