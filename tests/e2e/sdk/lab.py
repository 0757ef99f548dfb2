"""A server for programs: its calls come to a RELAY context, and far ends are phones on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import trustme

from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone_call import PhoneCall

from ..cases import CALLER, Case, Lab, laboratory
from .programs import ALL, Program, Sdk, running
from .remote import Remote

Json = dict[str, Any]
Routes = Callable[[str], Json]

PROJECT = "proj-1"
TOKEN = "PTtest-token"
HOST = "localhost"


class RelayLab:
    """A laboratory whose numbers lead to programs."""

    def __init__(self, lab: Lab, issuer: trustme.CA, authority: Path) -> None:
        self.lab = lab
        self.issuer = issuer
        self.authority = authority
        self._remotes: dict[str, Remote] = {}
        self._programs = AsyncExitStack()

    def case(self) -> RelayCase:
        return RelayCase(self, self.lab.case())

    def port(self, sdk: Sdk) -> int:
        """Where that SDK has to connect to."""
        http = self.lab.server.http
        port = http.tls_port if sdk.over_tls else http.port
        assert port
        return port

    def host(self, sdk: Sdk, port: int | None = None, *, tls: bool = False) -> str:
        """As that SDK wants it."""
        http = self.lab.server.http
        if sdk.over_tls:
            return f"{HOST}:{port or http.tls_port}"
        return f"wss://{HOST}:{port or http.tls_port}" if tls else f"ws://127.0.0.1:{port or http.port}"

    async def remote(self, sdk: Sdk) -> Remote:
        """The client of that SDK that serves the context of its name as long as the lab is there."""
        if sdk.name not in self._remotes:
            self._remotes[sdk.name] = await self.another(sdk, self._programs)
        return self._remotes[sdk.name]

    async def another(
        self, sdk: Sdk, until: AsyncExitStack, *, contexts: Sequence[str] | None = None
    ) -> Remote:
        """One more client; it ends with `until`."""
        sdk.check()
        settings = {
            "host": self.host(sdk),
            "project": PROJECT,
            "token": TOKEN,
            "contexts": [sdk.name] if contexts is None else list(contexts),
        }
        made = running(sdk, settings, command=sdk.remote, authority=self.authority)
        remote = Remote(await until.enter_async_context(made))
        await remote.program.says("ready")
        return remote

    async def close(self) -> None:
        """End the clients."""
        await self._programs.aclose()


class RelayCase:
    """One program, its far ends, and what it is told."""

    def __init__(self, lab: RelayLab, case: Case) -> None:
        self.lab = lab
        self.case = case
        self.programs = AsyncExitStack()

    def phone(self, name: str, behaviour: Behaviour) -> Json:
        """A SIP device whose far end behaves so."""
        to = self.case.phone(name, behaviour)
        return {"type": "sip", "from": f"sip:{CALLER}@{HOST}", "to": to, "timeout": 20}

    def number(self, name: str, behaviour: Behaviour) -> Json:
        """A phone device whose far end behaves so."""
        return {"type": "phone", "from": CALLER, "to": self.case.pstn(behaviour), "timeout": 20}

    async def program(
        self, sdk: Sdk, name: str, *, port: int | None = None, tls: bool = False, **options: Any
    ) -> Program:
        """Start one; it ends with the case."""
        host = self.lab.host(sdk, port, tls=tls)
        settings = {"program": name, "host": host, "project": PROJECT, "token": TOKEN, **options}
        started = running(sdk, settings, authority=self.lab.authority)
        return await self.programs.enter_async_context(started)

    async def calls(
        self,
        *,
        behaviour: Behaviour | None = None,
        headers: Sequence[tuple[str, str]] = (),
        from_user: str | None = None,
        to: str | None = None,
    ) -> PhoneCall:
        """Somebody calls the number of this case, or `to`.

        A `from_user` that is no number makes it a SIP call.
        """
        server = self.lab.lab.server
        return await self.lab.lab.caller.call(
            f"sip:{to or self.case.number}@{server.socket.local.host_port}",
            behaviour=behaviour,
            headers=headers,
            from_user=from_user,
        )

    async def close(self) -> None:
        """End the programs, and with them what they have left: their calls would wait for them."""
        await self.programs.aclose()
        names = (f"-{self.case.serial}@", f"+1555123{self.case.serial:04d}@")
        lab = self.lab.lab
        far = [call for call in lab.phones.calls if any(name in call.report.local_uri for name in names)]
        left = [call for call in [*far, *lab.caller.calls] if not call.is_over]
        for call in left:
            call.hang_up()
        await asyncio.gather(*(call.ended() for call in left))


@asynccontextmanager
async def relay_laboratory(
    directory: Path,
    *,
    issuer: trustme.CA | None = None,
    routes: Routes | None = None,
    trunk: Json | None = None,
    **sections: Any,
) -> AsyncIterator[RelayLab]:
    """A lab with one project; `sections` as for `laboratory`.

    `issuer`: of the certificates of the lab before it.  `routes`: more of them, made from the site's URL.
    `trunk`: what the trunk has beside its address.
    """
    issuer = issuer or trustme.CA()
    certificate = issuer.issue_cert(HOST, "127.0.0.1")
    chain, authority = directory / "server.pem", directory / "authority.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(chain))
    issuer.cert_pem.write_to_path(str(authority))
    own: Json = {sdk.name: {"context": sdk.name} for sdk in ALL}
    settings: Json = {
        "http": {"port": 0, "tls_port": 0, "certificate": str(chain)},
        "projects": {PROJECT: {"tokens": [TOKEN]}},
        "routes": lambda url: {**own, "*": {"context": "office"}, **(routes(url) if routes else {})},
        "trunk": trunk or {},
        **sections,
    }
    async with laboratory(directory, **settings) as lab:
        made = RelayLab(lab, issuer, authority)
        try:
            yield made
        finally:
            await made.close()
