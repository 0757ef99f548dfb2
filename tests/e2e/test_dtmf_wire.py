"""Keys through a whole server in every way that a leg can tell them: none lost, none doubled."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import random
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from cordboard.testing.phone_call import PhoneCall
from cordboard.testing.phone_hearing import keys_in

from .cases import Behaviour, Lab, laboratory, until
from .measured import between, heard, speaks

pytestmark = pytest.mark.asyncio(loop_scope="module")

PERIOD_S = 0.16
_LATE = 0.025
"""Seconds: less than what a jitter buffer makes up for."""
_FEW, _MANY = 15, 200
_LAST = 60.0
"""Seconds after all is pressed: the machine may be busy."""
_TRIES = 2
KEYS = "0123456789*#ABCD"
WAYS = {
    "rfc4733": speaks("PCMU"),
    "rfc4733 at 48000": speaks("OPUS"),
    "info": speaks("PCMA", telephone_events=False, digits_by_info=True),
    "inband": speaks("G722", telephone_events=False, digits_inband=True),
}
PAIRINGS = [
    ("rfc4733", "rfc4733"),
    ("rfc4733", "info"),
    ("rfc4733", "inband"),
    ("rfc4733", "rfc4733 at 48000"),
    ("rfc4733 at 48000", "rfc4733 at 48000"),
    ("rfc4733 at 48000", "info"),
    ("rfc4733 at 48000", "inband"),
    ("info", "info"),
    ("info", "inband"),
    ("inband", "inband"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


class Side:
    """One phone: presses in its way, and knows what it heard in each."""

    def __init__(self, call: PhoneCall, way: str, seed: str, count: int) -> None:
        self.call = call
        self.way = way.partition(" ")[0]
        self.keys = "".join(random.Random(seed).choices(KEYS, k=count))
        self._before = 0.0
        self._infos = 0

    async def prime(self) -> None:
        """Who presses by INFO says so with a first key, which is not counted."""
        if self.way == "info":
            self._send_info("5")

    def begin(self) -> None:
        """From now on it counts."""
        self._before = asyncio.get_running_loop().time()
        self._infos = len(self.call.info_digits)
        self.call.audio.digits_heard.clear()

    async def press(self) -> None:
        """All keys, one every `PERIOD_S`."""
        if self.way == "rfc4733":
            self.call.audio.press(self.keys, duration_ms=80, gap_ms=80)
        elif self.way == "inband":
            self.call.audio.press_inband(self.keys, duration_ms=80, gap_ms=80)
        else:
            for key in self.keys:
                self._send_info(key)
                await asyncio.sleep(PERIOD_S)

    def _send_info(self, key: str) -> None:
        self.call.ask("INFO", f"Signal={key}\r\nDuration=80\r\n".encode(), "application/dtmf-relay")

    def is_done(self, mouth: Side) -> bool:
        """All is said, and as many keys have come as were pressed, where that can be counted."""
        counted = {"rfc4733": self.call.digits_heard, "info": self.call.info_digits[self._infos :]}
        if mouth.call.audio.pressing or mouth.call.audio.playing:
            return False
        missable = 1 + len(mouth.late_keys()) if mouth.way == "inband" else 0
        return len(counted.get(self.way, mouth.keys)) >= len(mouth.keys) - missable

    def heard(self) -> dict[str, str]:
        return {
            "rfc4733": self.call.digits_heard,
            "info": self.call.info_digits[self._infos :],
            "inband": keys_in(heard(self.call).pcm(self._before)),
        }

    def late_keys(self) -> set[int]:
        """Numbers of the tones of which a packet left late: late audio is lost audio, whoever hears it."""
        assert self.call.audio.said is not None
        laid = self.call.audio.said.since(self._before)
        if self.way != "inband" or not laid:
            return set()
        spent = [at - position / 16_000 for at, position, _ in laid]
        first = next(position for _, position, pcm in laid if any(pcm))
        on_time = min(spent) + _LATE
        return {
            int((position - first) / 16_000 / PERIOD_S)
            for one, (_, position, _) in zip(spent, laid, strict=True)
            if one > on_time
        }


def complaints(mouth: Side, ear: Side) -> list[str]:
    """What is wrong with what was heard; of tones that left in time one in 200 may be missed."""
    told = ear.heard()
    found = [f"also by {way}: {keys}" for way, keys in told.items() if keys and way != ear.way]
    blocks = difflib.SequenceMatcher(None, mouth.keys, told[ear.way], autojunk=False).get_matching_blocks()
    late = mouth.late_keys()
    came = {at for block in blocks for at in range(block.a, block.a + block.size)}
    missed = [at for at in range(len(mouth.keys)) if at not in came]
    extra = len(told[ear.way]) - len(came)
    in_time = [at for at in missed if not late & {at - 1, at, at + 1}]
    if extra > len(late) or len(in_time) > ("inband" in (mouth.way, ear.way)):
        found.append(f"{missed} missed, {extra} too many, late {sorted(late)}")
    return [f"{mouth.way} to {ear.way}: {one}" for one in found]


async def _talk(lab: Lab, ways: tuple[str, str], count: int) -> list[str]:
    ours, theirs = (WAYS[way] for way in ways)
    callee: Behaviour = msgspec.structs.replace(theirs, answer_after=0.0)
    calls = await between(lab.case(), ours, callee)
    sides = [
        Side(call, way, f"{ways}{n}", count) for n, (call, way) in enumerate(zip(calls, ways, strict=True))
    ]
    for side in sides:
        await side.prime()
    await asyncio.sleep(1.0)
    for side in sides:
        side.begin()
    await asyncio.gather(*(side.press() for side in sides))
    # Keys that the phone's voice presses are only ordered until now.
    deadline = PERIOD_S * count + _LAST
    with contextlib.suppress(TimeoutError):
        await until(
            lambda: all(one.is_done(other) for one, other in zip(sides, sides[::-1], strict=True)), deadline
        )
    await asyncio.sleep(1.0)
    calls[0].hang_up()
    a, b = sides
    return complaints(a, b) + complaints(b, a)


async def _press_all(lab: Lab, count: int) -> None:
    pairings = PAIRINGS
    for _ in range(_TRIES):
        found = await asyncio.gather(*(_talk(lab, ways, count) for ways in pairings))
        pairings = [ways for ways, some in zip(pairings, found, strict=True) if some]
        if not pairings:
            return
        # A machine that stands still longer than a jitter buffer lasts loses keys, a defect loses them again.
    assert [one for some in found for one in some] == []


async def test_keys_of_every_pairing_are_told_once_and_in_the_way_of_the_other_leg(lab: Lab) -> None:
    await _press_all(lab, _FEW)


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_two_hundred_keys_each_way_of_every_pairing(lab: Lab) -> None:
    await _press_all(lab, _MANY)
