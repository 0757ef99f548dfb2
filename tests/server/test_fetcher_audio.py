"""Audio for `play`: from the web with a cache, and from the media directory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from cordboard.media.recording_file import header
from cordboard.server.audio_fetcher import Audio, AudioFetcher
from cordboard.server.outbound_policy import OutboundPolicy

WAV = header(64, 1) + b"\x01" * 64
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Site:
    """Serves `content` at every path, or what `answer` says."""

    def __init__(self, answer: Answer | None = None) -> None:
        self._answer = answer
        self.content = WAV
        self.headers: dict[str, str] = {}
        self.requests: list[web.Request] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Site]:
        app = web.Application()
        app.router.add_get("/{name:.*}", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self._answer is not None:
            return await self._answer(request)
        tag = self.headers.get("ETag")
        if tag is not None and request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=self.headers)
        return web.Response(body=self.content, headers=self.headers)


@asynccontextmanager
async def fetcher(
    directory: Path, media: Path | None = None, **changes: float
) -> AsyncIterator[AudioFetcher]:
    policy = OutboundPolicy(allow_private=True)
    made = AudioFetcher(policy, directory / "cache", media, **changes)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        await made.close()


def content_of(audio: Audio) -> bytes:
    assert audio.path is not None, audio.sentence
    return Path(audio.path).read_bytes()


async def test_audio_is_fetched_once_and_used_again(tmp_path: Path) -> None:
    async with Site().running() as site, fetcher(tmp_path) as audio:
        found = [await audio.fetch(site.base.replace("//", "//u:p@") + "/a.wav") for _ in range(3)]
        assert len(site.requests) == 1
        assert site.requests[0].headers["Authorization"] == "Basic dTpw"
        assert found[0] == found[2]
        assert content_of(found[0]) == WAV


async def test_fetches_at_the_same_time_share_one_request(tmp_path: Path) -> None:
    async with Site().running() as site, fetcher(tmp_path) as audio:
        found = await asyncio.gather(*(audio.fetch(site.base + "/a.wav") for _ in range(20)))
        assert len(site.requests) == 1
        assert {one.path is not None for one in found} == {True}


async def test_a_call_that_gives_up_does_not_end_the_fetch_of_another(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        await go.wait()
        return web.Response(body=WAV)

    async with Site(slow).running() as site, fetcher(tmp_path) as audio:
        first, second = (asyncio.create_task(audio.fetch(site.base + "/a.wav")) for _ in range(2))
        await asyncio.sleep(0.05)
        first.cancel()
        go.set()
        assert (await second).path is not None
        assert first.cancelled()


async def test_a_stale_file_is_asked_for_again_and_kept_when_it_has_not_changed(tmp_path: Path) -> None:
    async with Site().running() as site, fetcher(tmp_path) as audio:
        site.headers = {"Cache-Control": "no-cache", "ETag": '"1"'}
        first = await audio.fetch(site.base + "/a.wav")
        second = await audio.fetch(site.base + "/a.wav")
        assert first == second
        assert site.requests[1].headers["If-None-Match"] == '"1"'
        site.headers, site.content = {"Cache-Control": "max-age=60", "ETag": '"2"'}, WAV + b"new"
        third = await audio.fetch(site.base + "/a.wav")
        assert content_of(third) == WAV + b"new"
        await audio.fetch(site.base + "/a.wav")
        assert len(site.requests) == 3


async def test_who_plays_the_old_file_goes_on_with_it_when_a_new_one_comes(tmp_path: Path) -> None:
    async with Site().running() as site, fetcher(tmp_path) as audio:
        site.headers = {"Cache-Control": "no-store"}
        first = await audio.fetch(site.base + "/a.wav")
        assert first.path is not None
        with open(first.path, "rb") as playing:  # noqa: ASYNC230
            site.content = WAV + b"other"
            await audio.fetch(site.base + "/a.wav")
            assert playing.read() == WAV


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"ID3\x04" + b"x" * 99, "not an audio file"), (b"\xff\xfb\x90\x00" * 9, "not an audio file"),
     (b"<html>" * 9, "not an audio file"), (b"", "is empty"), (b"RIFF", "not an audio file"),
     (b"RIFF\x00\x00\x00\x00AVI " + b"x" * 9, "cannot be read as audio"),
     (header(0, 1)[:30], "not an audio file"),
     (b"#EXTM3U\n#EXTINF:9,\nfile:///etc/hostname\n", "not an audio file")],
)  # fmt: skip
async def test_what_is_no_audio_is_refused_and_not_kept(tmp_path: Path, content: bytes, words: str) -> None:
    async with Site().running() as site, fetcher(tmp_path) as audio:
        site.content = content
        found = await audio.fetch(site.base + "/a.wav")
        assert found.path is None
        assert words in found.sentence
        assert list((tmp_path / "cache").iterdir()) == []


async def test_a_file_that_is_too_long_is_not_read_to_its_end(tmp_path: Path) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(WAV)
        for _ in range(2000):
            await response.write(b"x" * 16_384)
            sent += 16_384
        return response

    async with Site(endless).running() as site, fetcher(tmp_path, max_bytes=2 << 20) as audio:
        found = await audio.fetch(site.base + "/a.wav")
        assert "longer than 2 MiB" in found.sentence
        assert list((tmp_path / "cache").iterdir()) == []
    assert sent < 16 << 20


async def test_a_length_that_is_announced_too_long_is_refused_at_once(tmp_path: Path) -> None:
    async with Site().running() as site, fetcher(tmp_path, max_bytes=50) as audio:
        assert "is longer than" in (await audio.fetch(site.base + "/a.wav")).sentence


async def test_slow_audio_ends_at_the_deadline(tmp_path: Path) -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(WAV)
            await asyncio.sleep(0.05)
        return response

    async with Site(trickle).running() as site, fetcher(tmp_path, total_timeout=0.3) as audio:
        assert "no answer in time" in (await audio.fetch(site.base + "/a.wav")).sentence
        assert list((tmp_path / "cache").iterdir()) == []


async def test_a_failed_fetch_is_tried_anew_the_next_time(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=503) if len(site.requests) == 1 else web.Response(body=WAV)

    async with Site(answer).running() as site, fetcher(tmp_path) as audio:
        assert "answered 503" in (await audio.fetch(site.base + "/a.wav")).sentence
        assert (await audio.fetch(site.base + "/a.wav")).path is not None


async def test_audio_passes_the_outbound_policy_on_each_redirect(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "http://169.254.169.254/a.wav"})

    async with Site(answer).running() as site, fetcher(tmp_path) as audio:
        assert "cloud metadata" in (await audio.fetch(site.base + "/a.wav")).sentence
        closed = AudioFetcher(OutboundPolicy(), tmp_path / "other", None)
        assert "loopback" in (await closed.fetch(site.base + "/a.wav")).sentence
        await closed.close()
        assert len(site.requests) == 1


async def test_the_cache_gives_way_to_its_limit(tmp_path: Path) -> None:
    async with (
        Site().running() as site,
        fetcher(tmp_path, max_cache=3 * len(WAV), kept_at_least=0.0) as audio,
    ):
        found = [await audio.fetch(f"{site.base}/{index}.wav") for index in range(6)]
        assert len(list((tmp_path / "cache").iterdir())) == 3
        assert content_of(found[-1]) == WAV


async def test_what_was_just_used_stays_although_the_cache_is_full(tmp_path: Path) -> None:
    async with Site().running() as site, fetcher(tmp_path, max_cache=len(WAV)) as audio:
        found = [await audio.fetch(f"{site.base}/{index}.wav") for index in range(6)]
        assert {content_of(one) for one in found} == {WAV}


# ------------------------------------------------------------------ files


@pytest.fixture
def media(tmp_path: Path) -> Path:
    directory = tmp_path / "media"
    (directory / "sub").mkdir(parents=True)
    (directory / "a b.wav").write_bytes(WAV)
    (directory / "sub" / "c.wav").write_bytes(WAV)
    (directory / "song.mp3").write_bytes(b"ID3" + b"x" * 20)
    (tmp_path / "secret.wav").write_bytes(WAV)
    (directory / "link.wav").symlink_to(tmp_path / "secret.wav")
    return directory


async def test_files_in_the_media_directory_can_be_played(tmp_path: Path, media: Path) -> None:
    async with fetcher(tmp_path, media) as audio:
        for url in ("file:a%20b.wav", "file://a b.wav", f"file://{media}/a%20b.wav", "FILE:./sub/../a b.wav"):
            assert (await audio.fetch(url)).path == str(media / "a b.wav")
        assert (await audio.fetch("file:sub/c.wav")).path == str(media / "sub" / "c.wav")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:../secret.wav", "outside"),
        ("file:%2e%2e/secret.wav", "outside"),
        ("file:link.wav", "outside"),
        ("file:///etc/hostname", "outside"),
        ("file:nothing.wav", "does not exist"),
        ("file:a%00.wav", "does not exist"),
        ("file:" + "a" * 5000, "does not exist"),
        ("file:sub", "not a file"),
        ("file:song.mp3", "not an audio file"),
        ("file:", "not a file"),
    ],
)
async def test_what_is_not_in_the_media_directory_cannot(
    tmp_path: Path, media: Path, url: str, words: str
) -> None:
    async with fetcher(tmp_path, media) as audio:
        found = await audio.fetch(url)
    assert found.path is None
    assert words in found.sentence


async def test_without_a_media_directory_files_are_refused(tmp_path: Path) -> None:
    async with fetcher(tmp_path) as audio:
        assert "no media.directory" in (await audio.fetch("file:a.wav")).sentence
