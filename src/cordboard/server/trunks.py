"""Which trunk carries a call to a phone number: prefixes, priority, weight, price, limits.

A trunk is closed until prefixes are allowed.  A call holds its place on a trunk from its choice, or from its
coming in, until `release`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping

import msgspec

from cordboard.call.codec_wish import read_codecs
from cordboard.call.plan import Destination
from cordboard.call.reasons import Ending, ending
from cordboard.legs.outputs import Terms
from cordboard.server.address_rules import source_filter
from cordboard.server.config import Rewrite, Trunk, split_host
from cordboard.server.resolver import draw
from cordboard.sip.credentials import Credentials
from cordboard.sip.uri import Uri, UriError

_log = logging.getLogger(__name__)

_SEPARATORS = re.compile(r"[-.()]")
_WITHHELD = frozenset(("anonymous", "private", "restricted", "unavailable", "unknown"))
"""Users of callers who do not say their number."""
MAX_DIGITS = 32
"""Of a number as a carrier may write it, with prefixes."""


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A trunk, and the call as it wants it."""

    name: str
    trunk: Trunk
    number: str
    terms: Terms
    credentials: Credentials | None


class Trunks:
    """`numbers`: those that may be presented, None = all; `random`: in [0, 1); `clock`: seconds."""

    def __init__(
        self,
        trunks: Mapping[str, Trunk],
        *,
        numbers: Iterable[str] | None = None,
        random: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._trunks = dict(trunks)
        self._numbers = None if numbers is None else frozenset(numbers)
        self._random = random
        self._clock = clock
        self._places: dict[str, str] = {}
        """Trunk by call id."""
        self._budgets: dict[str, tuple[float, float]] = {}
        """By trunk: calls that may begin now, and when that was counted."""
        self._down: dict[str, dict[str, str]] = {}
        """By trunk: the checks that it has failed, each with the sentence why."""
        named = [(name, t.allowed_sources) for name, t in self._trunks.items() if t.allowed_sources]
        self._sources = [(name, source_filter(networks)) for name, networks in named]

    def of_source(self, address: str) -> str | None:
        """The trunk whose calls come from this address."""
        return next((name for name, is_inside in self._sources if is_inside(address)), None)

    def calls(self, name: str) -> int:
        """That hold a place on this trunk."""
        return sum(1 for held in self._places.values() if held == name)

    def choose(
        self, call_id: str, destination: Destination, caller: str, failed: Iterable[str] = ()
    ) -> Chosen | Ending:
        """The trunk for a call, which has a place on it then; or why there is none."""
        self.release(call_id)
        found = self._candidates(destination, caller, frozenset(failed))
        if isinstance(found, Ending):
            return found
        name = self._draw(found)
        self._take_place(call_id, name)
        return _chosen(name, self._trunks[name], destination.to, caller)

    def came_in(self, call_id: str, address: str) -> str | None:
        """A call from a trunk takes one of its places; it is never refused for that.  The trunk's name."""
        name = self.of_source(address)
        if name is not None:
            self._places[call_id] = name
            _log.info("call %s comes from the trunk %s", call_id, name)
        return name

    def release(self, call_id: str) -> None:
        """The call is over, or goes another way."""
        self._places.pop(call_id, None)

    def redirection_refused(self, contact: Uri, destination: Destination) -> Ending | None:
        """Why a call is not redirected to this number; None: it may be.

        What a carrier, or a call to one, is redirected to is a number like one that a script dials: a phone
        must not be able to send a call to where scripts may not (toll fraud by 302).
        """
        number = _dialled_number(contact)
        if number is None or not (destination.kind == "phone" or self._is_carrier(contact)):
            return None
        covering = [trunk for trunk in self._trunks.values() if covers(trunk, number)]
        if not covering:
            return ending("prefix_not_allowed", who=number, detail=f"{destination.to} redirected to it")
        wanted = msgspec.structs.replace(destination, to=number)
        problems = [_price_problem(trunk, wanted) for trunk in covering]
        return None if None in problems else ending("price_too_high", who=number, detail=problems[0] or "")

    def _is_carrier(self, contact: Uri) -> bool:
        """By a name of a trunk, or by an address that its calls come from: many carriers take calls there."""
        hosts = {_bare(contact.host), _bare(contact.params.get("maddr") or "")}
        named = {_bare(split_host(trunk.address, 0)[0]) for trunk in self._trunks.values()}
        return bool(hosts & named) or any(self.of_source(host) is not None for host in hosts)

    # ------------------------------------------------------------ up and down

    def mark_down(self, name: str, check: str, sentence: str) -> bool:
        """`check` (`options`, `register`) has failed: the trunk is passed over.  True: that is new."""
        failed = self._down.setdefault(name, {})
        is_new = check not in failed
        failed[check] = sentence
        return is_new

    def mark_up(self, name: str, check: str) -> bool:
        """`check` has succeeded.  True: it had failed before."""
        return self._down.get(name, {}).pop(check, None) is not None

    # ------------------------------------------------------------ which

    def _candidates(
        self, destination: Destination, caller: str, failed: frozenset[str]
    ) -> list[str] | Ending:
        number = destination.to
        if not self._trunks:
            return ending("no_trunk", who=number)
        covering = [name for name, trunk in self._trunks.items() if covers(trunk, number)]
        if not covering:
            return ending("prefix_not_allowed", who=number)
        if self._numbers is not None and _number_of(caller) not in self._numbers:
            return ending("from_not_allowed", who=number, detail=f"from is {caller or 'missing'}")
        if _is_name(_number_of(caller)):
            # A carrier's network knows callers by number only (swml.md 7.6).
            covering = [n for n in covering if _takes(self._trunks[n], caller)]
            if not covering:
                detail = f"from is {caller}, which is no number"
                return ending("from_not_allowed", who=number, detail=detail)
        affordable = [n for n in covering if _price_problem(self._trunks[n], destination) is None]
        if not affordable:
            problem = _price_problem(self._trunks[covering[0]], destination) or ""
            return ending("price_too_high", who=number, detail=problem)
        problems = {n: self._problem(n) for n in affordable if n not in failed}
        usable = [n for n, problem in problems.items() if not problem]
        if usable:
            return usable
        detail = "; ".join(f"{n}: {problem}" for n, problem in problems.items()) or "all have been tried"
        return ending("trunk_unavailable", who=number, detail=detail)

    def _problem(self, name: str) -> str:
        """Why the trunk takes no call now; empty if it does."""
        trunk = self._trunks[name]
        if failed := self._down.get(name):
            return next(iter(failed.values()))
        if trunk.max_calls and self.calls(name) >= trunk.max_calls:
            return f"it carries max_calls = {trunk.max_calls} already"
        if trunk.max_calls_per_second and self._budget(name) < 1.0:
            return f"max_calls_per_second = {trunk.max_calls_per_second:g} is reached"
        return ""

    def _draw(self, usable: list[str]) -> str:
        first = min(self._trunks[name].priority for name in usable)
        best = [name for name in usable if self._trunks[name].priority == first]
        return draw(best, [self._trunks[name].weight for name in best], self._random)

    # ------------------------------------------------------------ places

    def _take_place(self, call_id: str, name: str) -> None:
        self._places[call_id] = name
        if self._trunks[name].max_calls_per_second:
            self._budgets[name] = (self._budget(name) - 1.0, self._clock())

    def _budget(self, name: str) -> float:
        """What a second has brought in, a second's worth at most."""
        rate = self._trunks[name].max_calls_per_second
        most = max(1.0, rate)
        budget, then = self._budgets.get(name, (most, self._clock()))
        return min(most, budget + (self._clock() - then) * rate)


def covers(trunk: Trunk, number: str) -> bool:
    """A prefix of the trunk allows the number."""
    return any(number.startswith(prefix) for prefix in trunk.allowed_prefixes)


def rate_of(trunk: Trunk, number: str) -> float | None:
    """US dollars a minute: of the longest prefix that fits; None: the table does not say."""
    fitting = [prefix for prefix in trunk.rates if number.startswith(prefix)]
    return trunk.rates[max(fitting, key=len)] if fitting else None


def _price_problem(trunk: Trunk, destination: Destination) -> str | None:
    limit = destination.max_price_per_minute
    if limit is None:
        return None
    rate = rate_of(trunk, destination.to)
    if rate is None:
        return f"no trunk has a rate for it, and the limit is {limit:g} USD a minute"
    return None if rate <= limit else f"it costs {rate:g} USD a minute, and the limit is {limit:g}"


def _chosen(name: str, trunk: Trunk, number: str, caller: str) -> Chosen:
    presented = presented_by(trunk, caller)
    terms = Terms(
        trunk=name,
        from_=presented if presented != caller else None,
        from_domain=trunk.from_domain,
        codecs=read_codecs(trunk.codecs).wishes if trunk.codecs else (),
        encryption=trunk.encryption,
        two_media_lines=trunk.two_media_lines,
        dtmf=trunk.dtmf,
        session_timeout=trunk.session_timeout,
        asserted_identity=trunk.asserted_identity,
    )
    return Chosen(
        name=name,
        trunk=trunk,
        number=rewritten(number, trunk.rewrite_to),
        terms=terms,
        credentials=credentials_of(trunk),
    )


def presented_by(trunk: Trunk, caller: str) -> str:
    """Who calls, as the carrier is told."""
    return trunk.from_user or rewritten(_number_of(caller), trunk.rewrite_from)


def credentials_of(trunk: Trunk) -> Credentials | None:
    """For its challenges."""
    if trunk.username is None:
        return None
    return Credentials(username=trunk.username, password=trunk.password or "", realm=trunk.realm)


def rewritten(number: str, rules: Iterable[Rewrite]) -> str:
    """By the first pattern that is found in it."""
    for pattern, replacement in rules:
        if re.search(pattern, number):
            return re.sub(pattern, replacement, number, count=1)
    return number


def _dialled_number(uri: Uri) -> str | None:
    """The user as E.164, whether it has its plus or not; None: it is no number."""
    digits = _SEPARATORS.sub("", uri.user or "").partition(";")[0].removeprefix("+")
    return f"+{digits}" if digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS else None


def _bare(host: str) -> str:
    """A name or an address in one spelling: `SIP.example.com.` is `sip.example.com`."""
    return host.strip("[]").rstrip(".").lower()


def _takes(trunk: Trunk, caller: str) -> bool:
    return trunk.from_names or not _is_name(presented_by(trunk, caller))


def _is_name(user: str) -> bool:
    """Neither a number nor withheld."""
    digits = _SEPARATORS.sub("", user).removeprefix("+")
    withheld = not user or user.lower() in _WITHHELD
    return not withheld and not (digits.isascii() and digits.isdigit())


def _number_of(caller: str) -> str:
    """Of a SIP URI the user."""
    if not caller.lower().startswith(("sip:", "sips:")):
        return caller
    try:
        return Uri.parse(caller).user or ""
    except UriError:
        return caller
