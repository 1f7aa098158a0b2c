"""Who may use the REST API: token, JWT and the origins of pages."""

import aiohttp
import jwt
from support.gateway import running_gateway
from support.rest import WEBHOOK, ask, begin


async def test_without_the_api_only_channels_are_served() -> None:
    async with running_gateway(enable_api=False) as behind, aiohttp.ClientSession(behind.url) as http:
        await begin(http, "ada")
        assert (await ask(http, "GET", "/version"))[0] == 200
        for path in ("/status", "/domain", "/conversations/ada/tracker"):
            assert (await ask(http, "GET", path))[0] == 404


async def test_token_is_needed_for_the_api_and_not_for_channels() -> None:
    async with running_gateway(auth_token="geheim") as behind, aiohttp.ClientSession(behind.url) as http:
        await begin(http, "ada")
        status, answer = await ask(http, "GET", "/status")
        assert (status, answer["reason"]) == (401, "NotAuthenticated")
        assert (await ask(http, "GET", "/status?token=wrong"))[0] == 401
        assert (await ask(http, "GET", "/status?token=geheim"))[0] == 200


def bearer(role: str, username: str, secret: str = "s" * 32) -> dict[str, str]:
    payload = {"user": {"username": username, "role": role}}
    return {"Authorization": f"Bearer {jwt.encode(payload, secret, algorithm='HS256')}"}


async def test_jwt_roles_are_rasas() -> None:
    async with running_gateway(jwt_secret="s" * 32) as behind, aiohttp.ClientSession(behind.url) as http:
        own, other = "/conversations/ada/tracker", "/conversations/bob/tracker"
        for headers, path, status in [
            ({}, own, 401),
            ({"Authorization": "Basic abc"}, own, 401),
            ({"Authorization": "Bearer abc"}, own, 401),
            (bearer("admin", "x", "t" * 32), own, 401),
            (bearer("user", "ada"), own, 200),
            (bearer("user", "ada"), other, 403),
            (bearer("user", "ada"), "/status", 403),
            (bearer("guest", "ada"), own, 403),
            (bearer("admin", "x"), other, 200),
            (bearer("admin", "x"), "/status", 200),
        ]:
            assert (await ask(http, "GET", path, headers=headers))[0] == status, (headers, path)


async def test_token_and_jwt_both_open_the_api() -> None:
    async with (
        running_gateway(jwt_secret="s" * 32, auth_token="geheim") as behind,
        aiohttp.ClientSession(behind.url) as http,
    ):
        assert (await ask(http, "GET", "/status?token=geheim"))[0] == 200
        assert (await ask(http, "GET", "/status", headers=bearer("admin", "x")))[0] == 200
        assert (await ask(http, "GET", "/status"))[0] == 401


async def test_cors_for_the_origins_that_are_allowed() -> None:
    origins = "https://a.example, https://b.example"
    async with running_gateway(cors=origins) as behind, aiohttp.ClientSession(behind.url) as http:
        preflight = {"Origin": "https://b.example", "Access-Control-Request-Method": "POST"}
        async with http.options(WEBHOOK, headers=preflight) as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == "https://b.example"
            assert response.headers["Access-Control-Allow-Credentials"] == "true"
            assert response.headers["Access-Control-Expose-Headers"] == "filename"
            assert "POST" in response.headers["Access-Control-Allow-Methods"]
        for path in (WEBHOOK, f"{WEBHOOK}?stream=true"):
            for origin, allowed in (("https://a.example", "https://a.example"), ("https://evil.example", None)):
                body = {"sender": "ada", "message": "hi"}
                async with http.post(path, json=body, headers={"Origin": origin}) as response:
                    assert response.headers.get("Access-Control-Allow-Origin") == allowed
