"""Who asks for a digest: for phones and registrars of tests.  Keeps nonces and their counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from cordboard.sip.auth import Challenge, known_algorithm, read_credentials, verify
from cordboard.sip.headers.grammar import quote
from cordboard.sip.message import Request

Verdict = Literal["admitted", "missing", "stale", "refused"]
MAX_NONCES = 1000


class Gate:
    """Lets requests through that know a password."""

    def __init__(
        self,
        *,
        realm: str,
        passwords: Mapping[str, str],
        token: Callable[[], str],
        algorithm: str = "MD5",
        qop: str | None = "auth",
        is_proxy: bool = False,
    ) -> None:
        """`passwords` by user name.  `algorithm` as in the header, such as `SHA-256-sess`.  Raises ValueError
        if it is not known."""
        known = known_algorithm(algorithm)
        if known is None:
            raise ValueError(f"no such algorithm: {algorithm}")
        self._passwords = passwords
        self._token = token
        self._proxy = is_proxy
        self._kind = Challenge(
            realm=realm, nonce="", algorithm=known[0], session=known[1], named=algorithm, qop=qop
        )
        self._counts: dict[str, int] = {}
        """The highest `nc` of each nonce that holds."""
        self._old: dict[str, None] = {}

    def ask(self, *, stale: bool = False) -> tuple[str, str]:
        """A challenge with a new nonce: name and value of the header, for a 401 (407 of a proxy)."""
        nonce = self._token()
        self._counts[nonce] = 0
        if len(self._counts) > MAX_NONCES:
            del self._counts[next(iter(self._counts))]
        kind = self._kind
        parts = [f"realm={quote(kind.realm)}", f"nonce={quote(nonce)}", f"algorithm={kind.named}"]
        parts += [f'qop="{kind.qop}"'] if kind.qop else []
        parts += ["stale=true"] if stale else []
        return self._name("Authenticate", "WWW-Authenticate"), f"Digest {', '.join(parts)}"

    def expire(self) -> None:
        """From now on all nonces that were given out are stale."""
        self._old = dict.fromkeys([*self._counts][-MAX_NONCES:])
        self._counts.clear()

    def judge(self, request: Request) -> Verdict:
        """`stale`: they know the password, and should try again with a new nonce."""
        value = request.headers.get(self._name("Authorization", "Authorization"))
        if value is None:
            return "missing"
        offered = read_credentials(value)
        if offered is None or offered.uri != request.uri or offered.username not in self._passwords:
            return "refused"
        asked = Challenge(
            realm=self._kind.realm,
            nonce=offered.nonce,
            algorithm=self._kind.algorithm,
            session=self._kind.session,
            qop=self._kind.qop,
        )
        password = self._passwords[offered.username]
        if not verify(asked, offered, password=password, method=request.method, body=request.body):
            return "refused"
        return self._count(offered.nonce, offered.nc)

    def _count(self, nonce: str, nc: int) -> Verdict:
        """A count that does not go up is a replay."""
        if nonce in self._old:
            return "stale"
        if nonce not in self._counts or (self._kind.qop is not None and nc <= self._counts[nonce]):
            return "refused"
        self._counts[nonce] = nc
        return "admitted"

    def _name(self, of_proxy: str, of_server: str) -> str:
        return f"Proxy-{of_proxy}" if self._proxy else of_server
