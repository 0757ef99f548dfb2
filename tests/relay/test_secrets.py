"""What is printed of a request, a plan or a setting holds no secret: a traceback may show it."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.call.actions import Refer
from cordboard.call.effects import ReferLeg
from cordboard.call.plan import Destination
from cordboard.jsonrpc import Request
from cordboard.relay.connection import Patience
from cordboard.relay.frames import ConnectWanted, Perform, Text
from cordboard.relay.handshake import Connect
from cordboard.relay.session import Limits
from cordboard.server.relay_sessions import Setting

SECRET = "geheim-7"
CONNECT = Connect(project="p", token=SECRET)


@pytest.mark.parametrize(
    "thing",
    [
        Destination(kind="sip", to="sip:a@b", username="u", password=SECRET),
        Refer(to="sip:a@b", username="u", password=SECRET),
        ReferLeg(to="sip:a@b", username="u", password=SECRET),
        Text(SECRET),
        CONNECT,
        ConnectWanted(1, "id", CONNECT),
        Request(id="1", method="signalwire.connect", params={"authentication": {"token": SECRET}}),
        Perform(1, "calling.refer", {"device": {"params": {"password": SECRET}}}),
        Setting(node_id="n", space_id="s", signing_key=SECRET, limits=Limits(), patience=Patience()),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_a_secret_is_not_printed(thing: Any) -> None:
    assert SECRET not in repr(thing)
