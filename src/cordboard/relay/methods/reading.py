"""The door of the `calling.*` methods."""

from __future__ import annotations

from cordboard.relay.requests import Refusal, Request


def read(method: str, params: object) -> Request:
    """What a client asks for.  Never raises; whatever cannot be done is a `Refusal` with a sentence."""
    return Refusal(code="501", message=f"{method} is not built into this server.", method=method)
