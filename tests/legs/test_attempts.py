"""One dialled leg, several INVITEs: next address, next trunk, redirections, without keys, over TCP."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.call.codec_wish import CodecWish
from cordboard.call.plan import Destination
from cordboard.call.reasons import ending
from cordboard.legs.attempts import MAX_REDIRECTS, AskRoute, Attempts
from cordboard.legs.outputs import ResolveTarget, Route, Target, Terms
from cordboard.sip.credentials import Credentials
from cordboard.sip.events import InviteReceived, Refused
from cordboard.sip.message import Request, Response

from .attempting import DEAD, FIRST, SECOND, TRUNK, answer, asked, dialled, invites, refuse
from .leg_bench import BOB, CALLED, FAR, LegBench, far_answer


@pytest.fixture
def bench() -> LegBench:
    return LegBench()


# ---------------------------------------------------------------- the next address


def test_after_a_transport_failure_the_next_address_is_tried_at_once(bench: LegBench) -> None:
    dialled(bench, FIRST, SECOND)
    assert invites(bench) == 0
    bench.do(bench.legs.transport_failed(DEAD, bench.now))
    bench.run()
    answer(bench)
    assert bench.dialled(CALLED) == 1


def test_an_address_that_says_nothing_is_left_after_32_seconds(bench: LegBench) -> None:
    dialled(bench, FIRST, SECOND)
    bench.run(31.9)
    assert invites(bench) == 0
    bench.run(0.2)
    answer(bench)


def test_an_address_that_is_overloaded_is_left(bench: LegBench) -> None:
    dialled(bench, SECOND, SECOND)
    refuse(bench, 503)
    assert invites(bench) == 2
    answer(bench)


@pytest.mark.parametrize("status", [404, 480, 486, 500, 504, 600, 603])
def test_any_other_word_of_the_host_is_its_last(bench: LegBench, status: int) -> None:
    dialled(bench, SECOND, SECOND)
    refuse(bench, status)
    assert invites(bench) == 1
    assert bench.ending(CALLED).sip_code == status
    bench.comes_to_rest()


def test_when_no_address_is_left_the_leg_ends_with_what_the_last_one_did(bench: LegBench) -> None:
    dialled(bench, FIRST, SECOND)
    bench.do(bench.legs.transport_failed(DEAD, bench.now))
    bench.run()
    refuse(bench, 503)
    assert (bench.ending(CALLED).cause, bench.ending(CALLED).sip_code) == ("server_failure", 503)
    bench.comes_to_rest()


def test_a_leg_that_is_cancelled_in_its_second_attempt_ends_once(bench: LegBench) -> None:
    dialled(bench, SECOND, SECOND)
    refuse(bench, 503)
    bench.end(CALLED, "ring_timeout")
    bench.run()
    assert bench.ending(CALLED).cause == "ring_timeout"
    assert bench.sent().count("CANCEL") == 1
    bench.comes_to_rest()


# ---------------------------------------------------------------- the next trunk


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 580])
def test_a_trunk_that_cannot_carry_the_call_gives_way_to_the_next(bench: LegBench, status: int) -> None:
    dialled(bench, SECOND, terms=TRUNK)
    refuse(bench, status)
    assert asked(bench) == ((), ("carrier",))
    bench.route(SECOND, terms=Terms(trunk="other"))
    bench.run()
    answer(bench)


def test_a_trunk_that_does_not_answer_gives_way_to_the_next(bench: LegBench) -> None:
    dialled(bench, FIRST, terms=TRUNK)
    bench.run(33)
    assert asked(bench) == ((), ("carrier",))


@pytest.mark.parametrize("status", [403, 404, 480, 484, 486, 487, 600, 603])
def test_a_callee_who_will_not_is_not_asked_again_by_another_trunk(bench: LegBench, status: int) -> None:
    dialled(bench, SECOND, terms=TRUNK)
    refuse(bench, status)
    assert len(bench.all_told(ResolveTarget)) == 1
    assert bench.ending(CALLED).sip_code == status


def test_a_phone_that_rings_and_is_not_taken_up_is_not_rung_by_another_trunk(bench: LegBench) -> None:
    dialled(bench, SECOND, terms=TRUNK)
    bench.put(bench.far.ring(bench.invited(), now=bench.now))
    bench.run()
    refuse(bench, 408)
    assert bench.ending(CALLED).cause == "far_end_timeout"


def test_when_no_trunk_is_left_the_last_refusal_says_why(bench: LegBench) -> None:
    dialled(bench, SECOND, terms=TRUNK)
    refuse(bench, 502)
    bench.route(SECOND, terms=Terms(trunk="other"))
    bench.run()
    refuse(bench, 500)
    assert asked(bench) == ((), ("carrier", "other"))
    bench.do(bench.legs.unresolved(CALLED, ending("no_trunk", who="+1"), bench.now))
    assert (bench.ending(CALLED).cause, bench.ending(CALLED).sip_code) == ("server_failure", 500)
    bench.comes_to_rest()


def test_all_addresses_of_a_trunk_are_tried_before_the_next_trunk(bench: LegBench) -> None:
    dialled(bench, SECOND, SECOND, terms=TRUNK)
    refuse(bench, 503)
    assert len(bench.all_told(ResolveTarget)) == 1
    refuse(bench, 503)
    assert asked(bench) == ((), ("carrier",))


# ---------------------------------------------------------------- redirections


def test_the_contacts_of_a_redirection_are_tried_in_their_order_one_after_the_other(bench: LegBench) -> None:
    dialled(bench, SECOND)
    contacts = ("<sip:c@h>;q=0.1", "<sip:a@h>", "<sip:b@h>;q=0.5", "<mailto:bob@h>", "<sip:d@h>;q=nonsense")
    refuse(bench, 302, *contacts)
    seen = []
    for _ in range(4):
        seen.append(asked(bench)[0])
        bench.route(SECOND)
        bench.run()
        refuse(bench, 480)
    assert seen == [("sip:a@h",), ("sip:b@h",), ("sip:c@h",), ("sip:d@h",)]
    assert bench.ending(CALLED).sip_code == 480
    assert bench.dialled(CALLED) == 1
    bench.comes_to_rest()


def test_a_redirected_call_is_answered_like_any_other(bench: LegBench) -> None:
    dialled(bench, SECOND)
    refuse(bench, 301, "<sip:new@127.0.0.2>")
    bench.route(Target(request_uri="sip:new@127.0.0.2", endpoint=FAR))
    bench.run()
    assert bench.received(InviteReceived).request.uri == "sip:new@127.0.0.2"
    answer(bench)


def test_a_redirection_to_itself_ends_at_once(bench: LegBench) -> None:
    dialled(bench, SECOND)
    refuse(bench, 302, f"<{BOB}>")
    assert invites(bench) == 1
    assert (bench.ending(CALLED).cause, bench.ending(CALLED).sip_code) == ("redirected", 302)


def test_two_hosts_that_redirect_to_each_other_end_at_once(bench: LegBench) -> None:
    dialled(bench, SECOND)
    refuse(bench, 302, "<sip:other@127.0.0.2>")
    bench.route(Target(request_uri="sip:other@127.0.0.2", endpoint=FAR))
    bench.run()
    refuse(bench, 302, f"<{BOB}>")
    assert bench.ending(CALLED).cause == "redirected"
    assert invites(bench) == 2


def test_redirections_without_end_are_left_after_five(bench: LegBench) -> None:
    dialled(bench, SECOND)
    for n in range(MAX_REDIRECTS):
        refuse(bench, 302, f"<sip:b{n}@127.0.0.2>")
        bench.route(Target(request_uri=f"sip:b{n}@127.0.0.2", endpoint=FAR))
        bench.run()
    refuse(bench, 302, "<sip:more@127.0.0.2>")
    assert invites(bench) == 1 + MAX_REDIRECTS
    assert bench.ending(CALLED).cause == "redirected"
    bench.comes_to_rest()


@pytest.mark.parametrize(
    ("status", "contacts"),
    [(302, ()), (305, ("<sip:p@h>",)), (380, ("<sip:p@h>",)), (302, ("<mailto:b@h>", "<https://h/>"))],
)
def test_a_redirection_that_names_no_address_of_the_callee_is_a_refusal(
    bench: LegBench, status: int, contacts: tuple[str, ...]
) -> None:
    dialled(bench, SECOND)
    refuse(bench, status, *contacts)
    assert bench.ending(CALLED).cause == "redirected"


def test_a_contact_that_may_not_be_dialled_gives_way_to_the_next_and_then_says_why(bench: LegBench) -> None:
    dialled(bench, SECOND)
    refuse(bench, 302, "<sip:a@10.0.0.1>", "<sip:b@10.0.0.2>;q=0.2")
    for contact in ("sip:a@10.0.0.1", "sip:b@10.0.0.2"):
        assert asked(bench)[0] == (contact,)
        bench.do(bench.legs.unresolved(CALLED, ending("policy_refused", who=contact), bench.now))
    assert bench.ending(CALLED).cause == "policy_refused"
    assert "10.0.0.2" in bench.ending(CALLED).sentence


def test_a_callee_who_declines_everywhere_ends_the_redirection(bench: LegBench) -> None:
    dialled(bench, SECOND)
    refuse(bench, 302, "<sip:a@h>", "<sip:b@h>")
    bench.route(SECOND)
    bench.run()
    refuse(bench, 603)
    assert bench.ending(CALLED).cause == "call_rejected"


def test_a_secure_call_is_not_redirected_to_an_address_that_is_not() -> None:
    attempts = Attempts("sips:bob@h")
    attempts.found(Route(targets=(Target(request_uri="sips:bob@h", endpoint=FAR),)))
    response = Response(302, headers=[("Contact", "<sip:a@h>, <sips:b@h>;q=0.1")])
    step = attempts.refused(Refused("s", response, 302, "Moved", "response"))
    assert step == AskRoute(redirects=("sips:b@h",))


def test_header_fields_in_a_contact_are_not_taken_over(bench: LegBench) -> None:
    dialled(bench, SECOND)
    refuse(bench, 302, "<sip:a@h;x=1?X-Evil=1&Route=%3Csip:h%3E>")
    assert asked(bench)[0] == ("sip:a@h;x=1",)


def test_a_call_that_is_ended_while_a_contact_is_looked_up_ends_there(bench: LegBench) -> None:
    dialled(bench, SECOND)
    refuse(bench, 302, "<sip:a@h>")
    bench.end(CALLED, "caller_gone")
    bench.route(SECOND)
    bench.run()
    assert bench.ending(CALLED).cause == "caller_gone"
    assert invites(bench) == 1
    bench.comes_to_rest()


@given(st.lists(st.text(max_size=40), max_size=8))
def test_whatever_contacts_are_named_a_redirection_comes_to_an_end(contacts: list[str]) -> None:
    bench = LegBench()
    dialled(bench, SECOND)
    invite = bench.last_sent("INVITE")
    kept = "".join(f"{name}: {invite.headers.get(name)}\r\n" for name in ("Via", "From", "Call-ID", "CSeq"))
    lines = "".join(f"Contact: {contact}\r\n" for contact in contacts)
    head = f"SIP/2.0 302 X\r\n{kept}To: {invite.headers.get('To')};tag=1\r\n{lines}Content-Length: 0\r\n\r\n"
    bench.do(bench.legs.receive(head.encode("utf-8", "surrogatepass"), FAR, bench.now))
    for _ in range(MAX_REDIRECTS):
        bench.do(bench.legs.unresolved(CALLED, ending("dns_failed"), bench.now))
    bench.run(33)
    assert bench.ending(CALLED).cause in ("redirected", "dns_failed", "invite_timeout")


# ---------------------------------------------------------------- credentials


def challenge(bench: LegBench) -> Request:
    """A 401 to the last INVITE; the INVITE that follows, or the same one if none does."""
    refuse_with = [("WWW-Authenticate", 'Digest realm="r", nonce="n", algorithm=MD5, qop="auth"')]
    bench.put(bench.far.reject(bench.invited(), status=401, headers=refuse_with, now=bench.now))
    bench.run()
    invite = bench.last_sent("INVITE")
    assert isinstance(invite, Request)
    return invite


WITH_PASSWORD = Destination(kind="sip", to=BOB, username="u", password="secret")


def test_the_credentials_of_the_script_answer_the_host_that_it_named(bench: LegBench) -> None:
    dialled(bench, SECOND, destination=WITH_PASSWORD)
    assert 'username="u"' in (challenge(bench).headers.get("Authorization") or "")


def test_a_wrong_password_is_tried_once(bench: LegBench) -> None:
    dialled(bench, SECOND, destination=WITH_PASSWORD)
    challenge(bench)
    challenge(bench)
    assert invites(bench) == 2
    assert bench.ending(CALLED).cause == "credentials_refused"


def test_without_credentials_a_challenge_ends_the_leg(bench: LegBench) -> None:
    dialled(bench, SECOND)
    challenge(bench)
    assert invites(bench) == 1
    assert bench.ending(CALLED).cause == "credentials_refused"


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("sip:new@127.0.0.2", True),
        ("sip:bob@127.0.0.3", False),
        ("sip:new@127.0.0.2;maddr=127.0.0.3", False),
    ],
)
def test_credentials_follow_a_redirection_on_the_same_host_only(
    bench: LegBench, uri: str, told: bool
) -> None:
    dialled(bench, SECOND, destination=WITH_PASSWORD)
    refuse(bench, 302, f"<{uri}>")
    bench.route(Target(request_uri=uri, endpoint=FAR))
    bench.run()
    assert ("Authorization" in challenge(bench).headers) is told


def test_the_credentials_of_a_trunk_are_used_for_its_host(bench: LegBench) -> None:
    target = Target(
        request_uri="sip:+15551230000@carrier",
        endpoint=FAR,
        is_phone=True,
        credentials=Credentials(username="account", password="x"),
    )
    dialled(
        bench, target, terms=TRUNK, destination=Destination(kind="phone", to="+15551230000", username="no")
    )
    assert 'username="account"' in (challenge(bench).headers.get("Authorization") or "")


# ---------------------------------------------------------------- what ends a leg at once


def test_codecs_that_cannot_be_offered_end_the_leg_with_their_names(bench: LegBench) -> None:
    dialled(bench, SECOND, destination=Destination(kind="sip", to=BOB, codecs=(CodecWish(name="G729"),)))
    end = bench.ending(CALLED)
    assert end.cause == "codec_mismatch"
    assert "G729" in end.sentence


def test_a_leg_whose_answer_has_no_media_is_hung_up_and_not_tried_again(bench: LegBench) -> None:
    dialled(bench, SECOND, SECOND)
    bench.far_accepts(bench.invited(), b"")
    assert invites(bench) == 1
    assert bench.ending(CALLED).cause == "no_sdp"
    bench.comes_to_rest()


def test_a_fork_in_the_second_attempt_is_heard_from_its_own_port(bench: LegBench) -> None:
    dialled(bench, SECOND, SECOND)
    offer = bench.received(InviteReceived).request.body
    bench.put(bench.far.ring(bench.invited(), status=183, body=far_answer(offer, port=4100), now=bench.now))
    bench.run()
    refuse(bench, 503)
    offer = bench.received(InviteReceived).request.body
    bench.put(bench.far.ring(bench.invited(), status=183, body=far_answer(offer, port=4200), now=bench.now))
    bench.run()
    assert [order.command.port for order in bench.media_orders(CALLED)] == [4100, 4200]
