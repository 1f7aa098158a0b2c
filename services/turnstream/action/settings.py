"""How `endpoints.yml` describes the action server."""

import base64
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from turnstream.action.action_server import ActionServerSettings, ServerTls
from turnstream.assistant.config import Endpoint
from turnstream.runtime.security import BadCertificate

logger = logging.getLogger(__name__)


def server_settings(endpoint: Endpoint | None, timeout_s: float = 60.0) -> ActionServerSettings | None:
    """The settings in `action_endpoint`; None where neither a URL nor a module is given.

    `timeout_s` bounds every action, those that `timeout_s` and `timeouts_s` of the endpoint give more time too.
    Raises BadCertificate where a client certificate stands without `cafile`.
    """
    if endpoint is None:
        return None
    options = endpoint.options
    module = str(options.get("actions_module") or "")
    if not endpoint.url and not module:
        return None
    own = _numbers({"timeout_s": options.get("timeout_s")}).get("timeout_s", timeout_s)
    single = _numbers(options.get("timeouts_s"))
    for name, seconds in single.items():
        if seconds > timeout_s:
            logger.warning(
                "%s: the %g s of '%s' are more than the %g s of one action (TURNSTREAM_TIMEOUT_ACTION_S)",
                endpoint.location,
                seconds,
                name,
                timeout_s,
            )
    return ActionServerSettings(
        url=endpoint.url or "",
        timeout_s=min(own, timeout_s),
        timeouts_s=single,
        headers=(*texts_of(options.get("headers")), *basic_auth(options.get("basic_auth"))),
        params=(*texts_of(options.get("params")), *token_of(options)),
        selective_domain=bool(options.get("enable_selective_domain", False)),
        tls=_tls(f"{endpoint.kind}_endpoint", options),
        module=module,
    )


def _numbers(values: Any) -> dict[str, float]:
    """Positive numbers by name; anything else is left out."""
    found = values.items() if isinstance(values, Mapping) else ()
    return {str(k): float(v) for k, v in found if isinstance(v, int | float) and not isinstance(v, bool) and v > 0}


def _tls(what: str, options: Mapping[str, Any]) -> ServerTls | None:
    ca, certificate, key = (_path(options.get(name)) for name in ("cafile", "ssl_client_cert", "ssl_client_key"))
    if ca is None:
        if certificate is not None or key is not None:
            raise BadCertificate(f"{what}: ssl_client_cert and ssl_client_key need cafile")
        return None
    if (certificate is None) != (key is None):
        raise BadCertificate(f"{what}: ssl_client_cert and ssl_client_key: both are needed, or none")
    return ServerTls(ca, certificate, key)


def _path(value: Any) -> Path | None:
    return Path(str(value)) if value else None


def texts_of(values: Any) -> tuple[tuple[str, str], ...]:
    return tuple((str(k), str(v)) for k, v in values.items()) if isinstance(values, Mapping) else ()


def token_of(options: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    token = options.get("token")
    return ((str(options.get("token_name") or "token"), str(token)),) if token else ()


def basic_auth(auth: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(auth, Mapping):
        return ()
    pair = f"{auth.get('username', '')}:{auth.get('password', '')}".encode()
    return (("Authorization", f"Basic {base64.b64encode(pair).decode('ascii')}"),)
