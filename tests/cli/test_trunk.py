"""`cordboard trunk`: each line says ok or names the fix, against carriers on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cordboard.cli import app
from cordboard.sip.message import Request, Response, parse

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 9 RTP/AVP 8 96\r\na=rtpmap:96 opus/48000/2\r\n"
)
CHALLENGE = (("WWW-Authenticate", 'Digest realm="carrier", nonce="n", qop="auth"'),)
Reply = Callable[[Request], Response]


class Carrier:
    """Answers on a UDP port, in a thread of its own."""

    def __init__(self, reply: Reply) -> None:
        self.methods: list[str] = []
        self._reply = reply
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data, source = self._socket.recvfrom(65_535)
            if data == b"stop":
                return
            request = parse(data)
            assert isinstance(request, Request)
            self.methods.append(request.method)
            request.stamp_source(*source)
            self._socket.sendto(self._reply(request).to_bytes(), source)

    def close(self) -> None:
        self._socket.sendto(b"stop", self._socket.getsockname())
        self._thread.join()
        self._socket.close()


@pytest.fixture
def carriers() -> Iterator[Callable[[Reply], Carrier]]:
    made: list[Carrier] = []

    def start(reply: Reply) -> Carrier:
        made.append(Carrier(reply))
        return made[-1]

    yield start
    for carrier in made:
        carrier.close()


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cordboard.toml"
    path.write_text(text)
    return path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["trunk", *arguments])
    return result.exit_code, result.output


def test_a_trunk_that_works_has_no_failed_line(tmp_path: Path, carriers: Callable[[Reply], Carrier]) -> None:
    carrier = carriers(lambda request: request.response(200, to_tag="c", body=SDP))
    config = write(tmp_path, f'[trunks.c]\naddress = "127.0.0.1:{carrier.port}"\nallowed_prefixes = ["+1"]\n')
    code, output = run("test", "c", "--config", str(config))
    assert code == 0, output
    assert "FAILED" not in output
    assert "options         200 OK after" in output
    assert "known there OPUS, PCMA" in output
    assert carrier.methods == ["OPTIONS"]


def challenging(request: Request) -> Response:
    if request.method == "REGISTER":
        return request.response(401, to_tag="c", headers=CHALLENGE)
    return request.response(200, to_tag="c")


def test_a_wrong_password_and_a_missing_prefix_are_named_with_their_fixes(
    tmp_path: Path, carriers: Callable[[Reply], Carrier]
) -> None:
    carrier = carriers(challenging)
    config = write(
        tmp_path,
        f'[trunks.c]\naddress = "127.0.0.1:{carrier.port}"\nregister = true\n'
        'username = "u"\npassword = "p"\n',
    )
    code, output = run("test", "c", "--config", str(config))
    assert code == 1
    assert "FAILED  prefixes" in output
    assert "set trunks.c.allowed_prefixes" in output
    assert "FAILED  authentication  REGISTER: 401" in output
    assert "check trunks.c.username, password and realm" in output
    assert carrier.methods == ["OPTIONS", "REGISTER", "REGISTER"], "an answer to the challenge, and no more"


@pytest.mark.parametrize(("profile", "told"), [("AVP", "FAILED  encryption"), ("SAVP", "ok      encryption")])
def test_srtp_that_is_demanded_is_looked_for_and_so_are_keys_that_can_be_read(
    tmp_path: Path, carriers: Callable[[Reply], Carrier], profile: str, told: str
) -> None:
    body = SDP.replace(b"RTP/AVP", b"RTP/" + profile.encode())
    carrier = carriers(lambda request: request.response(200, to_tag="c", body=body))
    config = write(
        tmp_path,
        f'[trunks.c]\naddress = "127.0.0.1:{carrier.port}"\n'
        'allowed_prefixes = ["+1"]\nencryption = "mandatory"\n',
    )
    _, output = run("test", "c", "--config", str(config))
    assert told in output
    assert ('set trunks.c.encryption to "optional" or "forbidden"' in output) == (profile == "AVP")
    assert "keys            the keys of SRTP go over UDP, where they can be read" in output
    assert 'set trunks.c.transport = "tls"' in output


@pytest.mark.parametrize(
    ("trunk", "step", "fix"),
    [
        ('address = "127.0.0.1:1"', "options", "check address, port, transport and firewall"),
        ('address = "127.0.0.1:1"\ntransport = "tcp"', "tcp", "check that something listens"),
        ('address = "127.0.0.1:1"\ntransport = "tls"', "tls", "check that something listens"),
        ('address = "169.254.169.254"', "dns", "check trunks.c.address"),
    ],
)
def test_what_cannot_be_reached_is_named(tmp_path: Path, trunk: str, step: str, fix: str) -> None:
    config = write(tmp_path, f'[trunks.c]\nallowed_prefixes = ["+1"]\n{trunk}\n')
    code, output = run("test", "c", "--config", str(config))
    assert code == 1
    assert f"FAILED  {step}" in output
    assert fix in output


def test_the_list_is_in_the_order_of_trying(tmp_path: Path) -> None:
    config = write(
        tmp_path,
        '[trunks.b]\naddress = "b.example.com"\npriority = 1\n[trunks.z]\naddress = "z.example.com"\n',
    )
    code, output = run("list", "--config", str(config))
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()] == ["z", "b"]
    assert "(no prefix allowed)" in output


def test_an_unknown_trunk_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    config = write(tmp_path, '[trunks.b]\naddress = "b.example.com"\n')
    code, output = run("test", "a", "--config", str(config))
    assert code == 2
    assert "known are: b" in output
