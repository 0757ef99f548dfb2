"""Every way in which SIP messages come and go: UDP, TCP and TLS, IPv4 and IPv6, as one."""

from __future__ import annotations

import errno
import ipaddress
from pathlib import Path

from cordboard.server.config import SipSection
from cordboard.server.sip_listener import SipListener
from cordboard.server.sip_sockets import UdpSocket
from cordboard.server.sip_streams import OnFailure, OnMessage, SipStreams, StreamLimits
from cordboard.server.tls import TlsContexts, TlsFiles
from cordboard.sip.endpoint import Endpoint

_TRIES = 20
"""For a free port that UDP and TCP can both have."""


class SipTransports:
    """`on_message(data, source)` for each message; `on_failure(destination, sentence)` for what was not sent.

    All ports are taken at once; what comes waits in the kernel until `listen`.  Raises OSError when a port
    is taken, `TlsError` (an OSError) when a certificate cannot be used.
    """

    def __init__(
        self,
        section: SipSection,
        *,
        on_message: OnMessage,
        on_failure: OnFailure,
        directory: Path | None = None,
        limits: StreamLimits | None = None,
    ) -> None:
        """`directory`: what relative paths of certificates start from."""
        self._on_message = on_message
        self._on_failure = on_failure
        addresses = [section.address, *([section.address_v6] if section.address_v6 else [])]
        tls = TlsContexts(_files(section, directory or Path()), listens=section.tls_port is not None)
        self._streams = SipStreams(
            on_message=on_message,
            on_failure=on_failure,
            tls=tls,
            limits=limits or _limits(section),
            local_addresses=_senders(addresses),
        )
        self._udp: dict[bool, UdpSocket] = {}
        """By whether it is IPv6."""
        self._listeners: list[SipListener] = []
        try:
            self._bind(section, addresses)
        except BaseException:
            self._close_ports()
            raise

    @property
    def local(self) -> tuple[Endpoint, ...]:
        """Where it listens, the first UDP socket first."""
        sockets = [udp.local for udp in self._udp.values()]
        return (*sockets, *(listener.local for listener in self._listeners))

    @property
    def udp(self) -> UdpSocket:
        """The first UDP socket."""
        return next(iter(self._udp.values()))

    def listen(self) -> None:
        """From now on messages are handed up."""
        for udp in self._udp.values():
            udp.listen()
        for listener in self._listeners:
            listener.listen()

    def send(self, data: bytes, destination: Endpoint) -> None:
        """Whatever goes wrong is told by `on_failure`, later."""
        if destination.transport != "UDP":
            self._streams.send(data, destination)
            return
        udp = self._udp.get(":" in destination.address)
        if udp is not None:
            udp.send(data, destination)
        else:
            self._streams.fail(destination, "this server has no SIP address of that IP version")

    def connections(self) -> int:
        """TCP and TLS, of both sides."""
        return len(self._streams)

    def refused(self) -> int:
        """Connections that found no room."""
        return self._streams.refused

    async def close(self) -> None:
        """Harmless a second time; what is sent afterwards is lost."""
        self._close_ports()
        await self._streams.close()

    def _close_ports(self) -> None:
        for udp in self._udp.values():
            udp.close()
        for listener in self._listeners:
            listener.close()

    # ------------------------------------------------------------ the ports

    def _bind(self, section: SipSection, addresses: list[str]) -> None:
        port = section.port
        for address in addresses:
            port = self._bind_pair(address, port, section.tcp)
        if section.tls_port is not None:
            tls_port = section.tls_port
            for address in addresses:
                tls_port = self._add("TLS", address, tls_port)

    def _bind_pair(self, address: str, port: int, with_tcp: bool) -> int:
        """UDP and TCP on the same port, as one SIP URI says it."""
        for left in reversed(range(_TRIES if port == 0 else 1)):
            udp = UdpSocket(address, port, self._on_message, self._udp_failed)
            try:
                if with_tcp:
                    self._add("TCP", address, udp.local.port)
            except OSError as error:
                udp.close()
                if error.errno != errno.EADDRINUSE or not left:
                    raise
                continue
            self._udp[":" in address] = udp
            return udp.local.port
        raise AssertionError("the last try returns or raises")

    def _add(self, transport: str, address: str, port: int) -> int:
        listener = SipListener(transport, address, port, self._streams.accept)
        self._listeners.append(listener)
        return listener.local.port

    def _udp_failed(self, destination: Endpoint) -> None:
        self._on_failure(destination, f"{destination.host_port} (UDP): nothing listens there.")


def _files(section: SipSection, directory: Path) -> TlsFiles:
    def path(name: str | None) -> Path | None:
        return None if name is None else directory / name

    return TlsFiles(
        certificate=path(section.certificate),
        key=path(section.certificate_key),
        client_ca=path(section.client_ca),
        server_ca=path(section.server_ca),
        verify_servers=section.verify_servers,
    )


def _limits(section: SipSection) -> StreamLimits:
    return StreamLimits(
        connections=section.max_connections,
        per_source=section.max_connections_per_source,
        idle=section.idle_timeout,
        keep_alive=section.keep_alive,
    )


def _senders(addresses: list[str]) -> dict[int, str]:
    """The address that connections leave from, by IP version, where the configuration names one."""
    parsed = [ipaddress.ip_address(address) for address in addresses]
    return {address.version: str(address) for address in parsed if not address.is_unspecified}
