"""One far end, dialled by each of the four strategies of `connect`."""

from __future__ import annotations

NAMES = ("to", "serial", "parallel", "serial_parallel")

_BUSY = '{to: "sip:busy@phones.test"}'
"""A simulated phone beside the far end; in a failed connect it is not the one that gives the reason."""


def connect(strategy: str, uri: str, *, timeout: int = 20, options: str = "", then: str = "") -> str:
    """A document that connects to `uri`, with other far ends around it; `then` is YAML of more steps."""
    far_end = f'{{to: "{uri}", timeout: {timeout}}}'
    value = {
        "to": f'to: "{uri}", timeout: {timeout}',
        "serial": f"serial: [{_BUSY}, {far_end}]",
        "parallel": f"parallel: [{far_end}, {_BUSY}]",
        "serial_parallel": f"serial_parallel: [[{_BUSY}], [{far_end}, {_BUSY}]]",
    }[strategy]
    return document(f"{options}{', ' if options else ''}{value}", then=then)


def document(value: str, *, then: str = "") -> str:
    """A document with one connect, whose caller is answered when somebody takes the call."""
    options = "" if "answer_on_bridge" in value else "answer_on_bridge: true, "
    return f"version: 1.0.0\nsections:\n  main:\n    - connect: {{{options}{value}}}\n{then}"
