"""What stands behind the `?` of a list."""

from __future__ import annotations

import pytest

from cordboard.server.calling_api_errors import ApiError
from cordboard.server.calling_api_queries import call_query, delivery_query, event_query, links
from cordboard.server.store import CallFilter


def test_nothing_asked_is_everything_of_the_project() -> None:
    asked = call_query({}, "p")
    assert asked.wanted == CallFilter(project_id="p")
    assert (asked.state, asked.limit, asked.cursor) == (None, 50, None)


@pytest.mark.parametrize(
    ("direction", "stored", "is_dialled"),
    [
        ("inbound", "inbound", None),
        ("outbound", "outbound", None),
        ("outbound-api", "outbound", False),
        ("outbound-dial", "outbound", True),
    ],
)
def test_directions(direction: str, stored: str, is_dialled: bool | None) -> None:
    wanted = call_query({"direction": direction}, "p").wanted
    assert (wanted.direction, wanted.is_dialled) == (stored, is_dialled)


@pytest.mark.parametrize(("state", "is_over"), [("ended", True), ("ringing", False), ("created", False)])
def test_states(state: str, is_over: bool) -> None:
    asked = call_query({"state": state}, "p")
    assert (asked.state, asked.wanted.is_over) == (state, is_over)


@pytest.mark.parametrize(
    "since",
    [
        "1970-01-01T00:01:40Z",
        "1970-01-01T00:01:40",
        "1970-01-01T01:01:40+01:00",
        "1970-01-01T01:01:40 01:00",
        "100",
    ],
)
def test_since_is_a_time_in_each_spelling(since: str) -> None:
    assert call_query({"since": since}, "p").wanted.since == 100.0


@pytest.mark.parametrize(
    ("query", "path", "part"),
    [
        ({"state": "paused"}, "state", "created, ringing, answered, ending, ended"),
        ({"stat": "ended"}, "stat", "Did you mean `state`?"),
        ({"direction": "up"}, "direction", "inbound"),
        ({"limit": "0"}, "limit", "from 1 to 1000"),
        ({"limit": "1001"}, "limit", "from 1 to 1000"),
        ({"limit": "٣"}, "limit", "whole number"),
        ({"limit": "9" * 400}, "limit", "whole number"),
        ({"cursor": "-1"}, "cursor", "`next` link"),
        ({"cursor": "9" * 40}, "cursor", "`next` link"),
        ({"since": "yesterday"}, "since", "must be a time"),
        ({"since": "nan"}, "since", "must be a time"),
        ({"since": "1e300"}, "since", "must be a time"),
    ],
)
def test_mistakes(query: dict[str, str], path: str, part: str) -> None:
    with pytest.raises(ApiError) as raised:
        call_query(query, "p")
    assert raised.value.status == 400
    assert raised.value.body["path"] == path
    assert part in raised.value.body["message"]


def test_other_lists() -> None:
    assert delivery_query({"state": "dead", "limit": "3", "cursor": "9"}) == ("dead", 3, 9)
    assert event_query({"cursor": "4"}) == (4, 50)
    with pytest.raises(ApiError):
        event_query({"state": "dead"})
    with pytest.raises(ApiError):
        delivery_query({"state": "alive"})


def test_links_keep_what_was_asked() -> None:
    asked = {"state": "ended", "cursor": "9"}
    assert links("/x", asked, 5) == {"self": "/x?state=ended&cursor=9", "next": "/x?state=ended&cursor=5"}
    assert links("/x", {}, None) == {"self": "/x", "next": None}
