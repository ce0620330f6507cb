"""TLS to the API: whom the agent trusts, and what to say if the handshake fails.

The context is httpcore2's own, which has the system's trust store: on Linux loaded once (20 to 35 ms), where truststore's would
load it again at each handshake, and OpenSSL before 3.4 would keep each copy. `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the
system's store. A CA file adds to it. A client certificate is presented to servers that ask for one.
I/O: reads certificates.
"""

import os
import ssl
from pathlib import Path

import httpcore2

from towerops_agent.api.wire.outcomes import Validity
from towerops_agent.errors import SettingsError, is_out_of_memory

# X509_V_ERR_* of OpenSSL's x509_vfy.h
_FAILURES = {
    9: "the server's certificate is not valid yet: is this machine's clock right?",
    10: "the server's certificate has expired (or this machine's clock is wrong)",
    18: "the server's certificate is self-signed: if it is yours, name it with TOWEROPS_CA_FILE",
    19: "the server's certificate is signed by a CA that is not trusted: if it is yours, name it with TOWEROPS_CA_FILE",
    20: "the server's certificate is signed by an unknown CA: if it is yours, name it with TOWEROPS_CA_FILE",
    21: "the server's certificate is signed by an unknown CA: if it is yours, name it with TOWEROPS_CA_FILE",
    62: "the server's certificate is for another host name than the one in TOWEROPS_API_URL",
    64: "the server's certificate is for another IP address than the one in TOWEROPS_API_URL",
}


# Alerts with which a server ends a handshake over the client's certificate (RFC 8446 §6.2).
_ALERTS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the server wants a client certificate: expected TOWEROPS_CLIENT_CERT and …_KEY",
    "TLSV1_ALERT_UNKNOWN_CA": "the server does not know the CA of the certificate in TOWEROPS_CLIENT_CERT",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the server refuses the certificate in TOWEROPS_CLIENT_CERT",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the certificate in TOWEROPS_CLIENT_CERT has expired, says the server",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "the certificate in TOWEROPS_CLIENT_CERT is revoked, says the server",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the server refuses the certificate in TOWEROPS_CLIENT_CERT",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the server ended the handshake: does it want a client certificate (TOWEROPS_CLIENT_CERT)?",
}


def tls_context(ca_file: Path | None = None, client_cert: Path | None = None, client_key: Path | None = None) -> ssl.SSLContext:
    """A context that trusts the system's CAs and those in `ca_file`, and presents `client_cert` with its key. TLS 1.2 at least.

    The files are PEM. Raises SettingsError if one can't be used, OSError if there is too little memory for it.
    """
    context = _trusting_the_system()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        _check_readable("TOWEROPS_CA_FILE", ca_file)
        try:
            context.load_verify_locations(cafile=ca_file)
        except ssl.SSLError:
            raise SettingsError(
                f"TOWEROPS_CA_FILE {ca_file} holds no certificate: expected PEM, -----BEGIN CERTIFICATE-----"
            ) from None
    if client_cert is not None and client_key is not None:
        _load_client_certificate(context, client_cert, client_key)
    return context


def _trusting_the_system() -> ssl.SSLContext:
    try:
        return httpcore2.default_ssl_context()
    except OSError as error:  # ssl.SSLError is one: there is no certificate in it
        if is_out_of_memory(error):
            raise
        file = os.environ.get("SSL_CERT_FILE")
        if not file:
            raise SettingsError(f"the system's certificate authorities can't be read: {error.strerror or error}") from None
        _check_readable("SSL_CERT_FILE", Path(file))
        raise SettingsError(f"SSL_CERT_FILE {file} holds no certificate: expected PEM, -----BEGIN CERTIFICATE-----") from None


def _load_client_certificate(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    _check_readable("TOWEROPS_CLIENT_CERT", cert)
    _check_readable("TOWEROPS_CLIENT_KEY", key)
    asked: list[bool] = []

    def password() -> str:  # without one OpenSSL would ask at the terminal
        asked.append(True)
        return ""

    try:
        context.load_cert_chain(cert, key, password)
    except ssl.SSLError as error:
        if asked:
            problem = f"TOWEROPS_CLIENT_KEY {key} is encrypted: expected a key without a passphrase (openssl pkey -in … -out …)"
        elif error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            problem = f"TOWEROPS_CLIENT_KEY {key} is not the key of the certificate in TOWEROPS_CLIENT_CERT {cert}"
        elif b"-----BEGIN CERTIFICATE-----" not in cert.read_bytes():
            problem = f"TOWEROPS_CLIENT_CERT {cert} holds no certificate: expected PEM, -----BEGIN CERTIFICATE-----"
        else:
            problem = f"TOWEROPS_CLIENT_KEY {key} holds no key, or TOWEROPS_CLIENT_CERT {cert} a bad certificate: expected PEM"
        raise SettingsError(problem) from None


def _check_readable(variable: str, file: Path) -> None:
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        if is_out_of_memory(error):
            raise
        raise SettingsError(f"{variable} {file} can't be read: {error.strerror}") from None


def validity(file: Path) -> Validity | None:
    """From when until when the certificate in this file is valid; None if that can't be read."""
    from cryptography import x509  # noqa: PLC0415 -- most agents present no certificate

    try:
        found = x509.load_pem_x509_certificate(file.read_bytes())
        return Validity(found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp())
    except (OSError, ValueError):  # OpenSSL is less strict, and has accepted it
        return None


def describe_tls_failure(error: ssl.SSLError) -> str:
    """Why the handshake failed, and the next step."""
    if isinstance(error, ssl.SSLCertVerificationError):
        found = _FAILURES.get(error.verify_code)
        return f"TLS: {found or f'the server certificate is not accepted: {error.verify_message}'}"
    if error.reason in _ALERTS:
        return f"TLS: {_ALERTS[error.reason]}"
    if error.reason == "UNEXPECTED_EOF_WHILE_READING":
        return "TLS: the connection ended in the middle"
    if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return "TLS: the server does not use TLS on this port"
    return f"TLS: {(error.reason or 'handshake failed').replace('_', ' ').lower()}"
