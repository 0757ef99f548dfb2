"""docs/relay.md names every method, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path

from cordboard.relay.methods.reading import METHODS
from cordboard.relay.methods.unbuilt import UNBUILT

PAGE = (Path(__file__).parents[2] / "docs" / "relay.md").read_text()


def test_the_table_has_the_methods_that_are_built() -> None:
    rows = re.findall(r"^\| `(calling\.[a-z_.]+)` \|", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted(METHODS)


def test_those_that_are_not_built_are_named() -> None:
    sentence = PAGE[PAGE.index("Not built") :].partition("\n")[0]
    assert set(re.findall(r"`(calling\.[a-z_.]+)`", sentence)) == UNBUILT
