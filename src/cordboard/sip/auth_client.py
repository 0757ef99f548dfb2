"""Answering digest challenges for one session, or one request outside a dialog (RFC 3261 section 22).

Credentials are for one host and one realm.  What another host or realm asks for is not answered, so its
challenge stands as the outcome of the request.
"""

from __future__ import annotations

from collections.abc import Callable

from cordboard.sip.auth import Challenge, credentials_value, read_challenges, strongest
from cordboard.sip.credentials import Credentials
from cordboard.sip.endpoint import Endpoint
from cordboard.sip.message import Response
from cordboard.sip.outgoing import OutgoingRequest

CHALLENGED = (401, 407)
_HEADERS = {"WWW-Authenticate": "Authorization", "Proxy-Authenticate": "Proxy-Authorization"}
"""What asks, and what answers it."""


class Tries:
    """What one request has been challenged with so far."""

    __slots__ = ("_answered", "_stale")

    def __init__(self) -> None:
        self._answered: set[str] = set()
        self._stale: set[str] = set()

    def allow(self, asker: str, challenge: Challenge) -> bool:
        """Once for each asker; once more if the password was right and the nonce too old."""
        if asker not in self._answered:
            self._answered.add(asker)
            return True
        if challenge.stale and asker not in self._stale:
            self._stale.add(asker)
            return True
        return False


class _Answered:
    """A challenge that we go on answering, with how often its nonce was used."""

    __slots__ = ("challenge", "cnonce", "nc")

    def __init__(self, challenge: Challenge, cnonce: str) -> None:
        self.challenge = challenge
        self.cnonce = cnonce
        """One for each nonce: a `-sess` key is made with the first."""
        self.nc = 0


class Authenticator:
    """`host`: the only one that gets anything."""

    __slots__ = ("_answered", "_credentials", "_host", "_realm", "_token")

    def __init__(self, credentials: Credentials, host: Endpoint, token: Callable[[], str]) -> None:
        self._credentials = credentials
        self._host = host.address
        self._realm = credentials.realm
        self._token = token
        self._answered: dict[str, _Answered] = {}
        """By the header that asked."""

    def accept(self, response: Response, sent: OutgoingRequest, tries: Tries) -> bool:
        """Take up the challenges of a 401 or 407; False if the request is not to be sent again."""
        if response.status not in CHALLENGED or sent.destination.address != self._host:
            return False
        chosen: dict[str, Challenge] = {}
        for asker in _HEADERS:
            values = response.headers.get_all(asker)
            if not values:
                continue
            challenge = self._choose(asker, values)
            if challenge is None or not tries.allow(asker, challenge):
                return False
            chosen[asker] = challenge
        for asker, challenge in chosen.items():
            self._take_up(asker, challenge)
        return bool(chosen)

    def _choose(self, asker: str, values: list[str]) -> Challenge | None:
        """The strongest of our realm, and nothing weaker than what the same asker wanted before."""
        known = self._answered.get(asker)
        least = 0 if known is None else known.challenge.strength
        fit = [each for each in read_challenges(values) if each.strength >= least]
        best = strongest([each for each in fit if self._realm in (None, each.realm)])
        if best is not None:
            self._realm = best.realm
        return best

    def _take_up(self, asker: str, challenge: Challenge) -> None:
        known = self._answered.get(asker)
        if known is not None and known.challenge.nonce == challenge.nonce:
            known.challenge = challenge
        else:
            self._answered[asker] = _Answered(challenge, self._token())

    def lines(self, method: str, uri: str, body: bytes, destination: Endpoint) -> str:
        """The header lines for the next request, with the counts one higher; "" for another host."""
        if destination.address != self._host:
            return ""
        return "".join(
            f"{_HEADERS[asker]}: {self._value(answered, method, uri, body)}\r\n"
            for asker, answered in self._answered.items()
        )

    def _value(self, answered: _Answered, method: str, uri: str, body: bytes) -> str:
        answered.nc += 1
        return credentials_value(
            answered.challenge,
            username=self._credentials.username,
            password=self._credentials.password,
            method=method,
            uri=uri,
            body=body,
            cnonce=answered.cnonce,
            nc=answered.nc,
        )
