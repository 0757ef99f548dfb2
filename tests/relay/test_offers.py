"""Whose turn it is: one client at a time, none twice for one call, somebody always has the call."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cordboard.relay.offers import (
    CallComes,
    CallGone,
    Claimed,
    ClientGone,
    Nobody,
    Offers,
    OfferTo,
    Output,
    Passed,
    Withdraw,
)


class Desk:
    """Offers with the clients that a test says."""

    def __init__(self, *clients: str) -> None:
        self.clients = list(clients)
        self.offers = Offers(lambda project, context: self.clients if context == "office" else [])

    def call(self, call_id: str = "call", now: float = 0.0, context: str = "office") -> list[str]:
        comes = CallComes(call_id=call_id, project="p", context=context, timeout=20.0)
        return told(self.offers.handle(comes, now))

    def passed(self, client: str, call_id: str = "call", now: float = 1.0) -> list[str]:
        return told(self.offers.handle(Passed(call_id=call_id, client=client), now))

    def gone(self, client: str, *, for_ever: bool = False) -> list[str]:
        return told(self.offers.handle(ClientGone(client=client, for_ever=for_ever), 1.0))


def told(outputs: list[Output]) -> list[str]:
    """`+a` offered to a, `-a` withdrawn, `!` nobody."""
    signs: list[str] = []
    for output in outputs:
        if isinstance(output, OfferTo):
            signs.append(f"+{output.client}")
        elif isinstance(output, Withdraw):
            signs.append(f"-{output.client}")
        else:
            assert isinstance(output, Nobody)
            signs.append("!")
    return signs


def test_two_clients_of_one_context_are_asked_in_turn() -> None:
    """RELAY 50."""
    desk = Desk("a", "b")
    assert [desk.call(str(n)) for n in range(4)] == [["+a"], ["+b"], ["+a"], ["+b"]]


def test_whoever_was_asked_last_and_went_away_moves_nobody_to_the_front() -> None:
    desk = Desk("a", "b", "c")
    assert desk.call("1") == ["+a"]
    desk.clients.remove("a")
    assert desk.call("2") == ["+b"]
    assert desk.call("3") == ["+c"]
    assert desk.call("4") == ["+b"]


def test_a_call_that_is_passed_goes_to_the_next_and_never_back() -> None:
    desk = Desk("a", "b")
    desk.call()
    assert desk.passed("a") == ["-a", "+b"]
    assert desk.passed("b") == ["-b", "!"]
    assert len(desk.offers) == 0
    assert desk.offers.next_timeout() is None


def test_a_client_that_does_nothing_loses_the_call() -> None:
    desk = Desk("a", "b")
    desk.call()
    assert desk.offers.next_timeout() == 20.0
    assert desk.offers.handle_timeout(19.9) == []
    assert told(desk.offers.handle_timeout(20.0)) == ["-a", "+b"]
    assert desk.offers.next_timeout() == 40.0
    assert told(desk.offers.handle_timeout(40.0)) == ["-b", "!"]


def test_the_first_command_takes_the_call() -> None:
    desk = Desk("a", "b")
    desk.call()
    assert desk.offers.handle(Claimed(call_id="call", client="a"), 1.0) == []
    assert desk.offers.holder("call") is None
    assert desk.passed("a") == []
    assert desk.offers.handle_timeout(100.0) == []


def test_only_the_one_who_is_asked_can_take_or_pass_it() -> None:
    desk = Desk("a", "b")
    desk.call()
    assert desk.passed("b") == []
    desk.offers.handle(Claimed(call_id="call", client="b"), 1.0)
    assert desk.offers.holder("call") == "a"


def test_a_client_that_loses_its_socket_loses_the_call_to_another() -> None:
    desk = Desk("a", "b")
    desk.call()
    desk.clients.remove("a")
    assert desk.gone("a") == ["-a", "+b"]


def test_a_client_that_loses_its_socket_keeps_the_call_where_nobody_else_is_there() -> None:
    desk = Desk("a")
    desk.call()
    desk.clients.remove("a")
    assert desk.gone("a") == []
    assert desk.offers.holder("call") == "a"
    assert desk.gone("a", for_ever=True) == ["-a", "!"]


def test_a_client_that_comes_while_a_call_waits_is_asked_too() -> None:
    desk = Desk("a")
    desk.call()
    desk.clients.append("b")
    assert desk.passed("a") == ["-a", "+b"]


def test_a_caller_who_gives_up_is_forgotten() -> None:
    desk = Desk("a")
    desk.call()
    desk.offers.handle(CallGone(call_id="call"), 1.0)
    assert len(desk.offers) == 0
    assert desk.passed("a") == []


def test_without_a_client_of_the_context_nobody_takes_it() -> None:
    assert Desk().call() == ["!"]
    assert Desk("a").call(context="another") == ["!"]


STEPS = st.lists(st.tuples(st.sampled_from("pcgwtx"), st.integers(0, 3)), max_size=30)


@given(STEPS)
def test_a_call_is_with_one_client_at_a_time_and_with_none_twice(steps: list[tuple[str, int]]) -> None:
    desk, now = Desk("0", "1", "2"), 0.0
    story = desk.call()
    for step, number in steps:
        client = str(number)
        now += 1.0
        if step == "p":
            story += desk.passed(client, now=now)
        elif step == "c":
            desk.offers.handle(Claimed(call_id="call", client=client), now)
        elif step in "gx":
            desk.clients = [other for other in desk.clients if other != client]
            story += desk.gone(client, for_ever=step == "x")
        elif step == "w":
            story += told(desk.offers.handle_timeout(now))
        elif client not in desk.clients:
            desk.clients.append(client)
        now += 9.0
    asked = [sign[1:] for sign in story if sign[0] == "+"]
    assert len(set(asked)) == len(asked)
    holder = None
    for sign in story:
        if sign[0] == "+":
            assert holder is None
            holder = sign[1:]
        elif sign[0] == "-":
            assert holder == sign[1:]
            holder = None
    assert desk.offers.holder("call") in (holder, None)
