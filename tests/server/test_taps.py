"""Taps seen from the control process: who may be sent audio, and what is said to whom may not."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

import pytest

from cordboard.call.actions import TapTarget
from cordboard.call.effects import StartTap, StopTap
from cordboard.call.facts import TapEnded, TapOpened
from cordboard.media.protocol import BeginTap, FinishTap, TapBegun, TapClosed
from cordboard.server.media_engine import MediaEngine
from cordboard.server.outbound_policy import OutboundPolicy
from cordboard.server.taps import Taps

HOSTS = {"tap.test": "127.0.0.1", "far.test": "203.0.113.9", "cloud.test": "169.254.169.254"}


class FakeMedia:
    """Keeps what workers are told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def is_open(self, endpoint_id: str) -> bool:
        return endpoint_id == "c"

    def send(self, command: Any) -> None:
        self.told.append(command)


class Bench:
    def __init__(self, *, insecure: bool = True, private: bool = True) -> None:
        self.media = FakeMedia()
        self.facts: list[TapOpened | TapEnded] = []
        self.tasks: list[asyncio.Task[None]] = []
        policy = OutboundPolicy(
            allow_private=private, allowed_networks=("203.0.113.0/24",), hosts=HOSTS, lookup=self._lookup
        )
        media = cast(MediaEngine, self.media)
        self.taps = Taps(policy, media, self._post, self._spawn, insecure=insecure)

    async def _lookup(self, host: str, port: int) -> list[str]:
        raise OSError("no such name")

    def _post(self, call_id: str, fact: TapOpened | TapEnded) -> None:
        self.facts.append(fact)

    def _spawn(self, work: Coroutine[Any, Any, None], call_id: str) -> asyncio.Task[None]:
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]

    async def start(self, uri: str, *, call_id: str = "c", **fields: Any) -> None:
        self.taps.start(call_id, StartTap(control_id="t", target=TapTarget(uri=uri, **fields)))
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def order(self, uri: str, **fields: Any) -> BeginTap:
        await self.start(uri, **fields)
        assert self.facts == []
        [command] = self.media.told
        assert isinstance(command, BeginTap)
        return command

    async def refusal(self, uri: str, **fields: Any) -> str:
        await self.start(uri, **fields)
        assert self.media.told == []
        [fact] = self.facts
        assert isinstance(fact, TapEnded)
        return fact.sentence


async def test_rtp_goes_to_the_address_that_was_checked() -> None:
    order = await Bench().order("rtp://tap.test:5004", direction="both", codec="PCMA", ptime_ms=40)
    assert order == BeginTap(
        endpoint_id="c", tap_id="t", scheme="rtp", address="127.0.0.1", port=5004,
        direction="both", codec="PCMA", ptime_ms=40,
    )  # fmt: skip


async def test_a_websocket_is_named_as_its_url_names_it() -> None:
    order = await Bench().order("wss://user:pass@far.test/in?key=1#x")
    assert (order.scheme, order.address, order.port) == ("wss", "203.0.113.9", 443)
    assert (order.host, order.path, order.authorization) == ("far.test", "/in?key=1", "Basic dXNlcjpwYXNz")


async def test_ws_to_loopback_is_for_development() -> None:
    order = await Bench().order("ws://tap.test:8080")
    assert (order.host, order.path, order.port) == ("tap.test:8080", "/", 8080)
    assert "use wss://" in await Bench(insecure=False).refusal("ws://tap.test:8080")
    assert "use wss://" in await Bench().refusal("ws://far.test/")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("rtp://tap.test", "not of the form rtp://address:port"),
        ("rtp://tap.test:99999", "not of the form rtp://address:port"),
        ("rtp://:5004", "not of the form rtp://address:port"),
        ("rtp://cloud.test:5004", "cloud metadata"),
        ("wss://cloud.test/", "cloud metadata"),
        ("wss://missing.test/", "The tap's host missing.test was not found"),
        ("wss://", "has no valid host"),
        ("http://tap.test/", "neither an rtp:// nor a ws:// or wss:// URI"),
        ("", "neither an rtp:// nor a ws:// or wss:// URI"),
    ],
)
async def test_what_cannot_be_tapped_is_refused_with_a_sentence(uri: str, words: str) -> None:
    assert words in await Bench().refusal(uri)


@pytest.mark.parametrize(("codec", "sent"), [("OPUS", "OPUS"), ("pcma", "PCMA")])
async def test_the_codec_is_one_that_can_be_sent(codec: str, sent: str) -> None:
    assert (await Bench().order("rtp://tap.test:5004", codec=codec)).codec == sent


async def test_another_codec_is_refused_with_a_sentence() -> None:
    sentence = await Bench().refusal("rtp://tap.test:5004", codec="G729")
    assert sentence == "A tap cannot send 'G729'; PCMU, PCMA, OPUS can be sent."


async def test_private_addresses_are_closed_where_the_policy_says_so() -> None:
    assert "loopback" in await Bench(private=False).refusal("rtp://tap.test:5004")


async def test_a_call_without_media_has_nothing_to_tap() -> None:
    assert await Bench().refusal("rtp://tap.test:5004", call_id="gone") == (
        "The call has no media that could be tapped."
    )


async def test_the_worker_says_how_it_goes_on() -> None:
    bench = Bench()
    await bench.start("rtp://tap.test:5004")
    bench.taps.begun(TapBegun(endpoint_id="c", tap_id="t", address="192.0.2.1", port=40_000))
    bench.taps.stop("c", StopTap(control_id="t"))
    bench.taps.closed(TapClosed(endpoint_id="c", tap_id="t"))
    assert bench.media.told[1:] == [FinishTap(endpoint_id="c", tap_id="t")]
    assert bench.facts == [
        TapOpened(control_id="t", address="192.0.2.1", port=40_000), TapEnded(control_id="t")
    ]  # fmt: skip


async def test_a_tap_that_is_stopped_while_its_name_is_looked_up_never_begins() -> None:
    bench = Bench()
    bench.taps.start("c", StartTap(control_id="t", target=TapTarget(uri="rtp://tap.test:5004")))
    bench.taps.stop("c", StopTap(control_id="t"))
    await asyncio.gather(*bench.tasks, return_exceptions=True)
    assert (bench.media.told, bench.facts) == ([], [TapEnded(control_id="t")])


async def test_the_death_of_a_worker_ends_its_taps() -> None:
    bench = Bench()
    await bench.start("rtp://tap.test:5004")
    assert len(bench.taps) == 1
    for _ in range(2):
        bench.taps.lost(["other", "c"], "the media worker was killed by signal 9")
    ended = TapEnded(control_id="t", sentence="The media worker was killed by signal 9.")
    assert (bench.facts, len(bench.taps)) == ([ended], 0)
