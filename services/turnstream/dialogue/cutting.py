"""Letting go of what is long past: a chain of applied events that begins at a later place.

What is left behaves as the whole does, or raises EarlierEventsNeeded where it reaches behind its beginning.
"""

from collections.abc import Iterable
from typing import NamedTuple

from turnstream.assistant.domain import ACTION_LISTEN
from turnstream.dialogue import applied
from turnstream.dialogue.applied import Node, Turns
from turnstream.dialogue.events import ActionExecuted, Event, SlotSet, UserUttered
from turnstream.dialogue.folding import SlotTable


class Reach(NamedTuple):
    """How much of the past is kept: user messages that can be taken back, and states beyond those that policies see."""

    messages: int = 6
    spare_states: int = 12
    most_events: int = 500


DEFAULT_REACH = Reach()


class Chain(NamedTuple):
    """A first node, and the events after it."""

    base: Node
    events: tuple[Event, ...]


def shortened(top: Node, window: int, loops: frozenset[str], reach: Reach = DEFAULT_REACH) -> Chain | None:
    """The end of a chain, long enough for `window` states and a few steps back.

    None where that is more than `reach.most_events`, such as in the middle of a very long form.
    """
    nodes: list[Node] = []
    messages = 0
    node = top
    while node.parent is not None:
        if messages >= reach.messages and _can_begin(node, top, window + reach.spare_states, loops):
            break
        if len(nodes) == reach.most_events:
            return None
        messages += isinstance(node.event, UserUttered)
        nodes.append(node)
        node = node.parent
    nodes.reverse()
    events = tuple(n.event for n in nodes if n.event is not None)
    return Chain(_base(node), events)


def lengthened(chain: Chain, table: SlotTable) -> Node:
    """The chain's last node, with new nodes for all of its events."""
    node = chain.base
    for event in chain.events:
        # No loop is folded: these are the events that were left when that was done.
        node = applied.append(node, event, table, frozenset())
    return node


def _can_begin(node: Node, top: Node, states: int, loops: frozenset[str]) -> bool:
    """Whether nothing that is likely to come looks behind this node: it waits for the user, outside of any loop."""
    event = node.event
    if not isinstance(event, ActionExecuted) or event.name != ACTION_LISTEN or node.turns.open_loops & loops:
        return False
    before, now = node.turns.counts, top.turns.counts
    return now.states - before.states >= states and (not before.shown or now.shown - before.shown >= states)


def _base(node: Node) -> Node:
    if node.parent is None:
        return node
    turns = node.turns
    return first_node(
        Node(
            None,
            None,
            node.state,
            Turns(
                counts=turns.counts,
                hidden=turns.hidden,
                shown_action=turns.shown_action,
                open_loops=turns.open_loops,
                shown_user=turns.shown_user,
            ),
        ),
        applied.latest_settings(node),
    )


def first_node(node: Node, earlier_settings: Iterable[SlotSet]) -> Node:
    """Mark a node as one with a past that is not kept."""
    node.earlier_settings = tuple(earlier_settings)
    return node
