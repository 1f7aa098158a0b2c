"""TLS between services, from files that may be replaced while the process runs (as cert-manager and kubelet do it).

A server reads its files again at each handshake; a channel is opened anew when its own have changed.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import grpc

from turnstream.runtime.settings import GatewaySettings, TlsSettings


class BadCertificate(OSError):
    """A file of the TLS settings is missing or cannot be used; the text names it."""


@dataclass(frozen=True, slots=True)
class ServerSecurity:
    """Files in PEM; `client_ca` given: clients must present a certificate signed by it."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """Raises BadCertificate."""
        seen = self.stamps()

        def read() -> grpc.ServerCertificateConfiguration:
            pair = (_read(self.key), _read(self.certificate))
            return grpc.ssl_server_certificate_configuration([pair], _read(self.client_ca) if self.client_ca else None)

        def changed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal seen
            try:
                now = self.stamps()
                if now == seen:
                    return None
                fresh = read()
            except BadCertificate:
                # In the middle of a rotation: what there was goes on serving.
                return None
            seen = now
            return fresh

        # The stubs forget that None says "as before".
        return grpc.dynamic_ssl_server_credentials(read(), changed, self.client_ca is not None)  # type: ignore[arg-type]

    def stamps(self) -> tuple[tuple[int, int], ...]:
        """Differ once a file was replaced. Raises BadCertificate."""
        return _stamps(f for f in (self.certificate, self.key, self.client_ca) if f is not None)


@dataclass(frozen=True, slots=True)
class ChannelSecurity:
    """`server_name` is expected in the server's certificate; empty: the name of its address."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""

    def credentials(self) -> grpc.ChannelCredentials:
        """Raises BadCertificate."""
        certificate = _read(self.certificate) if self.certificate else None
        key = _read(self.key) if self.key else None
        return grpc.ssl_channel_credentials(_read(self.ca), key, certificate)

    def stamps(self) -> tuple[tuple[int, int], ...]:
        """Differ once a file was replaced. Raises BadCertificate."""
        return _stamps(f for f in (self.ca, self.certificate, self.key) if f is not None)


def server_security(settings: TlsSettings) -> ServerSecurity | None:
    """Of a service; None where it speaks plaintext. Raises BadCertificate where half of it is set."""
    client_ca = Path(settings.client_ca) if settings.client_ca else None
    pair = _pair(settings.server_certificate, settings.server_key, "tls.server_certificate and tls.server_key")
    if pair is None:
        if client_ca is not None:
            raise BadCertificate("tls.client_ca needs tls.server_certificate and tls.server_key")
        return None
    return ServerSecurity(*pair, client_ca)


def door_security(settings: GatewaySettings) -> ServerSecurity | None:
    """Of the gateway's public doors, whose clients show tokens and not certificates. Raises BadCertificate."""
    pair = _pair(settings.tls_certificate, settings.tls_key, "gateway.tls_certificate and gateway.tls_key")
    return None if pair is None else ServerSecurity(*pair)


def channel_security(settings: TlsSettings) -> ChannelSecurity | None:
    """Of the channels to other services. Raises BadCertificate where half of it is set."""
    pair = _pair(settings.client_certificate, settings.client_key, "tls.client_certificate and tls.client_key")
    if not settings.ca:
        if pair is not None:
            raise BadCertificate("tls.client_certificate needs tls.ca")
        return None
    certificate, key = pair or (None, None)
    return ChannelSecurity(Path(settings.ca), certificate, key, settings.server_name)


def _pair(certificate: str, key: str, names: str) -> tuple[Path, Path] | None:
    if bool(certificate) != bool(key):
        raise BadCertificate(f"{names}: both are needed, or none")
    return (Path(certificate), Path(key)) if certificate else None


def _read(file: Path) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadCertificate(f"{file}: {error.strerror or error}") from error
    if b"-----BEGIN " not in content:
        raise BadCertificate(f"{file}: this is no PEM file")
    return content


def _stamps(files: Iterable[Path]) -> tuple[tuple[int, int], ...]:
    """Kubernetes swaps a symbolic link, so that a replaced file may be as old as the one before: the inode tells."""
    try:
        return tuple((found.st_ino, found.st_mtime_ns) for found in map(os.stat, files))
    except OSError as error:
        raise BadCertificate(f"{error.filename}: {error.strerror}") from error
