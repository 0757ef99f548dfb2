"""Servers on free loopback ports, for tests of how they start, fail and stop."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from cordboard.server.config import Config
from cordboard.server.server import Server
from cordboard.sip.endpoint import Endpoint

DIAL_ALICE = """\
version: 1.0.0
sections:
  main:
    - connect:
        to: sip:alice@phones.test
        answer_on_bridge: true
"""
WAIT = "version: 1.0.0\nsections:\n  main:\n    - answer: {}\n    - sleep: -1\n"
RING = """\
version: 1.0.0
sections:
  main:
    - connect:
        to: sip:ring@phones.test
        answer_on_bridge: true
"""


def settings(directory: Path, document: str = WAIT, **sections: Any) -> Config:
    """One worker, free ports, one document for everybody."""
    path = directory / "document.yaml"
    path.write_text(document)
    first = free_ports(200)
    merged: dict[str, Any] = {
        "server": {"data_directory": str(directory / "data")},
        "sip": {"port": 0},
        "media": {"workers": 1, "port_min": first, "port_max": first + 199},
        "routes": {"*": str(path)},
    }
    for name, values in sections.items():
        merged[name] = {**merged.get(name, {}), **values}
    return Config.model_validate(merged)


def make_server(directory: Path, document: str = WAIT, **sections: Any) -> Server:
    return Server(settings(directory, document, **sections), directory=directory)


def free_ports(number: int) -> int:
    """The first of a run of UDP ports that look free; each test process has a block of its own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    first = 40_000 + worker * 2_000
    for start in range(first, first + 2_000, number):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", start))
            except OSError:
                continue
            return start
    raise RuntimeError("no free UDP ports")


def children() -> set[int]:
    """Process ids of the media workers of this process."""
    found = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
    return {int(pid) for pid in found.split()}


def target(server: Server, user: str = "+15551230000") -> str:
    return f"sip:{user}@{server.socket.local.host_port}"


def invite(source: Endpoint, uri: str, *, call_id: str = "raw", fields: str = "") -> bytes:
    """An INVITE as a plain text, without a stack."""
    return (
        f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {source.host_port};branch=z9hG4bK{call_id};rport\r\n"
        f"From: <sip:raw@{source.host_port}>;tag=raw\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\n"
        f"CSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:{source.host_port}>\r\n{fields}"
        "Content-Length: 0\r\n\r\n"
    ).encode()
