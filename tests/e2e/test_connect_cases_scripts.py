"""What a script makes of a connect, and what it may not ask for (cases V, N and H)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from .cases import (
    ANSWERS,
    CALLER,
    CALLER_TONE,
    FAR_TONE,
    TALKS_BRIEFLY,
    Behaviour,
    Case,
    Json,
    Lab,
    laboratory,
    refuses,
    result_of,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

MISSING = "relay_script_method_parameter_missing"
INVALID = "relay_script_method_parameter_invalid_value"
CONFLICT = "relay_script_method_parameter_conflict"
WRONG_TYPE = "relay_script_element_wrong_type"
NOT_BUILT = "relay_script_method_execute_failed"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with laboratory(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture
def case(lab: Lab) -> Case:
    return lab.case()


def audio_formats(description: str) -> list[str]:
    """The payload types of the only audio line."""
    (line,) = [line for line in description.splitlines() if line.startswith("m=audio")]
    return line.split()[3:]


def ran(case: Case) -> list[str]:
    """The marks that were reached, in order."""
    prefix = f"/{case.serial}/"
    return [hit.path.removeprefix(prefix) for hit in case.lab.site.hits if hit.path.startswith(prefix)]


# ---------------------------------------------------------------- V: variables and result


async def test_result_is_a_switch_over_the_outcome(case: Case) -> None:
    """V1"""
    result = {"case": {"connected": [case.mark("t1")], "failed": [case.mark("t2")]}}
    assert await case.outcome({"to": case.phone("b1", refuses(486)), "result": result}) == ("failed", "busy")
    assert ran(case) == ["t2", "tail"]


async def test_result_runs_only_when_the_bridge_is_over(case: Case) -> None:
    """V2"""
    result = {"case": {"connected": [case.mark("t1")], "failed": [case.mark("t2")]}}
    caller = await case.connect({"to": case.phone("b1", ANSWERS), "result": result})
    assert await caller.hears(FAR_TONE)
    assert ran(case) == []
    (await case.incoming("b1")).hang_up()
    await case.told()
    assert ran(case) == ["t1", "tail"]


@pytest.mark.parametrize(("status", "mark"), [(486, "t1"), (404, "t2")])
async def test_result_may_look_at_another_variable(case: Case, status: int, mark: str) -> None:
    """V3"""
    result = {
        "variable": "connect_failed_reason",
        "case": {"busy": [case.mark("t1")]},
        "default": [case.mark("t2")],
    }
    await case.outcome({"to": case.phone("b1", refuses(status)), "result": result})
    assert ran(case) == [mark, "tail"]


async def test_result_may_be_conditions(case: Case) -> None:
    """V4"""
    result = [
        {"when": "connect_result == 'failed'", "then": [case.mark("t1")]},
        {"else": [case.mark("t2")]},
    ]
    await case.outcome({"to": case.phone("b1", refuses(486)), "result": result})
    assert ran(case) == ["t1", "tail"]


async def test_result_without_a_match_goes_on_silently(case: Case) -> None:
    """7.13"""
    result = {"case": {"connected": [case.mark("t1")]}}
    await case.connect({"to": case.phone("b1", refuses(486)), "result": result})
    assert "script_error" not in (await case.told())["vars"]
    assert ran(case) == ["tail"]


async def test_return_value_is_the_outcome(case: Case) -> None:
    """V6"""
    mark = case.mark("value", v="${return_value}")
    await case.call({"answer": {}}, {"connect": {"to": case.phone("b1", refuses(486))}}, mark)
    told = await case.told("value")
    assert told["params"] == {"v": "failed"}
    assert told["vars"]["connect_result"] == "failed"


async def test_a_later_connect_forgets_the_earlier_one(case: Case) -> None:
    """V7"""
    await case.call(
        {"answer": {}},
        {"connect": {"to": case.phone("b1", refuses(486))}},
        case.mark("first"),
        {"connect": {"to": case.phone("b2", TALKS_BRIEFLY)}},
        case.tail,
    )
    assert (await case.told("first"))["vars"]["connect_failed_reason"] == "busy"
    told = await case.told()
    assert result_of(told) == ("connected", "")
    assert not {"connect_failed_reason", "connect_sip_code", "connect_sip_reason"} & set(told["vars"])


async def test_a_destination_may_come_from_params(case: Case) -> None:
    """V9"""
    step = {"execute": {"dest": "sub", "params": {"dest": case.phone("b1", TALKS_BRIEFLY)}}}
    sub = [{"connect": {"to": "${params.dest}"}}, case.tail]
    await case.call({"answer": {}}, step, sections={"sub": sub})
    assert result_of(await case.told()) == ("connected", "")
    assert case.invite("b1").uri.startswith(f"sip:b1-{case.serial}@127.0.0.1:")
    assert case.invite("b1").uri.endswith(";transport=udp")


async def test_params_come_back_and_are_strings(case: Case) -> None:
    """3.1, 3.4: `execute` replaces params, stringified, and gives the caller's back"""
    inner = {
        "execute": {
            "dest": "inner",
            "params": {"n": 12345, "yes": True, "none": None, "deep": [1, {"a": 2.5}]},
        }
    }
    outer = {"execute": {"dest": "outer", "params": {"a": 1, "b": 2}}}
    await case.call(
        {"answer": {}},
        outer,
        sections={
            "outer": [
                {"set": {"sum": "${params.a+params.b}"}},
                inner,
                case.mark("after", a="${params.a}", n="${params.n}", sum="${sum}"),
            ],
            "inner": [case.mark("inside", n="${params.n}", all="${params}")],
        },
    )
    assert (await case.told("after"))["params"] == {"a": "1", "n": "", "sum": "12"}
    told = (await case.told("inside"))["params"]
    assert told["n"] == "12345"
    assert told["all"] == {"n": "12345", "yes": "true", "none": "", "deep": ["1", {"a": "2.5"}]}


# ---------------------------------------------------------------- N: bad input


async def refused(case: Case, connect: Any, error: str | None) -> Json:
    """A connect that dials nobody; what the tail says."""
    step = {
        "connect": {**connect, "status_url": case.url("status")} if isinstance(connect, dict) else connect
    }
    await case.call({"answer": {}}, step, case.tail)
    told = await case.told()
    assert result_of(told) == ("failed", "error")
    assert told["vars"]["return_value"] == "failed"
    assert told["call"]["call_state"] == "answered"
    if error is not None:
        assert told["vars"]["script_error"] == error
    assert not case.ladder("b1")
    if isinstance(connect, dict):
        await until(lambda: "failed error" in case.states("status"))
    return told


@pytest.mark.parametrize(
    ("connect", "error"),
    [
        pytest.param({}, MISSING, id="N1"),
        pytest.param({"to": "B1", "serial": [{"to": "B1"}]}, CONFLICT, id="N2"),
        pytest.param({"serial": []}, INVALID, id="N3"),
        pytest.param({"parallel": []}, INVALID, id="N3-parallel"),
        pytest.param({"serial_parallel": [[], []]}, INVALID, id="N3-groups"),
        pytest.param({"to": ""}, INVALID, id="N4"),
        pytest.param({"to": 15551234567}, WRONG_TYPE, id="N5"),
        pytest.param({"to": "ftp://x"}, INVALID, id="N7"),
        pytest.param({"to": "B1", "encryption": "required"}, INVALID, id="N8"),
        pytest.param({"to": "B1", "headers": {"X-A": "1"}}, WRONG_TYPE, id="N11"),
        pytest.param({"to": "${vars.none}"}, INVALID, id="N12"),
        pytest.param({"to": "B1", "timeout": "abc"}, INVALID, id="N13"),
        pytest.param({"to": "B1", "headers": [{"name": "X-A", "value": 1}]}, WRONG_TYPE, id="7.7"),
    ],
)
async def test_bad_input_dials_nobody(case: Case, connect: Json, error: str) -> None:
    """N1 to N5, N7, N8, N11 to N13"""
    uri = case.phone("b1", ANSWERS)
    text = {key: uri if value == "B1" else value for key, value in connect.items()}
    if text.get("serial"):
        text["serial"] = [{"to": uri}]
    await refused(case, text, error)


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "x", "sip:", "stream:", "+123456789012345678"])
async def test_destinations_of_no_kind_dial_nobody(case: Case, uri: str) -> None:
    """N7 and 7.2"""
    await refused(case, {"to": uri}, None)


async def test_a_caller_of_no_kind_dials_nobody(case: Case) -> None:
    """7.6, and the message says what is allowed"""
    await refused(case, {"to": case.phone("b1", ANSWERS), "from": "J\u00fcrgen <x>"}, INVALID)
    assert "SIP URI" in case.warnings()[0]


async def test_an_unquoted_number_keeps_its_plus(case: Case) -> None:
    """1.3: `to: +1555…` in YAML is an integer for YAML, a number for us"""
    number = case.pstn(TALKS_BRIEFLY)
    text = f"""
version: 1.0.0
sections:
  main:
    - answer: {{}}
    - connect:
        to: {number}
    - execute:
        dest: {case.url("tail")}
        params: {{r: "${{connect_result}}", f: "${{connect_failed_reason}}"}}
"""
    await case.call(text=text)
    assert result_of(await case.told()) == ("connected", "")
    assert case.invite(number).uri.startswith(f"sip:{number}@")


async def test_an_unknown_property_is_only_warned_about(case: Case) -> None:
    """N9"""
    assert await case.outcome({"to": case.phone("b1", TALKS_BRIEFLY), "foo": 1}) == ("connected", "")
    assert case.codes() == ["method_parameter_undefined"]
    assert "`foo`" in case.warnings()[0]


async def test_a_result_of_the_wrong_type_is_ignored(case: Case) -> None:
    """N15"""
    connect = {"to": case.phone("b1", TALKS_BRIEFLY), "result": "x"}
    assert await case.outcome(connect) == ("connected", "")
    assert any("wrong_type" in code for code in case.codes())


async def test_webrtc_media_is_refused_by_name(case: Case) -> None:
    """Refused by name, never skipped"""
    await refused(case, {"to": case.phone("b1", ANSWERS), "webrtc_media": True}, NOT_BUILT)
    assert any("`webrtc_media`" in warning for warning in case.warnings())


@pytest.mark.parametrize("to", ["queue:support", "stream:wss://w.example/audio", "/private/john"])
async def test_destinations_that_are_not_built_are_refused_by_name(case: Case, to: str) -> None:
    """Refused by name, never skipped"""
    await refused(case, {"to": to}, NOT_BUILT)
    assert any("not supported" in warning for warning in case.warnings())


REFUSED = {"ai": {"prompt": {"text": "x"}}, "enter_queue": {"queue_name": "q"}, "send_sms": {}, "pay": {}}


@pytest.mark.parametrize("method", REFUSED)
async def test_methods_that_are_not_built_stop_the_script_by_name(case: Case, method: str) -> None:
    """Refused by name, never skipped"""
    caller = await case.call({"answer": {}}, {method: REFUSED[method]}, case.tail)
    assert (await caller.ended()).cause == "bye_received"
    assert not case.was_told()
    assert any(method in warning and "not supported" in warning for warning in case.warnings())


@pytest.mark.parametrize("method", ["ai", "enter_queue"])
async def test_an_unanswered_caller_of_such_a_method_gets_503(case: Case, method: str) -> None:
    caller = await case.call({method: REFUSED[method]})
    assert (await caller.ended()).status == 503


async def test_a_method_that_does_not_exist_is_a_document_error(case: Case) -> None:
    """1.1, 4.4: no step of it runs"""
    caller = await case.call(case.mark("before"), {"no_such_method": {}})
    assert (await caller.ended()).status == 503
    assert not case.was_told("before")
    assert any("no_such_method" in warning for warning in case.warnings())


# ---------------------------------------------------------------- H: headers and identity


async def dialled(case: Case, name: str = "b1", **connect: Any) -> Any:
    assert await case.outcome({"to": case.phone(name, TALKS_BRIEFLY), **connect}) == ("connected", "")
    return case.invite(name)


async def test_the_caller_is_shown_to_the_far_end(case: Case) -> None:
    """H1"""
    invite = await dialled(case)
    assert invite.from_.uri.user == CALLER


async def test_a_caller_with_a_name_is_shown_too(case: Case) -> None:
    """H1 for a caller that is no number"""
    step = {"connect": {"to": case.phone("b1", TALKS_BRIEFLY)}}
    await case.call({"answer": {}}, step, case.tail, from_user="erika")
    assert result_of(await case.told()) == ("connected", "")
    assert case.invite("b1").from_.uri.user == "erika"


async def test_from_may_be_a_sip_uri(case: Case) -> None:
    """H2"""
    invite = await dialled(case, **{"from": "sip:chris@example.com"})
    assert str(invite.from_.uri) == "sip:chris@example.com"


async def test_from_may_be_a_token(case: Case) -> None:
    """7.6"""
    invite = await dialled(case, **{"from": "front-desk"})
    assert invite.from_.uri.user == "front-desk"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("X-Two-Lines", "one\r\nVia: two", id="H4"),
        pytest.param("X-Line-Feed", "one\ntwo", id="H4-lf"),
        pytest.param("Via", "SIP/2.0/UDP 10.0.0.1", id="H5-via"),
        pytest.param("Contact", "<sip:evil@example.com>", id="H5-contact"),
        pytest.param("Subject", "hello", id="H5-other"),
    ],
)
async def test_other_headers_are_dropped_with_a_warning(case: Case, name: str, value: str) -> None:
    """H4, H5"""
    invite = await dialled(case, headers=[{"name": name, "value": value}, {"name": "X-Good", "value": "g"}])
    assert value not in invite.to_bytes().decode()
    assert invite.headers.get("X-Good") == "g"
    assert not any("two" in text for _, text in invite.headers.items())
    assert case.codes() == ["method_parameter_invalid_value"]
    assert name in case.warnings()[0]


async def test_headers_are_sent_as_they_are(case: Case) -> None:
    """H7, and repeated names in order (7.7)"""
    headers = [
        {"name": "x-FROM_NUMBER", "value": "%2B123"},
        {"name": "X-Twice", "value": "1"},
        {"name": "X-Twice", "value": "2"},
    ]
    invite = await dialled(case, headers=headers)
    text = invite.to_bytes().decode()
    assert "x-FROM_NUMBER: %2B123\r\n" in text
    assert invite.headers.get_all("X-Twice") == ["1", "2"]


async def test_a_number_gets_none_of_the_headers(case: Case) -> None:
    """7.3: SIP-only properties have no effect on phones"""
    number = case.pstn(TALKS_BRIEFLY)
    connect = {"to": number, "headers": [{"name": "X-A", "value": "1"}], "from": "+15551112222"}
    assert await case.outcome(connect) == ("connected", "")
    invite = case.invite(number)
    assert invite.headers.get("X-A") is None
    assert invite.from_.uri.user == "+15551112222"


async def test_the_default_offer_has_both_laws_and_keys(case: Case) -> None:
    """H9, the default"""
    invite = await dialled(case)
    assert "m=audio" in invite.body.decode()
    assert " RTP/AVP 0 8 " in invite.body.decode()
    assert "telephone-event/8000" in invite.body.decode()


async def test_two_codecs_are_translated(case: Case) -> None:
    """H21: a caller with PCMU and a far end with nothing but PCMA"""
    only_pcma = Behaviour(tone_hz=FAR_TONE, codecs=("PCMA",))
    caller = await case.connect({"to": case.phone("b1", only_pcma)})
    b1 = await case.incoming("b1")
    assert await caller.hears(FAR_TONE)
    assert await b1.hears(CALLER_TONE)
    assert audio_formats(case.packet("> 200").text)[0] == "0"
    assert audio_formats(case.packet("< 200", "b1").text)[0] == "8"
    caller.hang_up()


async def test_keys_pass_through_the_bridge(case: Case) -> None:
    """H22"""
    caller = await case.connect({"to": case.phone("b1", ANSWERS)})
    assert await caller.hears(FAR_TONE)
    b1 = await case.incoming("b1")
    caller.press("12#")
    b1.press("*9")
    heard = await asyncio.gather(b1.hears_digits("12#"), caller.hears_digits("*9"))
    assert all(heard)
    caller.hang_up()


async def test_the_caller_s_x_headers_reach_the_script(case: Case) -> None:
    """2.2: custom headers of a SIP caller"""
    await case.call({"answer": {}}, case.tail, from_user="erika", headers=[("X-Ticket", "7")])
    told = await case.told()
    assert told["call"]["headers"] == [{"name": "X-Ticket", "value": "7"}]
