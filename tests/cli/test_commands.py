"""The commands, as a user runs them: what they say, and with which code they leave."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from typer.testing import CliRunner

from cordboard.cli import app
from cordboard.cli.setting import set_up_logging
from cordboard.testing.phone import SimulatedPhone

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMAND = [sys.executable, "-m", "cordboard"]
WAIT = "version: 1.0.0\nsections:\n  main:\n    - answer: {}\n    - sleep: -1\n"
BUSY = "version: 1.0.0\nsections:\n  main:\n    - connect: {to: 'sip:busy@phones.test'}\n"
BROKEN = "version: 1.0.0\nsections:\n  main:\n    - anser: {}\n"


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def write_config(directory: Path, document: str = WAIT, *, port: int = 0, extra: str = "") -> Path:
    (directory / "doc.yaml").write_text(document)
    path = directory / "c.toml"
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    first = 50_000 + worker * 1_000
    media = f"[media]\nworkers = 1\nport_min = {first}\nport_max = {first + 99}\n"
    path.write_text(f'[sip]\nport = {port}\n[http]\nport = 0\n{media}{extra}[routes]\n"*" = "doc.yaml"\n')
    return path


def cordboard(*arguments: str | Path, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False
    )


@contextmanager
def serving(config: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A running server and its SIP port."""
    process = subprocess.Popen(
        [*COMMAND, "serve", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        found = re.search(r"SIP on UDP 127\.0\.0\.1:(\d+)", ready)
        assert found, ready + (process.stderr.read() if process.stderr and process.poll() is not None else "")
        yield process, int(found[1])
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


# ---------------------------------------------------------------- check


def test_check_finds_nothing_wrong_with_the_examples() -> None:
    found = CliRunner().invoke(app, ["check", *map(str, sorted(EXAMPLES.glob("*.yaml")))])
    assert found.exit_code == 0
    assert "nothing wrong" in found.output


def test_check_names_all_mistakes_of_all_files(tmp_path: Path) -> None:
    broken, missing = tmp_path / "broken.yaml", tmp_path / "missing.yaml"
    broken.write_text(BROKEN)
    bad, unrouted = tmp_path / "bad.toml", tmp_path / "unrouted.toml"
    bad.write_text("[spi]\n[server]\nmax_call = 5\n")
    unrouted.write_text('[routes]\na = "broken.yaml"\n')
    found = CliRunner().invoke(app, ["check", *map(str, (bad, broken, missing, unrouted, tmp_path))])
    assert found.exit_code == 2
    lines = found.stderr.splitlines()
    assert f"{bad}:1: spi: unknown key; did you mean 'sip'?" in lines[0]
    assert f"{bad}:3: server.max_call: unknown key; did you mean 'max_calls'?" in lines[1]
    assert lines[2].startswith(f"{broken}:4:")
    assert lines[3] == f"{missing}: cannot be read: No such file or directory"
    assert lines[4].startswith(f"route 'a': {broken}:4:")
    assert lines[5].startswith(f"{tmp_path}: cannot be read")


def test_without_arguments_the_help_is_shown() -> None:
    found = CliRunner().invoke(app, [])
    assert "serve" in found.output
    assert "check" in found.output


# ---------------------------------------------------------------- run


def test_run_once_is_0_when_the_document_connected() -> None:
    found = cordboard("run", "--once", "--hold", "0.6", EXAMPLES / "single.yaml")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "INVITE sip:alice@phones.test" in found.stdout
    assert "result     the document did its job" in found.stdout


def test_run_once_is_1_when_the_last_connect_failed(tmp_path: Path) -> None:
    document = tmp_path / "busy.yaml"
    document.write_text(BUSY)
    found = cordboard("run", "--once", document)
    assert found.returncode == 1, found.stdout + found.stderr
    assert "failed     busy: sip:busy@phones.test is busy" in found.stdout


@pytest.mark.parametrize("text", [BROKEN, "[", ""])
def test_run_is_2_when_the_document_cannot_be_used(tmp_path: Path, text: str) -> None:
    document = tmp_path / "broken.yaml"
    document.write_text(text)
    found = cordboard("run", "--once", document)
    assert found.returncode == 2
    assert found.stderr.startswith(str(document))
    assert "Traceback" not in found.stderr


def test_run_is_2_when_there_is_no_such_document(tmp_path: Path) -> None:
    found = cordboard("run", "--once", tmp_path / "none.yaml")
    assert found.returncode == 2
    assert "cannot be read" in found.stderr


@pytest.mark.parametrize("name", ["+1\r\nX: <y> \x1b[2J", ""])
def test_run_dials_any_name(name: str) -> None:
    found = cordboard(
        "run", "--once", "--hold", "0.3", "--to", name, "--from", name, EXAMPLES / "single.yaml"
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "\x1b" not in found.stdout


def test_two_runs_beside_each_other_do_not_disturb_each_other() -> None:
    arguments = [*COMMAND, "run", "--once", "--hold", "0.6", str(EXAMPLES / "single.yaml")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    runs = [subprocess.Popen(arguments, text=True, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    outputs = [run.communicate(timeout=40)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs


def test_run_leaves_nothing_in_the_temporary_directory(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    arguments = [*COMMAND, "run", "--once", "--hold", "0.3", str(EXAMPLES / "single.yaml")]
    subprocess.run(arguments, env=environment, timeout=30, check=True, capture_output=True)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- serve


@pytest.mark.parametrize("text", ["[spi]\n", "[sip\n", '[routes]\na = "none.yaml"\n'])
def test_serve_is_2_when_the_configuration_cannot_be_used(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    found = cordboard("serve", path)
    assert found.returncode == 2
    assert "Traceback" not in found.stderr


def test_serve_is_3_and_names_the_port_when_it_is_taken(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        found = cordboard("serve", write_config(tmp_path, port=port))
    assert found.returncode == 3
    lines = found.stderr.splitlines()
    assert len(lines) == 1
    assert f"SIP port 127.0.0.1:{port}: Address already in use" in lines[0]


def test_serve_is_3_when_its_data_directory_cannot_be_used(tmp_path: Path) -> None:
    config = write_config(tmp_path, extra='[server]\ndata_directory = "doc.yaml"\n')
    found = cordboard("serve", config)
    assert found.returncode == 3
    assert "cannot be opened" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_second_server_on_one_data_directory_is_told_so(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with serving(config):
        found = cordboard("serve", config)
    assert found.returncode == 3
    assert "in use by another running server" in found.stderr
    assert len(found.stderr.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_calls_and_then_the_server(tmp_path: Path, number: int) -> None:
    with serving(write_config(tmp_path)) as (process, port):
        async with SimulatedPhone() as caller:
            call = await caller.call(f"sip:x@127.0.0.1:{port}")
            assert await call.answered()
            # A terminal, and a service manager, send it to all processes of the server.
            os.killpg(process.pid, number)
            assert (await call.ended()).cause == "bye_received"
        code = await asyncio.to_thread(process.wait, 10.0)
        assert code == 0
        assert process.stdout is not None
        assert process.stderr is not None
        assert "stopping" in process.stdout.read()
        logged = process.stderr.read().splitlines()
        assert [line for line in logged if "RELAY and API" not in line] == []


def test_serve_says_where_else_it_listens(tmp_path: Path) -> None:
    certificate = tmp_path / "server.pem"
    trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    config = write_config(tmp_path, extra=f'[sip]\nport = 0\ntls_port = 0\ncertificate = "{certificate}"\n')
    config.write_text(config.read_text().replace("[sip]\nport = 0\n", "", 1))
    with serving(config) as (process, port):
        assert process.stdout is not None
        also = process.stdout.readline().rstrip()
    expected = rf"also: TCP 127\.0\.0\.1:{port}, TLS 127\.0\.0\.1:\d+, HTTP http://127\.0\.0\.1:\d+"
    assert re.fullmatch(expected, also), also


# ---------------------------------------------------------------- the log


def test_an_entry_of_the_log_cannot_be_forged(capfd: pytest.CaptureFixture[str]) -> None:
    code = (
        "import logging; from cordboard.cli.setting import set_up_logging; set_up_logging('info');"
        "logging.getLogger('x').info('call from %s', 'sip:\\x1b[2J\\r\\n2026-01-01 ERROR forged\\x9b@h')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
    shown = capfd.readouterr().err
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert [line[:4] for line in shown.splitlines()] != ["2026"] * 2
    assert "\n    2026-01-01 ERROR forged" in shown


def test_a_level_is_taken_from_the_configuration() -> None:
    set_up_logging("warning")
    assert logging.getLogger("aiohttp").level == logging.WARNING
