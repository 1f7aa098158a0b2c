"""`turnstream shell`: talk to the assistant in the terminal."""

import json
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import grpc

from turnstream.api.v1.conversations_pb2 import Reply, SendMessageRequest
from turnstream.api.v1.conversations_pb2_grpc import ConversationsStub
from turnstream.api.v1.nlu_pb2 import ParseRequest
from turnstream.api.v1.nlu_pb2_grpc import NluStub
from turnstream.cli.assembly import Assembly
from turnstream.cli.examples import examples
from turnstream.cli.groups import NearestGroup
from turnstream.cli.lifetime import GiveUp, serve_until_stopped
from turnstream.cli.lines import Lines
from turnstream.cli.options import DEFAULT_MODELS, FILE, LogChoice, existing_endpoints, log_options, read_settings
from turnstream.cli.placement import Assistant
from turnstream.cli.serving import load_assistant, whole_assistant
from turnstream.dialogue.proto import parse_from_proto
from turnstream.dialogue.rasa_json import parse_to_rasa
from turnstream.dialogue.values import map_from_proto, value_from_proto
from turnstream.runtime.settings import Settings

STOP = "/stop"
CHANNEL = "cmdline"


@click.group(
    cls=NearestGroup,
    invoke_without_command=True,
    epilog=examples("turnstream shell", "turnstream shell --conversation-id ada --turn-log .turnstream/turns.db"),
)
@click.option("-m", "--model", type=FILE, default=DEFAULT_MODELS, show_default=True, help="Bundle, or folder of them.")
@click.option("--endpoints", type=FILE, help="Where other servers are.  [default: endpoints.yml]")
@click.option("--conversation-id", help="Name of the conversation; a new one where none is given.")
@click.option("--turn-log", type=FILE, help="File of the turn log; a temporary one otherwise.")
@log_options
@click.pass_context
def shell(
    context: click.Context,
    model: Path,
    endpoints: Path | None,
    conversation_id: str | None,
    turn_log: Path | None,
    log: LogChoice,
) -> None:
    """Talk to the trained assistant; an empty line or /stop ends it."""
    if context.invoked_subcommand is None:
        with _log_file(turn_log) as path:
            _talk(model, existing_endpoints(endpoints), path, _Chat(conversation_id or uuid.uuid4().hex), log)


@shell.command(epilog=examples("echo hello | turnstream shell nlu"))
@click.option("-m", "--model", type=FILE, default=DEFAULT_MODELS, show_default=True, help="Bundle, or folder of them.")
@log_options
def nlu(model: Path, log: LogChoice) -> None:
    """Show what the assistant understands of each message, as JSON."""
    with _log_file(None) as path:
        _talk(model, None, path, _Understanding(), log)


@contextmanager
def _log_file(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="turnstream-shell-") as folder:
        yield Path(folder) / "turns.db"


class _Chat:
    """Sends a line as a message and prints the replies."""

    def __init__(self, conversation_id: str) -> None:
        self._conversation_id = conversation_id

    async def say(self, assembly: Assembly, text: str) -> None:
        stub = ConversationsStub(assembly.channel("gateway"))
        request = SendMessageRequest(conversation_id=self._conversation_id, text=text, channel=CHANNEL)
        response = await stub.SendMessage(request)
        for reply in response.turn.replies:
            print_reply(reply)
        for error in response.turn.errors:
            click.secho(f"! {error.where}: {error.message}", fg="red", err=True)


class _Understanding:
    """Prints the parse of a line."""

    async def say(self, assembly: Assembly, text: str) -> None:
        response = await NluStub(assembly.channel("nlu")).Parse(ParseRequest(text=text))
        click.echo(json.dumps(parse_to_rasa(parse_from_proto(response.parse_data)), indent=2, ensure_ascii=False))


def _talk(model: Path, endpoints: Path | None, path: Path, side: _Chat | _Understanding, log: LogChoice) -> None:
    settings = read_settings(None, {"turn_log.path": str(path), "log.level": log.level_or("warning", None)})
    log.begin(settings.log)
    assistant = load_assistant(model, endpoints)
    click.echo("Loading the assistant; an empty line or /stop ends the conversation.", err=True)
    serve_until_stopped(lambda give_up: _converse(assistant, settings, side, give_up))


async def _converse(assistant: Assistant, settings: Settings, side: _Chat | _Understanding, give_up: GiveUp) -> None:
    async with whole_assistant(assistant, settings, give_up=give_up) as assembly:
        lines = Lines()
        while (line := await lines.next("you > ")) and line != STOP:
            try:
                await side.say(assembly, line)
            except grpc.aio.AioRpcError as error:
                click.secho(f"! {error.details()}", fg="red", err=True)


def print_reply(reply: Reply) -> None:
    """Text, buttons and whatever else a reply has, for the terminal."""
    if reply.HasField("text"):
        click.echo(reply.text)
    for number, button in enumerate(reply.buttons, 1):
        fields = map_from_proto(button)
        click.echo(f"  {number}: {fields.get('title')} ({fields.get('payload')})")
    others: dict[str, Any] = {"image": reply.image or None}
    others |= {n: value_from_proto(getattr(reply, n)) for n in ("attachment", "custom") if reply.HasField(n)}
    for name, value in others.items():
        if value is not None and not (name == "attachment" and value == others["image"]):
            click.echo(f"{name.capitalize()}: {value if isinstance(value, str) else json.dumps(value)}")
