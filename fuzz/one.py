"""`python -m fuzz.one TARGET CORPUS [libFuzzer options]`: one target, until its time is up or it raises."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["cordboard"]):
    from fuzz.targets import TARGETS


def main() -> None:
    """Does not return."""
    target = TARGETS[sys.argv[1]].make()
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
