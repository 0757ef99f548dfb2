"""Whatever text a peer sent, a body can be encoded."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from cordboard.events.encoding import encode, readable

_any_text = st.text(alphabet=st.characters(codec=None))


@given(st.recursive(_any_text | st.none() | st.integers(0, 9), lambda kids: st.dictionaries(_any_text, kids)))
def test_every_text_becomes_valid_json(value: object) -> None:
    assert json.loads(encode(value)) is not Ellipsis


@given(st.binary())
def test_only_the_bad_bytes_of_a_name_are_lost(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    assert len(readable(text)) == len(text)
    readable(text).encode("utf-8")


def test_good_text_stays() -> None:
    assert readable("Jürgen 📞") == "Jürgen 📞"
    assert encode({"name": "J\udcfcrgen"}) == '{"name":"J\ufffdrgen"}'.encode()
