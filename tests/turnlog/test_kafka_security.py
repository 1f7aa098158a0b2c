"""Who is let in: passwords, certificates, and what is said where they are wrong."""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from support.kafka import kafka_settings
from turnstream.testing.kafka_broker import BrokerSettings, BrokerTls, KafkaBroker
from turnstream.testing.turnlog_contract import PATIENCE_S, Running, a_message, soon
from turnstream.turnlog.errors import AccessDenied, LogUnavailable
from turnstream.turnlog.kafka.log import KafkaTurnLog
from turnstream.turnlog.kafka.settings import KafkaSettings


class Certificates:
    """An authority, the broker's certificate and a client's, and an authority that nobody knows."""

    def __init__(self, folder: Path) -> None:
        authority, stranger = trustme.CA(), trustme.CA()
        self.authority, self.stranger = folder / "ca.pem", folder / "stranger.pem"
        authority.cert_pem.write_to_path(self.authority)
        stranger.cert_pem.write_to_path(self.stranger)
        self.broker = folder / "broker.pem"
        _write_pkcs8(authority.issue_cert("127.0.0.1"), self.broker)
        client = authority.issue_cert("anna@example.com")
        self.client, self.client_key = folder / "client.pem", folder / "client.key"
        client.cert_chain_pems[0].write_to_path(self.client)
        client.private_key_pem.write_to_path(self.client_key)


def _write_pkcs8(certificate: trustme.LeafCert, path: Path) -> None:
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(path, append=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secured_broker(
    kafka_broker: KafkaBroker, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaBroker]:
    """Comes after the session's broker, which tells where there can be none."""
    settings = BrokerSettings(
        users={"anna": "right"}, tls=BrokerTls(certificates.broker, certificates.authority), heap_mb=256
    )
    with KafkaBroker.start(tmp_path_factory.mktemp("secured"), settings) as broker:
        yield broker


@pytest.fixture
def settings(secured_broker: KafkaBroker, certificates: Certificates) -> dict[str, KafkaSettings]:
    """Right ones, by protocol."""
    known = replace(kafka_settings(secured_broker), ssl_cafile=str(certificates.authority))
    login = {"sasl_mechanism": "PLAIN", "sasl_username": "anna", "sasl_password": "right"}
    shown = {"ssl_certfile": str(certificates.client), "ssl_keyfile": str(certificates.client_key)}
    more: dict[str, dict[str, Any]] = {"SASL_PLAINTEXT": login, "SSL": shown, "SASL_SSL": login}
    return {
        protocol: replace(
            known, security_protocol=protocol, bootstrap_servers=secured_broker.secure_address(protocol), **values
        )
        for protocol, values in more.items()
    }


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SSL", "SASL_SSL"])
async def test_who_is_let_in_can_talk_and_answer(settings: dict[str, KafkaSettings], protocol: str) -> None:
    log = KafkaTurnLog(settings[protocol])
    running = Running(log)
    await soon(log.accept(a_message("c", "m1")))
    await running.answer(await running.worker.next(), "let in")
    assert (await log.wait_for("c", "m1", PATIENCE_S)).replies[0].text == "let in"
    await log.close()


async def denied(settings: KafkaSettings) -> str:
    """Why, as every role is told."""
    log = KafkaTurnLog(settings)
    with pytest.raises(AccessDenied) as refused:
        await soon(log.ready())
    with pytest.raises(AccessDenied):
        await soon(log.accept(a_message("c", "m1")))
    await soon(log.close())
    return str(refused.value)


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
async def test_a_wrong_password_is_told_at_once(settings: dict[str, KafkaSettings], protocol: str) -> None:
    why = await denied(replace(settings[protocol], sasl_password="wrong"))
    assert "the log-in is refused" in why
    assert "kafka.sasl_password" in why
    assert settings[protocol].bootstrap_servers in why


async def test_a_mechanism_that_the_broker_does_not_know_is_told(settings: dict[str, KafkaSettings]) -> None:
    assert "kafka.sasl_mechanism" in await denied(replace(settings["SASL_SSL"], sasl_mechanism="SCRAM-SHA-512"))


@pytest.mark.parametrize("protocol", ["SSL", "SASL_SSL"])
async def test_a_broker_of_an_unknown_authority_is_not_trusted(
    settings: dict[str, KafkaSettings], certificates: Certificates, protocol: str
) -> None:
    why = await denied(replace(settings[protocol], ssl_cafile=str(certificates.stranger)))
    assert "its certificate is not trusted" in why
    assert "kafka.ssl_cafile" in why


async def test_a_client_that_shows_no_certificate_is_told(settings: dict[str, KafkaSettings]) -> None:
    why = await denied(replace(settings["SSL"], ssl_certfile="", ssl_keyfile=""))
    assert "kafka.ssl_certfile" in why


@pytest.mark.parametrize(("configured", "listening"), [("PLAINTEXT", "SSL"), ("SSL", "SASL_PLAINTEXT")])
async def test_another_protocol_than_the_brokers_names_the_setting(
    settings: dict[str, KafkaSettings], configured: str, listening: str
) -> None:
    address = settings[listening].bootstrap_servers
    other = replace(settings["SSL"], security_protocol=configured, bootstrap_servers=address, accept_timeout_s=1.0)
    log = KafkaTurnLog(other)
    # The broker hangs up, as one that is going away would: trying again may help.
    with pytest.raises(LogUnavailable, match=rf"{address}.*kafka\.security_protocol is {configured}"):
        await soon(log.accept(a_message("c", "m1")))
    await soon(log.close())


async def test_a_file_that_is_not_there_is_named(settings: dict[str, KafkaSettings]) -> None:
    why = await denied(replace(settings["SSL"], ssl_cafile="/nowhere/ca.pem"))
    assert "kafka.ssl_cafile: there is no file '/nowhere/ca.pem'" in why


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(KafkaSettings(sasl_password="secret"))


async def test_a_port_where_nobody_listens_is_waited_for() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        log = KafkaTurnLog(KafkaSettings(bootstrap_servers=f"127.0.0.1:{unused.getsockname()[1]}"))
        ready = asyncio.ensure_future(log.ready())
        done, _ = await asyncio.wait({ready}, timeout=0.5)
        assert not done
        await soon(log.close())
        await asyncio.gather(ready, return_exceptions=True)
