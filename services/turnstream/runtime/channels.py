"""Channels to other services: balanced over the addresses of a name, with retries only where repeating is safe."""

import json
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio

from turnstream.runtime.outgoing import ObservedChannel
from turnstream.runtime.pipe import SCHEME, PipeChannel
from turnstream.runtime.renewed import RenewedChannel
from turnstream.runtime.security import ChannelSecurity
from turnstream.runtime.settings import ChannelSettings

IDEMPOTENT: tuple[tuple[str, str], ...] = (
    ("turnstream.api.v1.Nlu", ""),
    ("turnstream.api.v1.ResponseSelection", ""),
    ("turnstream.api.v1.DialoguePolicy", ""),
    ("turnstream.api.v1.Trackers", ""),
    ("turnstream.api.v1.Conversations", "GetTracker"),
    ("turnstream.api.v1.Conversations", "PredictNext"),
    ("tensorflow.serving.PredictionService", ""),
    ("tensorflow.serving.ModelService", "GetModelStatus"),
)
"""(service, method), an empty method for all of a service: they compute and change nothing."""


def open_channel(
    target: str,
    settings: ChannelSettings | None = None,
    *,
    security: ChannelSecurity | None = None,
    idempotent: Sequence[tuple[str, str]] = IDEMPOTENT,
) -> grpc.aio.Channel:
    """A channel that connects at the first call. Raises BadCertificate.

    `target` is `host:port` or `dns:///host:port`, or `ipv4:1.2.3.4:50,5.6.7.8:50`; of several addresses each takes its
    turn. `pipe:` and a path is a `runtime.pipe.PipeServer` on this machine.
    """
    if target.startswith(SCHEME):
        return ObservedChannel(PipeChannel(target.removeprefix(SCHEME)))
    chosen = settings or ChannelSettings()
    options: list[tuple[str, Any]] = [
        ("grpc.service_config", json.dumps(service_config(chosen, idempotent))),
        ("grpc.enable_retries", 1),
        ("grpc.max_receive_message_length", chosen.max_message_bytes),
        ("grpc.max_send_message_length", chosen.max_message_bytes),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", int(chosen.max_reconnect_s * 1000)),
        ("grpc.keepalive_time_ms", int(chosen.keepalive_s * 1000)),
        # After the end of a connection a name is looked up again at once: there may be new replicas.
        ("grpc.dns_min_time_between_resolutions_ms", 1000),
    ]
    if security is None:
        return ObservedChannel(grpc.aio.insecure_channel(target, options))
    if security.server_name:
        options.append(("grpc.ssl_target_name_override", security.server_name))
    return ObservedChannel(RenewedChannel(security, lambda found: grpc.aio.secure_channel(target, found, options)))


def service_config(settings: ChannelSettings, idempotent: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """gRPC's service config (https://github.com/grpc/grpc/blob/master/doc/service_config.md)."""
    names = [{"service": s} | ({"method": m} if m else {}) for s, m in idempotent]
    config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if settings.max_attempts > 1 and names:
        retry = {
            "maxAttempts": settings.max_attempts,
            "initialBackoff": "0.05s",
            "maxBackoff": "1s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        config["methodConfig"] = [{"name": names, "retryPolicy": retry}]
    return config
