"""`cordboard trunk test` of carriers over TLS: what it says of their certificates."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
import trustme

from cordboard.server.config import Config
from cordboard.server.trunk_check import Finding, TrunkCheck
from cordboard.testing.phone import SimulatedPhone
from cordboard.testing.phone_streams import TlsContexts

NAME = "sip.carrier.example"
OTHER = "its certificate is not for sip.carrier.example"


async def examined(directory: Path, certified: str, *, days: int, known: bool) -> Finding:
    """The line about TLS of a carrier with such a certificate."""
    ca, other = trustme.CA(), trustme.CA()
    (ca if known else other).cert_pem.write_to_path(directory / "ca.pem")
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days, hours=1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(certified, not_after=until).configure_cert(context)
    async with SimulatedPhone(name="carrier", tls=TlsContexts(server=context)) as carrier:
        port = carrier.uri(transport="tls").rpartition(":")[2].partition(";")[0]
        config = Config.model_validate(
            {
                "sip": {"server_ca": "ca.pem"},
                "hosts": {NAME: "127.0.0.1"},
                "trunks": {"t": {"address": f"{NAME}:{port}", "transport": "tls"}},
            }
        )
        findings = await TrunkCheck(config, "t", directory).run()
    return next(finding for finding in findings if finding.step == "tls")


@pytest.mark.parametrize(
    ("certified", "days", "known", "ok", "text", "fix"),
    [
        (NAME, 60, True, True, f"the certificate is for {NAME} and lasts 60 days", ""),
        (NAME, 3, True, True, "lasts 3 days, not for long", ""),
        ("*.carrier.example", 60, True, True, "connected", ""),
        (NAME, -2, True, False, "its certificate has expired", "it must be renewed there"),
        (
            "other.example",
            60,
            True,
            False,
            f"its certificate is not for {NAME}",
            "dial the name that it is for",
        ),
        (NAME, 60, False, False, "unknown authority", "name that one in sip.server_ca"),
    ],
)
async def test_the_line_about_a_certificate(
    tmp_path: Path, certified: str, days: int, known: bool, ok: bool, text: str, fix: str
) -> None:
    found = await examined(tmp_path, certified, days=days, known=known)
    assert found.ok is ok, found
    assert text in found.text
    assert found.fix == fix
