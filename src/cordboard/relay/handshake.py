"""`signalwire.connect`: what a client says, and what it is told (relay-protocol.md 3).

The protocol string names a session: `signalwire_<signature>_<uuid>_<project>`.  Clients present it again
only if the signature is the one of the result's `authorization`, so it depends on the project alone.  It is
no credential: whoever presents it shows a token of that project too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from typing import Any, TypeGuard

import msgspec

from cordboard.call.secrecy import printed
from cordboard.jsonrpc import INVALID_PARAMS

AUTHENTICATION_FAILED = -32002
"""Final for the Node clients: they do not try again."""
REFUSED = "Authentication failed: the project or the token is wrong."
MAX_CONTEXTS = 256
_LONGEST = 255
"""Characters of a context, a project, a token."""
_SCOPES = ["calling"]
_INSTANCE = re.compile(r"[0-9a-f-]{1,64}")


class Connect(msgspec.Struct, frozen=True, kw_only=True):
    """The params of `signalwire.connect` that count."""

    project: str
    token: str
    contexts: tuple[str, ...] = ()
    protocol: str | None = None
    """The session to go on with."""
    event_acks: bool = False
    """The client answers each event."""
    agent: str = ""

    def __repr__(self) -> str:
        return printed(self, "token")


class ConnectRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """They cannot be used."""

    code: int
    message: str


class Signer:
    """Makes and knows the names of sessions.  `key` is a secret of this server."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def signature(self, project: str) -> str:
        """Always the same for a project: 32 hex digits."""
        return self._sign("relay-protocol", project)[:32]

    def protocol(self, project: str, instance: str) -> str:
        """`instance`: a fresh UUID."""
        return f"signalwire_{self.signature(project)}_{instance}_{project}"

    def is_ours(self, protocol: str | None, project: str) -> bool:
        """It names a session of this project, known or not."""
        prefix, suffix = f"signalwire_{self.signature(project)}_", f"_{project}"
        if protocol is None or not (protocol.startswith(prefix) and protocol.endswith(suffix)):
            return False
        return bool(_INSTANCE.fullmatch(protocol[len(prefix) : -len(suffix)]))

    def authorization_state(self, protocol: str) -> str:
        """Opaque to clients; presented again it tells which session is theirs.  No credential either."""
        told = base64.urlsafe_b64encode(protocol.encode()).decode()
        return f"{told}:{self._sign('authorization-state', protocol)}"

    def protocol_of(self, state: str) -> str | None:
        """What `authorization_state` was made of; None if it was not made here."""
        told, _, signature = state.partition(":")
        try:
            protocol = base64.urlsafe_b64decode(told.encode("ascii")).decode()
        except (binascii.Error, ValueError):
            return None
        genuine = self._sign("authorization-state", protocol)
        return protocol if hmac.compare_digest(genuine.encode(), signature.encode()) else None

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()


def read_connect(params: Any, signer: Signer) -> Connect | ConnectRefusal:
    """Any `version` is taken, unknown keys are ignored, and so is a foreign `authorization_state`."""
    if not isinstance(params, dict):
        return _wrong("params must be an object")
    credentials = params.get("authentication")
    if not isinstance(credentials, dict):
        return _wrong("authentication must be an object with project and token")
    project, token = credentials.get("project"), credentials.get("token")
    if not (_is_short(project) and _is_short(token)):
        return ConnectRefusal(code=AUTHENTICATION_FAILED, message=REFUSED)
    contexts = params.get("contexts") or params.get("topics") or []
    if not is_contexts(contexts):
        return _wrong(f"contexts must be a list of at most {MAX_CONTEXTS} names")
    agent = params.get("agent")
    return Connect(
        project=project,
        token=token,
        contexts=tuple(dict.fromkeys(contexts)),
        protocol=_session_of(params, signer),
        event_acks=params.get("event_acks") is True,
        agent=agent[:100] if isinstance(agent, str) else "",
    )


def is_contexts(value: Any) -> bool:
    """A list of names of contexts."""
    return isinstance(value, list) and len(value) <= MAX_CONTEXTS and all(map(_is_short, value))


def connect_result(
    protocol: str, project: str, signature: str, ids: Ids, *, restored: bool
) -> dict[str, Any]:
    """What the client is told when it is in."""
    return {
        "session_restored": restored,
        "sessionid": ids.session,
        "nodeid": ids.node,
        "identity": f"{ids.session}@{project}",
        "protocol": protocol,
        "ice_servers": [],
        "authorization": {
            "type": "project",
            "project": project,
            "expires_at": None,
            "scopes": _SCOPES,
            "signature": signature,
        },
    }


class Ids(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers."""

    node: str
    session: str


def _session_of(params: dict[str, Any], signer: Signer) -> str | None:
    protocol, state = params.get("protocol"), params.get("authorization_state")
    if isinstance(protocol, str) and protocol:
        return protocol
    return signer.protocol_of(state) if isinstance(state, str) else None


def _is_short(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST


def _wrong(what: str) -> ConnectRefusal:
    return ConnectRefusal(code=INVALID_PARAMS, message=f"Invalid params: {what}.")
