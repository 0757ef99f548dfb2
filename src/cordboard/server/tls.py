"""TLS contexts of the SIP listener and of connections to far ends, renewed when their files change.

TLS 1.2 and 1.3, no renegotiation.  Certificates are read again before the next connection after a change;
files that cannot be used leave what was there before in its place.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from cordboard.server.tls_reasons import NAME_MISMATCH
from cordboard.sip.uri import Uri, UriError

_log = logging.getLogger(__name__)

_Stamp = tuple[tuple[int, int, int], ...]


class TlsFiles(msgspec.Struct, frozen=True, kw_only=True):
    """PEM files; None: there is none."""

    certificate: Path | None = None
    key: Path | None = None
    """None: in the file of `certificate`."""
    client_ca: Path | None = None
    """Whose certificates clients must show; None: clients show none."""
    server_ca: Path | None = None
    """Whose certificates servers must show; None: those that the system trusts."""
    verify_servers: bool = True


class TlsError(OSError):
    """The files cannot be used.  `str()` is a sentence with the file and what is wrong with it."""


class TlsContexts:
    """`listening()` and `calling()` give the context for the next connection."""

    def __init__(self, files: TlsFiles, *, listens: bool = False) -> None:
        """`listens`: a listener will ask.  Raises `TlsError`."""
        self._server = _Renewed(files, _server_context) if listens else None
        self._client = _Renewed(files, _client_context)
        self._nameless = _Renewed(files, _nameless_context)

    def listening(self) -> ssl.SSLContext:
        assert self._server is not None
        return self._server.current()

    def calling(self) -> ssl.SSLContext:
        return self._client.current()

    def calling_nameless(self) -> ssl.SSLContext:
        """As `calling`, but the name in the certificate is for `is_for_domain` to check."""
        return self._nameless.current()


def is_about_the_name(error: BaseException) -> bool:
    """The certificate is to be trusted, and OpenSSL finds no DNS name or address in it that fits."""
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in NAME_MISMATCH


def is_for_domain(certificate: Mapping[str, Any] | None, domain: str) -> bool:
    """It names the SIP domain as a URI, `sip:example.com` (RFC 5922): OpenSSL looks at no URIs."""
    wanted = domain.rstrip(".").lower()
    names = (certificate or {}).get("subjectAltName", ())
    return bool(wanted) and any(kind == "URI" and _domain(value) == wanted for kind, value in names)


def _domain(uri: str) -> str | None:
    """Of a SIP URI without a user; None: it identifies no domain."""
    try:
        parsed = Uri.parse(uri)
    except UriError:
        return None
    return parsed.host.lower() if parsed.scheme == "sip" and parsed.user is None else None


class _Renewed:
    """A context, made again when one of the files has changed."""

    def __init__(self, files: TlsFiles, make: Callable[[TlsFiles], ssl.SSLContext]) -> None:
        self._files = files
        self._make = make
        self._stamp = _stamp(files)
        self._context = make(files)

    def current(self) -> ssl.SSLContext:
        stamp = _stamp(self._files)
        if stamp != self._stamp:
            self._stamp = stamp
            self._renew()
        return self._context

    def _renew(self) -> None:
        try:
            self._context = self._make(self._files)
        except TlsError as error:
            _log.error("%s The certificates that were loaded before stay in use.", error)
        else:
            _log.info("changed certificates have been taken over")


def _stamp(files: TlsFiles) -> _Stamp:
    paths = (files.certificate, files.key, files.client_ca, files.server_ca)
    return tuple(_stamp_of(path) for path in paths if path is not None)


def _stamp_of(path: Path) -> tuple[int, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0, 0)
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _server_context(files: TlsFiles) -> ssl.SSLContext:
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    _show_certificate(context, files)
    if files.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _trust(context, files.client_ca)
    return context


def _client_context(files: TlsFiles) -> ssl.SSLContext:
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    _show_certificate(context, files)
    if not files.verify_servers:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif files.server_ca is not None:
        _trust(context, files.server_ca)
    else:
        context.load_default_certs()
    return context


def _nameless_context(files: TlsFiles) -> ssl.SSLContext:
    context = _client_context(files)
    context.check_hostname = False
    return context


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _show_certificate(context: ssl.SSLContext, files: TlsFiles) -> None:
    if files.certificate is None:
        return
    named = files.certificate if files.key is None else f"{files.certificate} with {files.key}"
    try:
        # A password would be asked for on the terminal.
        context.load_cert_chain(files.certificate, files.key, password="")
    except (OSError, ValueError) as error:
        raise TlsError(f"The certificate {named} cannot be used: {_why(error)}.") from None


def _trust(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except (OSError, ValueError) as error:
        raise TlsError(f"The CA file {path} cannot be used: {_why(error)}.") from None


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    if reason == "KEY_VALUES_MISMATCH":
        return "the key does not belong to the certificate"
    if isinstance(reason, str):
        return reason.lower().replace("_", " ")
    return str(getattr(error, "strerror", None) or error)
