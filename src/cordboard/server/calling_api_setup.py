"""The HTTP API of one server, put together."""

from __future__ import annotations

from pathlib import Path

from cordboard.server.calling_api import CallingApi
from cordboard.server.calling_api_commands import Commands
from cordboard.server.calling_api_reading import Reading
from cordboard.server.exchange import Exchange
from cordboard.server.random_ids import new_id
from cordboard.server.store import Store
from cordboard.server.webhook_sender import WebhookSender


def attach(
    api: CallingApi,
    exchange: Exchange,
    store: Store,
    store_path: Path,
    sender: WebhookSender,
    *,
    node_id: str,
) -> None:
    """Let it work on the calls of an exchange, and on their records."""
    reading = Reading(store, store_path, exchange.control, exchange.sip_log, sender)
    commands = Commands(
        reading=reading,
        control=exchange.control,
        new_calls=exchange.new_calls,
        actor=exchange.switchboard.actor,
        decided=exchange.inbound.decided,
        problem=lambda: _problem(exchange),
        node_id=node_id,
        new_id=new_id,
    )
    api.attach(reading, commands)


def _problem(exchange: Exchange) -> str:
    if exchange.draining:
        return "server_stopping"
    return "" if exchange.is_ready() else "store_failing"
