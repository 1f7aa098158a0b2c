"""An unchanged `python -m rasa_sdk`, as an author starts it, over each of its protocols."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import grpc
import grpc.aio
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.action_servers import free_port
from turnstream.action.action_server import ActionServerSettings, ServerTls
from turnstream.action.loaded import LoadedActions
from turnstream.action.service import ActionService
from turnstream.api.v1 import action_pb2 as pb
from turnstream.assistant.domain import Domain, ResponseVariation, Slot
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import event_from_proto, tracker_to_proto
from turnstream.dialogue.rasa_json import event_to_rasa
from turnstream.runtime.bundles import Bundles

ACTIONS = """
from rasa_sdk import Action
from rasa_sdk.events import SlotSet
from rasa_sdk.interfaces import ActionExecutionRejection


class Book(Action):
    def name(self):
        return "action_book"

    def run(self, dispatcher, tracker, domain):
        dispatcher.utter_message(response="utter_booked", nights=len(tracker.sender_id))
        return [SlotSet("city", domain["slots"]["city"]["type"]), SlotSet("nights", 3)]


class Tell(Action):
    def name(self):
        return "action_tell"

    async def run(self, dispatcher, tracker, domain):
        await dispatcher.stream_start()
        for piece in ("It ", "is ", "late."):
            await dispatcher.stream_chunk(text=piece)
        await dispatcher.stream_end()
        dispatcher.utter_message(text="Bye.")
        return []


class Refuse(Action):
    def name(self):
        return "action_refuse"

    def run(self, dispatcher, tracker, domain):
        raise ActionExecutionRejection("action_refuse")


class Crash(Action):
    def name(self):
        return "action_crash"

    def run(self, dispatcher, tracker, domain):
        raise ValueError("broken on purpose")
"""

DOMAIN = Domain(
    slots={"city": Slot("city", "text", initial_value="Rome"), "nights": Slot("nights", "any")},
    responses={"utter_booked": (ResponseVariation(text="{nights} nights in {city}"),)},
    actions=("action_book", "action_tell", "action_refuse", "action_crash", "action_unknown"),
    actions_with_domain=frozenset({"action_refuse"}),
)


@asynccontextmanager
async def sdk_server(
    folder: Path, port: int, *options: str, command: tuple[str, ...] = ("-m", "rasa_sdk")
) -> AsyncIterator[None]:
    (folder / "actions.py").write_text(ACTIONS, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *command, "--actions", "actions", "--port", str(port), *options),
        cwd=folder,
        env={**os.environ, "SANIC_HOST": "127.0.0.1"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        # Its worker manager may outlive a SIGTERM; the group is the server and its workers, and nothing else.
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@asynccontextmanager
async def asking(settings: ActionServerSettings) -> AsyncIterator[ActionService]:
    service = ActionService(Bundles({"1": LoadedActions.of_domain(DOMAIN)}), settings)
    try:
        yield service
    finally:
        await service.close()


async def until_healthy(port: int) -> None:
    async with asyncio.timeout(120), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/health") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)


async def until_serving(channel: grpc.aio.Channel) -> None:
    async with asyncio.timeout(120), channel:
        asked = health_pb2.HealthCheckRequest(service="ActionServer")
        answer = await health_pb2_grpc.HealthStub(channel).Check(asked, wait_for_ready=True)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def run(service: ActionService, action: str) -> pb.RunActionResponse:
    tracker = tracker_to_proto(Dialogue("ann", DOMAIN).tracker)
    return await service.RunAction(pb.RunActionRequest(action=action, tracker=tracker), None)


async def said_and_set(service: ActionService, action: str) -> list[tuple[str, object]]:
    events = [event_to_rasa(event_from_proto(e)) for e in (await run(service, action)).events]
    return [(e["event"], e["text"] if e["event"] == "bot" else e["value"]) for e in events]


async def check_all_actions(service: ActionService) -> None:
    assert await said_and_set(service, "action_book") == [("bot", "3 nights in Rome"), ("slot", "text"), ("slot", 3)]
    assert (await run(service, "action_refuse")).rejected
    crashed = await run(service, "action_crash")
    assert crashed.failure.action == "action_crash"
    assert "broken on purpose" in crashed.failure.message
    assert "does not know it" in (await run(service, "action_unknown")).failure.message


async def test_an_unchanged_action_server_over_http(tmp_path: Path) -> None:
    port = free_port()
    settings = ActionServerSettings(f"http://127.0.0.1:{port}/webhook", selective_domain=True)
    async with sdk_server(tmp_path, port):
        await until_healthy(port)
        async with asking(settings) as service:
            await check_all_actions(service)
        async with asking(replace(settings, selective_domain=False)) as service:
            await check_all_actions(service)
            told = await said_and_set(service, "action_tell")
    assert told == [("bot", "It "), ("bot", "is "), ("bot", "late."), ("bot", "Bye.")]


async def test_an_action_server_that_our_command_starts_over_grpc(tmp_path: Path) -> None:
    port = free_port()
    settings = ActionServerSettings(f"grpc://127.0.0.1:{port}")
    command = ("-m", "turnstream.cli", "run", "actions")
    async with sdk_server(tmp_path, port, "--grpc", command=command), asking(settings) as service:
        await until_serving(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
        await check_all_actions(service)
        told = await said_and_set(service, "action_tell")
    assert told == [("bot", "It is late."), ("bot", "Bye.")]


async def test_an_unchanged_action_server_over_grpc_with_certificates_of_both_sides(tmp_path: Path) -> None:
    authority = trustme.CA()
    server, client = authority.issue_cert("localhost"), authority.issue_cert("turnstream")
    files = {name: tmp_path / name for name in ("ca.pem", "server.crt", "server.key", "client.crt", "client.key")}
    authority.cert_pem.write_to_path(files["ca.pem"])
    for name, certificate in (("server", server), ("client", client)):
        certificate.cert_chain_pems[0].write_to_path(files[f"{name}.crt"])
        certificate.private_key_pem.write_to_path(files[f"{name}.key"])
    tls = ServerTls(files["ca.pem"], files["client.crt"], files["client.key"])
    port = free_port()
    options = ("--ssl-certificate", "server.crt", "--ssl-keyfile", "server.key", "--ssl-ca-file", "ca.pem")
    credentials = grpc.ssl_channel_credentials(
        files["ca.pem"].read_bytes(), files["client.key"].read_bytes(), files["client.crt"].read_bytes()
    )
    settings = ActionServerSettings(f"grpc://localhost:{port}", tls=tls)
    async with sdk_server(tmp_path, port, "--grpc", *options), asking(settings) as service:
        await until_serving(grpc.aio.secure_channel(f"localhost:{port}", credentials))
        await check_all_actions(service)
        assert await said_and_set(service, "action_tell") == [("bot", "It is late."), ("bot", "Bye.")]
