"""Simulated phones call each other over loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence

import pytest
import trustme
import uvloop

from cordboard.sip.endpoint import Endpoint
from cordboard.sip.timers import Timers
from cordboard.testing.behaviour import Behaviour
from cordboard.testing.phone import MANUAL, PhoneBank, SimulatedPhone
from cordboard.testing.phone_streams import TlsContexts

QUICK = Timers(t1=0.02, t2=0.1, t4=0.05)
CALLER = Behaviour(tone_hz=659.0)
SOON = Behaviour(answer_after=0.05)


async def test_two_phones_talk_and_hear_each_other() -> None:
    async with SimulatedPhone(SOON) as callee, SimulatedPhone(CALLER) as caller:
        call = await caller.call(callee.uri())
        assert await call.ringing()
        assert await call.answered()
        other = await callee.next_call()
        assert await call.hears(440.0)
        assert await other.hears(659.0)
        call.hang_up()
        ours, theirs = await call.ended(), await other.ended()

    assert (ours.status, ours.cause, ours.ended_by) == (200, "bye_sent", "us")
    assert (theirs.status, theirs.cause, theirs.ended_by) == (200, "bye_received", "them")
    assert ours.call_id == theirs.call_id != ""
    assert ours.provisionals == theirs.provisionals == [180]
    assert ours.answer_time == pytest.approx(0.05, abs=0.1)
    assert ours.audio.frequency == pytest.approx(440.0, abs=2.0)
    assert theirs.audio.frequency == pytest.approx(659.0, abs=2.0)
    assert ours.audio.packets_lost == theirs.audio.packets_lost == 0
    assert ours.audio_delay is not None
    assert ours.audio_delay < 0.2


async def test_phones_send_each_other_reports() -> None:
    async with SimulatedPhone(SOON) as callee, SimulatedPhone(CALLER) as caller:
        call = await caller.call(callee.uri())
        assert await call.answered()
        await _until(lambda: call.report.audio.rtcp_received > 0)


async def test_keys_are_heard_in_both_directions() -> None:
    behaviour = Behaviour(digits="12#", digits_after=0.0)
    async with SimulatedPhone(behaviour) as callee, SimulatedPhone(CALLER) as caller:
        call = await caller.call(callee.uri())
        assert await call.answered()
        other = await callee.next_call()
        call.press("*9")
        assert await call.hears_digits("12#")
        assert await other.hears_digits("*9")
    assert callee.reports[0].digits_heard == "*9"


@pytest.mark.parametrize("status", [486, 603, 480, 503, 302])
async def test_a_refusal_has_its_status(status: int) -> None:
    async with SimulatedPhone(Behaviour(refuse=status)) as callee, SimulatedPhone(CALLER) as caller:
        call = await caller.call(callee.uri())
        assert not await call.answered()
        report = await call.ended()
        other = await (await callee.next_call()).ended()
    assert (report.status, report.cause, report.ended_by) == (status, "refused", "them")
    assert (other.status, other.cause, other.ended_by) == (status, "rejected", "us")


async def test_the_caller_gives_up_a_phone_that_rings_for_ever() -> None:
    patience = Behaviour(give_up_after=0.1)
    async with SimulatedPhone(Behaviour(answer_after=None)) as callee, SimulatedPhone(patience) as caller:
        call = await caller.call(callee.uri())
        assert await call.ringing()
        assert not await call.answered()
        report = await call.ended()
        other = await (await callee.next_call()).ended()
    assert (report.status, report.ended_by) == (487, "us")
    assert (other.cause, other.ended_by) == ("cancelled", "them")


async def test_a_silent_phone_answers_nothing() -> None:
    seen: list[str] = []

    def watch(direction: str, data: bytes, peer: Endpoint, now: float) -> None:
        seen.append(direction)

    silent = SimulatedPhone(Behaviour(silent=True), on_message=watch)
    async with silent, SimulatedPhone(CALLER, timers=Timers(t1=0.01)) as caller:
        call = await caller.call(silent.uri())
        assert not await call.answered()
        report = await call.ended()
    assert (report.status, report.cause) == (408, "timeout")
    assert report.provisionals == []
    assert set(seen) == {"in"}
    assert len(seen) > 3


async def test_early_media_is_heard_before_the_answer() -> None:
    behaviour = Behaviour(early_media=True, answer_after=0.4)
    async with SimulatedPhone(behaviour) as callee, SimulatedPhone(CALLER) as caller:
        call = await caller.call(callee.uri())
        assert await call.ringing()
        assert await call.hears(440.0)
        assert call.report.answered_at is None
        assert await call.answered()
        call.hang_up()
        report = await call.ended()
    assert report.provisionals == [183]
    assert report.audio_delay is not None
    assert report.audio_delay < 0


async def test_the_phone_hangs_up_after_its_time() -> None:
    async with SimulatedPhone(Behaviour(hang_up_after=0.2)) as callee, SimulatedPhone(CALLER) as caller:
        call = await caller.call(callee.uri())
        report = await call.ended()
    assert (report.cause, report.ended_by) == ("bye_received", "them")
    assert report.ended_at is not None
    assert report.answered_at is not None
    assert report.ended_at - report.answered_at == pytest.approx(0.2, abs=0.15)


async def test_an_answer_without_a_description_is_hung_up() -> None:
    async with SimulatedPhone(Behaviour(answer_without_sdp=True)) as callee, SimulatedPhone(CALLER) as caller:
        report = await (await caller.call(callee.uri())).ended()
    assert report.problem == "the answer has no description of media"
    assert (report.status, report.cause) == (200, "bye_sent")


async def test_a_test_can_play_the_user() -> None:
    async with SimulatedPhone(MANUAL) as callee, SimulatedPhone(CALLER) as caller:
        call = await caller.call(callee.uri())
        other = await callee.next_call()
        other.ring()
        assert await call.ringing()
        other.accept()
        assert await call.answered()
        other.speak(1000.0)
        assert await call.hears(1000.0)
        other.hang_up()
        assert (await call.ended()).ended_by == "them"


async def test_a_held_phone_falls_silent_until_it_is_resumed() -> None:
    async with SimulatedPhone(SOON) as callee, SimulatedPhone(CALLER) as caller:
        call = await caller.call(callee.uri())
        assert await call.answered()
        other = await callee.next_call()
        assert await call.hears(440.0)
        call.hold()
        await _until(lambda: other.audio.destination is None)
        sent = other.report.audio.packets_sent
        assert await other.hears(659.0)
        assert other.report.audio.packets_sent == sent
        call.resume()
        await _until(lambda: other.report.audio.packets_sent > sent + 5)
        assert await call.hears(440.0)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(3.0):
        while not condition():  # noqa: ASYNC110 - what is waited for is on the other side of a wire
            await asyncio.sleep(0.01)


async def test_one_phone_holds_several_calls_at_once() -> None:
    async with SimulatedPhone(SOON) as callee, SimulatedPhone(CALLER) as caller:
        calls = [await caller.call(callee.uri()) for _ in range(5)]
        assert all([await call.answered() for call in calls])
        assert all([await call.hears(440.0) for call in calls])
        assert len(callee.calls) == len(caller.calls) == 5
    assert [report.ended_by for report in caller.reports] == ["us"] * 5
    assert caller.calls == callee.calls == []


async def test_a_bank_plays_the_phone_that_is_called() -> None:
    async with PhoneBank() as bank, SimulatedPhone(CALLER) as caller:
        calls = {
            user: await caller.call(bank.uri(user))
            for user in ("busy", "+15550102", "refuse-503", "nobody", "answer-after-0.1", "silent")
        }
        assert await calls["answer-after-0.1"].answered()
        statuses = {user: (await calls[user].ended()).status for user in list(calls)[:4]}
        assert not calls["silent"].is_over
        assert calls["silent"].report.provisionals == []
    assert statuses == {"busy": 486, "+15550102": 603, "refuse-503": 503, "nobody": 404}


async def test_users_of_a_bank_call_each_other_with_their_own_voices() -> None:
    async with PhoneBank(lambda user: Behaviour(tone_hz=523.0 if user == "alice" else 659.0)) as bank:
        call = await bank.call(bank.uri("bob"), from_user="alice", from_name='Alice "A"')
        assert await call.answered()
        other = await bank.next_call()
        assert await call.hears(659.0)
        assert await other.hears(523.0)
        assert other.report.remote_uri.startswith("sip:alice@")


async def test_messages_are_shown_in_order_with_their_time() -> None:
    ladder: list[tuple[str, str, float]] = []

    def watch(direction: str, data: bytes, peer: Endpoint, now: float) -> None:
        assert peer.address == "127.0.0.1"
        ladder.append((direction, _title(data), now))

    async with SimulatedPhone(SOON) as callee, SimulatedPhone(CALLER, on_message=watch) as caller:
        call = await caller.call(callee.uri())
        assert await call.answered()
        call.hang_up()
        await call.ended()
    assert [(direction, title) for direction, title, _ in ladder] == [
        ("out", "INVITE"),
        ("in", "100"),
        ("in", "180"),
        ("in", "200"),
        ("out", "ACK"),
        ("out", "BYE"),
        ("in", "200"),
    ]
    times = [now for _, _, now in ladder]
    assert times == sorted(times)


def _title(data: bytes) -> str:
    first: Sequence[str] = data.split(b"\r\n", 1)[0].decode().split(" ")
    return first[1] if first[0] == "SIP/2.0" else first[0]


async def test_a_phone_lets_go_of_everything() -> None:
    async with SimulatedPhone(SOON, timers=QUICK) as callee, SimulatedPhone(CALLER, timers=QUICK) as caller:
        call = await caller.call(callee.uri())
        assert await call.answered()
        call.hang_up()
        await call.ended()
        await asyncio.sleep(64 * QUICK.t1 + 0.3)
        assert set(caller.stack.counts().values()) == {0}
        assert set(callee.stack.counts().values()) == {0}


async def test_phones_talk_over_ipv6() -> None:
    async with SimulatedPhone(SOON, address="::1") as callee, SimulatedPhone(CALLER, address="::1") as caller:
        call = await caller.call(callee.uri())
        assert await call.answered()
        assert await call.hears(440.0)


async def test_a_call_to_nobody_fails_in_time() -> None:
    async with SimulatedPhone(CALLER, timers=Timers(t1=0.01)) as caller:
        call = await caller.call("sip:nobody@127.0.0.1:9")
        report = await call.ended()
    assert report.status in (408, 503)


def test_timers_that_are_due_at_once_do_no_harm_on_uvloop() -> None:
    """Its handle for what is due now is no timer: it cannot tell its time."""

    async def talk() -> None:
        hasty = Timers(t1=0.0001, t2=0.0001, t4=0.0001)
        async with SimulatedPhone(CALLER, timers=hasty) as caller:
            calls = [await caller.call("sip:nobody@127.0.0.1:9") for _ in range(20)]
            for call in calls:
                await call.ended()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(talk())


async def test_phones_talk_over_tcp() -> None:
    async with SimulatedPhone(Behaviour(tone_hz=500.0), tcp=True) as bob, SimulatedPhone(tcp=True) as alice:
        call = await alice.call(bob.uri(transport="tcp"))
        assert await call.answered()
        assert await call.hears(500.0)
        call.hang_up()
        assert (await call.ended()).cause == "bye_sent"


async def test_nobody_at_a_tcp_port_is_known_at_once() -> None:
    async with SimulatedPhone() as alice:
        call = await alice.call("sip:bob@127.0.0.1:1;transport=tcp")
        assert (await call.ended(within=2.0)).status == 503


async def test_phones_talk_over_tls() -> None:
    authority = trustme.CA()
    server, client = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    tls = TlsContexts(server=server, client=client)
    async with SimulatedPhone(tls=tls) as bob, SimulatedPhone(tls=tls) as alice:
        call = await alice.call(bob.uri(transport="tls"))
        assert await call.answered()
        call.hang_up()
        assert (await call.ended()).cause == "bye_sent"


async def test_a_referred_phone_calls_nobody_but_says_so() -> None:
    async with SimulatedPhone(Behaviour(refer_told=(100, 183, 486))) as bob, SimulatedPhone() as alice:
        call = await alice.call(bob.uri())
        assert await call.answered()
        other = await bob.next_call()
        call.refer("sip:carol@h")
        await _until(lambda: len(call.notices) == 3)
        assert call.answers == [("REFER", 202)]
        assert call.notices == ["SIP/2.0 100 Trying", "SIP/2.0 183 Session Progress", "SIP/2.0 486 Busy Here"]
        states = [request.headers.get("Subscription-State") for request in call.requests]
        assert states == ["active;expires=60"] * 2 + ["terminated;reason=noresource"]
        assert other.referred_to == ["<sip:carol@h>"]


async def test_a_phone_refuses_to_be_referred() -> None:
    async with SimulatedPhone(Behaviour(refer_refuse=603)) as bob, SimulatedPhone() as alice:
        call = await alice.call(bob.uri())
        assert await call.answered()
        call.refer("sip:carol@h")
        await _until(lambda: call.answers == [("REFER", 603)])
        assert (await bob.next_call()).referred_to == []


async def test_a_held_phone_knows_it_and_holds_back() -> None:
    async with SimulatedPhone() as bob, SimulatedPhone() as alice:
        call = await alice.call(bob.uri())
        assert await call.answered()
        other = await bob.next_call()
        call.hold()
        assert await other.held()
        assert not call.is_held
        assert other.audio.destination is None
        other.hold()
        await _until(lambda: ("INVITE", 200) in other.answers)
        assert call.is_held
        assert other.is_held
        call.resume()
        assert await other.held(False)
        assert call.is_held


async def test_a_phone_refuses_to_be_held() -> None:
    async with SimulatedPhone(Behaviour(refuse_hold=488)) as bob, SimulatedPhone() as alice:
        call = await alice.call(bob.uri())
        assert await call.answered()
        call.hold()
        await _until(lambda: call.answers == [("INVITE", 488)])
        assert not (await bob.next_call()).is_held
