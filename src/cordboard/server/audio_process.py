"""A process of its own for work on audio: decoding what strangers send, encoding, speaking.

None of it may hold up the signalling, and a file that brings the decoder down, hangs it or fills the memory
takes only this process with it.  It is started when it is needed and ends when it has long had nothing to do.
`python -m cordboard.server.audio_process` reads one job a line and answers each with one line, both JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

MOST_WAITING = 64
IDLE = 120.0
"""Seconds without a job after which the process ends."""
_MEMORY = 2 << 30
_LARGEST_FILE = 2 << 30
_MOST_ANSWER = 1 << 20

Job = dict[str, Any]


class Outcome(msgspec.Struct, frozen=True):
    """`problem` is empty, or the end of a sentence."""

    problem: str = ""
    value: Any = None


class AudioProcess:
    """Jobs one after the other.  One that takes too long costs the process; the next job gets a new one."""

    def __init__(self, *, idle: float = IDLE) -> None:
        self._idle = idle
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._process: asyncio.subprocess.Process | None = None
        self._leaving: set[asyncio.Task[int]] = set()
        """Processes that have nothing to do any more and are about to end."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """None while there is no process."""
        return None if self._process is None else self._process.pid

    async def run(self, job: Job, *, patience: float) -> Outcome:
        """Never raises but on cancellation.  `patience`: seconds, from when its turn has come."""
        if self._waiting >= MOST_WAITING:
            return Outcome("cannot be worked on: too much audio waits already")
        self._waiting += 1
        try:
            async with self._lock:
                return await self._run(job, patience)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """The process ends, whatever it does."""
        self._disarm()
        await self._end()
        await asyncio.gather(*self._leaving, return_exceptions=True)

    async def _run(self, job: Job, patience: float) -> Outcome:
        self._disarm()
        done = False
        try:
            async with asyncio.timeout(patience):
                outcome = await self._ask(job)
            done = True
        except TimeoutError:
            outcome = Outcome(f"was given up after {patience:.0f} s of work")
        except (OSError, ValueError, EOFError):
            outcome = Outcome("broke the audio process")
        finally:
            # Also when it is cancelled: an answer to nobody would be taken for the next one's.
            if not done:
                await asyncio.shield(self._end())
        if done:
            self._arm()
        return outcome

    async def _ask(self, job: Job) -> Outcome:
        process = self._process = self._process or await _start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(job).encode() + b"\n")
        await process.stdin.drain()
        line = await process.stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return msgspec.json.decode(line, type=Outcome)

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            # With the programs that it has started.
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._idle, self._expire)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        """It has nothing to do: its input ends, and with it the process."""
        process = self._process
        if self._lock.locked() or process is None or process.stdin is None:
            return
        process.stdin.close()
        self._process = None
        leaving = asyncio.get_running_loop().create_task(process.wait())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)


async def _start() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cordboard.server.audio_process",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        limit=_MOST_ANSWER,
    )


# ------------------------------------------------------------------ in the process


def _decode(job: Job) -> None:
    from cordboard.server.audio_conversion import decode

    decode(Path(job["source"]), Path(job["target"]), most_seconds=job["most_seconds"])


def _encode(job: Job) -> None:
    from cordboard.server.audio_conversion import encode

    encode(Path(job["source"]), Path(job["target"]), format_=job["format"])


def _voices(job: Job) -> Any:
    from cordboard.server.speech_engines import voices

    return voices()


def _speak(job: Job) -> None:
    from cordboard.server.speech_engines import speak

    speak(
        job["engine"],
        job["text"],
        voice=job["voice"],
        language=job["language"],
        gender=job["gender"],
        target=Path(job["target"]),
    )


def _hold_music(job: Job) -> None:
    from cordboard.server.hold_music import write_hold_music

    write_hold_music(Path(job["target"]))


_JOBS = {"decode": _decode, "encode": _encode, "voices": _voices, "speak": _speak, "hold_music": _hold_music}


def do(job: Job) -> Outcome:
    """Whatever goes wrong is an outcome."""
    from cordboard.server.audio_conversion import ConversionError

    try:
        return Outcome(value=_JOBS[job["do"]](job))
    except ConversionError as error:
        return Outcome(str(error))
    except OSError as error:
        return Outcome(f"could not be worked on: {error.strerror or error}")
    except MemoryError:
        return Outcome("needs too much memory")
    except Exception as error:
        return Outcome(f"could not be worked on: {type(error).__name__}: {str(error)[:200]}")


def main() -> None:
    """Until the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE))
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    os.nice(5)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    # What a library prints must not be taken for an answer.
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        answers.write(msgspec.json.encode(do(json.loads(line))) + b"\n")


if __name__ == "__main__":
    main()
