"""REFER of ours: what is asked, what the far end tells of it, and what may cross it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.call.effects import ReferLeg
from cordboard.call.facts import ReferProgressed
from cordboard.legs.own_refer import LONGEST, OwnRefer, TargetError, refer_fields
from cordboard.sip.message import Request
from cordboard.testing.challenge import Challenge

from .leg_bench import FAR, OURS, LegBench
from .referring import CAROL, Referred

ACCEPTED, TRYING, DONE = (202, None, False), (202, 100, False), (202, 200, True)


@pytest.fixture(params=["in", "out"])
def up(request: pytest.FixtureRequest) -> Referred:
    return Referred(request.param)


# ---------------------------------------------------------------- as it should be


def test_a_transfer_is_told_from_its_acceptance_to_its_end(up: Referred) -> None:
    up.refer()
    up.answer()
    up.notify("100 Trying")
    up.notify("180 Ringing")
    up.finished()
    assert up.told() == [ACCEPTED, TRYING, (202, 180, False), DONE]
    assert [one.ending for one in up.progress()] == [None] * 4
    assert up.outcomes() == [200] * 3
    up.ends_well()


def test_the_refer_says_where_to_and_who_asks(up: Referred) -> None:
    up.refer(headers=(("X-Case", "7"), ("Route", "<sip:evil@h>"), ("X-Two", "a\r\nEvil: 1")))
    request = up.request
    assert request.headers.get_all("Refer-To") == [f"<{CAROL}>"]
    assert (request.headers.get("Referred-By") or "").startswith("<sip:")
    assert "tag" not in (request.headers.get("Referred-By") or "")
    assert request.headers.get("Contact") == f"<sip:{OURS.host_port}>"
    assert request.headers.get("Max-Forwards") == "70"
    assert request.headers.get("X-Case") == "7"
    assert "Route" not in request.headers
    assert "X-Two" not in request.headers
    assert "Evil" not in request.headers


@pytest.mark.parametrize("status", [200, 202])
def test_any_2xx_accepts(up: Referred, status: int) -> None:
    """RFC 7647 section 3: 202 is not what it was."""
    up.refer()
    up.answer(status)
    assert up.told() == [(status, None, False)]


def test_a_far_end_that_will_tell_nothing_has_told_all(up: Referred) -> None:
    """RFC 4488."""
    up.refer()
    up.answer(202, Refer_Sub="false")
    assert up.told() == [(202, None, True)]
    assert up.bench.legs.timed == {}


def test_one_refer_after_the_other(up: Referred) -> None:
    for line, code in (("486 Busy Here", 486), ("603 Decline", 603), ("200 OK", 200)):
        up.bench.told.clear()
        up.refer()
        up.answer()
        up.notify("100 Trying", event=f"refer;id={up.request.cseq.number}")
        up.notify(line, "terminated;reason=noresource", f"refer;id={up.request.cseq.number}")
        assert up.told() == [ACCEPTED, TRYING, (202, code, True)]
    assert len(up.asked()) == 3
    up.ends_well()


def test_a_late_notify_of_the_refer_before_is_not_one_of_this(up: Referred) -> None:
    up.refer()
    up.answer()
    first = up.request.cseq.number
    up.notify("486 Busy Here")
    up.refer()
    up.answer()
    up.notify("200 OK", "terminated;reason=noresource", f"refer;id={first}")
    assert up.outcomes() == [200, 481]
    assert up.told()[-1] == ACCEPTED


def test_a_second_refer_while_one_is_on_never_leaves(up: Referred) -> None:
    up.refer()
    up.refer("sip:dave@example.com")
    assert up.told() == [(None, None, True)]
    assert "under way" in up.sentence()
    up.answer()
    up.finished()
    assert len(up.asked()) == 1
    assert up.told()[1:] == [ACCEPTED, DONE]


@pytest.mark.parametrize(
    "to", ["carol", "", "mailto:carol@example.com", "sip:", "sip:a b", "<sip:c@h>", "x\r\ny"]
)
def test_what_is_no_address_is_refused_before_anything_leaves(up: Referred, to: str) -> None:
    up.refer(to)
    [told] = up.progress()
    assert told.is_final
    assert up.cause() == "refer_impossible"
    assert up.asked() == []


def test_a_call_that_is_not_answered_cannot_be_referred() -> None:
    bench = LegBench()
    bench.call_in()
    call_id = bench.offered().call_id
    bench.do(bench.legs.refer(call_id, ReferLeg(to=CAROL), bench.now))
    [told] = bench.facts(call_id)
    assert isinstance(told, ReferProgressed)
    assert told.is_final
    assert "REFER" not in bench.sent()


def test_a_call_that_is_gone_is_not_referred() -> None:
    bench = LegBench()
    assert bench.legs.refer("gone", ReferLeg(to=CAROL), 0.0) == []


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("status", [302, 400, 403, 405, 408, 420, 481, 489, 503, 603])
def test_a_refusal_is_final_and_the_call_goes_on(up: Referred, status: int) -> None:
    up.refer()
    up.answer(status)
    assert up.told() == [(status, None, True)]
    assert up.cause() == "refer_refused"
    assert f"({status} " in up.sentence()
    assert "connect" in up.sentence()
    assert up.call_id in up.bench.legs
    up.refer()
    assert len(up.asked()) == 2
    up.answer()
    assert up.told()[-1] == ACCEPTED


def test_nobody_answers(up: Referred) -> None:
    """Timer F."""
    up.bench.wire.drop = lambda datagram: datagram.destination == FAR
    up.refer()
    up.bench.run(31.9)
    assert up.told() == []
    up.bench.run(0.2)
    assert up.told() == [(408, None, True)]
    assert up.cause() == "refer_unanswered"
    assert up.call_id in up.bench.legs


def test_nothing_can_be_sent(up: Referred) -> None:
    up.bench.wire.drop = lambda datagram: datagram.destination == FAR
    up.refer()
    up.bench.do(up.bench.legs.transport_failed(FAR, up.bench.now))
    assert up.told() == [(503, None, True)]
    assert up.cause() == "refer_unsent"


@pytest.mark.parametrize("challenge", [Challenge(), Challenge(status=407, algorithm="SHA-256")])
def test_a_challenge_is_answered_with_what_the_client_knows(up: Referred, challenge: Challenge) -> None:
    up.refer(username="user", password="secret")
    for _ in range(2):
        demand = challenge.demand(up.request)
        if demand is None:
            up.answer()
        else:
            up.answer(challenge.status, **{demand[0].replace("-", "_"): demand[1]})
    assert up.told() == [ACCEPTED]
    up.notify("200 OK", "terminated", f"refer;id={up.request.cseq.number}")
    assert up.told()[-1] == DONE


@pytest.mark.parametrize("known", [{}, {"username": "user", "password": "wrong"}])
def test_who_does_not_know_the_password_is_refused_after_one_try(up: Referred, known: dict[str, str]) -> None:
    up.refer(**known)
    for _ in range(len(known) or 1):
        demand = Challenge().demand(up.request)
        assert demand is not None
        up.answer(401, WWW_Authenticate=demand[1])
    assert up.told() == [(401, None, True)]
    assert len(up.asked()) == (2 if known else 1)


def test_credentials_are_of_one_refer_alone(up: Referred) -> None:
    up.refer(username="user", password="secret")
    demand = Challenge().demand(up.request)
    assert demand is not None
    up.answer(401, WWW_Authenticate=demand[1])
    up.answer()
    up.finished()
    up.refer()
    assert "Authorization" not in up.request.headers


# ---------------------------------------------------------------- NOTIFY


def test_a_failed_transfer_says_why(up: Referred) -> None:
    up.refer()
    up.answer()
    up.finished("486 Busy Here")
    assert up.told()[-1] == (202, 486, True)
    assert up.cause() == "user_busy"
    assert up.sentence().startswith(f"{CAROL} is busy (486 Busy Here): ")


def test_a_final_status_is_the_end_even_if_the_subscription_goes_on(up: Referred) -> None:
    up.refer()
    up.answer()
    up.notify("200 OK", "active;expires=3600")
    assert up.told()[-1] == DONE
    up.finished()
    up.finished()
    assert up.outcomes() == [200, 200, 481]
    assert len(up.told()) == 2


@pytest.mark.parametrize("body", [b"", b"SIP/2.0 100 Trying\r\n", b"nonsense"])
def test_a_subscription_that_ends_without_an_outcome(up: Referred, body: bytes) -> None:
    up.refer()
    up.answer()
    up.notify("", "terminated;reason=timeout", body=body)
    assert up.told()[-1] == (202, 100 if b"100" in body else None, True)
    assert up.cause() == "refer_untold"


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ("refer", 200),
        ("Refer ; id=0002", 481),
        ("refer;id=x", 481),
        ("refer;id=99999999999999999999", 481),
        ("presence", 481),
        ("", 481),
    ],
)
def test_only_what_belongs_to_the_refer_is_taken(event: str, status: int) -> None:
    up = Referred("in")
    up.refer()
    up.answer()
    up.bench.run()
    assert up.request.cseq.number == 1
    up.notify("180 Ringing", event=event)
    assert up.outcomes() == [status]


def test_a_notify_without_a_refer_is_refused(up: Referred) -> None:
    up.finished()
    assert up.outcomes() == [481]
    assert up.told() == []


@pytest.mark.parametrize("state", ["", "active", "pending;expires=1", "active;expires=nonsense"])
def test_a_careless_subscription_state_is_one_that_goes_on(up: Referred, state: str) -> None:
    up.refer()
    up.answer()
    up.notify("180 Ringing", state)
    up.bench.run(59)
    assert up.told() == [ACCEPTED, (202, 180, False)]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"SIP/2.0 200 OK", 200),
        (b"SIP/2.0 200", 200),
        (b"sip/2.0  486 Busy\r\nTo: <sip:c@h>\r\n", 486),
        (b"\r\nSIP/2.0 603 Decline\r\n", 603),
        (b"SIP/2.0 2000 OK", None),
        (b"SIP/2.0 700 OK", None),
        (b"SIP/3.0 200 OK", None),
        (b"INVITE sip:a@h SIP/2.0\r\n", None),
        (b" " * 300 + b"SIP/2.0 200 OK", None),
    ],
)
def test_the_status_line_of_a_fragment(body: bytes, code: int | None) -> None:
    up = Referred()
    up.refer()
    up.answer()
    up.notify("", "active", body=body)
    assert up.told()[-1][1] == code


def test_a_body_of_another_kind_says_nothing(up: Referred) -> None:
    up.refer()
    up.answer()
    up.notify("200 OK", content="text/plain")
    assert up.told() == [ACCEPTED]
    assert up.outcomes() == [200]


def test_a_notify_that_repeats_itself_is_no_news(up: Referred) -> None:
    up.refer()
    up.answer()
    for _ in range(5):
        up.notify("180 Ringing")
    assert up.told() == [ACCEPTED, (202, 180, False)]


LINES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=60)
STATES = LINES | st.builds("{};expires={}".format, st.sampled_from(["active", "terminated"]), LINES)
BODIES = st.binary(max_size=400) | st.binary(max_size=20).map(lambda end: b"SIP/2.0 1" + end)


@given(BODIES, STATES, LINES, LINES | st.just("message/sipfrag"), st.booleans())
def test_no_notify_raises(body: bytes, state: str, event: str, content: str, ours: bool) -> None:
    """Whatever it says, the REFER stands as before, has progressed or is over."""
    refer = OwnRefer("bob", CAROL)
    fields = [("CSeq", "1 NOTIFY"), ("Event", "refer" if ours else event), ("Subscription-State", state)]
    request = Request("NOTIFY", "sip:a@h", [*fields, ("Content-Type", content)], body)
    if refer.takes(request):
        told = refer.notified(request, 0.0)
        assert told is None or not told.is_final  # the REFER has no response yet
    due = refer.next_timeout()
    assert due is None or 0 < due <= LONGEST


@given(st.text(max_size=80), st.text(max_size=20), st.text(max_size=20))
def test_whatever_shall_be_referred_to_is_sent_on_one_line_or_refused(to: str, name: str, value: str) -> None:
    try:
        fields = refer_fields(ReferLeg(to=to, headers=((name, value),)), "<sip:us@h>;tag=1")
    except TargetError:
        return
    assert not any(mark in text for field in fields for text in field for mark in "\r\n\0")
