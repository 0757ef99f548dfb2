"""Which trunk carries a call: closed by default, by priority, weight, price and limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cordboard.call.codec_wish import CodecWish
from cordboard.call.plan import Destination
from cordboard.call.reasons import Ending
from cordboard.server.config import Trunk
from cordboard.server.trunks import Chosen, Trunks
from cordboard.sip.credentials import Credentials

CALLER = "+15550000000"
US, UK = "+15551234567", "+442071234567"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def trunk(**fields: Any) -> Trunk:
    return Trunk.model_validate({"address": "sip.example.com", "allowed_prefixes": ("+",), **fields})


def trunks(
    *, random: Callable[[], float] = lambda: 0.0, numbers: tuple[str, ...] | None = None, **named: Trunk
) -> Trunks:
    return Trunks(named, numbers=numbers, random=random, clock=Clock())


def phone(to: str = US, **fields: Any) -> Destination:
    return Destination(kind="phone", to=to, **fields)


def chosen(made: Trunks, to: str = US, *, call: str = "c", caller: str = CALLER, **fields: Any) -> Chosen:
    found = made.choose(call, phone(to, **fields), caller)
    assert isinstance(found, Chosen), found
    return found


def refusal(made: Trunks, to: str = US, *, call: str = "c", caller: str = CALLER, **fields: Any) -> Ending:
    found = made.choose(call, phone(to, **fields), caller)
    assert isinstance(found, Ending), found
    return found


# ---------------------------------------------------------------- prefixes


@pytest.mark.parametrize(
    ("prefixes", "number", "cause"),
    [
        ((), US, "prefix_not_allowed"),
        (("+44",), US, "prefix_not_allowed"),
        (("+1", "+44"), "+8821234567", "prefix_not_allowed"),
        (("+1555",), "+19005551234", "prefix_not_allowed"),
        (("+1555",), US, None),
        (("+",), "+8821234567", None),
    ],
)
def test_only_prefixes_that_are_allowed_are_dialled(
    prefixes: tuple[str, ...], number: str, cause: str | None
) -> None:
    found = trunks(t=trunk(allowed_prefixes=prefixes)).choose("c", phone(number), CALLER)
    assert (found.cause if isinstance(found, Ending) else None) == cause


def test_without_a_trunk_no_number_is_dialled() -> None:
    assert refusal(trunks()).cause == "no_trunk"


def test_ten_thousand_calls_to_a_closed_country_take_no_place() -> None:
    made = trunks(t=trunk(allowed_prefixes=("+1555",), max_calls=1))
    for number in range(10_000):
        assert refusal(made, f"+882{number}", call=str(number)).cause == "prefix_not_allowed"
    assert made.calls("t") == 0


# ---------------------------------------------------------------- which of several


def test_the_lowest_priority_is_tried_first_and_the_next_after_its_failure() -> None:
    made = trunks(spare=trunk(priority=2), best=trunk(priority=0), second=trunk(priority=1))
    assert chosen(made).name == "best"
    after = [made.choose("c", phone(), CALLER, failed) for failed in (("best",), ("best", "second"))]
    assert [found.name for found in after if isinstance(found, Chosen)] == ["second", "spare"]
    last = made.choose("c", phone(), CALLER, ("best", "second", "spare"))
    assert isinstance(last, Ending)
    assert last.cause == "trunk_unavailable"
    assert made.calls("spare") == 0, "what is given up holds no place"


@pytest.mark.parametrize(("drawn", "name"), [(0.0, "a"), (0.24, "a"), (0.26, "b"), (0.99, "b")])
def test_within_a_priority_the_weight_decides(drawn: float, name: str) -> None:
    made = trunks(random=lambda: drawn, a=trunk(weight=1), b=trunk(weight=3), c=trunk(priority=1, weight=99))
    assert chosen(made).name == name


def test_a_trunk_that_is_down_is_passed_over_and_named_where_it_is_the_only_one() -> None:
    made = trunks(a=trunk(), b=trunk(priority=1))
    assert made.mark_down("a", "options", "it answers no OPTIONS")
    assert chosen(made).name == "b"
    made.mark_down("b", "register", "it refused to register")
    assert "a: it answers no OPTIONS; b: it refused to register" in refusal(made).sentence
    assert made.mark_up("a", "options")
    assert chosen(made).name == "a"


# ---------------------------------------------------------------- limits


def test_a_place_is_held_until_the_call_is_over() -> None:
    made = trunks(t=trunk(max_calls=2))
    for call in ("1", "2"):
        chosen(made, call=call)
    assert "max_calls = 2" in refusal(made, call="3").sentence
    assert chosen(made, call="2").name == "t", "the same call asks again: a redirection"
    made.release("1")
    made.release("1")
    assert chosen(made, call="3").name == "t"
    assert made.calls("t") == 2


def test_calls_per_second_are_limited_and_come_back_with_time() -> None:
    clock = Clock()
    made = Trunks({"t": trunk(max_calls_per_second=2)}, random=lambda: 0.0, clock=clock)
    for number in range(2):
        chosen(made, call=str(number))
    assert "max_calls_per_second = 2" in refusal(made, call="3").sentence
    clock.now = 0.5
    chosen(made, call="4")
    refusal(made, call="5")
    clock.now = 100.0
    taken = [made.choose(str(n), phone(), CALLER) for n in range(10, 15)]
    assert [isinstance(found, Chosen) for found in taken] == [True, True, False, False, False]


# ---------------------------------------------------------------- numbers and prices


@pytest.mark.parametrize(
    ("caller", "allowed"),
    [(CALLER, True), (f"sip:{CALLER}@pbx.example.com", True), ("+15559999999", False), ("alice", False)],
)
def test_only_owned_numbers_may_be_presented_where_they_are_listed(caller: str, allowed: bool) -> None:
    found = trunks(numbers=(CALLER,), t=trunk()).choose("c", phone(), caller)
    assert isinstance(found, Chosen) is allowed
    if isinstance(found, Ending):
        assert found.cause == "from_not_allowed"


@pytest.mark.parametrize(
    ("limit", "number", "name"),
    [
        (None, US, "dear"),
        (0.05, US, "dear"),
        (0.049, US, "cheap"),
        (0.01, US, "cheap"),
        (0.0099, US, None),
        (1.0, UK, None),
        (0.5, "+15559990000", "cheap"),
    ],
)
def test_a_price_limit_keeps_to_trunks_that_cost_no_more_by_their_longest_prefix(
    limit: float | None, number: str, name: str | None
) -> None:
    made = trunks(
        dear=trunk(rates={"+1": 0.05, "+1555999": 0.9}),
        cheap=trunk(priority=1, rates={"+1": 0.9, "+1555": 0.01}),
    )
    found = made.choose("c", phone(number, max_price_per_minute=limit), CALLER)
    assert (found.name if isinstance(found, Chosen) else None) == name
    if isinstance(found, Ending):
        assert found.cause == "price_too_high"


def test_the_sentence_about_a_price_names_it() -> None:
    made = trunks(t=trunk(rates={"+1": 0.05}))
    assert "it costs 0.05 USD a minute" in refusal(made, max_price_per_minute=0.01).sentence
    assert "no trunk has a rate" in refusal(made, UK, max_price_per_minute=0.01).sentence


# ---------------------------------------------------------------- what the carrier wants


def test_numbers_are_rewritten_by_the_first_pattern_that_fits() -> None:
    rules = [[r"^\+44", "0"], [r"^\+", "011"]]
    made = trunks(t=trunk(rewrite_to=rules, rewrite_from=[[r"^\+1(\d{10})$", r"\1"]]))
    assert chosen(made, UK).number == "02071234567"
    assert chosen(made, US).number == "01115551234567"
    assert chosen(made).terms.from_ == "5550000000"
    assert chosen(made, caller="anonymous").terms.from_ is None, "nothing to change"


@pytest.mark.parametrize("caller", ["alice", "sip:alice@pbx.example.com", "sip:+1555x@pbx.example.com"])
def test_a_carrier_is_told_a_number_or_is_not_dialled(caller: str) -> None:
    plain, own = trunk(), trunk(from_user="15550001111", priority=1)
    by_name = trunk(rewrite_from=[["^alice$", "+15550002222"]])
    refused = refusal(trunks(a=plain), caller=caller)
    assert refused.cause == "from_not_allowed"
    assert f"from is {caller}, which is no number" in refused.sentence
    assert chosen(trunks(a=plain, b=own), caller=caller).name == "b"
    assert chosen(trunks(a=plain, c=trunk(from_names=True)), caller=caller).name == "c"
    if "alice" in caller:
        assert chosen(trunks(a=by_name), caller=caller).terms.from_ == "+15550002222"


@pytest.mark.parametrize("caller", ["+15550000000", "5550000000", "555-000.0000", "", "Anonymous"])
def test_numbers_in_any_form_and_withheld_ones_are_told_as_they_are(caller: str) -> None:
    assert chosen(trunks(a=trunk()), caller=caller).terms.from_ is None


def test_the_terms_of_a_trunk_go_with_the_call() -> None:
    made = trunks(
        t=trunk(
            username="u", password="p", realm="r", from_user="account", from_domain="us.example.com",
            codecs="G722,PCMA", encryption="mandatory", dtmf="info", session_timeout=90,
            asserted_identity=False, two_media_lines=True,
        )
    )  # fmt: skip
    found = chosen(made)
    assert found.credentials == Credentials(username="u", password="p", realm="r")
    terms = found.terms
    assert (terms.trunk, terms.from_, terms.from_domain) == ("t", "account", "us.example.com")
    assert terms.codecs == (CodecWish(name="G722"), CodecWish(name="PCMA"))
    assert (terms.encryption, terms.dtmf, terms.session_timeout) == ("mandatory", "info", 90)
    assert (terms.asserted_identity, terms.two_media_lines) == (False, True)


def test_a_trunk_is_known_by_where_its_calls_come_from() -> None:
    made = trunks(a=trunk(allowed_sources=["192.0.2.0/24"]), b=trunk(allowed_sources=["2001:db8::/32"]))
    found = [made.of_source(a) for a in ("192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "198.51.100.1")]
    assert found == ["a", "a", "b", None]


def test_a_call_from_a_trunk_takes_a_place_and_is_never_refused_for_it() -> None:
    made = trunks(a=trunk(allowed_sources=["192.0.2.0/24"], max_calls=1))
    for call, address in (("1", "192.0.2.7"), ("2", "192.0.2.7"), ("3", "198.51.100.1")):
        made.came_in(call, address)
    assert made.calls("a") == 2
    assert "max_calls = 1" in refusal(made, call="4").sentence
    for call in ("1", "2", "3"):
        made.release(call)
    assert chosen(made, call="4").name == "a"
