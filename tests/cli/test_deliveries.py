"""`cordboard deliveries` against the store of a server that is running."""

from __future__ import annotations

import asyncio
from pathlib import Path

from typer.testing import CliRunner

from cordboard.cli import app
from cordboard.server.sqlite_store import SqliteStore
from cordboard.server.store import DEAD, NewCall, NewEvent, Settlement

CALL = NewCall(
    "c1", "session", "segment", "node", "project", "space", "outbound", "sip",
    "sip:a@h", "sip:b@h", None, None, 10.0, "http://h/state", "ended",
)  # fmt: skip


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["deliveries", *arguments])
    return result.exit_code, result.output


async def test_dead_callbacks_are_listed_and_sent_again_on_request(tmp_path: Path) -> None:
    config = tmp_path / "cordboard.toml"
    config.write_text('[server]\ndata_directory = "data"\n')
    store = SqliteStore.open(tmp_path / "data" / "cordboard.sqlite3")
    try:
        event = NewEvent(store.add_call(CALL), 1, "event-1", "calling.call.state", 11.0, b"{}")
        store.add_event(event)
        store.add_delivery(event, "session", origin="http://h:80", url="http://u:secret@h/cb", method="POST")
        store.settle(Settlement(1, DEAD, 3, 20.0, 500, "", 19.0, 7))
        await store.flush()

        code, listed = await asyncio.to_thread(run, str(config), "--state", "dead")
        assert code == 0
        assert "dead" in listed
        assert "3 tries" in listed
        assert "last status 500" in listed
        assert "secret" not in listed

        code, said = await asyncio.to_thread(run, str(config), "--resend", "1", "--resend", "7")
        assert code == 0
        assert said.splitlines() == ["delivery 1 will be sent again", "delivery 7 is not dead: nothing to do"]
        assert await store.take_resend_requests() == [1]
    finally:
        await store.close()


def test_without_a_store_it_says_so(tmp_path: Path) -> None:
    config = tmp_path / "cordboard.toml"
    config.write_text("")
    code, said = run(str(config))
    assert code == 1
    assert "there is no store" in said
