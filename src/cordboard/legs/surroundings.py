"""What every leg of a server shares."""

from __future__ import annotations

from collections.abc import Callable

from cordboard.legs.plain_hosts import PlainHosts
from cordboard.legs.rules import LegRules
from cordboard.sip.stack import SipStack


class Surroundings:
    """The stack, the rules, and what one leg must know of the others."""

    __slots__ = ("call_of_session", "domain", "own_hosts", "plain_hosts", "rules", "stack")

    def __init__(
        self,
        stack: SipStack,
        rules: LegRules,
        *,
        domain: str,
        call_of_session: Callable[[str], str | None],
    ) -> None:
        self.stack = stack
        self.rules = rules
        self.domain = domain
        """Host of From URIs that are made from a number."""
        self.own_hosts = rules.own_hosts | {domain.lower(), stack.local.address.lower()}
        """Where a number is a phone number and not somebody else's user name."""
        self.plain_hosts = PlainHosts()
        self.call_of_session = call_of_session
