"""Links to recordings: signed, expiring, and the only thing that is served."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.media.recording_file import header
from cordboard.server.http_server import HttpServer, RecordingDownloads
from cordboard.server.recording_files import RecordingFiles
from cordboard.server.recording_links import Judgement, RecordingLinks, is_name

ID = "4f1c0c7e-9d2b-4f7e-8f0a-0123456789ab"
NAME = f"{ID}.wav"
CONTENT = header(1600, 1) + bytes(range(64)) * 25
DAY = 86_400


class Bench:
    def __init__(self, directory: Path) -> None:
        self.files = RecordingFiles(directory / "recordings")
        self.files.prepare()
        self.links = RecordingLinks("key", 3600)
        self.server = HttpServer("127.0.0.1", 0)
        RecordingDownloads(self.files, self.links).add_to(self.server)

    def link(self, name: str = NAME, *, age: float = 0.0) -> str:
        return self.links.make(name, time.time() - age)

    async def get(self, url: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, headers=headers, allow_redirects=False) as response,
        ):
            return response.status, response.headers, await response.read()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    await made.server.start()
    made.links.base_url = f"http://127.0.0.1:{made.server.port}"
    (made.files.directory / NAME).write_bytes(CONTENT)
    yield made
    await made.server.stop()


@pytest.mark.parametrize(
    ("ending", "kind"), [("wav", "audio/wav"), ("mp3", "audio/mpeg"), ("mp4", "audio/mp4")]
)
async def test_a_link_gives_the_file(bench: Bench, ending: str, kind: str) -> None:
    (bench.files.directory / f"{ID}.{ending}").write_bytes(CONTENT)
    status, headers, body = await bench.get(bench.link(f"{ID}.{ending}"))
    assert (status, body) == (200, CONTENT)
    assert headers["Content-Type"] == kind
    assert headers["Content-Length"] == str(len(CONTENT))
    assert headers["Cache-Control"] == "private, no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_parts_can_be_asked_for(bench: Bench) -> None:
    status, headers, body = await bench.get(bench.link(), Range="bytes=44-107")
    assert (status, body) == (206, bytes(range(64)))
    assert headers["Content-Range"] == f"bytes 44-107/{len(CONTENT)}"
    assert headers["Accept-Ranges"] == "bytes"
    assert (await bench.get(bench.link(), Range="bytes=99999-"))[0] == 416


async def test_its_length_can_be_asked_for(bench: Bench) -> None:
    status, headers, body = await bench.get(bench.link(), "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(CONTENT)), b"")


async def refused(bench: Bench, url: str, **fields: Any) -> tuple[int, str]:
    status, headers, body = await bench.get(url, **fields)
    assert headers["Content-Type"].startswith("application/json")
    return status, json.loads(body)["error"]


async def test_a_link_that_was_changed_is_no_link(bench: Bench) -> None:
    good = bench.link()
    other = NAME.replace("4f1c", "4f1d")
    (bench.files.directory / other).write_bytes(CONTENT)
    for url in (
        good.replace(NAME, other),
        good.replace("expires=1", "expires=2"),
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        good.partition("?")[0],
        good.replace("signature=", "signature=%FF%00"),
        good.replace("expires=", "expires=-"),
        good.replace("expires=", "expires=" + "9" * 5000),
        RecordingLinks("another key", 3600, bench.links.base_url).make(NAME, 2e9),
    ):
        assert (await bench.get(url))[0] in (400, 403), url
    assert (await refused(bench, good.partition("?")[0]))[1].startswith("The link is not one")


async def test_an_expired_link_is_gone(bench: Bench) -> None:
    assert await refused(bench, bench.link(age=3601)) == (410, "The link has expired.")
    assert (await bench.get(bench.link(age=3500)))[0] == 200


async def test_a_recording_that_goes_on_is_not_there_yet(bench: Bench) -> None:
    (bench.files.directory / NAME).unlink()
    bench.files.part(NAME).write_bytes(CONTENT)
    assert await refused(bench, bench.link()) == (404, "The recording is not finished yet.")
    bench.files.discard(NAME)
    assert await refused(bench, bench.link()) == (410, "The recording is not kept any more.")


@pytest.mark.parametrize(
    "path", ["/", "/recordings/", "/recordings", "/recordings/a/b", "/etc/passwd", f"/recordings/{NAME}/"]
)
async def test_nothing_else_is_served(bench: Bench, path: str) -> None:
    assert await refused(bench, bench.links.base_url + path) == (404, "Not Found.")


async def test_other_methods_are_refused(bench: Bench) -> None:
    status, sentence = await refused(bench, bench.link(), method="DELETE")
    assert (status, sentence) == (405, "Method Not Allowed.")


@pytest.mark.parametrize(
    "name", ["../store.wav", "..%2fstore.wav", "%2e%2e%2fstore.wav", "a.wav", f"{ID}.part"]
)
async def test_a_signature_opens_no_other_file(bench: Bench, name: str) -> None:
    (bench.files.directory.parent / "store.wav").write_bytes(b"secret")
    connection = socket.create_connection(("127.0.0.1", bench.server.port))
    link = urlsplit(bench.link(name))
    connection.setblocking(True)

    def ask() -> bytes:
        connection.sendall(f"GET /recordings/{name}?{link.query} HTTP/1.0\r\n\r\n".encode())
        return connection.recv(65_536)

    answer = await asyncio.to_thread(ask)
    connection.close()
    assert answer.split()[1] in (b"403", b"404")
    assert b"secret" not in answer


async def test_a_port_that_is_taken_is_an_error_unless_another_will_do(bench: Bench) -> None:
    with pytest.raises(OSError, match=r"address already in use|Address already in use"):
        await HttpServer("127.0.0.1", bench.server.port).start()
    other = HttpServer("127.0.0.1", bench.server.port, spare=True)
    await other.start()
    assert other.port not in (0, bench.server.port)
    await other.stop()


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_connection_that_asks_for_nothing_is_closed(said: bytes) -> None:
    server = HttpServer("127.0.0.1", 0, first_request=0.1)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(said)
    async with asyncio.timeout(5.0):
        assert await reader.read() == b""
    writer.close()
    await server.stop()


async def test_a_connection_that_asks_in_time_stays() -> None:
    server = HttpServer("127.0.0.1", 0, first_request=0.1)
    await server.start()
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            async with session.get(server.base_url + "/x") as response:
                assert response.status == 404
            await asyncio.sleep(0.1)
        assert session.connector is not None
        assert sum(len(kept) for kept in session.connector._conns.values()) == 1
    await server.stop()


# ---------------------------------------------------------------- links and files by themselves


@given(st.text(max_size=80), st.text(max_size=30), st.text(max_size=80))
def test_no_text_is_taken_for_a_signature(name: str, expires: str, signature: str) -> None:
    assert RecordingLinks("key", 3600).judge(name, expires, signature, 0.0) is Judgement.FORGED


@given(st.text(max_size=60))
def test_no_other_text_is_a_name(text: str) -> None:
    assert not is_name(text)
    assert not is_name(NAME + text) or not text


def test_a_link_wears_out() -> None:
    links = RecordingLinks("key", 1000, "http://a")
    link = links.make(NAME, 5000.0)
    assert [links.is_worn(link, now) for now in (5000.0, 5499.0, 5501.0, 9999.0)] == [
        False,
        False,
        True,
        True,
    ]


def test_old_recordings_are_deleted_and_nothing_else(tmp_path: Path) -> None:
    files = RecordingFiles(tmp_path)
    for name, age in ((NAME, 31), (NAME.replace("4", "5"), 29), ("notes.txt", 99), (f"{ID}.mp3.part", 99)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (1e9 - age * DAY, 1e9 - age * DAY))
    assert files.prune(0, 1e9) == 0
    assert files.prune(30, 1e9) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [NAME.replace("4", "5"), "notes.txt", f"{ID}.mp3.part"]
    )


def test_what_a_crash_left_is_found_and_mended(tmp_path: Path) -> None:
    files = RecordingFiles(tmp_path)
    files.part(NAME).write_bytes(header(0, 1) + bytes(3200))
    files.part(f"{ID}.mp3").write_bytes(header(0, 1))
    files.part(f"{ID}.mp4").write_bytes(b"nonsense")
    (tmp_path / "mine.part").write_bytes(b"mine")
    assert files.orphans() == [NAME]
    assert files.part(NAME).read_bytes()[:44] == header(3200, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{NAME}.part", "mine.part"]
