"""What an SDK cannot do, and why: tests run with all others."""

from __future__ import annotations

import pytest

from .programs import ALL, Sdk

NO_METHOD = "it has no method for it"
_NODE = ("node-3.9.0", "node-3.13.0", "node-4.2.1")

LACKS: dict[str, dict[str, str]] = {
    "pass": {"node-3.9.0": NO_METHOD},
    "pause a recording": {"node-3.9.0": NO_METHOD},
    "refer": dict.fromkeys(_NODE, NO_METHOD),
    "hold": dict.fromkeys(_NODE, NO_METHOD),
    "transfer": dict.fromkeys(_NODE, NO_METHOD),
    "dial a phone by name": {"python-3.7.5": "it has `dial` alone, and no maximum price"},
    "limit the price of a dial": {
        "node-3.13.0": "it drops `maxPricePerMinute`",
        "node-4.2.1": "it drops `maxPricePerMinute`",
        "python-3.7.5": "its `dial` has no such parameter",
    },
    "tell why a connect failed": {"node-3.13.0": "its promise is never settled"},
    "tell the events of a connect": {
        **dict.fromkeys(_NODE, "it sends no `status_url`, and has no listener for them"),
    },
    "watch a peer": {
        "node-3.9.0": "its peer is no Call with events of its own until the next state",
        "python-3.7.5": "it has no typed peer",
    },
    "add a context": {
        "node-3.9.0": "it drops calls of contexts that its constructor was not given",
        "node-3.13.0": "it drops calls of contexts that its constructor was not given",
    },
}
"""Ability → SDK → why not."""


def able(ability: str = "") -> pytest.MarkDecorator:
    """Run the test with each SDK that can do that; without an ability, with all."""
    lacking = LACKS[ability] if ability else {}
    sdks: list[Sdk] = [sdk for sdk in ALL if sdk.name not in lacking]
    return pytest.mark.parametrize("sdk", sdks, ids=lambda sdk: sdk.name)
