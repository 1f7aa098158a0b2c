"""What an action server may do wrong, and what becomes of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from support.action_servers import a_request, free_port
from turnstream.action.action_server import ActionServerSettings, NoActionServer, ServerTls
from turnstream.action.failures import ActionFailed, ActionRejected
from turnstream.action.server_client import HttpActionServer
from turnstream.runtime.security import BadCertificate

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, port: int = 0, **settings: Any) -> AsyncIterator[HttpActionServer]:
    app = web.Application(client_max_size=100_000_000)
    app.router.add_post("/webhook", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    port = port or free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    client = HttpActionServer(ActionServerSettings(f"http://127.0.0.1:{port}/webhook", **settings))
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


def answering(text: str, status: int = 200) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=text, status=status, content_type="application/json")

    return handler


async def failure_of(handler: Handler, **settings: Any) -> str:
    async with serving(handler, **settings) as client:
        with pytest.raises(ActionFailed) as caught:
            await client.call(a_request(), "")
    assert caught.value.action == "action_x"
    return caught.value.message


async def test_events_and_responses_come_back_as_they_were_sent() -> None:
    async with serving(answering('{"events": [{"event": "slot"}], "responses": [{"text": "hi"}]}')) as client:
        answer = await client.call(a_request(), "")
    assert answer.events == ({"event": "slot"},)
    assert answer.responses == ({"text": "hi"},)


async def test_numbers_that_json_cannot_say_are_null() -> None:
    async with serving(answering('{"responses": [{"custom": {"n": [NaN, 1e999, -Infinity, 1.5]}}]}')) as client:
        answer = await client.call(a_request(), "")
    assert answer.responses == ({"custom": {"n": [None, None, None, 1.5]}},)


@pytest.mark.parametrize("body", ["{}", "null", "", '{"events": null}'])
async def test_an_empty_answer_means_that_nothing_happened(body: str) -> None:
    async with serving(answering(body)) as client:
        answer = await client.call(a_request(), "")
    assert (answer.events, answer.responses) == ((), ())


async def test_the_request_carries_the_body_the_key_the_headers_and_the_token() -> None:
    seen: dict[str, Any] = {}

    async def handler(request: web.Request) -> web.Response:
        seen.update(body=await request.json(), query=dict(request.query), headers=request.headers)
        return web.json_response({})

    extra = {"headers": (("X-Extra", "1"),), "params": (("token", "secret"),)}
    async with serving(handler, **extra) as client:
        await client.call(a_request(slots={"city": "Köln"}), "turn-7")
    assert seen["body"]["tracker"]["slots"] == {"city": "Köln"}
    assert seen["query"] == {"token": "secret"}
    assert seen["headers"]["Idempotency-Key"] == "turn-7:action_x"
    assert seen["headers"]["X-Extra"] == "1"


async def test_the_connection_is_kept_between_calls() -> None:
    peers = set()

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.json_response({})

    async with serving(handler) as client:
        for _ in range(3):
            await client.call(a_request(), "")
    assert len(peers) == 1


async def test_a_rejection_is_told_from_a_failure() -> None:
    body = json.dumps({"error": "not now", "action_name": "action_x"})
    async with serving(answering(body, 400)) as client:
        with pytest.raises(ActionRejected, match="not now"):
            await client.call(a_request(), "")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("nonsense", 200, "no JSON object: 'nonsense'"),
        ("[1, 2]", 200, "no JSON object"),
        ('{"events":' + "[" * 60 + "]" * 60 + "}", 200, "more than 25 levels deep"),
        ("[" * 200_000, 200, "no JSON object"),
        ('{"events": {"event": "slot"}}', 200, "`events` in the action server's answer is no list but dict"),
        ('{"responses": "hi"}', 200, "`responses` in the action server's answer is no list but str"),
        ('{"error": "it broke"}', 500, "status 500: it broke"),
        ("<html>", 502, "status 502: '<html>'"),
        ('{"error": "No registered action", "action_name": "action_x"}', 404, "does not know it"),
        ('{"error": "bad"}', 400, "status 400: bad"),
        ("", 302, "status 302"),
    ],
)
async def test_nonsense_and_errors_say_what_came_back(body: str, status: int, message: str) -> None:
    assert message in await failure_of(answering(body, status))


async def test_an_answer_that_is_too_large_is_not_read_to_its_end() -> None:
    assert "larger than 1000 bytes" in await failure_of(answering('"' + "x" * 5000 + '"'), max_response_bytes=1000)


async def test_an_answer_that_comes_too_late_is_given_up() -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    assert "took longer than 0.05 s" in await failure_of(handler, timeout_s=0.05)


async def test_a_call_that_breaks_off_after_it_was_sent_is_not_repeated() -> None:
    calls = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    assert "broke off" in await failure_of(handler)
    assert calls == 1


async def test_a_server_that_is_down_is_tried_again_and_then_named() -> None:
    port = free_port()
    settings = ActionServerSettings(f"http://127.0.0.1:{port}/webhook", connect_retry_delay_s=0.001)
    client = HttpActionServer(settings)
    with pytest.raises(ActionFailed, match=rf"no action server answers at http://127.0.0.1:{port}/webhook"):
        await client.call(a_request(), "")
    await client.close()


async def test_a_server_that_comes_up_meanwhile_is_found() -> None:
    port = free_port()
    settings = ActionServerSettings(
        f"http://127.0.0.1:{port}/webhook", connect_attempts=1000, connect_retry_delay_s=0.001
    )
    client = HttpActionServer(settings)
    call = asyncio.create_task(client.call(a_request(), ""))
    await asyncio.sleep(0)
    async with serving(answering("{}"), port):
        assert (await call).events == ()
        await client.close()


async def test_a_url_that_is_none_is_named() -> None:
    client = HttpActionServer(ActionServerSettings("localhost:5055"))
    with pytest.raises(ActionFailed, match="localhost:5055"):
        await client.call(a_request(), "")
    await client.close()


async def test_without_a_server_the_failure_says_what_to_set() -> None:
    with pytest.raises(ActionFailed, match=r"set action_endpoint\.url in endpoints\.yml"):
        await NoActionServer().call(a_request(), "")


async def test_half_a_character_is_replaced() -> None:
    async with serving(answering(r'{"responses": [{"text": "a\ud83d", "note": "\ud83d\ude00"}]}')) as client:
        answer = await client.call(a_request(), "")
    assert answer.responses == ({"text": "a\ufffd", "note": "\U0001f600"},)


def wanting_domains(bodies: list[dict[str, Any]]) -> Handler:
    """As newer SDKs: asks for a domain until it has the one of the digest."""
    known: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        body = await request.json()
        bodies.append(body)
        if "domain" in body:
            known.append(body["domain_digest"])
        if body["domain_digest"] not in known:
            return web.json_response({"error": "no domain", "action_name": "action_x"}, status=449)
        return web.json_response({})

    return handler


async def test_the_domain_goes_with_each_call_unless_told_otherwise() -> None:
    bodies: list[dict[str, Any]] = []
    async with serving(wanting_domains(bodies)) as client:
        for _ in range(2):
            await client.call(a_request(domain={"intents": ["hi"]}), "")
    assert [b["domain"] for b in bodies] == [{"intents": ["hi"]}] * 2


async def test_with_a_selective_domain_only_marked_actions_are_sent_it() -> None:
    bodies: list[dict[str, Any]] = []
    async with serving(wanting_domains(bodies), selective_domain=True) as client:
        await client.call(a_request(marked=True), "")
        await client.call(a_request(marked=False), "")
    assert ["domain" in b for b in bodies] == [True, False]


async def test_a_server_that_asks_for_the_domain_gets_it_once() -> None:
    bodies: list[dict[str, Any]] = []
    async with serving(wanting_domains(bodies), selective_domain=True) as client:
        for _ in range(2):
            await client.call(a_request(), "")
    assert ["domain" in b for b in bodies] == [False, True, False]


async def test_a_server_that_never_has_enough_of_the_domain_is_not_asked_for_ever() -> None:
    assert "asks for the domain that it was sent" in await failure_of(answering("{}", 449))


async def test_an_action_may_have_a_time_limit_of_its_own() -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    assert "took longer than 0.03 s" in await failure_of(handler, timeouts_s={"action_x": 0.03, "action_y": 0.01})


def test_a_certificate_that_is_not_there_is_named() -> None:
    settings = ActionServerSettings("https://127.0.0.1/webhook", tls=ServerTls(Path("nowhere.pem")))
    with pytest.raises(BadCertificate, match=r"nowhere\.pem"):
        HttpActionServer(settings)
