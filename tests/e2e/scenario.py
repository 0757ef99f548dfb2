"""SIPp scenarios, written as the ladder that one far end sees.

    callee(invited(), reply(180), reply(200, SDP), receive("ACK"), receive("BYE"), reply(200, of="BYE"))

is the text of an XML scenario.  SIPp fails a call at the first message that is not the one expected, and a
step that never comes fails it too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

PCMU, PCMA, G729, TELEPHONE_EVENT = "0", "8", "18", "101"

_NAMES = {
    PCMU: "PCMU/8000",
    PCMA: "PCMA/8000",
    G729: "G729/8000",
    TELEPHONE_EVENT: "telephone-event/8000",
}
_CAPTURED = "via,from,to,whole,contact,cseq"
_REASONS = {
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    404: "Not Found",
    480: "Temporarily Unavailable",
    486: "Busy Here",
    487: "Request Terminated",
    603: "Decline",
}


def sdp(*formats: str, direction: str = "sendrecv", version: int = 1) -> str:
    """A session description with one audio line."""
    formats = formats or (PCMU,)
    lines = (
        "v=0",
        f"o=peer 1 {version} IN IP[local_ip_type] [local_ip]",
        "s=-",
        "c=IN IP[media_ip_type] [media_ip]",
        "t=0 0",
        f"m=audio [media_port] RTP/AVP {' '.join(formats)}",
        *(f"a=rtpmap:{number} {_NAMES[number]}" for number in formats),
        f"a={direction}",
    )
    return "\n".join(lines)


SDP = sdp()


# ---------------------------------------------------------------- the whole


def callee(*steps: str) -> str:
    """A far end that is called; its first step is `invited()`."""
    return _scenario(steps, f'<Reference variables="{_CAPTURED}"/>')


def caller(*steps: str) -> str:
    """A far end that calls; its first step is `invite()`."""
    return _scenario(steps, "")


def over_tls(scenario: str, *, port: int | str = "[local_port]", server: str = "") -> str:
    """The same far end behind a TLS of its own, which listens on `port`; a caller dials `server`.

    SIPp itself speaks TCP then, but what it says of itself, and whom it asks for, is what the wire has.
    """
    said = scenario.replace("SIP/2.0/[transport]", "SIP/2.0/TLS")
    said = re.sub(
        r"^(Contact: <sip:[^>\n]*)\[local_port\]>", rf"\g<1>{port};transport=tls>", said, flags=re.M
    )
    there = "[remote_ip]:[remote_port]"
    return said.replace(f"{there} SIP/2.0", f"{server};transport=tls SIP/2.0").replace(there, server)


def _scenario(steps: Sequence[str], last: str) -> str:
    body = "\n".join((*steps, last))
    return f'<?xml version="1.0" encoding="ISO-8859-1"?>\n<scenario name="far end">\n{body}\n</scenario>\n'


# ---------------------------------------------------------------- steps of both


def receive(method: str, *, check: Sequence[str] = (), **attributes: str | int) -> str:
    """A request, which must contain the patterns of `check`.

    Attributes are those of SIPp: `optional="true"`, `next="label"`, `timeout=…, ontimeout="label"`.
    """
    return _receive(f'request="{method}"', _checks(check), attributes)


def response(status: int, *, check: Sequence[str] = (), **attributes: str | int) -> str:
    """A response; its Record-Route and Contact are used from here on (`rrs`)."""
    if status >= 180:
        attributes.setdefault("rrs", "true")
    return _receive(f'response="{status}"', _checks(check), attributes)


def provisionals() -> str:
    """Any of 100, 180 and 183, in any number."""
    return "\n".join(response(status, optional="true") for status in (100, 180, 183))


def pause(milliseconds: int | None = None) -> str:
    """Nothing may arrive meanwhile; without a number as long as option `-d` says."""
    return "<pause/>" if milliseconds is None else f'<pause milliseconds="{milliseconds}"/>'


def label(name: str) -> str:
    return f'<label id="{name}"/>'


def go_to(name: str) -> str:
    return f'<nop next="{name}"/>'


def _receive(what: str, actions: str, attributes: dict[str, str | int]) -> str:
    rest = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f"<recv {what}{rest}>{actions}</recv>" if actions else f"<recv {what}{rest}/>"


def _checks(patterns: Sequence[str]) -> str:
    if not patterns:
        return ""
    steps = (
        f'<ereg regexp="{_escaped(pattern)}" search_in="msg" check_it="true" assign_to="seen"/>'
        for pattern in patterns
    )
    # A variable must be used somewhere.
    return f'<action>{"".join(steps)}<log message="[$seen]"/></action>'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def _send(
    lines: Sequence[str],
    body: str,
    *,
    again_ms: int | None = None,
    attributes: str = "",
    content_type: str = "application/sdp",
) -> str:
    if body:
        lines = (*lines, f"Content-Type: {content_type}")
    text = "\n".join((*lines, "Content-Length: [len]", "", body, ""))
    again = f' retrans="{again_ms}"' if again_ms else ""
    return f"<send{again}{attributes}><![CDATA[\n\n{text}\n]]></send>"


# ---------------------------------------------------------------- steps of a callee


def invited(*, check: Sequence[str] = (), **attributes: str | int) -> str:
    """The INVITE; what later messages need of it is kept."""
    kept = "".join(
        (
            '<ereg regexp=".*" search_in="hdr" header="Via:" assign_to="via"/>',
            '<ereg regexp=".*" search_in="hdr" header="From:" assign_to="from"/>',
            '<ereg regexp=".*" search_in="hdr" header="To:" assign_to="to"/>',
            '<ereg regexp="&lt;(sip:[^&gt;]*)" search_in="hdr" header="Contact:" assign_to="whole,contact"/>',
            '<ereg regexp="[0-9]+" search_in="hdr" header="CSeq:" assign_to="cseq"/>',
        )
    )
    checks = _checks(check).removeprefix("<action>") or "</action>"
    return _receive('request="INVITE"', f"<action>{kept}{checks}", attributes)


def reply(
    status: int | str,
    body: str = "",
    *,
    of: str = "INVITE",
    tag: str = "a",
    headers: Sequence[str] = (),
    contact: str = "<sip:[local_ip]:[local_port]>",
    **attributes: str | int,
) -> str:
    """Answer the INVITE, or the request received last (`of` its method).

    `tag` tells the early dialogs of forks apart.  A final response is sent again until its ACK comes.
    """
    line = status if isinstance(status, str) else f"{status} {_REASONS[status]}"
    # An INVITE may be answered after other requests came: a CANCEL, the ACK of another fork's answer.
    number = "CSeq: [$cseq] INVITE" if of == "INVITE" else "[last_CSeq:]"
    to = f"To:[$to];tag=[pid]-[call_number]-{tag}" if of in ("INVITE", "CANCEL") else "[last_To:]"
    lines = (
        f"SIP/2.0 {line}",
        "Via:[$via]" if of == "INVITE" else "[last_Via:]",
        "[last_From:]",
        to,
        "[last_Call-ID:]",
        number,
        f"Contact: {contact}",
        *headers,
    )
    final = of == "INVITE" and not str(status).startswith("1")
    rest = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return _send(lines, body, again_ms=500 if final else None, attributes=rest)


def hang_up(*, tag: str = "a") -> str:
    """BYE of a callee, and its 200."""
    lines = (
        "BYE [$contact] SIP/2.0",
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
        f"From:[$to];tag=[pid]-[call_number]-{tag}",
        "To:[$from]",
        "[last_Call-ID:]",
        "CSeq: 1 BYE",
        "Max-Forwards: 70",
    )
    return _send(lines, "", again_ms=500) + "\n" + response(200)


ANSWERED = (receive("ACK"), receive("BYE"), reply(200, of="BYE"))
"""What follows a callee's 200 when the other side hangs up."""

CANCELLED = (reply(200, of="CANCEL"), reply(487), receive("ACK"))
"""What follows a CANCEL."""


# ---------------------------------------------------------------- steps of a caller


def request(
    method: str,
    number: int,
    body: str = "",
    *,
    uri: str = "[next_url]",
    branch: str = "",
    headers: Sequence[str] = ("[routes]",),
    max_forwards: int = 70,
    content_type: str = "application/sdp",
    again: bool = True,
) -> str:
    """A request of the caller, by default within the dialog.  Without a branch it gets one of its own."""
    branch = f"z9hG4bK-[pid]-[call_number]-{branch}" if branch else "[branch]"
    lines = (
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch}",
        'From: "SIPp" <sip:+15557770001@[local_ip]:[local_port]>;tag=[pid]-[call_number]',
        "To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]",
        "Call-ID: [call_id]",
        f"CSeq: {number} {method}",
        "Contact: <sip:caller@[local_ip]:[local_port]>",
        f"Max-Forwards: {max_forwards}",
        *headers,
    )
    again_ms = 500 if again and method != "ACK" else None
    return _send(lines, body, again_ms=again_ms, content_type=content_type)


TARGET = "sip:[service]@[remote_ip]:[remote_port]"


def invite(
    body: str = SDP,
    *,
    uri: str = TARGET,
    headers: Sequence[str] = (),
    max_forwards: int = 70,
    content_type: str = "application/sdp",
    again: bool = True,
) -> str:
    """The INVITE; its branch is known, so that it can be cancelled or repeated."""
    return request(
        "INVITE",
        1,
        body,
        uri=uri,
        branch="1",
        headers=headers,
        max_forwards=max_forwards,
        content_type=content_type,
        again=again,
    )


def cancel() -> str:
    return request("CANCEL", 1, uri=TARGET, branch="1", headers=())


def ack(number: int = 1, body: str = "") -> str:
    """ACK of a 2xx."""
    return request("ACK", number, body)


def ack_refusal() -> str:
    """ACK of any other final response: of the INVITE's own transaction."""
    return request("ACK", 1, uri=TARGET, branch="1", headers=())


def bye(number: int = 2) -> str:
    """BYE of a caller, and its 200."""
    return request("BYE", number) + "\n" + response(200)


def answer_bye(*, check: Sequence[str] = ()) -> str:
    """The other side hangs up."""
    lines = ("SIP/2.0 200 OK", "[last_Via:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]", "[last_CSeq:]")
    return receive("BYE", check=check) + "\n" + _send(lines, "")
