"""TLS towards the API: whom the agent trusts, and what to say where that fails.

The context is httpx2's own, which has the system's trust store: on Linux loaded once (20 to 35 ms), where truststore's would load
it again at each handshake, and OpenSSL before 3.4 would keep each copy. `SSL_CERT_FILE` and `SSL_CERT_DIR` stand in for the
system's store. A CA file adds to it.
I/O: reads certificates.
"""

import ssl
from pathlib import Path

import httpx2

from towerops_agent.errors import SettingsError

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


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """A context that trusts the system's CAs and those in `ca_file` (PEM). TLS 1.2 at least.

    Raises SettingsError where the file can't be used.
    """
    context = httpx2.create_ssl_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except ssl.SSLError:
            raise SettingsError(f"CA file {ca_file} holds no certificate: expected PEM, -----BEGIN CERTIFICATE-----") from None
        except OSError as error:
            raise SettingsError(f"CA file {ca_file} can't be read: {error.strerror}") from None
    return context


def describe_tls_failure(error: ssl.SSLError) -> str:
    """Why the handshake failed, and the next step."""
    if isinstance(error, ssl.SSLCertVerificationError):
        found = _FAILURES.get(error.verify_code)
        return f"TLS: {found or f'the server certificate is not accepted: {error.verify_message}'}"
    if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return "TLS: the server speaks no TLS on this port"
    return f"TLS: {(error.reason or 'handshake failed').replace('_', ' ').lower()}"
