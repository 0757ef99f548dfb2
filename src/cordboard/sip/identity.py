"""What we call ourselves: Via and Contact depend on how a message travels."""

from __future__ import annotations

from collections.abc import Sequence

from cordboard.sip.endpoint import Endpoint

Way = tuple[str, bool]
"""A transport, and whether addresses are those of IPv6."""


class Identity:
    """We, as those see us who are reached over one transport."""

    __slots__ = ("contact", "offering", "secure_contact", "secure_offering", "via")

    def __init__(self, local: Endpoint, transport: str, about: str) -> None:
        """`about`: header lines about this user agent, the same for all."""
        self.via = f"SIP/2.0/{transport} {local.host_port};branch="
        """The value of our Via, up to its branch."""
        suffix = "" if local.transport == "UDP" else f";transport={local.transport.lower()}"
        self.contact = f"Contact: <sip:{local.host_port}{suffix}>\r\n"
        self.secure_contact = f"Contact: <sips:{local.host_port}>\r\n"
        """In a dialog with a sips URI (RFC 3261 section 8.1.1.8); sips implies TLS."""
        self.offering = self.contact + about
        """The header lines of what may make or change a dialog: INVITE, UPDATE, and their responses."""
        self.secure_offering = self.secure_contact + about


class Identities(dict[Way, Identity]):
    """By way; made when first asked for."""

    __slots__ = ("_about", "_locals")

    def __init__(self, local: Sequence[Endpoint], about: str) -> None:
        """`local`: the first stands in for ways that have no endpoint of their own."""
        super().__init__()
        self._locals = local
        self._about = about

    def __missing__(self, way: Way) -> Identity:
        made = Identity(self._local(way), way[0], self._about)
        self[way] = made
        return made

    def _local(self, way: Way) -> Endpoint:
        """The endpoint of this transport and family, else of this transport, else the first."""
        transport, is_ipv6 = way
        same = [local for local in self._locals if local.transport == transport]
        exact = [local for local in same if (":" in local.address) is is_ipv6]
        return (*exact, *same, *self._locals)[0]
