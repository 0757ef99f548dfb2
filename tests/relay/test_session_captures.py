"""What real clients were seen to send goes through a session: every request is answered, exactly once."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cordboard.call.effects import CommandAnswered
from cordboard.relay import answers, frames, methods
from cordboard.relay.requests import Refusal

from .client_bench import World

SPEC = Path(os.environ.get("CORDBOARD_SPEC", Path(__file__).resolve().parents[3] / "shared" / "spec"))
OLDER_ENVELOPE = "py-v2-blade.jsonl"
LOST_ITS_HEAD = "NEG-v3-bare-connect-reconnect"
"""A client that went on without a connect, after a server had sent it no signature."""
RECORDED = [path for path in sorted((SPEC / "captures").glob("*.jsonl")) if path.name != OLDER_ENVELOPE]


def perform(request: frames.Perform) -> dict[str, Any]:
    """Calls that do everything they are asked."""
    read = methods.read(request.method, request.params)
    answered = None if isinstance(read, Refusal) else CommandAnswered(ticket="")
    return answers.result(read, answered, node_id="node", call_id="call")


class Replay:
    """The frames of one file, on sockets as they were opened then."""

    def __init__(self, path: Path) -> None:
        self.world = World(perform=perform)
        self.asked: Counter[str] = Counter()
        for line in path.read_text().splitlines():
            self._take(json.loads(line))

    def _take(self, line: dict[str, Any]) -> None:
        frame = line["frame"]
        if line["dir"] == "meta" and "handshake" in line["comment"]:
            self.world.open()
        elif line["dir"] == "client->server" and isinstance(frame, dict):
            self._send(frame)

    def _send(self, frame: dict[str, Any]) -> None:
        if "method" in frame:
            self.asked[frame["id"]] += 1
        if frame.get("method") == "signalwire.connect":
            frame["params"]["authentication"]["token"] = "token"
        self.world.sockets[-1].to_server.append(frames.Text(json.dumps(frame)))
        self.world.run()

    def answered(self) -> Counter[str]:
        frames_ = (frame for socket in self.world.sockets for frame in socket.received)
        return Counter(frame["id"] for frame in frames_ if "method" not in frame)


@pytest.mark.skipif(not RECORDED, reason="the recordings are not at hand")
@pytest.mark.parametrize("path", RECORDED, ids=[path.stem for path in RECORDED])
def test_every_request_of_a_recorded_client_is_answered_once(path: Path) -> None:
    replay = Replay(path)
    assert replay.answered() == replay.asked
    errors = [f["error"]["code"] for s in replay.world.sockets for f in s.received if "error" in f]
    assert errors == ([-32000] if path.stem == LOST_ITS_HEAD else [])
