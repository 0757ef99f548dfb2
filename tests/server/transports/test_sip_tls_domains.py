"""Certificates that name a SIP domain as a URI."""

from __future__ import annotations

import pytest
from cryptography import x509

from cordboard.sip.endpoint import Endpoint

from .tls_papers import Papers, caller, served
from .transport_bench import Make, options

URI, DNS = x509.UniformResourceIdentifier, x509.DNSName


@pytest.mark.parametrize(
    ("names", "issuer", "believed"),
    [
        ([URI("sip:sip.example.com")], "ours", True),
        ([URI("sip:SIP.example.com"), DNS("edge7.example.net")], "ours", True),
        ([URI("https://x.example.com"), URI("sip:sip.example.com")], "ours", True),
        ([URI("sip:other.example.com")], "ours", False),
        ([URI("sip:someone@sip.example.com")], "ours", False),
        ([URI("sips:sip.example.com")], "ours", False),
        ([URI("https://sip.example.com")], "ours", False),
        ([URI("sip:*.example.com")], "ours", False),
        ([URI("sip:")], "ours", False),
        ([URI("sip:sip.example.com")], "foreign", False),
    ],
)
async def test_a_certificate_may_name_the_domain_as_a_sip_uri(
    make: Make, papers: Papers, names: list[x509.GeneralName], issuer: str, believed: bool
) -> None:
    """RFC 5922, section 7.1."""
    bench = caller(make, papers)
    ca = papers.other_ca if issuer == "foreign" else None
    far_end = await served(papers, papers.issue_named("s.pem", names, ca))
    bench.transports.send(options(), Endpoint("TLS", "127.0.0.1", far_end.port, "sip.example.com"))
    if believed:
        await bench.until(lambda: far_end.read == options())
        assert not bench.failed
    else:
        told = (
            "unknown authority" if issuer == "foreign" else "its certificate is not for sip.example.com: dial"
        )
        assert told in await bench.failure()
        assert far_end.read == b""
        await bench.until(lambda: bench.transports.connections() == 0)
    await far_end.stop()
