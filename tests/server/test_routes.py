"""Which document answers: exact before prefix, and changed files are taken over whole or not at all."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from cordboard.server.config import Config, Route, load
from cordboard.server.routes import RouteError, Routes, RouteTable

ANSWER = "version: 1.0.0\nsections:\n  main:\n    - answer: {}\n"
HANGUP = "version: 1.0.0\nsections:\n  main:\n    - hangup: {}\n"
BROKEN = "version: 1.0.0\nsections:\n  main:\n    - anser: {}\n"


def write(path: Path, text: str) -> None:
    """Change a file so that its time tells."""
    later = path.stat().st_mtime_ns + 10_000_000 if path.exists() else None
    path.write_text(text)
    if later is not None:
        os.utime(path, ns=(later, later))


def table(tmp_path: Path, **documents: str) -> RouteTable:
    """A configuration file that routes each name to a document of that name."""
    for name, text in documents.items():
        write(tmp_path / f"{name}.yaml", text)
    route_all(tmp_path, *documents)
    path = tmp_path / "c.toml"
    return RouteTable(load(path), path, tmp_path)


def route_all(tmp_path: Path, *names: str, extra: str = "") -> None:
    lines = [f'{name} = "{name}.yaml"\n' for name in names]
    write(tmp_path / "c.toml", f"{extra}[routes]\n{''.join(lines)}")


def source(routes: Routes | RouteTable, dialled: str) -> str | None:
    found = routes.find(dialled)
    return None if found is None or found.document is None else Path(found.document.source).name


# ---------------------------------------------------------------- finding


def test_exact_comes_before_prefix_and_long_before_short(tmp_path: Path) -> None:
    for name in ("all", "us", "desk"):
        (tmp_path / f"{name}.yaml").write_text(ANSWER)
    keys = {"*": "all.yaml", "+1*": "us.yaml", "+1555": "desk.yaml"}
    routes = Routes({key: Route(document=document) for key, document in keys.items()}, tmp_path)
    assert source(routes, "+1555") == "desk.yaml"
    assert source(routes, "+15551") == "us.yaml"
    assert source(routes, "+44") == "all.yaml"
    assert source(routes, "") == "all.yaml"


def test_without_a_route_nothing_answers(tmp_path: Path) -> None:
    assert Routes({}, tmp_path).find("+1555") is None


@pytest.mark.parametrize("url", ["https://example.com/doc", "HTTP://example.com/doc"])
def test_a_url_is_fetched_for_each_call(url: str, tmp_path: Path) -> None:
    route = Route(document=url, fallback_url="https://example.com/spare")
    found = Routes({"a": route}, tmp_path).find("a")
    assert found is not None
    assert (found.url, found.fallback_url, found.document) == (url, "https://example.com/spare", None)


def test_a_context_is_found_with_the_document_that_stands_in_for_its_clients(tmp_path: Path) -> None:
    (tmp_path / "spare.yaml").write_text(ANSWER)
    offered = Route(context="office", project="p", offer_timeout=5.0)
    both = Route(context="office", document="spare.yaml")
    routes = Routes({"a": offered, "b": both}, tmp_path)
    alone, stood_in = routes.find("a"), routes.find("b")
    assert alone is not None
    assert (alone.context, alone.project, alone.offer_timeout) == ("office", "p", 5.0)
    assert not alone.has_document
    assert stood_in is not None
    assert stood_in.context == "office"
    assert stood_in.has_document


def test_all_documents_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text(BROKEN)
    keys = {"+1": "broken.yaml", "bob": "missing.yaml", "dir": "."}
    with pytest.raises(RouteError) as raised:
        Routes({key: Route(document=document) for key, document in keys.items()}, tmp_path)
    lines = str(raised.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["route '+1'", "route 'bob'", "route 'dir'"]
    assert "broken.yaml:4:" in lines[0]
    assert "No such file" in lines[1]


# ---------------------------------------------------------------- reloading


def test_nothing_is_reloaded_while_nothing_changes(tmp_path: Path) -> None:
    routes = table(tmp_path, a=ANSWER)
    before = routes.find("a")
    assert not routes.reload_if_changed()
    assert routes.find("a") is before


def test_a_changed_document_is_taken_over_and_the_old_one_lives_on_where_it_is_used(tmp_path: Path) -> None:
    routes = table(tmp_path, a=ANSWER)
    running = routes.find("a")
    write(tmp_path / "a.yaml", HANGUP)
    assert routes.reload_if_changed()
    after = routes.find("a")
    assert running is not None
    assert after is not None
    assert running.document is not after.document
    assert running.document is not None


def test_a_changed_configuration_is_taken_over(tmp_path: Path) -> None:
    routes = table(tmp_path, a=ANSWER, b=ANSWER)
    route_all(tmp_path, "b")
    assert routes.reload_if_changed()
    assert (source(routes, "a"), source(routes, "b")) == (None, "b.yaml")


def test_a_broken_document_is_refused_once_and_everything_old_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    routes = table(tmp_path, a=ANSWER, b=ANSWER)
    before = routes.find("b")
    write(tmp_path / "a.yaml", BROKEN)
    write(tmp_path / "b.yaml", HANGUP)
    assert not routes.reload_if_changed()
    assert not routes.reload_if_changed()
    assert routes.find("b") is before
    assert len(caplog.records) == 1
    assert "a.yaml:4:" in caplog.text


@pytest.mark.parametrize("text", ["[routes\n", "[routs]\na = 'a.yaml'\n", None])
def test_a_broken_configuration_is_refused_and_the_old_one_stays(tmp_path: Path, text: str | None) -> None:
    routes = table(tmp_path, a=ANSWER)
    if text is None:
        (tmp_path / "c.toml").unlink()
    else:
        write(tmp_path / "c.toml", text)
    assert not routes.reload_if_changed()
    assert source(routes, "a") == "a.yaml"
    write(tmp_path / "a.yaml", HANGUP)
    route_all(tmp_path, "a", extra="# good again\n")
    assert routes.reload_if_changed()


def test_a_new_document_that_was_broken_is_taken_over_when_it_is_mended(tmp_path: Path) -> None:
    """Although nothing but that document has changed since the refusal."""
    routes = table(tmp_path, a=ANSWER)
    write(tmp_path / "b.yaml", BROKEN)
    route_all(tmp_path, "a", "b")
    assert not routes.reload_if_changed()
    assert source(routes, "b") is None
    write(tmp_path / "b.yaml", ANSWER)
    assert routes.reload_if_changed()
    assert source(routes, "b") == "b.yaml"


def test_a_missing_document_is_taken_over_when_it_appears(tmp_path: Path) -> None:
    routes = table(tmp_path, a=ANSWER)
    route_all(tmp_path, "a", "later")
    assert not routes.reload_if_changed()
    write(tmp_path / "later.yaml", ANSWER)
    assert routes.reload_if_changed()
    assert source(routes, "later") == "later.yaml"


def test_other_changes_are_said_to_need_a_restart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    routes = table(tmp_path, a=ANSWER)
    route_all(tmp_path, "a", extra="[sip]\nport = 5999\n")
    with caplog.at_level(logging.WARNING):
        assert routes.reload_if_changed()
    assert "before a restart" in caplog.text


def test_without_a_configuration_file_documents_are_reloaded_too(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", ANSWER)
    config = Config(routes={"*": Route(document="a.yaml")})
    routes = RouteTable(config, None, tmp_path)
    write(tmp_path / "a.yaml", HANGUP)
    assert routes.reload_if_changed()
    assert not routes.reload_if_changed()
