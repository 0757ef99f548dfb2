"""What is printed of a value that holds a secret: logs and tracebacks must not show it."""

from __future__ import annotations

import msgspec


def printed(value: msgspec.Struct, *hidden: str) -> str:
    """As `repr` has it, without the members that are named."""
    shown = [name for name in value.__struct_fields__ if name not in hidden]
    members = ", ".join(f"{name}={getattr(value, name)!r}" for name in shown)
    return f"{type(value).__name__}({members}, ...)"
