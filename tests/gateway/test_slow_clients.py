"""Clients that open much, send slowly or never read: they get no more than their share, and others notice nothing."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import pytest
import trustme
from support.gateway import Behind, running_gateway
from turnstream.api.v1 import conversations_pb2 as pb
from turnstream.api.v1.conversations_pb2_grpc import ConversationsStub
from turnstream.api.v1.turnlog_pb2 import TurnRecord
from turnstream.gateway.rest import listening
from turnstream.runtime.channels import open_channel
from turnstream.runtime.errors import Unavailable, typed_errors

WEBHOOK = "/webhooks/rest/webhook"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(behind: Behind) -> Connection:
    return await asyncio.open_connection("127.0.0.1", behind.rest.port)


@asynccontextmanager
async def connections(behind: Behind, number: int) -> AsyncIterator[list[Connection]]:
    opened = [await connect(behind) for _ in range(number)]
    try:
        yield opened
    finally:
        for _, writer in opened:
            writer.transport.abort()
        await asyncio.sleep(0)


async def say_hi(behind: Behind) -> int:
    """By a client without faults."""
    body, patience = {"sender": "ada", "message": "hi"}, aiohttp.ClientTimeout(10)
    async with aiohttp.ClientSession(behind.url, timeout=patience) as http, http.post(WEBHOOK, json=body) as response:
        return response.status


def another_client(behind: Behind) -> grpc.aio.Channel:
    """With a connection of its own: channels of one process share theirs."""
    return grpc.aio.insecure_channel(behind.grpc.address, [("grpc.use_local_subchannel_pool", 1)])


async def status_of(reader: asyncio.StreamReader) -> int:
    line = await asyncio.wait_for(reader.readline(), 10)
    return int(line.split()[1])


async def test_requests_that_never_end_hold_nobody_up_and_are_ended() -> None:
    async with running_gateway(client_timeout_s=0.3) as behind, connections(behind, 100) as slow:
        for _, writer in slow:
            writer.write(b"POST /webhooks/rest/webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert await say_hi(behind) == 200
        for reader, _ in slow:
            assert await status_of(reader) == 408
        assert not [message for message in behind.log.accepted if message.conversation_id != "ada"]


async def drip(connection: Connection) -> bytes:
    """Send a byte at a time for as long as the server lets us; the line that it answers then, if it arrives.

    A server that closes on bytes that it has not read resets the connection, and its last answer may be lost with it.
    """
    reader, writer = connection
    answering = asyncio.ensure_future(reader.readline())
    async with asyncio.timeout(60):
        while not answering.done():
            writer.write(b"a")
            await asyncio.wait([answering], timeout=0.01)
    return answering.result() if answering.exception() is None else b""


async def test_bytes_that_come_one_by_one_buy_a_request_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "KEEPALIVE_S", 0.3)
    start = b"POST /webhooks/rest/webhook HTTP/1.1\r\nHost: x\r\n"
    async with running_gateway(client_timeout_s=0.3) as behind, connections(behind, 20) as slow:
        for _, writer in slow[:10]:
            writer.write(start + b"Content-Length: 100000\r\n\r\n")
        for _, writer in slow[10:]:
            writer.write(start + b"X-Header: ")
        dripping = [asyncio.ensure_future(drip(connection)) for connection in slow]
        assert await say_hi(behind) == 200
        answers = await asyncio.gather(*dripping)
        assert set(answers[:10]) <= {b"HTTP/1.1 408 Request Timeout\r\n", b""}
        assert set(answers[10:]) == {b""}
        assert behind.log.last_turn("ada") == 1


async def test_an_id_of_any_length_is_refused_as_the_document_says() -> None:
    path = f"/conversations/{'a' * 20_000}/tracker"
    async with running_gateway() as behind, aiohttp.ClientSession(behind.url) as http, http.get(path) as response:
        answer = await response.json()
    assert (response.status, answer["status"], answer["reason"]) == (400, "failure", "BadRequest")


async def test_too_many_connections_are_told_to_try_later() -> None:
    async with running_gateway(max_connections=5) as behind:
        async with connections(behind, 5) as idle:
            reader, writer = await connect(behind)
            answer = await asyncio.wait_for(reader.read(), 10)
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503")
            assert b"Retry-After: 1" in head
            assert json.loads(body)["reason"] == "TryLater"
            writer.close()
            assert len(idle) == 5
        async with asyncio.timeout(10):
            while await say_hi(behind) != 200:  # noqa: ASYNC110 (the server hears of it in its own time)
                await asyncio.sleep(0)
        assert behind.log.last_turn("ada") == 1


async def test_who_never_reads_an_answer_is_let_go() -> None:
    """Its answer is larger than what the kernel keeps, so that it would wait in our memory for ever."""
    async with running_gateway(client_timeout_s=0.3) as behind:
        behind.log.answer = lambda message: TurnRecord(replies=[pb.Reply(text="x" * 20_000_000)])
        body = json.dumps({"sender": "bob", "message": "hi"}).encode()
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        with deaf:
            loop = asyncio.get_running_loop()
            await loop.sock_connect(deaf, ("127.0.0.1", behind.rest.port))
            await loop.sock_sendall(
                deaf,
                b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (WEBHOOK.encode(), len(body), body),
            )
            async with asyncio.timeout(30):
                while not behind.log.accepted or behind.rest.connections:  # noqa: ASYNC110 (the kernel closes it)
                    await asyncio.sleep(0.01)
        behind.log.answer = lambda message: TurnRecord(replies=[pb.Reply(text="short")])
        assert await say_hi(behind) == 200


async def test_streams_that_are_not_read_hold_nobody_up() -> None:
    async with running_gateway(max_streams_per_connection=1_000) as behind:
        behind.log.answer = lambda message: TurnRecord(replies=[pb.Reply(text="x" * 100_000)])
        async with another_client(behind) as deaf, another_client(behind) as other:
            request = pb.SubscribeRequest(conversation_id="ada")
            streams = [ConversationsStub(deaf).Subscribe(request) for _ in range(1_000)]
            stub: Any = ConversationsStub(other)
            async with asyncio.timeout(30):
                for number in range(1, 21):
                    answer = await stub.SendMessage(pb.SendMessageRequest(conversation_id="ada", text="hi"))
                    assert answer.turn.number == number
            for stream in streams:
                stream.cancel()


async def test_a_subscription_ends_with_the_gateway_and_can_go_on_elsewhere() -> None:
    async with running_gateway() as behind, open_channel(behind.grpc.address) as channel:
        stub: Any = ConversationsStub(channel)
        await stub.SendMessage(pb.SendMessageRequest(conversation_id="ada", text="hi"))
        stream = stub.Subscribe(pb.SubscribeRequest(conversation_id="ada"))
        assert (await stream.read()).turn.number == 1
        behind.door.close()
        with pytest.raises(Unavailable, match="subscribe again, from the turn after the last one"), typed_errors():
            await asyncio.wait_for(stream.read(), 10)
        assert (await stub.SendMessage(pb.SendMessageRequest(conversation_id="ada", text="hi"))).turn.number == 2


async def test_the_rate_of_a_client_is_limited_at_rest_too() -> None:
    async with running_gateway(rate_per_second=0.5, rate_burst=1, proxies=1) as behind:
        async with aiohttp.ClientSession(behind.url, headers={"X-Forwarded-For": "9.9.9.9, 1.2.3.4"}) as http:
            body = {"sender": "ada", "message": "hi"}
            async with http.post(WEBHOOK, json=body) as first, http.post(WEBHOOK, json=body) as second:
                assert (first.status, second.status) == (200, 429)
                assert second.headers["Retry-After"] == "2"
                assert (await second.json())["reason"] == "TooManyRequests"
        assert await say_hi(behind) == 200
        assert len(behind.log.accepted) == 2


async def test_both_doors_speak_tls_where_a_certificate_is_set(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    certificate.private_key_pem.write_to_path(tmp_path / "tls.key")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    files = {"tls_certificate": str(tmp_path / "tls.crt"), "tls_key": str(tmp_path / "tls.key")}
    async with running_gateway(**files) as behind:
        assert behind.url.startswith("https://")
        connector = aiohttp.TCPConnector(ssl=trusting)
        body = {"sender": "ada", "message": "hi"}
        async with (
            aiohttp.ClientSession(behind.url, connector=connector) as http,
            http.post(WEBHOOK, json=body) as said,
        ):
            assert said.status == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await say_hi(behind)
