"""`turnstream erase`: delete one person's conversation from the turn log."""

import asyncio
import time
import uuid
from pathlib import Path

import click

from turnstream.api.v1.turnlog_pb2 import Erasure, InboxMessage
from turnstream.cli.errors import CommandError, missing
from turnstream.cli.examples import examples
from turnstream.cli.options import FILE, read_settings
from turnstream.cli.turn_logs import open_turn_log
from turnstream.dialogue.proto import timestamp_to_proto
from turnstream.runtime.settings import Settings
from turnstream.turnlog.errors import TurnLogError, Unfinished

CHANNEL = "operator"


@click.command(epilog=examples("turnstream erase ada", "turnstream erase ada grace --reason 'asked by mail'"))
@click.argument("conversations", nargs=-1, required=True)
@click.option("--reason", default="", help="Kept with the request in the inbox, for audits.")
@click.option("--turn-log", type=FILE, help="File of the turn log.  [default: that of the settings]")
@click.option("--wait", "wait_s", default=30.0, show_default=True, help="Seconds to wait until it is done.")
def erase(conversations: tuple[str, ...], reason: str, turn_log: Path | None, wait_s: float) -> None:
    """Take CONVERSATIONS, all their turns and messages, out of the turn log.

    The assistant does it, in its order among the messages of the conversation: it must be running.
    """
    if turn_log is not None and not turn_log.is_file():
        raise missing(turn_log)
    settings = read_settings(None, {} if turn_log is None else {"turn_log.path": str(turn_log)})
    try:
        asyncio.run(_erase(settings, conversations, reason, wait_s))
    except Unfinished as error:
        raise CommandError(
            f"{error}. The request is in the inbox and is done as soon as the assistant runs; "
            "asking again does no harm."
        ) from error
    except (TurnLogError, ValueError) as error:
        raise CommandError(str(error)) from error


async def _erase(settings: Settings, conversations: tuple[str, ...], reason: str, wait_s: float) -> None:
    log = open_turn_log(settings)
    try:
        for conversation in conversations:
            message = InboxMessage(
                conversation_id=conversation,
                message_id=f"erase-{uuid.uuid4().hex}",
                channel=CHANNEL,
                accepted_at=timestamp_to_proto(time.time()),
                erasure=Erasure(reason=reason),
            )
            await log.accept(message)
            record = await log.wait_for(conversation, message.message_id, wait_s)
            click.echo(f"{conversation}: turns 1 to {record.turn_number - 1} are erased")
    finally:
        await log.close()
