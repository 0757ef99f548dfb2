"""Gets the audio of `play` as a local WAV file: from the web, or from the configured media directory.

What a file is, its content says.  A WAV file that the worker can read is taken as it is; everything else is
decoded once, in a process of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

import aiohttp
import msgspec

from cordboard.media.wav import WavError, WavReader
from cordboard.server.audio_process import AudioProcess
from cordboard.server.http_client import FAILURES, failure, follow, open_session
from cordboard.server.outbound_policy import OutboundPolicy
from cordboard.webhooks.payloads import HttpRequest
from cordboard.webhooks.target import Target, parse_target, shown

CONNECT_TIMEOUT = 5.0
TOTAL_TIMEOUT = 30.0
MAX_AUDIO = 20 << 20
MAX_SECONDS = 1800.0
"""Of what is decoded."""
DECODING_PATIENCE = 20.0
FRESH_FOR = 60.0
"""Seconds for which a file is used again without asking, where its server says nothing else."""
LONGEST_FRESH = 3600.0
MAX_CACHE = 1 << 30
KEPT_AT_LEAST = 900.0
"""Seconds after its last use for which a file is not taken away: a worker may be about to open it."""
_PIECE = 1 << 20
_MAX_AGE = re.compile(r"\bmax-age\s*=\s*(\d{1,9})")

_Write = Callable[[bytes], object]


class Audio(msgspec.Struct, frozen=True):
    """A local WAV file, or the sentence that says why there is none."""

    path: str | None
    sentence: str = ""


class _Entry(msgspec.Struct):
    """One URL in the cache.  Times are monotonic."""

    path: Path
    size: int
    fresh_until: float
    used_at: float
    etag: str | None
    modified: str | None


class AudioFetcher:
    """`cache`: a directory of its own, emptied at the first use.  `media`: where `file:` URLs may point."""

    def __init__(
        self,
        policy: OutboundPolicy,
        cache: Path,
        media: Path | None,
        *,
        max_bytes: int = MAX_AUDIO,
        max_seconds: float = MAX_SECONDS,
        total_timeout: float = TOTAL_TIMEOUT,
        max_cache: int = MAX_CACHE,
        kept_at_least: float = KEPT_AT_LEAST,
    ) -> None:
        self._policy = policy
        self._cache = cache
        self._media = media
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._decoder = AudioProcess()
        self._prepared: asyncio.Task[None] | None = None
        self._max_cache = max_cache
        self._kept_at_least = kept_at_least
        self._total = total_timeout
        self._limits = aiohttp.ClientTimeout(total=total_timeout, sock_connect=CONNECT_TIMEOUT)
        self._session: aiohttp.ClientSession | None = None
        self._entries: dict[str, _Entry] = {}
        self._running: dict[str, asyncio.Task[Audio]] = {}

    async def fetch(self, url: str) -> Audio:
        """Never raises but on cancellation.  Fetches of one URL at the same time share one request."""
        if url[:5].lower() == "file:":
            audio = await asyncio.to_thread(local_audio, url, self._media)
            try:
                return await self._local(audio, url)
            except OSError as error:
                return Audio(None, f"{shown(url)} cannot be read: {error.strerror}.")
        entry = self._entries.get(url)
        if entry is not None and entry.fresh_until > time.monotonic():
            return _use(entry)
        task = self._running.get(url)
        if task is None:
            task = self._running[url] = asyncio.create_task(self._download(url))
            task.add_done_callback(lambda _: self._running.pop(url, None))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Ends what is under way."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._decoder.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _download(self, url: str) -> Audio:
        try:
            async with asyncio.timeout(self._total):
                return await self._get(url)
        except FAILURES as error:
            return Audio(None, failure(error, url))

    async def _get(self, url: str) -> Audio:
        await self._prepare()
        if self._session is None:
            self._session = open_session(self._policy)
        entry = self._entries.get(url)

        def make(method: str, target: Target, body: bytes) -> HttpRequest:
            return HttpRequest(method=method, target=target, headers=_headers(target, entry), body=body)

        response = await follow(self._session, "GET", parse_target(url), b"", make=make, limits=self._limits)
        async with response:
            if response.status == 304 and entry is not None:
                entry.fresh_until = _fresh_until(response)
                return _use(entry)
            return await self._keep(url, response)

    async def _prepare(self) -> None:
        """The directory is emptied once, before anything is put into it."""
        if self._prepared is None or (self._prepared.done() and self._prepared.exception()):
            self._prepared = asyncio.create_task(asyncio.to_thread(_empty, self._cache))
        await asyncio.shield(self._prepared)

    async def _local(self, audio: Audio, url: str) -> Audio:
        """A file of the media directory; one that the worker cannot read is decoded into the cache."""
        if audio.path is None or await asyncio.to_thread(is_playable, audio.path):
            return audio
        source = Path(audio.path)
        facts = await asyncio.to_thread(source.stat)
        key = f"{source}\n{facts.st_mtime_ns}\n{facts.st_size}"
        entry = self._entries.get(key)
        if entry is not None:
            return _use(entry)
        await self._prepare()
        path = self._place(key)
        problem = await self._decode(source, path)
        if problem:
            return Audio(None, f"{shown(url)} {problem}.")
        size = (await asyncio.to_thread(path.stat)).st_size
        self._entries[key] = entry = _Entry(path, size, 0.0, time.monotonic(), None, None)
        await self._make_room()
        return _use(entry)

    def _place(self, key: str) -> Path:
        return self._cache / (hashlib.sha256(key.encode("utf-8", "replace")).hexdigest() + ".wav")

    async def _keep(self, url: str, response: aiohttp.ClientResponse) -> Audio:
        if not 200 <= response.status < 300:
            return Audio(None, f"{shown(url)} answered {response.status}.")
        path = self._place(url)
        size, problem = await self._write(response, path)
        if problem:
            response.close()
            return Audio(None, f"{shown(url)} {problem}.")
        self._entries[url] = entry = _Entry(
            path=path,
            size=size,
            fresh_until=_fresh_until(response),
            used_at=time.monotonic(),
            etag=response.headers.get("ETag"),
            modified=response.headers.get("Last-Modified"),
        )
        await self._make_room()
        return _use(entry)

    async def _write(self, response: aiohttp.ClientResponse, path: Path) -> tuple[int, str]:
        """(size, problem).  The file appears at once and whole: who plays the old one goes on with it."""
        if (response.content_length or 0) > self._max_bytes:
            return 0, self._too_long()
        handle, part = await asyncio.to_thread(tempfile.mkstemp, dir=self._cache, suffix=".part")
        try:
            with os.fdopen(handle, "wb", buffering=0) as file:
                size, problem = await self._copy(response, file.write)
            if problem:
                return size, problem
            if await asyncio.to_thread(is_playable, part):
                await asyncio.to_thread(os.replace, part, path)
                return size, ""
            problem = await self._decode(Path(part), path)
            return (0, problem) if problem else ((await asyncio.to_thread(path.stat)).st_size, "")
        finally:
            _discard(part)

    async def _copy(self, response: aiohttp.ClientResponse, write: _Write) -> tuple[int, str]:
        waiting = bytearray()
        size = 0
        async for piece in response.content.iter_any():
            waiting += piece
            size += len(piece)
            if size > self._max_bytes:
                return size, self._too_long()
            if len(waiting) >= _PIECE:
                await asyncio.to_thread(write, bytes(waiting))
                waiting.clear()
        if not size:
            return 0, "is empty"
        await asyncio.to_thread(write, bytes(waiting))
        return size, ""

    async def _decode(self, source: Path, path: Path) -> str:
        """What is wrong; empty if `path` is there.  Who plays the old file goes on with it."""
        handle, part = await asyncio.to_thread(tempfile.mkstemp, dir=self._cache, suffix=".part")
        os.close(handle)
        try:
            job = {"do": "decode", "source": str(source), "target": part, "most_seconds": self._max_seconds}
            outcome = await self._decoder.run(job, patience=DECODING_PATIENCE)
            if not outcome.problem:
                await asyncio.to_thread(os.replace, part, path)
            return outcome.problem
        finally:
            _discard(part)

    def _too_long(self) -> str:
        return f"is longer than {self._max_bytes / (1 << 20):g} MiB"

    async def _make_room(self) -> None:
        total = sum(entry.size for entry in self._entries.values())
        oldest = time.monotonic() - self._kept_at_least
        for url, entry in sorted(self._entries.items(), key=lambda pair: pair[1].used_at):
            if total <= self._max_cache or entry.used_at > oldest:
                return
            total -= entry.size
            del self._entries[url]
            await asyncio.to_thread(entry.path.unlink, missing_ok=True)


def local_audio(url: str, media: Path | None) -> Audio:
    """The file that a `file:` URL means, if it lies in the media directory.  Blocks."""
    if media is None:
        return Audio(None, f"{shown(url)} is refused: no media.directory is configured.")
    try:
        root = media.resolve(strict=True)
        path = (root / _path_of(url)).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return Audio(None, f"{shown(url)} does not exist in the media directory.")
    if not path.is_relative_to(root):
        return Audio(None, f"{shown(url)} is refused: it lies outside of the media directory.")
    try:
        return _checked(path, url)
    except OSError as error:
        return Audio(None, f"{shown(url)} cannot be read: {error.strerror}.")


def _path_of(url: str) -> str:
    """`file:a.wav`, `file:///media/a.wav`, `file://localhost/media/a.wav` → a path."""
    rest = url[5:]
    if rest.startswith("//"):
        host, _, tail = rest[2:].partition("/")
        rest = f"/{tail}" if host in ("", "localhost") else rest[2:]
    return unquote(rest)


def _checked(path: Path, url: str) -> Audio:
    if not path.is_file():
        return Audio(None, f"{shown(url)} is not a file.")
    with path.open("rb"):
        return Audio(str(path))


def is_playable(path: str) -> bool:
    """A WAV file that the worker reads as it is.  Blocks."""
    with suppress(WavError, OSError, ValueError, RuntimeError), open(path, "rb") as file:
        return WavReader(file).next_frame() is not None
    return False


def _headers(target: Target, entry: _Entry | None) -> dict[str, str]:
    headers = {"Accept": "audio/wav, audio/x-wav, audio/*;q=0.8, */*;q=0.5"}
    if target.authorization is not None:
        headers["Authorization"] = target.authorization
    if entry is not None and entry.etag is not None:
        headers["If-None-Match"] = entry.etag
    elif entry is not None and entry.modified is not None:
        headers["If-Modified-Since"] = entry.modified
    return headers


def _fresh_until(response: aiohttp.ClientResponse) -> float:
    control = response.headers.get("Cache-Control", "").lower()
    if "no-store" in control or "no-cache" in control:
        return 0.0
    found = _MAX_AGE.search(control)
    lasting = float(found[1]) if found else FRESH_FOR
    return time.monotonic() + min(lasting, LONGEST_FRESH)


def _use(entry: _Entry) -> Audio:
    entry.used_at = time.monotonic()
    return Audio(str(entry.path))


def _discard(part: str) -> None:
    """Not in a thread: it must also happen when the fetch is cancelled, and it is one short call."""
    Path(part).unlink(missing_ok=True)


def _empty(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.iterdir():
        if path.suffix in (".wav", ".part"):
            path.unlink(missing_ok=True)
