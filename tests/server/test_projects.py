"""Who may in: the same answer and the same work for every wrong guess, and few guesses."""

from __future__ import annotations

import logging

import pytest

from cordboard.server.config import Config
from cordboard.server.projects import (
    DEVELOPMENT_TOKEN,
    MOST_OF_A_KNOWN_SOURCE,
    MOST_OF_A_PROJECT,
    MOST_OF_A_SOURCE,
    WINDOW,
    Projects,
    network_of,
)

A = "192.0.2.1"


def projects() -> Projects:
    return Projects({"one": ("token-1", "token-2"), "two": ("token-3",)})


def test_each_token_of_a_project_opens_that_project() -> None:
    made = projects()
    for project, token in (("one", "token-1"), ("one", "token-2"), ("two", "token-3")):
        assert made.check(project, token, A, 0.0)


@pytest.mark.parametrize(
    ("project", "token"),
    [
        ("one", "token-3"),
        ("two", "token-1"),
        ("three", "token-1"),
        ("one", ""),
        ("", ""),
        ("one", "token-1 "),
        ("onet", "oken-1"),
        ("one", "\ud800"),
    ],
)
def test_everything_else_opens_nothing(project: str, token: str) -> None:
    """RELAY 51."""
    assert not projects().check(project, token, A, 0.0)


def test_a_source_that_guesses_is_not_listened_to_for_a_while_even_if_it_is_right() -> None:
    """RELAY 51."""
    made = projects()
    for _ in range(MOST_OF_A_SOURCE):
        assert not made.check("one", "guess", A, 5.0)
    assert not made.check("one", "token-1", A, 6.0)
    assert made.check("one", "token-1", "192.0.2.2", 6.0)
    assert made.check("one", "token-1", A, 5.0 + WINDOW)


def test_a_project_that_is_guessed_at_from_everywhere_hears_only_whom_it_knows() -> None:
    """RELAY 51."""
    made = projects()
    assert made.check("one", "token-1", A, 0.0)
    for number in range(MOST_OF_A_PROJECT):
        made.check("one", "guess", f"198.51.100.{number % 250}", 1.0)
    assert made.check("one", "token-1", A, 2.0)
    assert not made.check("one", "token-1", "192.0.2.99", 2.0)
    assert made.check("two", "token-3", "192.0.2.99", 2.0)
    assert made.check("one", "token-1", "192.0.2.99", 1.0 + WINDOW)


def test_a_guesser_does_not_lock_out_the_clients_behind_the_same_proxy() -> None:
    """RELAY 51."""
    made = projects()
    assert made.check("one", "token-1", A, 0.0)
    for _ in range(MOST_OF_A_KNOWN_SOURCE - 1):
        assert not made.check("one", "guess", A, 1.0)
    assert made.check("one", "token-1", A, 2.0)
    assert not made.check("two", "token-3", A, 2.0)
    made.check("one", "guess", A, 2.0)
    assert not made.check("one", "token-1", A, 3.0)


def test_an_ipv6_guesser_has_one_network_and_not_its_addresses() -> None:
    """RELAY 51."""
    made = projects()
    for number in range(MOST_OF_A_SOURCE):
        made.check("one", "guess", f"2001:db8::{number:x}", 0.0)
    assert not made.check("one", "token-1", "2001:db8::ffff", 1.0)
    assert made.check("one", "token-1", "2001:db8:1::1", 1.0)


def test_the_books_of_guesses_do_not_grow_for_ever() -> None:
    """RELAY 51."""
    made = projects()
    for number in range(12_000):
        made.check(f"p{number}", "guess", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
    assert len(made._by_source._kept) == 10_000
    assert len(made._by_project._kept) == 10_000


def test_every_wrong_guess_takes_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """RELAY 51: All tokens of all projects are compared, wherever the right one stands."""
    made = projects()
    compared: list[bytes] = []

    def compare(known: bytes, given: bytes) -> bool:
        compared.append(known)
        assert len(known) == len(given)
        return known == given

    monkeypatch.setattr("cordboard.server.projects.hmac.compare_digest", compare)
    for project, token in (("one", "token-1"), ("one", "wrong"), ("nobody", "wrong")):
        compared.clear()
        made.check(project, token, A, 0.0)
        assert len(compared) == 3


def test_no_secret_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    made = projects()
    with caplog.at_level(logging.DEBUG):
        made.check("one", "secret-guess", A, 0.0)
    assert "secret-guess" not in caplog.text
    config = Config.model_validate({"projects": {"one": {"tokens": ["secret-token"]}}})
    assert "secret-token" not in repr(config) + str(config) + repr(vars(made))


def test_a_development_server_has_a_project_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    config = Config()
    with caplog.at_level(logging.INFO):
        made = Projects.of(config)
    assert f"project {config.server.project_id}, token {DEVELOPMENT_TOKEN}" in caplog.text
    assert made.check(config.server.project_id, DEVELOPMENT_TOKEN, "127.0.0.1", 0.0)
    assert made.check(config.server.project_id, DEVELOPMENT_TOKEN, "192.168.1.2", 0.0)
    assert not made.check(config.server.project_id, DEVELOPMENT_TOKEN, "8.8.8.8", 0.0)


def test_projects_of_the_file_take_its_place() -> None:
    made = Projects.of(Config.model_validate({"projects": {"one": {"tokens": ["token-123"]}}}))
    assert made.check("one", "token-123", "8.8.8.8", 0.0)
    assert not made.check(Config().server.project_id, DEVELOPMENT_TOKEN, "127.0.0.1", 0.0)
    assert "one" in made


def test_a_production_server_without_projects_lets_nobody_in() -> None:
    config = Config.model_validate({"server": {"profile": "production", "signing_key": "k"}})
    made = Projects.of(config)
    assert not made
    assert not made.check(config.server.project_id, DEVELOPMENT_TOKEN, "127.0.0.1", 0.0)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1:2", "2001:db8::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_what_counts_as_one_source(address: str, network: str) -> None:
    assert network_of(address) == network
