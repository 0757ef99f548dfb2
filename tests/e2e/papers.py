"""Certificates for tests: of an authority that the server knows, and of one that nobody knows."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import trustme

from .baresip import TlsPapers


class Papers:
    """Certificates in files, of one authority and of one that nobody knows."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ca, self.other_ca = trustme.CA(), trustme.CA()
        self.ca.cert_pem.write_to_path(self.path("ca.pem"))

    def path(self, name: str) -> Path:
        return self.directory / name

    def issue(self, file: str, *names: str, ca: trustme.CA | None = None, days: int = 30) -> Path:
        """A chain with its key."""
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        made = (ca or self.ca).issue_cert(*(names or ("127.0.0.1",)), not_after=until)
        made.private_key_and_cert_chain_pem.write_to_path(self.path(file))
        return self.path(file)

    def of_phone(self) -> TlsPapers:
        return TlsPapers(self.issue("phone.pem"), self.path("ca.pem"))

    def of_server(self, **more: Any) -> dict[str, Any]:
        """The section `sip` of a server that speaks TLS."""
        certificate = self.issue("server.pem")
        return {"tls_port": 0, "certificate": str(certificate), "server_ca": str(self.path("ca.pem")), **more}
