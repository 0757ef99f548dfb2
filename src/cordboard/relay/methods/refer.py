"""`calling.refer` (relay-protocol.md 8.1)."""

from __future__ import annotations

from cordboard.call.actions import Refer
from cordboard.call.commands import Command
from cordboard.relay.methods.method import Reader, on_call
from cordboard.relay.params import Params
from cordboard.relay.sip_device import credentials, headers, sip_uri


def _refer(given: Params) -> Command:
    device = given.needed("device")
    device.choice("type", ("sip",), "sip")
    params = device.needed("params")
    name = "uri" if params.has("uri") and not params.has("to") else "to"
    return Refer(
        to=sip_uri(params, name),
        headers=headers(params),
        status_url=given.url("status_url"),
        **credentials(params),
    )


METHODS: dict[str, Reader] = {"refer": on_call(_refer)}
