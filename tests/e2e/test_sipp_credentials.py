"""A SIPp that asks for a password works out for itself whether the digest is right (swml.md 7.8)."""

from __future__ import annotations

import pytest

from .book import Book
from .conftest import StartServer
from .peers import Sipps
from .scenario import (
    ANSWERED,
    SDP,
    ack,
    ack_refusal,
    bye,
    callee,
    caller,
    go_to,
    invite,
    invited,
    label,
    pause,
    provisionals,
    receive,
    reply,
    response,
)
from .strategies import connect

pytestmark = pytest.mark.real_peer

CREDENTIALS = "username: user, password: secret"
JUDGE = '<verifyauth assign_to="is_right" username="user" password="secret"/></action>'
NONCE = ('realm="sipp.test"', 'nonce="abc123"')


def asks(*challenge: str) -> str:
    """Once more if the digest is wrong, after which nothing may come."""
    again = reply(
        "401 Unauthorized", headers=(f"WWW-Authenticate: Digest {', '.join((*NONCE, *challenge))}",)
    )
    return callee(
        invited(),
        again,
        receive("ACK"),
        invited().replace("</action>", JUDGE),
        '<nop hide="true" test="is_right" next="right"/>',
        again,
        receive("ACK"),
        go_to("end"),
        label("right"),
        reply(200, SDP),
        *ANSWERED,
        label("end"),
    )


@pytest.mark.parametrize(
    "challenge",
    [
        (),
        ("algorithm=MD5",),
        ('qop="auth"', "algorithm=MD5"),
        ('qop="auth-int"', "algorithm=MD5", 'opaque="o"'),
    ],
    ids=["rfc2069", "md5", "auth", "auth-int"],
)
async def test_a_digest_that_another_program_checks_is_right(
    start_server: StartServer, sipps: Sipps, challenge: tuple[str, ...]
) -> None:
    far = await sipps.callee("far", asks(*challenge))
    server = await start_server(connect("to", far.uri, options=CREDENTIALS))
    book = Book(server)
    near = caller(invite(), provisionals(), response(200), ack(), pause(200), bye())
    await (await sipps.caller(server.socket.local.host_port, near)).finished()
    await far.finished()
    await book.rest()
    assert book.connects() == ["connecting", "connected", "disconnected"]
    first, second = far.messages("INVITE")
    assert "Authorization:" not in first
    assert 'username="user"' in second
    assert "secret" not in second


async def test_a_digest_that_another_program_finds_wrong_is_not_tried_again(
    start_server: StartServer, sipps: Sipps
) -> None:
    far = await sipps.callee("far", asks('qop="auth"', "algorithm=MD5"))
    server = await start_server(connect("to", far.uri, options="username: user, password: wrong"))
    book = Book(server)
    near = caller(invite(), provisionals(), response(603), ack_refusal())
    await (await sipps.caller(server.socket.local.host_port, near)).finished()
    await far.finished()
    await book.rest()
    assert book.connects() == ["connecting", "failed declined"]
    assert book.ends()[far.uri] == "credentials_refused"
    assert len(far.messages("INVITE")) == 2
