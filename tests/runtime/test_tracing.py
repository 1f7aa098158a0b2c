"""One turn is one trace, from the client's own span to the action server, over sockets, a pipe and the turn log."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import grpc
import pytest
from support.deployment import deployed
from support.kafka import kafka_settings
from support.otlp import Collector, collecting
from turnstream.runtime.otel import OtelTracer
from turnstream.runtime.process import observed
from turnstream.runtime.settings import load_settings
from turnstream.runtime.tracing import (
    begin_trace,
    current_trace_id,
    current_traceparent,
    set_tracer,
    span,
    valid,
)
from turnstream.testing.kafka_broker import KafkaBroker
from turnstream.turnlog.interface import TurnLog
from turnstream.turnlog.kafka.log import KafkaTurnLog
from turnstream.turnlog.sqlite import SqliteTurnLog

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
CLIENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
REST = "POST /webhooks/rest/webhook"
TURN = f"{REST} > inbox accept > turn"
API = "turnstream.api.v1"
PARSE, PREDICT, ACT = f"{API}.Nlu/Parse", f"{API}.DialoguePolicy/PredictNextAction", f"{API}.ActionDispatch/RunAction"
MODEL = "tensorflow.serving.PredictionService/Predict"

EXPECTED = {
    REST,
    f"{REST} > inbox accept",
    TURN,
    f"{TURN} > {PARSE}",
    f"{TURN} > {PARSE} > {PARSE}",
    f"{TURN} > {PARSE} > {PARSE} > {MODEL}",
    f"{TURN} > {PARSE} > {PARSE} > {MODEL} > {MODEL}",
    f"{TURN} > {PREDICT}",
    f"{TURN} > {PREDICT} > {PREDICT}",
    f"{TURN} > {ACT}",
    f"{TURN} > {ACT} > {ACT}",
    f"{TURN} > {ACT} > {ACT} > action server action_order",
    f"{TURN} > commit",
}
"""A call between services is two spans: the caller's and the other side's."""


@pytest.fixture(params=["sqlite", "kafka"])
def open_log(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], TurnLog]:
    if request.param == "sqlite":
        return lambda: SqliteTurnLog(tmp_path / "turns.db")
    broker: KafkaBroker = request.getfixturevalue("kafka_broker")
    return lambda: KafkaTurnLog(kafka_settings(broker))


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as collector:
        yield collector
    set_tracer(None)


async def order(url: str, headers: dict[str, str]) -> None:
    body = {"sender": "ada", "message": "I order"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/webhooks/rest/webhook", json=body, headers=headers) as r,
    ):
        assert r.status == 200, await r.text()


async def test_a_turn_is_one_trace_across_services_and_the_log(
    open_log: Callable[[], TurnLog], collector: Collector, tmp_path: Path
) -> None:
    tracer = OtelTracer("turnstream-test", collector.endpoint)
    set_tracer(tracer)
    async with deployed(open_log(), tmp_path) as deployment:
        await order(deployment.rest.url, {"traceparent": CLIENT})
        (headers,) = deployment.action_server.headers
    await asyncio.to_thread(tracer.close)
    assert collector.paths() == EXPECTED
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE_ID}
    (first,) = (span for span in collector.spans if span.name == REST)
    assert first.parent_span_id.hex() == "00f067aa0ba902b7"
    called = next(span for span in collector.spans if span.name.startswith("action server"))
    assert headers["traceparent"] == f"00-{TRACE_ID}-{called.span_id.hex()}-01"
    assert collector.services == {"turnstream-test"}
    assert "I order" not in str(collector.spans)


async def test_a_failed_call_is_marked_in_both_spans(collector: Collector, tmp_path: Path) -> None:
    tracer = OtelTracer("turnstream-test", collector.endpoint)
    set_tracer(tracer)
    async with deployed(SqliteTurnLog(tmp_path / "turns.db"), tmp_path) as deployment:
        deployment.nlu.outage.statuses = [_status("INVALID_ARGUMENT")]
        await order(deployment.rest.url, {})
    await asyncio.to_thread(tracer.close)
    parses = [span for span in collector.spans if span.name == PARSE]
    assert [span.status.message for span in parses] == ["INVALID_ARGUMENT"] * 2
    assert collector.paths() >= {REST, TURN}


async def test_without_an_exporter_the_clients_trace_still_reaches_the_action_server(tmp_path: Path) -> None:
    async with deployed(SqliteTurnLog(tmp_path / "turns.db"), tmp_path) as deployment:
        await order(deployment.rest.url, {"traceparent": CLIENT})
        await order(deployment.rest.url, {"traceparent": "nonsense"})
        first, second = deployment.action_server.headers
    assert first["traceparent"] == CLIENT
    assert valid(second["traceparent"])
    assert TRACE_ID not in second["traceparent"]


async def test_a_process_exports_where_an_endpoint_is_set(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(environment={})
    async with observed(settings, "turnstream-nlu"):
        with span("not exported"):
            assert current_traceparent() == ""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    async with observed(settings, "turnstream-nlu"):
        with span("exported"):
            assert valid(current_traceparent())
    assert collector.paths() == {"exported"}
    assert collector.services == {"turnstream-nlu"}


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "00-1-2-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"ff-{TRACE_ID}-00f067aa0ba902b7-01",
        CLIENT.upper(),
        f"{CLIENT}\n",
        f"{CLIENT}-more",
    ],
)
def test_what_is_no_traceparent_begins_a_new_trace(traceparent: str) -> None:
    assert valid(traceparent) == ""
    assert valid(begin_trace(traceparent))
    assert begin_trace(CLIENT) == CLIENT


def test_outside_a_trace_there_is_no_id() -> None:
    assert current_trace_id() == ""
    with span("inside", parent=CLIENT):
        assert current_trace_id() == TRACE_ID
    assert current_trace_id() == ""


def _status(name: str) -> grpc.StatusCode:
    return grpc.StatusCode[name]
