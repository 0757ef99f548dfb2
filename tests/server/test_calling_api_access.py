"""Who may use the HTTP API."""

from __future__ import annotations

import base64

import pytest

from cordboard.server.calling_api_access import project_behind
from cordboard.server.calling_api_errors import ApiError
from cordboard.server.projects import MOST_OF_A_SOURCE, WINDOW, Projects

TOKENS = {"alpha": ("a-token", "a-second"), "beta": ("b:token",)}
HERE = "192.0.2.7"


def basic(project: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{project}:{token}".encode()).decode()


def judge() -> Projects:
    return Projects(TOKENS)


@pytest.mark.parametrize(
    ("authorization", "project"),
    [
        (basic("alpha", "a-token"), "alpha"),
        (basic("alpha", "a-second"), "alpha"),
        (basic("beta", "b:token"), "beta"),
        (basic("alpha", "a-token").replace("Basic", "bAsIc"), "alpha"),
        ("Bearer a-token", "alpha"),
        ("Bearer b:token", "beta"),
    ],
)
def test_right_credentials(authorization: str, project: str) -> None:
    assert project_behind(judge(), authorization, HERE, 0.0) == project


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        basic("alpha", "wrong"),
        basic("alpha", ""),
        basic("", "a-token"),
        basic("beta", "a-token"),
        basic("nobody", "a-token"),
        "Digest username=alpha",
        "Bearer " + "x" * 100_000,
        "Basic " + "QUFB" * 100_000,
    ],
)
def test_wrong_credentials_get_401_and_a_challenge(authorization: str) -> None:
    with pytest.raises(ApiError) as raised:
        project_behind(judge(), authorization, HERE, 0.0)
    assert raised.value.status == 401
    assert raised.value.headers["WWW-Authenticate"].startswith("Basic ")
    assert raised.value.body["code"] == "unauthorized"


@pytest.mark.parametrize("guess", [basic("alpha", "guess"), "Bearer guess"])
def test_who_guesses_too_often_is_not_looked_at_for_a_while(guess: str) -> None:
    projects = judge()
    for _ in range(MOST_OF_A_SOURCE):
        with pytest.raises(ApiError):
            project_behind(projects, guess, HERE, 0.0)
    both = (basic("alpha", "a-token"), "Bearer a-token")
    for right in both:
        with pytest.raises(ApiError):
            project_behind(projects, right, HERE, 1.0)
        assert project_behind(projects, right, "198.51.100.1", 1.0) == "alpha"
    for right in both:
        assert project_behind(projects, right, HERE, WINDOW + 1.0) == "alpha"
