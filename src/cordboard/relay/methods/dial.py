"""`calling.dial`, `calling.begin` and `calling.connect` (relay-protocol.md 8.1, 7)."""

from __future__ import annotations

from decimal import Decimal

from cordboard.call.actions import Connect
from cordboard.call.commands import Command
from cordboard.call.plan import DEFAULT_MAX_DURATION, ConnectPlan
from cordboard.relay.devices import Shared, groups, single
from cordboard.relay.media_items import ringback
from cordboard.relay.methods.method import MAX_ID, Reader, node_id, on_call
from cordboard.relay.params import Params, WrongParamError
from cordboard.relay.requests import BeginRequest, DialRequest, Request

_MOST_DECIMALS = 4
_DEAREST = 1_000_000


def _dial(given: Params) -> Request:
    tag, longest = given.required("tag", longest=MAX_ID), _max_duration(given)
    shared = Shared(tag=tag, max_price_per_minute=_price(given), max_duration=longest)
    plan = ConnectPlan(groups=groups(given, shared))
    return DialRequest(tag=tag, plan=plan, node_id=node_id(given), max_duration=longest)


def _begin(given: Params) -> Request:
    tag = given.required("tag", longest=MAX_ID)
    shared = Shared(tag=tag, max_price_per_minute=_price(given), max_duration=_max_duration(given))
    plan = ConnectPlan(groups=single(given, shared))
    if (problem := plan.groups[0][0].problem) is not None:
        raise WrongParamError(problem)  # it would have no leg, whose end could be told
    return BeginRequest(tag=tag, plan=plan, node_id=node_id(given))


def _connect(given: Params) -> Command:
    tag = given.text("tag", longest=MAX_ID)
    plan = ConnectPlan(
        groups=groups(given, Shared(tag=tag, max_price_per_minute=_price(given))),
        answer_on_bridge=True,
        ringback=ringback(given),
        max_duration=_max_duration(given) or DEFAULT_MAX_DURATION,
        status_url=given.url("status_url"),
    )
    return Connect(plan=plan)


def _max_duration(given: Params) -> float | None:
    """Seconds."""
    return given.number("max_duration", 1)


def _price(given: Params) -> float | None:
    """US dollars a minute, at most four decimals."""
    price = given.number("max_price_per_minute", 0, _DEAREST)
    if price is None:
        return None
    exponent = Decimal(repr(price)).normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > _MOST_DECIMALS:
        raise given.wrong("max_price_per_minute", f"a number with at most {_MOST_DECIMALS} decimals")
    return price


METHODS: dict[str, Reader] = {"dial": _dial, "begin": _begin, "connect": on_call(_connect)}
