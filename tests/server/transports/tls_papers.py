"""Certificates for tests of TLS, and the two sides that need them."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path
from typing import cast

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from .transport_bench import Bench, FarEnd, Make


class Papers:
    """Certificates in files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ca = trustme.CA()
        self.other_ca = trustme.CA()
        self.ca.cert_pem.write_to_path(directory / "ca.pem")
        self.other_ca.cert_pem.write_to_path(directory / "other-ca.pem")

    def issue(self, file: str, *names: str, ca: trustme.CA | None = None, expired: bool = False) -> str:
        """A certificate with its key; returns the file's name."""
        until = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1) if expired else None
        made = (ca or self.ca).issue_cert(*(names or ("127.0.0.1",)), not_after=until)
        made.private_key_and_cert_chain_pem.write_to_path(self.directory / file)
        return file

    def issue_named(self, file: str, names: list[x509.GeneralName], ca: trustme.CA | None = None) -> str:
        """The same with names of any kind."""
        authority, key = ca or self.ca, ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        made = x509.CertificateBuilder(
            issuer_name=x509.load_pem_x509_certificate(authority.cert_pem.bytes()).subject,
            subject_name=x509.Name([]),
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(days=1),
            not_valid_after=now + datetime.timedelta(days=1),
        ).add_extension(x509.SubjectAlternativeName(names), critical=True)
        signer = serialization.load_pem_private_key(authority.private_key_pem.bytes(), None)
        signed = made.sign(cast(CertificateIssuerPrivateKeyTypes, signer), hashes.SHA256())
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, *form)
        (self.directory / file).write_bytes(pem + signed.public_bytes(serialization.Encoding.PEM))
        return file

    def path(self, file: str) -> str:
        return str(self.directory / file)

    def context(self, file: str | None = None, *, protocol: int = ssl.PROTOCOL_TLS_CLIENT) -> ssl.SSLContext:
        """Of a far end."""
        context = ssl.SSLContext(protocol)
        context.load_verify_locations(self.path("ca.pem"))
        if file is not None:
            context.load_cert_chain(self.path(file))
        return context


async def served(papers: Papers, file: str, *, demand: bool = False) -> FarEnd:
    context = papers.context(file, protocol=ssl.PROTOCOL_TLS_SERVER)
    if demand:
        context.verify_mode = ssl.CERT_REQUIRED
    return await FarEnd().start(context=context)


def caller(make: Make, papers: Papers, **settings: object) -> Bench:
    return make(**{"directory": papers.directory, "server_ca": "ca.pem", **settings})
