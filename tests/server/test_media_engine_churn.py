"""Thousands of endpoints that come and go in any order: nothing is answered twice, nothing not at all."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from cordboard.media.protocol import (
    EndpointClosed,
    EndpointOpened,
    EndpointRefused,
    Event,
    Format,
    PlayEnded,
    PlaySource,
    Pong,
    SendDigits,
    SetRemote,
    StartPlay,
)
from cordboard.server.media_engine import MediaEngine

ENDPOINTS = 2000


class Crowd:
    """Does anything to any endpoint, and keeps count of the replies."""

    def __init__(self, directory: Path, *, first_port: int, pairs: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.ids: list[str] = []
        self.opened: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()
        self.plays: Counter[str] = Counter()
        self.plays_ended: Counter[str] = Counter()
        self.closing: set[str] = set()
        self.lost: set[str] = set()
        self.pongs: list[Pong] = []
        self.engine = MediaEngine(
            workers=2,
            address="127.0.0.1",
            port_range=(first_port, first_port + 2 * pairs - 1),
            directory=str(directory),
            on_event=self._heard,
            on_worker_died=lambda ids, _: self.lost.update(ids),
            port_quiet=0.02,
        )

    def _heard(self, event: Event) -> None:
        if isinstance(event, EndpointOpened):
            self.opened[event.endpoint_id] += 1
        elif isinstance(event, EndpointRefused):
            self.refused[event.endpoint_id] += 1
        elif isinstance(event, EndpointClosed):
            self.closed[event.endpoint_id] += 1
        elif isinstance(event, PlayEnded):
            self.plays_ended[event.play_id] += 1
        elif isinstance(event, Pong):
            self.pongs.append(event)

    def open(self) -> str:
        new = f"call-{len(self.ids)}"
        near = self.random.choice(self.ids) if self.ids and self.random.random() < 0.5 else None
        self.engine.open(new, near=near)
        self.ids.append(new)
        return new

    def close(self, endpoint_id: str) -> None:
        self.engine.close(endpoint_id)
        self.closing.add(endpoint_id)

    def any(self) -> str:
        """Mostly one of the latest."""
        return self.ids[-1 - min(len(self.ids) - 1, int(self.random.expovariate(0.05)))]

    def act(self) -> None:
        engine, random_, one = self.engine, self.random, self.any()
        match random_.randrange(8):
            case 0 | 1:
                self.close(one)
            case 2:
                engine.join(one, self.any())
            case 3:
                engine.unjoin(one, self.any())
            case 4:
                engine.set_remote(_remote(one))
            case 5:
                if one in self.opened and one not in self.closing:
                    self.plays[f"{one}-p"] = 1
                source = PlaySource(kind="ring", duration_ms=random_.choice((20, 60_000)))
                engine.play(StartPlay(endpoint_id=one, play_id=f"{one}-p", sources=(source,)))
            case 6:
                engine.send_digits(SendDigits(endpoint_id=one, digits="12"))
            case 7:
                new = self.open()
                if random_.random() < 0.5:
                    self.close(new)
                    if random_.random() < 0.5:
                        self.close(new)

    async def settled(self) -> None:
        self.pongs.clear()
        self.engine.ping(1)
        async with asyncio.timeout(20):
            while len(self.pongs) < len(self.engine.worker_pids()):  # noqa: ASYNC110
                await asyncio.sleep(0.002)

    async def churn(self) -> None:
        self.open()
        while len(self.ids) < ENDPOINTS:
            for _ in range(self.random.choice((1, 5, 60))):
                self.act()
            if len(self.ids) - len(self.closing) > 60:
                for endpoint_id in set(self.ids[-200:]) - self.closing:
                    if self.random.random() < 0.7:
                        self.close(endpoint_id)
            await asyncio.sleep(self.random.choice((0, 0, 0, 0.001, 0.01)))
        for endpoint_id in self.ids:
            self.close(endpoint_id)
        await self.settled()


def _remote(endpoint_id: str) -> SetRemote:
    return SetRemote(
        endpoint_id=endpoint_id,
        address="127.0.0.1",
        port=9,
        rtcp_port=10,
        send=Format(name="PCMU", payload_type=0),
        accepted=((0, "PCMU"),),
        dtmf_send_type=101,
        dtmf_receive_type=101,
    )


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_open_and_every_close_has_exactly_one_reply(tmp_path: Path, seed: int) -> None:
    crowd = Crowd(tmp_path, first_port=30000 + 500 * seed, pairs=100, seed=seed)
    await crowd.engine.start()
    try:
        await crowd.churn()
        replies = crowd.opened + crowd.refused
        assert sorted(replies) == sorted(crowd.ids)
        assert set(replies.values()) == {1}
        assert crowd.closed == crowd.opened
        assert crowd.plays_ended.keys() >= crowd.plays.keys()
        assert crowd.engine.endpoints() == 0
        assert [pong.endpoints for pong in crowd.pongs] == [0, 0]
        assert crowd.lost == set()
        assert crowd.refused, "some were to be refused: the range is small"
        assert len(crowd.opened) > ENDPOINTS // 4
    finally:
        await crowd.engine.stop()


async def test_with_a_worker_killed_meanwhile_every_endpoint_ends_once_too(tmp_path: Path) -> None:
    crowd = Crowd(tmp_path, first_port=32000, pairs=200, seed=3)
    await crowd.engine.start()
    try:
        loop = asyncio.get_running_loop()
        for delay in (0.1, 0.2):
            loop.call_later(
                delay, lambda: os.kill(crowd.random.choice(crowd.engine.worker_pids()), signal.SIGKILL)
            )
        await crowd.churn()
        while crowd.engine.endpoints():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        ends = crowd.closed + crowd.refused + Counter(crowd.lost)
        assert sorted(ends) == sorted(crowd.ids)
        assert set(ends.values()) == {1}
        assert crowd.lost
    finally:
        await crowd.engine.stop()
