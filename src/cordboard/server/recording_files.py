"""The directory of recordings: what is being written, what is complete, what is too old.  Everything blocks.

`ID.wav.part` grows in a media worker; its name also says in what format it is to end.  `ID.wav`, `ID.mp3` and
`ID.mp4` are complete.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from cordboard.media.recording_file import mend
from cordboard.server.recording_links import is_name

PART = ".part"
_MAKING = ".making"
"""What an encoder has not finished."""
_DAY = 86_400.0


class RecordingFiles:
    """`directory` is made when it is needed, for this server's user alone."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def prepare(self) -> None:
        """Raises OSError."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o750)

    def part(self, name: str) -> Path:
        """Where the worker writes the recording that will be `name`."""
        return self.directory / f"{name}{PART}"

    def making(self, name: str) -> Path:
        """Where an encoder writes it."""
        return self.directory / f"{name}{_MAKING}"

    def find(self, name: str) -> Path | None:
        """The complete file, if there is one."""
        path = self.directory / name
        return path if is_name(name) and path.is_file() else None

    def is_unfinished(self, name: str) -> bool:
        """It is being recorded or encoded."""
        return self.part(name).exists()

    def complete(self, name: str, made: Path) -> int:
        """`made` becomes the recording; its bytes.  Raises OSError."""
        size = made.stat().st_size
        os.replace(made, self.directory / name)
        return size

    def discard(self, name: str) -> None:
        """What is left of a recording that failed."""
        for path in (self.part(name), self.making(name)):
            with contextlib.suppress(OSError):
                path.unlink()

    def mend(self, name: str) -> bool:
        """Make what a worker left of it playable; what has nothing in it is removed."""
        try:
            if mend(self.part(name)):
                return True
        except (OSError, ValueError):
            pass
        self.discard(name)
        return False

    def orphans(self) -> list[str]:
        """Names of recordings that a server left unfinished when it died, mended."""
        names = [path.name.removesuffix(PART) for path in self.directory.glob(f"*{PART}")]
        return [name for name in sorted(names) if is_name(name) and self.mend(name)]

    def prune(self, keep_days: int, now: float) -> int:
        """Delete what is older; how many files."""
        pruned = 0
        for path in self.directory.iterdir() if keep_days and self.directory.is_dir() else ():
            with contextlib.suppress(OSError):
                if is_name(path.name) and path.stat().st_mtime < now - keep_days * _DAY:
                    path.unlink()
                    pruned += 1
        return pruned
