"""Reading `action_endpoint` of endpoints.yml."""

from pathlib import Path
from typing import Any

import pytest
from turnstream.action.action_server import ActionServerSettings, ServerTls
from turnstream.action.connecting import open_action_server
from turnstream.action.grpc_client import GrpcActionServer
from turnstream.action.server_client import HttpActionServer
from turnstream.action.settings import server_settings
from turnstream.assistant.config import Endpoint
from turnstream.runtime.security import BadCertificate

WEBHOOK = "http://localhost:5055/webhook"


def settings_of(url: str = WEBHOOK, timeout_s: float = 60, **options: Any) -> ActionServerSettings:
    found = server_settings(Endpoint("action_endpoint", url=url, options=options), timeout_s)
    assert found is not None
    return found


def test_without_a_url_there_is_no_action_server() -> None:
    assert server_settings(None) is None
    assert server_settings(Endpoint("action_endpoint")) is None


def test_all_documented_keys_are_used() -> None:
    found = settings_of(
        timeout_s=5,
        token="secret",
        token_name="t",
        headers={"X-One": 1},
        params={"p": "q"},
        basic_auth={"username": "ann", "password": "pw"},
        enable_selective_domain=True,
        cafile="ca.pem",
        ssl_client_cert="c.pem",
        ssl_client_key="k.pem",
    )
    assert found == ActionServerSettings(
        url=WEBHOOK,
        timeout_s=5,
        headers=(("X-One", "1"), ("Authorization", "Basic YW5uOnB3")),
        params=(("p", "q"), ("t", "secret")),
        selective_domain=True,
        tls=ServerTls(Path("ca.pem"), Path("c.pem"), Path("k.pem")),
    )


def test_actions_have_limits_of_their_own_within_that_of_all(caplog: pytest.LogCaptureFixture) -> None:
    endpoint = {"timeout_s": 10, "timeouts_s": {"action_quick": 2, "action_slow": 90}}
    found = server_settings(Endpoint("action_endpoint", WEBHOOK, options=endpoint), 60)
    assert found is not None
    assert [found.limit_s(name, 0, None) for name in ("action_any", "action_quick")] == [10, 2]
    assert found.limit_s("action_slow", 100, 130) == 30
    assert "'action_slow'" in caplog.text
    assert "TURNSTREAM_TIMEOUT_ACTION_S" in caplog.text


@pytest.mark.parametrize("options", [{"ssl_client_cert": "c"}, {"cafile": "ca", "ssl_client_key": "k"}])
def test_half_of_a_client_certificate_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(BadCertificate, match="ssl_client_cert"):
        settings_of(**options)


@pytest.mark.parametrize(("url", "client"), [(WEBHOOK, HttpActionServer), ("grpc://localhost:5055", GrpcActionServer)])
async def test_the_url_says_which_protocol_is_spoken(url: str, client: type[object]) -> None:
    server = open_action_server(settings_of(url))
    await server.close()
    assert type(server) is client
