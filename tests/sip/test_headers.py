from __future__ import annotations

import pytest

from cordboard.sip.headers import HeaderError, Headers


def test_names_compare_without_case_and_compact_forms_count_as_long_ones() -> None:
    headers = Headers([("v", "one"), ("VIA", "two"), ("x-trace", "three")])
    assert headers.get_all("Via") == ["one", "two"]
    assert headers.get("V") == "one"
    assert headers.get("X-Trace") == "three"
    assert headers.get("cALL-iD") is None
    assert "x-TRACE" in headers
    assert "Contact" not in headers


def test_known_names_are_spelled_the_usual_way_and_others_as_they_came() -> None:
    headers = Headers([("cseq", "1 BYE"), ("l", "0"), ("x-TraceId", "7")])
    assert headers.items() == [("CSeq", "1 BYE"), ("Content-Length", "0"), ("x-TraceId", "7")]
    assert len(headers) == 3


def test_set_replaces_the_first_and_removes_the_others() -> None:
    headers = Headers([("X-A", "1"), ("To", "t"), ("x-a", "2")])
    headers.set("X-a", "3")
    headers.set("Reason", "SIP;cause=200")
    assert headers.items() == [("X-A", "3"), ("To", "t"), ("Reason", "SIP;cause=200")]


def test_set_first_leaves_the_others() -> None:
    headers = Headers([("Via", "1"), ("Via", "2")])
    headers.set_first("via", "0")
    headers.set_first("From", "f")
    assert headers.items() == [("Via", "0"), ("Via", "2"), ("From", "f")]


def test_remove_takes_every_line_of_a_name() -> None:
    headers = Headers([("Route", "1"), ("To", "t"), ("route", "2")])
    headers.remove("ROUTE")
    headers.remove("X-Unknown")
    assert headers.items() == [("To", "t")]


def test_a_copy_changes_alone() -> None:
    headers = Headers([("To", "t")])
    copy = headers.copy()
    copy.set("To", "other")
    assert headers != copy
    assert headers == Headers([("t", "t")])


def test_the_number_of_lines_is_known() -> None:
    headers = Headers([("Via", "1"), ("v", "2"), ("X-A", "3")])
    assert [headers.count(name) for name in ("VIA", "x-a", "To")] == [2, 1, 0]


@pytest.mark.parametrize("name", ["", "two words", "Colon:", "X-\r\n", "Naïve", "a" * 300])
def test_a_name_that_is_no_token_is_refused(name: str) -> None:
    with pytest.raises(HeaderError):
        Headers([(name, "value")])


@pytest.mark.parametrize("value", ["a\r\nVia: b", "a\nb", "a\rb", "\ud800"])
def test_a_value_that_would_break_the_line_is_refused(value: str) -> None:
    headers = Headers([("Subject", "fine")])
    for change in (headers.add, headers.set, headers.set_first):
        with pytest.raises(HeaderError):
            change("Subject", value)
    assert headers.items() == [("Subject", "fine")]
