"""The events that count: without what was taken back, and with the happy path of a form folded into one turn.

They form a chain of immutable nodes, so that taking back is going to an earlier node, and a tentative turn costs
nothing to begin. Every node carries what is needed to find its predecessors without a search: appending an event costs
the same in a long conversation as in a short one. A chain may be cut: whatever reaches further back says so.
"""

from collections.abc import Iterator
from typing import NamedTuple, Optional

from turnstream.assistant.domain import ACTION_LISTEN
from turnstream.dialogue import events as ev
from turnstream.dialogue.folding import Counts, SlotTable, State, fold_event
from turnstream.dialogue.state import DialogueState

_FOLDED_AWAY = (ev.ActionExecuted, ev.UserUttered, ev.UserFeaturized, ev.EntitiesAdded)
"""What a form's later turns lose when they are folded into its first one; what they set stays."""

_new = tuple.__new__
"""Makes a named tuple of all its values in half the time: it is done for every action of every conversation."""

_BEGINS_ANEW = frozenset(
    (
        ev.UserUtteranceReverted,
        ev.ActionReverted,
        ev.Restarted,
        ev.SessionStarted,
        ev.ConversationErased,
        ev.RoutingSessionEnded,
    )
)

MAX_SETTINGS = 100
"""Slot settings that are known of a conversation, also of one whose chain is cut."""


class EarlierEventsNeeded(Exception):
    """What was asked for, or an event that takes back, reaches behind what is kept of the conversation."""

    def __init__(self) -> None:
        super().__init__("earlier events are needed than are kept in memory; they are in the log")


class Previous(NamedTuple):
    """The action before a state as policies see it."""

    name: str | None = None
    text: str | None = None


_NO_ACTION = Previous()


class Turns(NamedTuple):
    """What is known of the turns up to a node; most events leave it as it is."""

    counts: Counts = Counts()
    before_user: Optional["Node"] = None
    """The node before the latest user message."""
    last_action: Optional["Step"] = None
    last_shown: Optional["Step"] = None
    hidden: bool = False
    """The latest action belongs to a turn that only rules see."""
    shown_action: Previous = Previous()
    """The latest action that others than rules see."""
    open_loops: frozenset[str] = frozenset()
    """Actions that, run now, would continue the happy path of their latest run, were they loops."""
    user_waits: bool = False
    """No action was run since the latest user message."""
    shown_user: State | None = None
    """The state whose message the latest step that is not hidden shows."""


class Node:
    """One applied event with the state after it; the first node of a chain has no event."""

    __slots__ = ("clean_since", "earlier_settings", "event", "parent", "state", "turns")

    def __init__(self, parent: Optional["Node"], event: ev.Event | None, state: State, turns: Turns) -> None:
        self.parent = parent
        self.event = event
        self.state = state
        self.turns = turns
        self.clean_since: str | None = None
        """A loop: from its latest run up to here nothing is left to fold away."""
        self.earlier_settings: tuple[ev.SlotSet, ...] | None = None
        """Of a first node: the latest slot settings before it, where events before it count but are not kept."""

    @property
    def is_cut(self) -> bool:
        return self.earlier_settings is not None


class View(NamedTuple):
    """A state as policies other than rules see it: whose message, which action before, and the step before."""

    state: State
    user_state: State
    previous: Previous
    earlier: Optional["Step"]


class Step:
    """An executed action: the node before it, and how others than rules see it (None: hidden from them)."""

    __slots__ = ("at", "seen", "seen_shown", "view")

    def __init__(self, at: Node, view: View | None) -> None:
        self.at = at
        self.view = view
        self.seen: DialogueState | None = None
        """What policies see at it, once somebody asked; `seen_shown` likewise for others than rules."""
        self.seen_shown: DialogueState | None = None


def root(state: State) -> Node:
    return Node(None, None, state, Turns())


def latest_applied(top: Node) -> Iterator[ev.Event]:
    """Newest first. Raises EarlierEventsNeeded where more is asked for than is kept."""
    node: Node = top
    while node.event is not None and node.parent is not None:
        yield node.event
        node = node.parent
    if node.is_cut:
        raise EarlierEventsNeeded


def latest_settings(top: Node) -> tuple[ev.SlotSet, ...]:
    """The latest `MAX_SETTINGS` settings of slots that count, oldest first."""
    found: list[ev.SlotSet] = []
    node = top
    while len(found) < MAX_SETTINGS and node.event is not None and node.parent is not None:
        if isinstance(node.event, ev.SlotSet):
            found.append(node.event)
        node = node.parent
    if node.parent is None and node.earlier_settings:
        found += reversed(node.earlier_settings)
    return tuple(reversed(found[:MAX_SETTINGS]))


def append(top: Node, event: ev.Event, table: SlotTable, loops: frozenset[str]) -> Node:
    """The chain with one more event. `loops` are the names of all loops that were ever activated."""
    kind = type(event)
    if kind is ev.ActionExecuted:
        return _append_action(top, event, table, loops)  # type: ignore[arg-type]
    if kind in _BEGINS_ANEW:
        return _append_rare(top, event, table)
    return Node(top, event, fold_event(top.state, event, table, top.turns.counts), _turns_after(top, event))


def _append_rare(top: Node, event: ev.Event, table: SlotTable) -> Node:
    """An event after which the chain does not simply go on."""
    if isinstance(event, ev.UserUtteranceReverted):
        # A message is answered after a listen: that goes with it.
        return _before_action(top.turns.before_user or _start(top))
    if isinstance(event, ev.ActionReverted):
        return _before_action(top)
    if isinstance(event, ev.Restarted | ev.SessionStarted | ev.ConversationErased):
        return root(table.initial)
    assert isinstance(event, ev.RoutingSessionEnded)
    return root(fold_event(top.state, event, table, top.turns.counts))


def view_of(top: Node, hide: bool) -> View | None:
    """How policies other than rules see the state at `top` before an action that hides its turn or not; None: hidden.

    A follow-up action and a loop's own repeated prediction belong to the turn that they are in.
    """
    return None if _hidden_after(top, hide) else _view(top, _shown_action(top))


def _view(top: Node, shown: Previous | None) -> View:
    state, shown_user = top.state, top.turns.shown_user
    user_state = state if shown_user is None or state.action_name == ACTION_LISTEN else shown_user
    previous = shown or _new(Previous, (state.action_name, state.action_text))
    return _new(View, (state, user_state, previous, top.turns.last_shown))


def _hidden_after(top: Node, hide: bool) -> bool:
    state = top.state
    if state.followup or state.action_name == state.loop_name:
        return top.turns.hidden
    return hide


def _shown_action(top: Node) -> Previous | None:
    """None where there was none yet."""
    state, turns = top.state, top.turns
    shown = turns.shown_action if turns.hidden else _new(Previous, (state.action_name, state.action_text))
    return shown if shown[0] or shown[1] else None


def _append_action(top: Node, event: ev.ActionExecuted, table: SlotTable, loops: frozenset[str]) -> Node:
    turns = top.turns
    name = event.name or ""
    if name in loops and name in turns.open_loops:
        return _fold_loop(top, name, table)
    is_hidden, shown_action = _hidden_after(top, event.hide_rule_turn), _shown_action(top)
    view = None if is_hidden else _view(top, shown_action)
    step = Step(top, view)
    states, shown = turns.counts
    open_loops = turns.open_loops
    if turns.user_waits:
        open_loops = frozenset((name,))
    elif name not in open_loops:
        open_loops |= {name}
    # In the order of `Turns`.
    fields = (
        _new(Counts, (states + 1, shown + (view is not None))),
        turns.before_user,
        step,
        turns.last_shown if view is None else step,
        is_hidden,
        shown_action or _NO_ACTION,
        open_loops,
        False,
        turns.shown_user if view is None else view.user_state,
    )
    after = _new(Turns, fields)
    return Node(top, event, fold_event(top.state, event, table, turns.counts), after)


def _turns_after(top: Node, event: ev.Event) -> Turns:
    turns = top.turns
    if type(event) is ev.UserUttered:
        return turns._replace(before_user=top, user_waits=True)
    if isinstance(event, ev.ActiveLoopChanged) and event.name is None:
        return turns._replace(open_loops=frozenset())
    if isinstance(event, ev.ActionExecutionRejected) and event.name in turns.open_loops:
        return turns._replace(open_loops=turns.open_loops - {event.name})
    return turns


def _fold_loop(top: Node, loop: str, table: SlotTable) -> Node:
    """Drop the turns since the loop's latest run, which this run continues; keep what they set."""
    kept: list[ev.Event] = []
    node = top
    while not _is_run_of(node, loop):
        if node.event is None or node.parent is None:
            if node.is_cut:
                raise EarlierEventsNeeded
            break
        if not isinstance(node.event, _FOLDED_AWAY):
            kept.append(node.event)
        node = node.parent
    for event in reversed(kept):
        node = append(node, event, table, frozenset())
    if kept:
        node.clean_since = loop
    return node


def _is_run_of(node: Node, loop: str) -> bool:
    if node.clean_since == loop:
        return True
    return isinstance(node.event, ev.ActionExecuted) and node.event.name == loop


def _before_action(top: Node) -> Node:
    step = top.turns.last_action
    return step.at if step else _start(top)


def _start(top: Node) -> Node:
    node = top
    while node.parent is not None:
        node = node.parent
    if node.is_cut:
        raise EarlierEventsNeeded
    return node
