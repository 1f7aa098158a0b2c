"""Custom actions of a replay: not called, but taken from the record where the same is done at the same place."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from turnstream.api.v1.action_pb2 import RunActionRequest, RunActionResponse
from turnstream.api.v1.action_pb2_grpc import ActionDispatchServicer
from turnstream.assistant.domain import ACTION_EXTRACT_SLOTS, ACTION_SESSION_START
from turnstream.dialogue.proto import event_to_proto
from turnstream.replay.recorded import RecordedTurn, Step

NeedsServer = Callable[[str], bool]
"""Whether the action server is asked, perhaps, when the assistant runs an action of this name."""

Run = Callable[..., Awaitable[RunActionResponse]]
"""The action service: takes a request, and its time as `timeout` in seconds."""


class _Turn:
    """How far a turn that is answered again goes the recorded way."""

    def __init__(self, recorded: RecordedTurn) -> None:
        self._recorded = recorded
        self._steps = recorded.steps()
        self._place = 0
        self._is_same = True
        self.would_call: list[str] = []

    def find(self, action: str) -> Step | None:
        """The recorded step, where everything up to it was the same; moves on by one place."""
        if action == ACTION_EXTRACT_SLOTS:
            return Step(action, self._recorded.extracted()) if not self._place else None
        if action == ACTION_SESSION_START and not self._place and (start := self._recorded.session_start()):
            return start
        step = self._steps[self._place] if self._place < len(self._steps) else None
        self._place += 1
        self._is_same = self._is_same and step is not None and step.action == action
        return step if self._is_same else None


class RecordedActions(ActionDispatchServicer):
    """Stands before the action service; what needs no action server is run there."""

    def __init__(self, run: Run, needs_server: NeedsServer) -> None:
        self._run = run
        self._needs_server = needs_server
        self._turns: dict[str, _Turn] = {}

    @contextmanager
    def replaying(self, turn: RecordedTurn) -> Iterator[list[str]]:
        """While this turn of its conversation is answered again; gives the actions that would have been called."""
        self._turns[turn.conversation_id] = replaying = _Turn(turn)
        try:
            yield replaying.would_call
        finally:
            del self._turns[turn.conversation_id]

    async def RunAction(self, request: RunActionRequest, context: Any) -> RunActionResponse:
        """An action that would be called somewhere else returns nothing."""
        turn = self._turns[request.tracker.conversation_id]
        step = turn.find(request.action)
        if request.is_text or not self._needs_server(request.action):
            return await self._run(request, timeout=context.time_remaining())
        if step is None:
            turn.would_call.append(request.action)
            return RunActionResponse(custom=True)
        events = [event_to_proto(event) for event in step.events]
        return RunActionResponse(events=events, rejected=step.rejected, custom=True)
