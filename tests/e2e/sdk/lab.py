"""A server for programs: its calls come to a RELAY context, and far ends are phones on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import trustme

from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone_call import PhoneCall

from ..cases import CALLER, Case, Lab, laboratory
from .programs import Program, Sdk, running

Json = dict[str, Any]

PROJECT = "proj-1"
TOKEN = "PTtest-token"
HOST = "localhost"


class RelayLab:
    """A laboratory whose numbers lead to programs."""

    def __init__(self, lab: Lab, directory: Path, authority: Path) -> None:
        self.lab = lab
        self.directory = directory
        self._authority = authority

    def case(self) -> RelayCase:
        return RelayCase(self, self.lab.case())

    def port(self, sdk: Sdk) -> int:
        """Where that SDK has to connect to."""
        http = self.lab.server.http
        port = http.tls_port if sdk.over_tls else http.port
        assert port
        return port

    @property
    def authority(self) -> Path:
        return self._authority


class RelayCase:
    """One program, its far ends, and what it is told."""

    def __init__(self, lab: RelayLab, case: Case) -> None:
        self.lab = lab
        self.case = case
        self._programs = AsyncExitStack()

    def phone(self, name: str, behaviour: Behaviour) -> Json:
        """A SIP device whose far end behaves so."""
        to = self.case.phone(name, behaviour)
        return {"type": "sip", "from": f"sip:{CALLER}@{HOST}", "to": to, "timeout": 20}

    async def program(self, sdk: Sdk, name: str, *, port: int | None = None, **options: Any) -> Program:
        """Start one; it ends with the case."""
        port = port or self.lab.port(sdk)
        host = f"{HOST}:{port}" if sdk.over_tls else f"ws://127.0.0.1:{port}"
        settings = {"program": name, "host": host, "project": PROJECT, "token": TOKEN, **options}
        started = running(sdk, settings, authority=self.lab.authority)
        return await self._programs.enter_async_context(started)

    async def calls(
        self,
        *,
        behaviour: Behaviour | None = None,
        headers: Sequence[tuple[str, str]] = (),
        from_user: str | None = None,
    ) -> PhoneCall:
        """Somebody calls the number of this case; a `from_user` that is no number makes it a SIP call."""
        server = self.lab.lab.server
        return await self.lab.lab.caller.call(
            f"sip:{self.case.number}@{server.socket.local.host_port}",
            behaviour=behaviour,
            headers=headers,
            from_user=from_user,
        )

    async def close(self) -> None:
        await self._programs.aclose()


@asynccontextmanager
async def relay_laboratory(directory: Path, **sections: Any) -> AsyncIterator[RelayLab]:
    """A lab with one project; `sections` as for `laboratory`."""
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST, "127.0.0.1")
    chain, trusted = directory / "server.pem", directory / "authority.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(chain))
    authority.cert_pem.write_to_path(str(trusted))
    settings: Json = {
        "http": {"port": 0, "tls_port": 0, "certificate": str(chain)},
        "projects": {PROJECT: {"tokens": [TOKEN]}},
        "routes": {"*": {"context": "office"}},
        **sections,
    }
    async with laboratory(directory, **settings) as lab:
        yield RelayLab(lab, directory, trusted)
