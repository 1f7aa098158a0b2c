"""`turnstream replay --model`: the services of a turn in this process, and the recorded messages through them."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from turnstream.action.loaded import LoadedActions
from turnstream.api.v1.action_pb2_grpc import ActionDispatchStub, add_ActionDispatchServicer_to_server
from turnstream.api.v1.turnlog_pb2 import InboxMessage
from turnstream.assistant.domain import ACTION_EXTRACT_SLOTS
from turnstream.cli.counting import counted
from turnstream.cli.errors import CommandError
from turnstream.cli.examining import answering_assembly
from turnstream.cli.log_reading import ReadingBar, opened_log, whole_output
from turnstream.cli.options import existing_endpoints
from turnstream.cli.serving import answering_services, load_assistant
from turnstream.cli.summary import UNLIMITED
from turnstream.conversation.loaded import LoadedAssistant
from turnstream.conversation.services import Channels, Services
from turnstream.conversation.turn import TurnHandler
from turnstream.dialogue.events import Event
from turnstream.dialogue.fold import Dialogue
from turnstream.dialogue.proto import event_from_proto
from turnstream.replay.actions import RecordedActions
from turnstream.replay.comparing import (
    Answered,
    Answerer,
    Summary,
    TurnComparison,
    compare_conversation,
    comparison_as_json,
)
from turnstream.replay.places import PlaceError, check_partitions
from turnstream.replay.rebuild import Rebuilt, rebuild
from turnstream.replay.recorded import RecordedTurn
from turnstream.replay.selection import Selection
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.interceptors import ErrorInterceptor
from turnstream.runtime.local import LocalChannel, LocalServer
from turnstream.runtime.services import Service, register
from turnstream.runtime.settings import Settings

if TYPE_CHECKING:
    from turnstream.cli.assembly import Assembly
    from turnstream.cli.placement import Assistant
    from turnstream.cli.replay import ComparisonChoice

SIDE_BY_SIDE = 8
"""Conversations at once: their predictions are batched."""


def run_comparison(settings: Settings, selection: Selection, choice: "ComparisonChoice") -> None:
    """Compare and tell. Raises CommandError, click.exceptions.Exit where a difference is to fail."""
    endpoints = existing_endpoints(choice.endpoints) if choice.call_actions else None
    assistant = load_assistant(choice.model, endpoints)
    summary = Summary()
    turns = asyncio.run(_compare(settings, selection, choice, assistant, summary))
    if choice.json_file is not None:
        report = {
            "model": assistant.bundle.version,
            "state": "free" if choice.free else "recorded",
            "summary": summary.as_json(),
            "turns": [comparison_as_json(turn) for turn in turns],
        }
        with whole_output(choice.json_file) as stream:
            json.dump(report, stream, ensure_ascii=False, indent=1)
    _print(turns, summary, assistant.bundle.version)
    if summary.differ and choice.fail_on_difference:
        raise click.exceptions.Exit(1)


async def _compare(
    settings: Settings, selection: Selection, choice: "ComparisonChoice", assistant: "Assistant", summary: Summary
) -> list[TurnComparison]:
    found: list[list[TurnComparison]] = []
    domain = assistant.bundle.domain

    async def compare(rebuilt: Rebuilt, answerer: Answerer, room: asyncio.Semaphore) -> None:
        try:
            conversation = compare_conversation(
                rebuilt.conversation_id, rebuilt.dialogue.events, domain, answerer, free=choice.free
            )
            turns = [turn async for turn in conversation]
            if turns:
                found.append(turns)
                summary.add(turns)
        finally:
            room.release()

    async with opened_log(settings) as log:
        try:
            check_partitions(selection.until_offsets, log.partitions)
        except PlaceError as error:
            raise CommandError(f"{error}.") from error
        async with answering_services(assistant, settings) as assembly:
            answerer = _Services(assembly, LoadedAssistant.load(assistant.bundle), call_actions=choice.call_actions)
            room = asyncio.Semaphore(SIDE_BY_SIDE)
            with ReadingBar("comparing") as bar:
                async with asyncio.TaskGroup() as group:
                    async for rebuilt in rebuild(log, lambda version: domain, selection, bar):
                        await room.acquire()
                        group.create_task(compare(rebuilt, answerer, room))
    found.sort(key=lambda turns: (turns[0].timestamp, turns[0].conversation_id))
    return [turn for turns in found for turn in turns]


async def compare_alone(
    bundle: Path, settings: Settings, conversation_id: str, events: Sequence[Event]
) -> list[TurnComparison]:
    """One recorded conversation, its messages answered by the bundle; custom actions are taken from the record.

    Models are asked at the model server of the settings, if that holds them. Raises CommandError.
    """
    assistant = load_assistant(bundle, None)
    async with answering_assembly(assistant, settings) as assembly:
        answerer = _Services(assembly, LoadedAssistant.load(assistant.bundle), call_actions=False)
        turns = compare_conversation(conversation_id, events, assistant.bundle.domain, answerer)
        return [turn async for turn in turns]


class _Services:
    """Answers with the services of this process, as the conversation service does."""

    def __init__(self, assembly: "Assembly", assistant: LoadedAssistant, *, call_actions: bool) -> None:
        self._assistants = Bundles({assistant.version: assistant})
        self._settings = assembly.settings
        self._recorded: RecordedActions | None = None
        channels = Channels(**{name: assembly.channel(name) for name in ("nlu", "selection", "policy", "action")})
        if not call_actions:
            actions = LoadedActions.of_domain(assistant.domain).actions

            def needs_server(action: str) -> bool:
                if action == ACTION_EXTRACT_SLOTS:
                    return assistant.extracts_by_custom_action
                return action in assistant.forms_with_custom_actions or actions.is_custom(action)

            self._recorded = RecordedActions(ActionDispatchStub(channels.action).RunAction, needs_server)
            server = LocalServer([ErrorInterceptor()])
            register([Service(self._recorded, add_ActionDispatchServicer_to_server)], server)
            channels = replace(channels, action=LocalChannel(server))
        self._services = Services(channels, self._settings.timeout)

    async def answer(self, turn: RecordedTurn, message: InboxMessage, dialogue: Dialogue) -> Answered:
        handler = TurnHandler(
            self._assistants, self._services, self._settings.conversation, clock=lambda: turn.message.timestamp
        )
        nothing: nullcontext[list[str]] = nullcontext([])
        with self._recorded.replaying(turn) if self._recorded else nothing as would_call:
            answered = await handler.handle(message, dialogue)
        events = [event_from_proto(event) for event in answered.record.events]
        errors = [f"{error.where}: {error.message}" for error in answered.record.errors]
        return Answered(events, answered.dialogue, would_call, errors)


def _print(turns: list[TurnComparison], summary: Summary, version: str) -> None:
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=UNLIMITED)
    differing = [turn for turn in turns if not turn.agrees]
    if differing:
        table = Table("conversation", "turn", "message", "differs in", "recorded", f"with {version}", box=None)
        for turn in differing:
            for row in _rows(turn):
                table.add_row(*map(Text, row))
        console.print(table)
    shares = ", ".join(f"{count} in {kind}" for kind, count in summary.by_kind.most_common())
    console.print(
        f"{counted(summary.turns, 'turn')} of {counted(summary.conversations, 'conversation')} "
        f"compared with {version}: "
        f"{summary.agree} agree, {summary.differ} differ" + (f" ({shares})" if shares else "") + "."
    )


def _rows(turn: TurnComparison) -> list[tuple[str, str, str, str, str, str]]:
    """One for each kind of difference."""
    rows = []
    for place, kind in enumerate(turn.differences):
        named = (turn.conversation_id, str(turn.turn), turn.text or "") if not place else ("", "", "")
        rows.append((*named, kind, *_cells(turn, kind)))
    return rows


def _cells(turn: TurnComparison, kind: str) -> tuple[str, str]:
    if kind == "custom action":
        return "", f"would have called {', '.join(turn.would_call)}"
    if kind == "error":
        return "", "; ".join(turn.errors) or "nothing was answered"
    assert turn.replayed is not None
    return _cell(getattr(turn.recorded, kind)), _cell(getattr(turn.replayed, kind))


def _cell(value: Any) -> str:
    if not isinstance(value, tuple):
        return "-" if value is None else str(value)
    parts = ("=".join(filter(None, item[:2])) if isinstance(item, tuple) else str(item) for item in value)
    return " | ".join(parts) or "-"
