"""Where an outbound call goes, and where it must not."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from cordboard.call.plan import Destination
from cordboard.call.reasons import Ending
from cordboard.legs.outputs import ResolveTarget, Route, Target
from cordboard.server.config import Trunk
from cordboard.server.outbound_policy import OutboundPolicy
from cordboard.server.resolver import Resolver
from cordboard.server.targets import Targets, Way
from cordboard.server.trunks import Trunks
from cordboard.sip.endpoint import Endpoint

PUBLIC = "93.184.216.34"
NAMES = {
    "pbx.example.com": [PUBLIC],
    "six.example.com": ["2606:2800::1"],
    "both.example.com": ["2606:2800::1", PUBLIC],
    "inside.example.com": ["10.0.0.5"],
    "mixed.example.com": [PUBLIC, "127.0.0.1"],
    "metadata.example.com": ["169.254.169.254"],
}


async def lookup(host: str, port: int) -> list[str]:
    if host not in NAMES:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return NAMES[host]


def targets(
    *, private: bool = False, versions: tuple[int, ...] = (4,), transport: str = "UDP", **trunks: Trunk
) -> Targets:
    policy = OutboundPolicy(
        allow_private=private, hosts={"phones.test": "127.0.0.9", "fixed.example.com": PUBLIC}, lookup=lookup
    )
    resolver = Resolver(
        policy,
        fixed_ports={"phones.test": 5099},
        default_transport=transport,
        versions=versions,
        random=lambda: 0.0,
    )
    return Targets(resolver, Trunks(trunks, random=lambda: 0.0, clock=lambda: 0.0))


def order(to: str, kind: str = "sip", *, redirects: tuple[str, ...] = (), **fields: Any) -> ResolveTarget:
    return ResolveTarget(
        call_id="c", destination=Destination(kind=kind, to=to, **fields), redirects=redirects
    )


async def found(to: str, made: Targets | None = None, kind: str = "sip", **fields: Any) -> Route | Ending:
    made = made or targets()
    answer = made.find_at_once(order(to, kind, **fields), "+15550000000")
    return await made.find(answer) if isinstance(answer, Way) else answer


async def first(to: str, made: Targets | None = None, kind: str = "sip", **fields: Any) -> Target:
    route = await found(to, made, kind, **fields)
    assert isinstance(route, Route), route
    return route.targets[0]


async def cause(to: str, made: Targets | None = None, kind: str = "sip") -> str:
    end = await found(to, made, kind)
    assert isinstance(end, Ending)
    return end.cause


# ---------------------------------------------------------------- SIP URIs


@pytest.mark.parametrize(
    ("to", "endpoint", "request_uri"),
    [
        (f"sip:bob@{PUBLIC}", (PUBLIC, 5060), f"sip:bob@{PUBLIC}"),
        (f"sip:bob@{PUBLIC}:5070;x=y", (PUBLIC, 5070), f"sip:bob@{PUBLIC}:5070;x=y"),
        ("sip:bob@pbx.example.com;transport=UDP", (PUBLIC, 5060), "sip:bob@pbx.example.com;transport=UDP"),
        (
            "sip:bob@host.invalid;maddr=pbx.example.com",
            (PUBLIC, 5060),
            "sip:bob@host.invalid;maddr=pbx.example.com",
        ),
        ("sip:bob@fixed.example.com.", (PUBLIC, 5060), "sip:bob@fixed.example.com."),
        ("sip:a?b@pbx.example.com?Subject=x", (PUBLIC, 5060), "sip:a?b@pbx.example.com"),
    ],
)
async def test_a_sip_uri_goes_to_its_host_without_header_fields(
    to: str, endpoint: tuple[str, int], request_uri: str
) -> None:
    target = await first(to)
    assert (target.request_uri, target.endpoint) == (request_uri, Endpoint("UDP", *endpoint))


async def test_a_name_with_a_fixed_port_gives_it_where_the_uri_names_none() -> None:
    made = targets(private=True)
    assert (await first("sip:alice@Phones.test", made)).endpoint == Endpoint("UDP", "127.0.0.9", 5099)
    assert (await first("sip:alice@phones.test:6000", made)).endpoint == Endpoint("UDP", "127.0.0.9", 6000)


def test_an_address_needs_no_waiting_and_a_name_does() -> None:
    made = targets()
    assert isinstance(made.find_at_once(order(f"sip:bob@{PUBLIC}")), Route)
    assert isinstance(made.find_at_once(order("sip:bob@10.0.0.1")), Ending)
    assert isinstance(made.find_at_once(order("+1555", "phone")), Ending)
    assert isinstance(made.find_at_once(order("sip:bob@pbx.example.com")), Way)


@pytest.mark.parametrize(
    ("to", "default", "endpoint"),
    [
        ("sips:bob@pbx.example.com", "UDP", Endpoint("TLS", PUBLIC, 5061, "pbx.example.com")),
        (f"sips:bob@{PUBLIC}:5099", "UDP", Endpoint("TLS", PUBLIC, 5099, PUBLIC)),
        ("sip:bob@pbx.example.com;transport=tcp", "UDP", Endpoint("TCP", PUBLIC, 5060)),
        ("sips:bob@pbx.example.com;transport=tcp", "UDP", Endpoint("TLS", PUBLIC, 5061, "pbx.example.com")),
        ("sip:bob@pbx.example.com;transport=TLS", "UDP", Endpoint("TLS", PUBLIC, 5061, "pbx.example.com")),
        ("sip:bob@pbx.example.com", "TLS", Endpoint("TLS", PUBLIC, 5061, "pbx.example.com")),
        (f"sip:bob@{PUBLIC}", "TCP", Endpoint("TCP", PUBLIC, 5060)),
    ],
)
async def test_the_uri_says_the_transport_else_the_configuration(
    to: str, default: str, endpoint: Endpoint
) -> None:
    assert (await first(to, targets(transport=default))).endpoint == endpoint


async def test_large_requests_have_a_stream_to_go_by_unless_the_uri_insists_on_udp() -> None:
    assert (await first("sip:bob@pbx.example.com")).large == Endpoint("TCP", PUBLIC, 5060)
    assert (await first("sip:bob@pbx.example.com;transport=udp")).large is None
    assert (await first("sip:bob@pbx.example.com;transport=tcp")).large is None


# ---------------------------------------------------------------- redirections


async def test_contacts_of_a_redirection_are_dialled_like_other_uris() -> None:
    contacts = ("tel:+1555", "sip:c@pbx.example.com:5070?Subject=x", f"sip:+15551234567@{PUBLIC}")
    route = await found("sip:bob@pbx.example.com", redirects=contacts, username="bob", password="secret")
    assert isinstance(route, Route)
    assert [(t.request_uri, t.endpoint.port, t.credentials) for t in route.targets] == [
        ("sip:c@pbx.example.com:5070", 5070, None),
        (f"sip:+15551234567@{PUBLIC}", 5060, None),
    ]


CARRIER = Trunk(address=PUBLIC, allowed_prefixes=("+1555",), rates={"+1555": 0.01, "+15559": 2.0})


@pytest.mark.parametrize(
    ("to", "kind", "contact", "expected"),
    [
        ("+15551230001", "phone", f"sip:+15551230002@{PUBLIC}", None),
        ("+15551230001", "phone", f"sip:gateway2@{PUBLIC}", None),
        ("+15551230001", "phone", f"sip:+19005551234@{PUBLIC}", "prefix_not_allowed"),
        ("+15551230001", "phone", f"sip:1-900-555-1234@{PUBLIC};user=phone", "prefix_not_allowed"),
        ("+15551230001", "phone", "sip:+19005551234@pbx.example.com", "prefix_not_allowed"),
        ("+15551230001", "phone", f"sip:+15559000000@{PUBLIC}", "price_too_high"),
        ("sip:bob@pbx.example.com", "sip", f"sip:+19005551234@{PUBLIC}:5070", "prefix_not_allowed"),
        ("sip:bob@pbx.example.com", "sip", "sip:+19005551234@pbx.example.com", None),
    ],
)
async def test_a_redirection_opens_no_numbers_that_scripts_may_not_dial(
    to: str, kind: str, contact: str, expected: str | None
) -> None:
    made = targets(acme=CARRIER)
    end = await found(to, made, kind, redirects=(contact,), max_price_per_minute=0.5)
    assert (end.cause if isinstance(end, Ending) else None) == expected


@pytest.mark.parametrize(
    ("contact", "expected"),
    [
        ("sip:c@10.0.0.1", "policy_refused"),
        ("sip:c@mixed.example.com", "policy_refused"),
        ("sip:c@169.254.169.254:80;transport=tcp", "policy_refused"),
        ("tel:+19005551234", "transport_unsupported"),
        ("https://example.com/", "transport_unsupported"),
        ("sip:c@nowhere.example.com", "dns_failed"),
    ],
)
async def test_a_redirection_to_where_nobody_may_go_is_not_followed(contact: str, expected: str) -> None:
    end = await found("sip:bob@pbx.example.com", redirects=(contact,))
    assert isinstance(end, Ending)
    assert end.cause == expected


@pytest.mark.parametrize(
    "to",
    [
        "sip:a@10.0.0.1",
        "sip:a@localhost",
        "sip:a@127.1",
        "sip:a@0x7f.1",
        "sip:a@2130706433",
        "sip:a@0177.0.0.1:9",
        "sip:a@[::1]",
        "sip:a@[::ffff:10.0.0.1]",
        "sip:a@inside.example.com",
        "sip:a@mixed.example.com",
        "sip:a@phones.test",
        f"sip:a@{PUBLIC};maddr=10.0.0.1",
        f"sip:a@{PUBLIC};maddr=%31%30.0.0.1",
        "sip:a@pbx.example.com;maddr=[::1]",
    ],
)
async def test_private_addresses_are_out_of_reach_in_every_spelling(
    to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NAMES, "localhost", ["127.0.0.1"])
    assert await cause(to) == "policy_refused"


@pytest.mark.parametrize(
    "to", ["sip:a@169.254.169.254", "sip:a@metadata.example.com", "sip:a@[fd00:ec2::254]", "sip:a@2852039166"]
)
async def test_metadata_addresses_are_out_of_reach_even_where_private_ones_are_allowed(to: str) -> None:
    assert await cause(to, targets(private=True)) == "policy_refused"


@pytest.mark.parametrize(
    ("to", "named"),
    [
        ("sips:bob@pbx.example.com;transport=udp", "transport=udp"),
        ("tel:+1555", "tel"),
        ("sip:bob@pbx.example.com;transport=ws", "transport=ws"),
    ],
)
async def test_a_transport_that_is_not_spoken_is_named(to: str, named: str) -> None:
    end = await found(to)
    assert isinstance(end, Ending)
    assert (end.cause, named in end.sentence) == ("transport_unsupported", True)


@pytest.mark.parametrize(
    "to",
    [
        "sip:",
        "sip:a b@c",
        "nonsense",
        "sip:a@b:99999",
        "sip:a@b;maddr=%00",
        "sip:a@b;maddr=x%20y",
        "sip:a@b;maddr=x%0d%0a",
    ],
)
async def test_a_uri_that_is_none_or_hides_something_in_maddr_is_refused(to: str) -> None:
    assert await cause(to) == "bad_destination"


async def test_a_problem_that_was_found_before_is_passed_on() -> None:
    end = await found("sip:a@b", problem="it is broken.")
    assert isinstance(end, Ending)
    assert (end.cause, "it is broken." in end.sentence) == ("bad_destination", True)


async def test_a_name_that_does_not_exist_is_named() -> None:
    end = await found("sip:bob@nowhere.example.com")
    assert isinstance(end, Ending)
    assert end.cause == "dns_failed"
    assert "Name or service not known" in end.sentence


# ---------------------------------------------------------------- the socket's IP version


@pytest.mark.parametrize(
    ("versions", "to", "address"),
    [
        ((4,), "sip:a@both.example.com", PUBLIC),
        ((6,), "sip:a@both.example.com", "2606:2800::1"),
        ((4, 6), "sip:a@both.example.com", "2606:2800::1"),
        ((4,), "sip:a@six.example.com", None),
        ((6,), "sip:a@pbx.example.com", None),
        ((4,), "sip:a@[2606:2800::1]", None),
        ((6,), "sip:a@[2606:2800::1]:5070", "2606:2800::1"),
    ],
)
async def test_only_addresses_that_the_socket_can_send_to_are_taken(
    versions: tuple[int, ...], to: str, address: str | None
) -> None:
    result = await found(to, targets(versions=versions))
    if address is None:
        assert isinstance(result, Ending)
        assert result.cause == "bad_destination"
        assert "IPv4" in result.sentence
    else:
        assert isinstance(result, Route)
        assert result.targets[0].endpoint.address == address


# ---------------------------------------------------------------- phone numbers


async def test_without_a_trunk_no_number_can_be_dialled() -> None:
    assert await cause("+15551234567", kind="phone") == "no_trunk"


async def test_a_trunk_is_closed_until_prefixes_are_allowed() -> None:
    made = targets(t=Trunk(address=PUBLIC))
    assert await cause("+15551234567", made, "phone") == "prefix_not_allowed"


async def test_the_first_trunk_that_allows_a_number_gets_it() -> None:
    made = targets(
        uk=Trunk(address="pbx.example.com:5061", allowed_prefixes=("+44",)),
        us=Trunk(address=PUBLIC, allowed_prefixes=("+1", "+44")),
    )
    uk, us = await first("+4420", made, "phone"), await first("+1555", made, "phone")
    assert (uk.request_uri, uk.endpoint) == (
        "sip:+4420@pbx.example.com:5061",
        Endpoint("UDP", PUBLIC, 5061),
    )
    assert (us.request_uri, us.endpoint) == (f"sip:+1555@{PUBLIC}", Endpoint("UDP", PUBLIC, 5060))
    assert uk.is_phone
    assert us.is_phone
    assert await cause("+882", made, "phone") == "prefix_not_allowed"


async def test_a_trunk_passes_the_policy_too() -> None:
    made = targets(t=Trunk(address="10.0.0.1", allowed_prefixes=("+",)))
    assert await cause("+1555", made, "phone") == "policy_refused"


@pytest.mark.parametrize("dead", ["nowhere.example.com", "inside.example.com", "10.0.0.5"])
async def test_a_trunk_whose_address_cannot_be_used_is_followed_by_the_next(dead: str) -> None:
    made = targets(
        first=Trunk(address=dead, allowed_prefixes=("+1",)),
        second=Trunk(address="no.example.com", allowed_prefixes=("+1",), priority=1),
        third=Trunk(address="pbx.example.com", allowed_prefixes=("+1",), priority=2),
    )
    route = await found("+15551234567", made, kind="phone")
    assert isinstance(route, Route)
    assert route.terms is not None
    assert route.terms.trunk == "third"
    assert route.targets[0].endpoint.address == PUBLIC


async def test_where_no_trunk_has_an_address_the_last_is_named_with_its_host() -> None:
    made = targets(
        acme=Trunk(address="nowhere.example.com", allowed_prefixes=("+1",), max_calls=1),
        spare=Trunk(address="no.example.com", allowed_prefixes=("+1",), priority=1),
    )
    for _ in range(2):
        end = await found("+15551234567", made, kind="phone")
        assert isinstance(end, Ending)
        assert end.cause == "dns_failed", "it holds no place"
        assert "no.example.com of the trunk spare: Name or service not known" in end.sentence


async def test_an_ipv6_trunk_is_written_with_brackets() -> None:
    made = targets(versions=(6,), t=Trunk(address="[2606:2800::1]:5061", allowed_prefixes=("+",)))
    target = await first("+1555", made, "phone")
    assert target.request_uri == "sip:+1555@[2606:2800::1]:5061"
