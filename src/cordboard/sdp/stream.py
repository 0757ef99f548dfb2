"""What one section says of its stream: can it be used, where packets go, their length, the direction."""

from __future__ import annotations

from cordboard.sdp.address import classify_address, same_family
from cordboard.sdp.media import RECEIVING, SENDING
from cordboard.sdp.session import MediaDescription, SessionDescription, Traits

DEFAULT_PTIME_MS = 20
PTIMES_MS = (10, 20, 30, 40, 50, 60)

# No RTP receiver lives below; a description that says so wants our packets to hit some other service.
_LOWEST_PORT = 1024
_DIRECTION = {
    (True, True): "sendrecv",
    (True, False): "sendonly",
    (False, True): "recvonly",
    (False, False): "inactive",
}


def transport_problem(session: SessionDescription, section: MediaDescription, our_address: str) -> str | None:
    """Why packets cannot be sent there, or None."""
    if section.port == 0:
        return f"the {section.kind} is rejected (port 0)"
    if section.port < _LOWEST_PORT:
        return f"port {section.port} is no port for media"
    address = session.address if section.address is None else section.address
    if not address:
        return f"there is no address for the {section.kind}"
    kind = classify_address(address)
    if kind == "unspecified":
        return None
    if kind != "unicast":
        return f"the address of the {section.kind} is of the kind {kind}"
    if not same_family(address, our_address):
        return f"the address of the {section.kind} is of the other IP version"
    return None


def is_reachable(address: str) -> bool:
    """Neither RTP nor RTCP goes to a far end that holds with the zero address (RFC 3264 section 8.4)."""
    return classify_address(address) != "unspecified"


def settle(wanted: str, theirs: str, reachable: bool) -> str:
    """Our direction, from what we want and what they say."""
    sends = wanted in SENDING and theirs in RECEIVING and reachable
    return _DIRECTION[sends, wanted in RECEIVING and theirs in SENDING]


def packet_time(traits: Traits, default: int, longest: int) -> int:
    """Milliseconds of audio in the packets that they want, one of `PTIMES_MS`."""
    wish, most = traits.ptime or default, traits.maxptime
    if most is not None and most < wish:
        wish = most
    return round_ptime(min(wish, longest))


def round_ptime(wish: int) -> int:
    """The next shorter one of `PTIMES_MS`."""
    return min(max(wish // 10 * 10, PTIMES_MS[0]), PTIMES_MS[-1])


def rtcp_port(section: MediaDescription) -> int:
    """RFC 3605, else the next port; 0 = none."""
    text = section.traits.rtcp
    port = int(text) if text and text.isascii() and text.isdigit() and len(text) <= 5 else section.port + 1
    return port if _LOWEST_PORT <= port <= 65_535 else 0
