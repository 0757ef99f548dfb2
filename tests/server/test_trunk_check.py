"""`cordboard trunk test`, line by line: what a carrier answers, and the fix that a failing line names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from cordboard.server.config import Config
from cordboard.server.trunk_check import Finding, TrunkCheck
from cordboard.sip.message import Request, Response, parse
from cordboard.testing.challenge import Challenge

SECRET = Challenge(username="u", password="p", realm="carrier", status=407)
PLAIN, SECURE = "RTP/AVP", "RTP/SAVP"
Reply = Callable[[Request], Response | None]


class Answering(asyncio.DatagramProtocol):
    """Answers what `reply` says; None: nothing."""

    transport: asyncio.DatagramTransport

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        request = parse(data)
        assert isinstance(request, Request)
        request.stamp_source(*address)
        answer = self._reply(request)
        if answer is not None:
            self.transport.sendto(answer.to_bytes(), address)


@asynccontextmanager
async def carrier(reply: Reply) -> AsyncIterator[str]:
    """`host:port`"""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Answering(reply), local_addr=("127.0.0.1", 0))
    try:
        host, port = transport.get_extra_info("sockname")
        yield f"{host}:{port}"
    finally:
        transport.close()


async def examined(directory: Path, trunk: dict[str, Any], **sections: Any) -> dict[str, Finding]:
    """The findings by step."""
    config = Config.model_validate({"trunks": {"t": {"allowed_prefixes": ["+1"], **trunk}}, **sections})
    found = await TrunkCheck(config, "t", directory).run()
    assert not [one for one in found if one.ok is False and not one.fix], "a failing line names its fix"
    return {one.step: one for one in found}


def sdp(profile: str) -> bytes:
    return (
        f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 {profile} 0\r\n"
    ).encode()


def demanding(request: Request) -> Response:
    """Nothing without the password."""
    demand = SECRET.demand(request)
    if demand is not None:
        return request.response(SECRET.status, to_tag="c", headers=(demand,))
    return request.response(200, to_tag="c")


@pytest.mark.parametrize(
    ("password", "ok", "told"),
    [("p", True, "the password was right"), ("wrong", False, "OPTIONS: 407 Proxy Authentication Required")],
)
async def test_a_carrier_that_challenges_options_tells_whether_the_password_is_right(
    tmp_path: Path, password: str, ok: bool, told: str
) -> None:
    async with carrier(demanding) as address:
        found = await examined(tmp_path, {"address": address, "username": "u", "password": password})
    line = found["authentication"]
    assert (line.ok, told in line.text) == (ok, True), line
    assert ("check trunks.t.username, password and realm" in line.fix) is not ok


async def test_a_carrier_that_does_not_challenge_leaves_the_password_open(tmp_path: Path) -> None:
    async with carrier(lambda request: request.response(200, to_tag="c")) as address:
        found = await examined(tmp_path, {"address": address, "username": "u", "password": "p"})
    assert found["authentication"].ok is None
    assert "was not challenged" in found["authentication"].text


@pytest.mark.parametrize(
    ("status", "ok", "fix"),
    [
        (200, True, ""),
        (403, False, "check trunks.t.username, password and realm"),
        (404, False, "check trunks.t.username and from_domain"),
        (503, False, "whether the carrier takes registrations"),
    ],
)
async def test_a_registration_that_fails_names_what_to_check(
    tmp_path: Path, status: int, ok: bool, fix: str
) -> None:
    def reply(request: Request) -> Response:
        return request.response(status if request.method == "REGISTER" else 200, to_tag="c")

    trunk = {"register": True, "username": "u", "password": "p"}
    async with carrier(reply) as address:
        found = await examined(tmp_path, {"address": address, **trunk})
    line = found["authentication"]
    assert line.ok is ok
    assert line.text.startswith(f"REGISTER: {status} ")
    assert fix in line.fix


async def test_a_registrar_that_is_silent_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cordboard.server.trunk_check._ANSWER", 1.0)

    def reply(request: Request) -> Response | None:
        return None if request.method == "REGISTER" else request.response(200, to_tag="c")

    trunk = {"register": True, "username": "u", "password": "p"}
    async with carrier(reply) as address:
        found = await examined(tmp_path, {"address": address, **trunk})
    line = found["authentication"]
    assert (line.ok, line.text) == (False, "REGISTER: no answer")
    assert "register = false" in line.fix


@pytest.mark.parametrize(
    ("encryption", "body", "ok", "told"),
    [
        ("mandatory", sdp(SECURE), True, "SRTP is spoken there"),
        ("mandatory", sdp(PLAIN), False, "no SRTP is spoken there"),
        ("mandatory", b"", None, "does not say"),
        ("optional", sdp(SECURE), True, "SRTP is spoken there"),
        ("optional", sdp(PLAIN), None, "calls will be plain"),
        ("optional", b"", None, "does not say"),
    ],
)
async def test_what_becomes_of_the_offer_of_srtp_is_a_line_of_its_own(
    tmp_path: Path, encryption: str, body: bytes, ok: bool | None, told: str
) -> None:
    async with carrier(lambda request: request.response(200, to_tag="c", body=body)) as address:
        found = await examined(tmp_path, {"address": address, "encryption": encryption})
    line = found["encryption"]
    assert line.ok is ok
    assert told in line.text


async def test_without_srtp_there_is_no_line_about_it(tmp_path: Path) -> None:
    async with carrier(lambda request: request.response(200, to_tag="c", body=sdp(PLAIN))) as address:
        found = await examined(tmp_path, {"address": address})
    assert "encryption" not in found
    assert found["codecs"].ok is True


async def test_codecs_that_nobody_there_knows_are_named_with_those_that_are_known(tmp_path: Path) -> None:
    async with carrier(lambda request: request.response(200, to_tag="c", body=sdp(PLAIN))) as address:
        found = await examined(tmp_path, {"address": address, "codecs": "G722,OPUS"})
    line = found["codecs"]
    assert (line.ok, line.text) == (False, "offered G722, OPUS; known there PCMU")
    assert line.fix == "name one of those in trunks.t.codecs"


@pytest.mark.parametrize(
    ("address", "fix"),
    [
        ("no-such-host.invalid", "check trunks.t.address and the name server"),
        ("10.1.2.3", "listing its network in outbound.allowed_networks"),
        ("169.254.169.254", "check trunks.t.address"),
    ],
)
async def test_an_address_that_cannot_be_used_ends_the_test_with_its_fix(
    tmp_path: Path, address: str, fix: str
) -> None:
    found = await examined(tmp_path, {"address": address}, outbound={"allow_private": False})
    assert list(found) == ["prefixes", "dns"]
    assert found["dns"].ok is False
    assert fix in found["dns"].fix


async def test_a_service_that_is_out_is_a_failure_of_the_carrier(tmp_path: Path) -> None:
    async with carrier(lambda request: request.response(503, to_tag="c")) as address:
        found = await examined(tmp_path, {"address": address})
    assert found["options"].ok is False
    assert "ask the carrier" in found["options"].fix
