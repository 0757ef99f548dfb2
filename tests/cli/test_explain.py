"""`cordboard explain`: the sentence, the legs, the events and the ladder of a call that is over."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from cordboard.cli import app
from cordboard.cli.explanation import as_lines
from cordboard.server.config import Config
from cordboard.server.server import Server
from cordboard.server.sip_log import SipNote
from cordboard.server.store import CallRecord, NewCall
from cordboard.server.story import Leg, Story, as_data
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import SimulatedPhone


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["explain", *arguments])
    return result.exit_code, result.output


DOCUMENT = "sections: {main: [{answer: {}}, {connect: {serial: [%s], status_url: 'http://127.0.0.1:9/cb'}}]}"


@pytest.fixture
async def config(tmp_path: Path) -> Path:
    """A server that has had one call, to somebody busy and somebody who is not there; its configuration."""
    async with (
        SimulatedPhone(Behaviour(refuse=486), name="bob") as bob,
        SimulatedPhone(name="alice") as alice,
    ):
        file = tmp_path / "flow.yaml"
        far_ends = f"{{to: '{bob.uri()}'}}, {{to: 'sip:x@nowhere.invalid'}}"
        file.write_text(DOCUMENT % far_ends)
        settings = tmp_path / "cordboard.toml"
        settings.write_text(
            "[sip]\nport = 0\n[phones]\nenabled = false\n[media]\nworkers = 1\n[http]\nport = 0\n"
            '[routes]\n"*" = "flow.yaml"\n'
        )
        loaded = Config.model_validate(
            {
                "sip": {"port": 0},
                "http": {"port": 0},
                "phones": {"enabled": False},
                "media": {"workers": 1},
                "hosts": {"nowhere.invalid": "192.0.2.1"},
                "outbound": {"allow_private": True},
                "routes": {"*": {"document": "flow.yaml"}},
            }
        )
        async with Server(loaded, directory=tmp_path) as server:
            where = server.socket.local.host_port
            call = await alice.call(f"sip:+15550001@{where}")
            assert (await call.ended()).cause
    return settings


async def test_the_latest_call_is_explained_with_its_ladder(config: Path) -> None:
    code, said = await asyncio.to_thread(run, "last", "--config", str(config))
    assert code == 0, said
    for wanted in (
        "what      ",
        " is busy (486 Busy Here): add another destination",
        "ended: busy (user_busy), SIP 486 Busy Here; on RELAY `busy`",
        "call.connect failed",
        "──▶ cordboard  INVITE sip:+15550001@",
        "◀── cordboard  INVITE sip:bob@",
        "──▶ cordboard  486 Busy Here [INVITE]",
        "◀── cordboard  BYE ",
        "callbacks",
    ):
        assert wanted in said
    assert said.index("INVITE sip:+15550001") < said.index("INVITE sip:bob@") < said.index("BYE ")


async def test_a_leg_s_id_finds_its_whole_session_and_programs_get_json(config: Path) -> None:
    _, said = await asyncio.to_thread(run, "last", "--config", str(config), "--json")
    whole = msgspec.json.decode(said)
    legs = whole["legs"]
    assert [leg["direction"] for leg in legs] == ["inbound", "outbound", "outbound"]
    assert [leg["end"]["reason"] for leg in legs[1:]] == ["busy", "error"]
    assert legs[1]["messages"][0]["line"].startswith("INVITE sip:bob@")
    assert whole["verdict"] == legs[2]["end"]["sentence"]
    _, again = await asyncio.to_thread(run, legs[1]["call_id"], "--config", str(config), "--json")
    assert msgspec.json.decode(again)["legs"] == legs


async def test_an_unknown_call_is_named(config: Path) -> None:
    code, said = await asyncio.to_thread(run, "no-such-call", "--config", str(config))
    assert code == 1
    assert "there is no call no-such-call" in said


def test_without_a_store_it_says_so(tmp_path: Path) -> None:
    settings = tmp_path / "cordboard.toml"
    settings.write_text("")
    code, said = run("last", "--config", str(settings))
    assert code == 1
    assert "there is no store" in said


def test_a_leg_says_which_trunks_had_it_and_whether_its_keys_could_be_read() -> None:
    start = NewCall(
        "c", "s", "g", "n", "p", "x", "outbound", "phone", "+1555", "+4420", None, None, 1.0, None, ""
    )
    empty = dict.fromkeys(("answered_at", "end", "connect", "dialog", "statistics", "variables"))
    record = CallRecord(number=1, start=start, **empty)  # type: ignore[arg-type] # all None
    far_end, media = "UDP 192.0.2.1:5060", "audio 4000 RTP/AVP 0; a=crypto"
    messages = [
        SipNote(1.0, True, "", "by the trunk first"),
        SipNote(1.1, True, far_end, "INVITE sip:+4420@192.0.2.1", media),
        SipNote(1.2, True, "", "by the trunk second"),
        SipNote(1.3, False, far_end, "200 OK [INVITE]", media),
    ]
    story = Story(legs=[Leg(record=record, events=[], messages=messages)], deliveries=[])
    lines = as_lines(story)
    assert "          trunk: first, then second" in lines
    assert any("keys of its media were sent without TLS" in line for line in lines)
    assert [line.split()[1:] for line in lines if "by the trunk" in line] == [
        ["+4420", "by", "the", "trunk", "first"],
        ["+4420", "by", "the", "trunk", "second"],
    ]
    (leg,) = as_data(story)["legs"]
    assert (leg["trunks"], leg["keys_in_the_clear"]) == (["first", "second"], True)
