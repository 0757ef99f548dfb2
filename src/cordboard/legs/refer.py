"""REFER in a dialog: where the far end wants the other party to go (RFC 3515, 3891, 4488)."""

from __future__ import annotations

import re

import msgspec

from cordboard.call.plan import Destination
from cordboard.legs.identity import E164, name_in
from cordboard.sip.headers import HeaderError, NameAddr, parse_name_addrs
from cordboard.sip.message import Request
from cordboard.sip.status import reason_phrase
from cordboard.sip.uri import Uri

CONTENT = "message/sipfrag;version=2.0"
EXPIRES = 180
"""Seconds of the implicit subscription; a transfer rings no longer than that tells anything new."""

_TAG = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]{1,256}")
_DIALOG_CALL_ID = re.compile(r"[!-~]{1,256}")


class BadRefer(msgspec.Struct, frozen=True):
    """A REFER that cannot be carried out, with its response."""

    status: int
    reason: str | None = None


class Replaced(msgspec.Struct, frozen=True):
    """The dialog that a Replaces names; the tags as the one who is asked knows them (RFC 3891 section 3)."""

    call_id: str
    to_tag: str
    """Its own tag."""
    from_tag: str


class Referral(msgspec.Struct, frozen=True, kw_only=True):
    """A Refer-To that can be dialled."""

    destination: Destination
    replaces: Replaced | None = None
    reports: bool = True
    """NOTIFYs are wanted."""


def read_refer(
    request: Request, own_hosts: frozenset[str], carrier_hosts: frozenset[str] = frozenset()
) -> Referral | BadRefer:
    """What a REFER asks for.  A number at a host of ours is a phone number, to be dialled by a trunk.

    So is one at the host of a trunk, with or without its plus: else a phone could send a call past the
    prefixes and prices of the trunk, to a carrier that knows this server.
    """
    targets = request.headers.get_all("Refer-To")
    if len(targets) != 1:
        return BadRefer(400, "One Refer-To Needed")
    try:
        found = parse_name_addrs(targets)
    except HeaderError:
        return BadRefer(400, "Unreadable Refer-To")
    if len(found) != 1:
        return BadRefer(400, "One Refer-To Needed")
    number = _number(found[0].uri, own_hosts, carrier_hosts)
    return _referral(found[0], number, reports=_reports(request))


def _reports(request: Request) -> bool:
    return (request.headers.get("Refer-Sub") or "").partition(";")[0].strip().lower() != "false"


def _referral(target: NameAddr, number: str | None, *, reports: bool) -> Referral | BadRefer:
    uri = target.uri
    if (uri.params.get("method") or "INVITE").upper() != "INVITE":
        return BadRefer(501, "Only INVITE Can Be Referred To")
    if not (uri.is_sip or uri.scheme == "tel"):
        return BadRefer(416)
    text = next((value for name, value in uri.headers.items() if name.lower() == "replaces"), None)
    replaces = None if text is None else read_replaces(text)
    if text is not None and replaces is None:
        return BadRefer(400, "Unreadable Replaces")
    return Referral(destination=_destination(uri, number, text), replaces=replaces, reports=reports)


def _number(uri: Uri, own_hosts: frozenset[str], carrier_hosts: frozenset[str]) -> str | None:
    """The phone number that is meant, None for any other destination."""
    number, hosts = name_in(uri), {_bare(uri.host), _bare(uri.params.get("maddr") or "")}
    at_carrier = not carrier_hosts.isdisjoint(hosts)
    if at_carrier and number.isascii() and number.isdigit():
        number = f"+{number}"
    is_phone = uri.scheme == "tel" or at_carrier or not own_hosts.isdisjoint(hosts)
    return number if is_phone and E164.fullmatch(number) else None


def _bare(host: str) -> str:
    """A name in one spelling: `SIP.example.com.` is `sip.example.com`."""
    return host.rstrip(".").lower()


def _destination(uri: Uri, number: str | None, replaces: str | None) -> Destination:
    if number is not None:
        return Destination(kind="phone", to=number)
    params = {name: value for name, value in uri.params.items() if name != "method"}
    # Header fields in a URI are chosen by a stranger: none goes on but the dialog to be replaced.
    headers = {} if replaces is None else {"Replaces": replaces}
    return Destination(kind="sip", to=str(msgspec.structs.replace(uri, params=params, headers=headers)))


def read_replaces(text: str) -> Replaced | None:
    """`call-id;to-tag=x;from-tag=y`, unescaped; None if a part is missing, doubled or malformed."""
    call_id, *params = text.split(";")
    tags: dict[str, str] = {}
    for param in params:
        name, _, value = param.strip().partition("=")
        if name.lower() in tags:
            return None
        tags[name.lower()] = value
    to_tag, from_tag = tags.get("to-tag", ""), tags.get("from-tag", "")
    if not (_TAG.fullmatch(to_tag) and _TAG.fullmatch(from_tag) and _DIALOG_CALL_ID.fullmatch(call_id)):
        return None
    return Replaced(call_id.strip(), to_tag, from_tag)


def is_replaces(name: str, value: str) -> bool:
    """Whether a header field in a URI names a dialog to be replaced."""
    return name.lower() == "replaces" and read_replaces(value) is not None


class Subscription:
    """The implicit subscription of one REFER: what its sender is told."""

    __slots__ = ("_event", "over", "wanted")

    def __init__(self, request: Request, *, wanted: bool = True) -> None:
        self._event = f"refer;id={request.cseq.number}"
        self.wanted = wanted
        """The sender has not said that it does without (RFC 4488)."""
        self.over = False

    def notify(self, status: int, reason: str = "") -> tuple[list[tuple[str, str]], bytes]:
        """Headers and body of the next NOTIFY; a final status is the last."""
        self.over = status >= 200
        state = "terminated;reason=noresource" if self.over else f"active;expires={EXPIRES}"
        headers = [("Event", self._event), ("Subscription-State", state), ("Content-Type", CONTENT)]
        return headers, f"SIP/2.0 {status} {_phrase(status, reason)}\r\n".encode()


def _phrase(status: int, reason: str) -> str:
    return reason if reason and reason.isprintable() else reason_phrase(status)
