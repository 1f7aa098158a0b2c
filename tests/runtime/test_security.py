"""TLS between services over real sockets, with certificates made here."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from turnstream.api.v1 import nlu_pb2 as pb
from turnstream.api.v1.nlu_pb2_grpc import NluServicer, NluStub, add_NluServicer_to_server
from turnstream.runtime.channels import open_channel
from turnstream.runtime.renewed import RenewedChannel
from turnstream.runtime.security import (
    BadCertificate,
    ChannelSecurity,
    channel_security,
    door_security,
    server_security,
)
from turnstream.runtime.server import GrpcServer
from turnstream.runtime.services import Service
from turnstream.runtime.settings import GatewaySettings, GrpcSettings, TlsSettings

NAME = "turnstream"


class Nlu(NluServicer):
    async def Parse(self, request: pb.ParseRequest, context: Any) -> pb.ParseResponse:
        who = context.auth_context().get("x509_subject_alternative_name")
        return pb.ParseResponse(bundle_version=(who or [b"nobody"])[0].decode())


@dataclass
class Certificates:
    """An authority, and files of what it has signed."""

    folder: Path
    authority: trustme.CA

    def write(self, who: str, name: str = NAME) -> tuple[str, str]:
        """Put a new certificate in the place of the one before, as a rotation does it: by renaming."""
        certificate = self.authority.issue_cert(name)
        places = self.folder / f"{who}.crt", self.folder / f"{who}.key"
        for place, blob in zip(places, (certificate.cert_chain_pems[0], certificate.private_key_pem), strict=True):
            fresh = place.with_suffix(".new")
            blob.write_to_path(fresh)
            fresh.rename(place)
        return str(places[0]), str(places[1])

    @property
    def ca(self) -> str:
        place = self.folder / "ca.crt"
        self.authority.cert_pem.write_to_path(place)
        return str(place)

    def settings(self) -> TlsSettings:
        """Mutual TLS."""
        server, server_key = self.write("server")
        client, client_key = self.write("client", "a-client")
        return TlsSettings(server, server_key, self.ca, self.ca, client, client_key, NAME)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path, trustme.CA())


@asynccontextmanager
async def serving(settings: TlsSettings, port: int = 0) -> AsyncIterator[GrpcServer]:
    services = [Service(Nlu(), add_NluServicer_to_server)]
    grpc_settings = GrpcSettings(port=port, drain_timeout_s=0, health_port=0)
    async with GrpcServer(services, grpc_settings, security=server_security(settings)) as server:
        yield server


async def ask(channel: grpc.aio.Channel) -> str:
    return (await NluStub(channel).Parse(pb.ParseRequest(text="hi"), timeout=10)).bundle_version


async def refusal(channel: grpc.aio.Channel) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(channel)
    return caught.value.code()


async def test_both_sides_show_their_certificates(certificates: Certificates) -> None:
    settings = certificates.settings()
    security = channel_security(settings)
    async with serving(settings) as server, open_channel(server.address, security=security) as channel:
        assert await ask(channel) == "a-client"


async def test_a_client_without_a_certificate_is_not_let_in(certificates: Certificates) -> None:
    settings = certificates.settings()
    bare = replace(settings, client_certificate="", client_key="")
    async with serving(settings) as server:
        async with open_channel(server.address, security=channel_security(bare)) as channel:
            assert await refusal(channel) is grpc.StatusCode.UNAVAILABLE
        async with open_channel(server.address) as plain:
            assert await refusal(plain) is grpc.StatusCode.UNAVAILABLE


async def test_a_client_of_another_authority_is_not_let_in(certificates: Certificates, tmp_path: Path) -> None:
    settings = certificates.settings()
    (tmp_path / "other").mkdir()
    other = Certificates(tmp_path / "other", trustme.CA()).settings()
    stranger = replace(settings, client_certificate=other.client_certificate, client_key=other.client_key)
    distrustful = replace(settings, ca=other.ca)
    async with serving(settings) as server:
        for security in (channel_security(stranger), channel_security(distrustful)):
            async with open_channel(server.address, security=security) as channel:
                assert await refusal(channel) is grpc.StatusCode.UNAVAILABLE


async def test_the_servers_name_must_be_the_expected_one(certificates: Certificates) -> None:
    settings = certificates.settings()
    async with serving(settings) as server:
        for name in ("", "somebody-else"):
            security = channel_security(replace(settings, server_name=name))
            async with open_channel(server.address, security=security) as channel:
                assert await refusal(channel) is grpc.StatusCode.UNAVAILABLE


async def test_health_is_answered_in_plaintext_on_its_own_port_alone(certificates: Certificates) -> None:
    settings = certificates.settings()
    async with serving(settings) as server, open_channel(f"127.0.0.1:{server.health_port}") as channel:
        check = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="ready"))
        assert (await check).status == health_pb2.HealthCheckResponse.SERVING
        assert await refusal(channel) is grpc.StatusCode.UNIMPLEMENTED


async def certificate_of(port: int) -> bytes:
    """What the server shows, whatever it thinks of us."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return shown


async def test_a_server_shows_a_certificate_that_was_replaced(certificates: Certificates) -> None:
    settings = replace(certificates.settings(), client_ca="")
    async with serving(settings) as server:
        before = await certificate_of(server.port)
        certificates.write("server")
        assert await certificate_of(server.port) != before
        (certificates.folder / "server.key").write_text("half written")
        assert await certificate_of(server.port) != before


async def test_a_channel_takes_certificates_that_were_replaced(certificates: Certificates) -> None:
    settings = certificates.settings()
    security = channel_security(settings)
    assert security is not None
    options = [("grpc.ssl_target_name_override", NAME)]
    async with serving(settings) as server:
        channel = RenewedChannel(
            security, lambda found: grpc.aio.secure_channel(server.address, found, options), look_every_s=0
        )
        async with channel:
            first = channel.current()
            assert await ask(channel) == "a-client"
            assert channel.current() is first
            certificates.write("client", "the-same-client-later")
            assert await ask(channel) == "the-same-client-later"
            (certificates.folder / "client.crt").unlink()
            assert await ask(channel) == "the-same-client-later"


def test_half_of_the_settings_is_refused(certificates: Certificates) -> None:
    settings = certificates.settings()
    with pytest.raises(BadCertificate, match="both are needed"):
        server_security(replace(settings, server_key=""))
    with pytest.raises(BadCertificate, match=r"tls\.client_ca needs"):
        server_security(TlsSettings(client_ca=settings.client_ca))
    with pytest.raises(BadCertificate, match=r"tls\.client_certificate needs tls\.ca"):
        channel_security(replace(settings, ca=""))
    with pytest.raises(BadCertificate, match="both are needed"):
        door_security(GatewaySettings(tls_key=settings.server_key))
    assert (server_security(TlsSettings()), channel_security(TlsSettings())) == (None, None)
    assert door_security(GatewaySettings()) is None


def test_a_file_that_is_missing_or_no_certificate_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadCertificate, match=r"nowhere\.pem: No such file"):
        ChannelSecurity(tmp_path / "nowhere.pem").credentials()
    (tmp_path / "ca.pem").write_text("hello")
    with pytest.raises(BadCertificate, match=r"ca\.pem: this is no PEM file"):
        ChannelSecurity(tmp_path / "ca.pem").credentials()
