"""Why a connection could not be made or was lost, in words that say what to change."""

from __future__ import annotations

import ssl

_VERIFICATION = {
    9: "its certificate is not valid yet: check the clocks of both sides",
    10: "its certificate has expired: it must be renewed there",
    18: "its certificate is self-signed: name it in sip.server_ca if it is meant",
    19: "its certificate comes from an unknown authority: name that one in sip.server_ca",
    20: "its certificate comes from an unknown authority: name that one in sip.server_ca",
    21: "its certificate comes without the chain to a known authority: it must send the chain",
    23: "its certificate has been revoked",
    26: "its certificate is not meant for servers",
}
NAME_MISMATCH = frozenset({62, 63, 64})
"""Codes of OpenSSL: of a host name, an e-mail address, an IP address."""

_OURS = "set sip.certificate to one that it accepts"
CLOSED_UNANSWERED = f"it closed the connection without a word; it may demand a client certificate: {_OURS}"
_REASONS = {
    "WRONG_VERSION_NUMBER": "it does not speak TLS on that port: check the port and the transport",
    "HTTP_REQUEST": "it spoke HTTP",
    "UNSUPPORTED_PROTOCOL": "it speaks no TLS version from 1.2 on",
    "UNEXPECTED_EOF_WHILE_READING": "it closed the connection in the middle of the TLS handshake",
    "NO_SHARED_CIPHER": "it speaks none of the ciphers that are spoken here",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it shows no client certificate, and sip.client_ca demands one",
    "NO_RENEGOTIATION": "it asked for a TLS renegotiation, which is refused",
}
_ALERTS = {
    "CERTIFICATE_REQUIRED": f"it demands a client certificate: {_OURS}",
    "HANDSHAKE_FAILURE": f"it refused the handshake; it may demand a client certificate: {_OURS}",
    "UNKNOWN_CA": "it does not know the authority of the certificate that it was shown",
    "BAD_CERTIFICATE": f"it does not accept the certificate of this server: {_OURS}",
    "UNSUPPORTED_CERTIFICATE": f"it does not accept the certificate of this server: {_OURS}",
    "CERTIFICATE_UNKNOWN": "it does not accept the certificate that it was shown",
    "CERTIFICATE_EXPIRED": "it says that the certificate it was shown has expired: renew it",
    "CERTIFICATE_REVOKED": "it says that the certificate it was shown has been revoked",
    "ACCESS_DENIED": "it accepts the certificate of this server, but does not let it in",
    "PROTOCOL_VERSION": "it speaks no TLS version from 1.2 on",
    "UNRECOGNIZED_NAME": "it does not know the host name that it was asked for",
    "NO_RENEGOTIATION": "it refused a TLS renegotiation",
}


def connection_reason(error: BaseException | None, server_name: str = "") -> str:
    """What stopped a connection: the rest of a sentence whose subject is the far end, without a full stop."""
    if error is None:
        return "it closed the connection"
    if isinstance(error, ssl.SSLCertVerificationError):
        return _verification(error, server_name)
    if isinstance(error, ssl.SSLError):
        return _tls(error)
    if isinstance(error, ConnectionRefusedError):
        return "it refused the connection: check that something listens on that port"
    if isinstance(error, TimeoutError):
        return "it did not take the connection in time: check the address and the firewall"
    if isinstance(error, ConnectionResetError):
        return "it broke the connection"
    return _other(error)


def certificate_reason(error: ssl.SSLCertVerificationError, server_name: str = "") -> str:
    """What is wrong with the far end's certificate, without what to do about it."""
    return _verification(error, server_name).partition(": ")[0]


def _verification(error: ssl.SSLCertVerificationError, server_name: str) -> str:
    if error.verify_code in NAME_MISMATCH:
        return f"its certificate is not for {server_name or 'that name'}: dial the name that it is for"
    known = _VERIFICATION.get(error.verify_code)
    return known or f"its certificate was not accepted ({error.verify_message})"


def _tls(error: ssl.SSLError) -> str:
    reason = (error.reason or "").upper()
    for alert, sentence in _ALERTS.items():
        if "ALERT" in reason and reason.endswith(alert):
            return sentence
    return _REASONS.get(reason) or f"TLS failed ({reason.lower().replace('_', ' ') or error})"


def _other(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if "handshake" in str(error).lower():
        return "it did not finish the TLS handshake in time: check that it speaks TLS on that port"
    return f"the connection failed ({text})"
