"""Packets by way of Python and by the compiled one: whatever comes, the same leaves and is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.media.both_ways import STEPS, Setting, Step, play

from cordboard.media import fastpath

_NAMES = list(STEPS)
_WITH_DATA = ("odd", "odd next")
_MOST_STEPS = 60
_SEQUENCES = (0, 100, 65_500, 65_535)
_TIMESTAMPS = (0, 8_000, 2**32 - 8_000, 2**32 - 160)


def both_ways() -> Callable[[bytes], None]:
    """A script of datagrams and orders; without a compiled way there is nothing to compare."""
    is_compiled = fastpath.load() is not None

    def run(data: bytes) -> None:
        if is_compiled and data:
            setting, script = _read(data)
            assert play("compiled", setting, script) == play("python", setting, script)

    return run


def _read(data: bytes) -> tuple[Setting, list[Step]]:
    """One byte for the setting, two for each step, one for the length of what it sends."""
    first, place = data[0], 1
    setting = Setting(
        bool(first & 1),
        bool(first & 2),
        bool(first & 4),
        _SEQUENCES[first >> 3 & 3],
        _TIMESTAMPS[first >> 5 & 3],
    )
    script: list[Step] = []
    while place + 2 <= len(data) and len(script) < _MOST_STEPS:
        name, number = _NAMES[data[place] % len(_NAMES)], data[place + 1]
        place += 2
        sent = b""
        if name in _WITH_DATA and place < len(data):
            sent = data[place + 1 : place + 1 + data[place]]
            place += 1 + len(sent)
        script.append(Step(name, number, sent))
    return setting, script


def scripts() -> Iterator[bytes]:
    """Each step between two runs, plain and protected; and all of them."""
    run, note = _step("run", 6), _step("note", 0)
    for first in (0, 7, 0x58):
        for name in _NAMES:
            yield bytes((first,)) + run + _step(name, 1) + run + note + _step(name, 2) + run
        yield bytes((first,)) + b"".join(_step(name, 5) + run for name in _NAMES if name != "deaf")


def _step(name: str, number: int) -> bytes:
    sent = bytes((20, *range(0x80, 0x94))) if name in _WITH_DATA else b""
    return bytes((_NAMES.index(name), number)) + sent
