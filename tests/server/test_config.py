"""The configuration file: every key, its default, and mistakes that name their line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cordboard.server.config import Config, ConfigError, Route, ServerSection, load, parse, split_host

WHOLE = """
[server]
profile = "production"
data_directory = "data"
node_id = "n"
project_id = "p"
space_id = "s"
signing_key = "0123456789"
max_calls = 5
log_level = "debug"

[sip]
address = "0.0.0.0"
public_address = "192.0.2.1"
port = 5070
domain = "pbx.example.com"
allowed_sources = ["192.0.2.0/24", "2001:db8::/32"]

[media]
address = "::"
public_address = "2001:db8::1"
workers = 2
port_min = 20000
port_max = 20100
directory = "sounds"

[outbound]
allow_private = true
allowed_networks = ["10.0.0.0/8"]

[phones]
enabled = true
address = "127.0.0.2"
port = 5080

[routes]
"+15551234567" = "main.yaml"
alice = { document = "https://example.com/doc", fallback_url = "https://example.com/spare" }

[trunks.carrier]
address = "sip.example.com:5061"
allowed_prefixes = ["+1", "+44"]

[hosts]
"pbx.internal" = "10.0.0.5:5070"

[envs]
COMPANY = "Example"
"""


def mistakes(text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        parse(text, source="c.toml")
    return str(raised.value)


# ---------------------------------------------------------------- what is there


def test_an_empty_file_is_the_development_profile_on_loopback() -> None:
    config = parse("", source="c.toml")
    assert config == Config()
    assert (config.sip.address, config.sip.port, config.media.address) == ("127.0.0.1", 5060, "127.0.0.1")
    assert config.is_development
    assert config.private_allowed
    assert config.phones_enabled
    assert config.routes == {}


def test_every_key_is_read() -> None:
    config = parse(WHOLE, source="c.toml")
    assert config.server.model_dump() == {
        "profile": "production",
        "data_directory": "data",
        "numbers": None,
        "node_id": "n",
        "project_id": "p",
        "space_id": "s",
        "signing_key": "0123456789",
        "max_calls": 5,
        "log_level": "debug",
    }
    assert (config.sip.port, config.sip.domain, config.sip.told) == (5070, "pbx.example.com", "192.0.2.1")
    assert config.sip.allowed_sources == ("192.0.2.0/24", "2001:db8::/32")
    assert (config.media.address, config.media.told, config.media.workers) == ("::", "2001:db8::1", 2)
    assert (config.media.port_min, config.media.port_max, config.media.directory) == (20000, 20100, "sounds")
    assert config.private_allowed
    assert config.phones_enabled
    assert config.outbound.allowed_networks == ("10.0.0.0/8",)
    assert (config.phones.address, config.phones.port) == ("127.0.0.2", 5080)
    assert config.routes["+15551234567"].document == "main.yaml"
    assert config.routes["alice"].fallback_url == "https://example.com/spare"
    assert config.trunks["carrier"].allowed_prefixes == ("+1", "+44")
    assert config.hosts == {"pbx.internal": "10.0.0.5:5070"}
    assert config.envs == {"COMPANY": "Example"}


def test_every_key_of_the_table_in_the_documentation_exists_and_none_is_left_out() -> None:
    written = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    for section, model in Config.model_fields.items():
        annotation = model.annotation
        if not isinstance(annotation, type) or not hasattr(annotation, "model_fields"):
            assert f"`{section}." in written, section
            continue
        for key in annotation.model_fields:
            assert f"{section}.{key}`" in written or f"`{key}`" in written, f"{section}.{key}"


# ---------------------------------------------------------------- production starts closed


def test_production_without_a_key_of_its_own_does_not_start() -> None:
    found = mistakes('[server]\nprofile = "production"\n')
    assert "server.signing_key must be set in the production profile" in found


def test_production_reaches_nothing_private_and_hears_only_loopback() -> None:
    config = parse('[server]\nprofile = "production"\nsigning_key = "k"\n', source="c.toml")
    assert not config.private_allowed
    assert not config.phones_enabled
    assert config.sip.allowed_sources == ("127.0.0.0/8", "::1/128")
    assert config.trunks == {}


def test_an_empty_key_is_none() -> None:
    assert "signing_key" in mistakes('[server]\nsigning_key = ""\n')


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[sip]\nport = 5060\nadress = 'x'\n", "c.toml:3: sip.adress: unknown key; did you mean 'address'?"),
        ("[spi]\n", "c.toml:1: spi: unknown key; did you mean 'sip'?"),
        (
            "\n\n[routes.'+1']\ndokument = 'x'\n",
            "c.toml:4: routes.+1.dokument: unknown key; did you mean 'document'?",
        ),
        ("[trunks.t]\naddress = 'a'\nprefix = []\n", "c.toml:3: trunks.t.prefix: unknown key"),
        ("[sip]\nport = 99999\n", "c.toml:2: sip.port: "),
        ("[sip]\nport = 'x'\n", "(found 'x')"),
        ("[sip]\nallowed_sources = ['10.0.0.0/8',\n 'x/y']\n", "c.toml:2: sip.allowed_sources.1: "),
        ("[sip]\naddress = 'localhost'\n", "'localhost' does not appear to be an IPv4 or IPv6 address"),
        ("[sip]\naddress = '0.0.0.0'\n", "c.toml:1: sip: public_address must be set"),
        ("[media]\naddress = '::'\n", "public_address must be set"),
        ("[media]\nport_min = 20000\nport_max = 20001\n", "port_max must be at least port_min + 3"),
        (
            "[media]\nworkers = 8\nport_min = 20000\nport_max = 20020\n",
            "port_max must be at least port_min + 31",
        ),
        ("[media]\nport_min = 80\n", "c.toml:2: media.port_min: "),
        (
            "[trunks.t]\naddress = 'a'\nallowed_prefixes = ['1555']\n",
            "'1555' is not an E.164 prefix such as '+1555'",
        ),
        ("[trunks.t]\naddress = 'a'\nallowed_prefixes = ['+\u0663']\n", "is not an E.164 prefix"),
        ("[trunks.t]\n", "c.toml:1: trunks.t.address: Field required"),
        ("[hosts]\na = '10.0.0.1'\nb = 'nowhere'\n", "c.toml:3: hosts.b: "),
        ("[hosts]\nb = '10.0.0.1:70000'\n", "the port is over 65535"),
        ("[routes]\na = 5\n", "c.toml:2: routes.a: "),
        (
            "[routes]\na = {document = 'x.yaml', fallback_url = 'https://h/'}\n",
            "only where document is a URL",
        ),
        (
            "[routes]\na = {document = 'https://h/', fallback_url = 'x'}\n",
            "fallback_url must be an http(s) URL",
        ),
        ("[server]\nprofile = 'test'\n", "c.toml:2: server.profile: "),
        ("[server]\nmax_calls = 0\n", "c.toml:2: server.max_calls: "),
        ("[server\n", "c.toml: not valid TOML: "),
        ("envs = 5\n", "c.toml:1: envs: "),
    ],
)
def test_a_mistake_is_named_with_its_line_and_key(text: str, found: str) -> None:
    assert found in mistakes(text)


def test_all_mistakes_are_named_at_once() -> None:
    lines = mistakes("[sip]\nport = 'x'\nfoo = 1\n[server]\nprofile = 1\n").splitlines()
    assert [line.split(":")[1] for line in lines] == ["2", "3", "5"]


def test_a_secret_of_the_wrong_kind_is_not_repeated_in_full() -> None:
    assert "c.toml:2: server.signing_key" in mistakes("[server]\nsigning_key = ['abc']\n")


def test_a_token_that_is_too_short_is_not_repeated_at_all() -> None:
    told = mistakes('[projects.one]\ntokens = ["secret"]\n')
    assert "c.toml:2: projects.one.tokens.0" in told
    assert "secret" not in told


def test_a_context_belongs_to_the_project_of_its_route_or_to_the_only_one() -> None:
    tokens = '{ tokens = ["12345678"] }'
    office = Route(context="office")
    assert parse("", source="c.toml").project_of(office) == ServerSection().project_id
    assert parse(f"projects.one = {tokens}", source="c.toml").project_of(office) == "one"
    both = f'server.project_id = "one"\nprojects.one = {tokens}\nprojects.two = {tokens}\n'
    assert parse(both, source="c.toml").project_of(office) == "one"
    assert parse(both, source="c.toml").project_of(Route(context="office", project="two")) == "two"


@pytest.mark.parametrize("key", ["'a.b'", "'+1'", '"a b"', "plain"])
def test_odd_keys_do_not_confuse_the_search_for_the_line(key: str) -> None:
    text = f"[trunks.{key}]\naddress = 'a'\n[sip]\n# [server]\nport = 'x'\n[envs]\n{key} = 'y'\n"
    assert "c.toml:5: sip.port" in mistakes(text)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_a_mistake_too(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "c.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot be read: [^[]*$"):
        load(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host", ("host", 9)),
        ("host:5", ("host", 5)),
        ("10.0.0.1:5", ("10.0.0.1", 5)),
        ("::1", ("::1", 9)),
        ("[::1]", ("::1", 9)),
        ("[::1]:5", ("::1", 5)),
        ("host:", ("host:", 9)),
    ],
)
def test_a_host_with_a_port_is_taken_apart(text: str, expected: Any) -> None:
    assert split_host(text, 9) == expected


# ---------------------------------------------------------------- trunks, TLS, two addresses


def test_a_key_with_an_alias_is_known_by_that() -> None:
    assert parse('[trunks.c]\naddress = "a"\nregister = true\n', source="c.toml").trunks["c"].registers
    told = mistakes('[trunks.c]\naddress = "a"\nregistr = true\n')
    assert "c.toml:3: trunks.c.registr: unknown key; did you mean 'register'?" in told
    assert "registers" not in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[sip]\ntls_port = 5061\n", "certificate must be set"),
        ('[sip]\naddress_v6 = "127.0.0.1"\n', "address_v6 must be an IPv6 address"),
        ('[sip]\naddress = "::1"\naddress_v6 = "::1"\n', "address_v6 must be an IPv6 address"),
        ('[sip]\naddress_v6 = "::"\n', "public_address_v6 must be set"),
        ('[trunks.c]\naddress = "a"\nrewrite_to = [["(", "x"]]\n', "cannot be used"),
        ('[trunks.c]\naddress = "a"\nallowed_prefixes = ["1"]\n', "trunks.c.allowed_prefixes"),
        ('[trunks.c]\naddress = "a"\ncodecs = "PCMX"\n', "unknown codec 'PCMX'"),
        ('[trunks.c]\naddress = "a"\n[trunks.c.rates]\n"1" = 0.5\n', "trunks.c.rates.1"),
        ('[dns]\nserver = ["192.0.2.1"]\n', "did you mean 'servers'?"),
        ("[http]\ntls_port = 8443\n", "http: certificate must be set"),
        ("[relay]\nsession_timeout = 0\n", "relay.session_timeout"),
        ('[projects.one]\ntoken = ["12345678"]\n', "did you mean 'tokens'?"),
        ("[projects.one]\ntokens = []\n", "projects.one.tokens"),
        ("[routes]\na = {}\n", "routes.a: document or context must be set"),
        ('[routes]\na = { context = "x", offer_timeout = 0 }\n', "routes.a.offer_timeout"),
        ('[routes]\na = { context = "x", fallback_url = "http://a/" }\n', "fallback_url has a meaning only"),
        (
            '[projects.one]\ntokens = ["12345678"]\n[routes]\na = { context = "x", project = "two" }\n',
            "routes.a: there is no project 'two'",
        ),
        (
            '[projects]\none = { tokens = ["12345678"] }\ntwo = { tokens = ["12345679"] }\n'
            '[routes]\na = { context = "x" }\n',
            "routes.a: project must be set, because there are several",
        ),
    ],
)
def test_settings_that_make_no_sense_are_named(text: str, told: str) -> None:
    assert told in mistakes(text)
