"""The states that policies see, from the chain of applied events."""

from turnstream.assistant.domain import ACTION_UNLIKELY_INTENT, Domain
from turnstream.dialogue.applied import EarlierEventsNeeded, Node, Previous, View, view_of
from turnstream.dialogue.events import ExtractedEntity, ParseData
from turnstream.dialogue.folding import State
from turnstream.dialogue.state import DialogueHistory, DialogueState, SlotFeature


def all_states(top: Node, domain: Domain, window: int | None) -> DialogueHistory:
    states = [_full(top.state, domain)]
    step = top.turns.last_action
    while step is not None and _wants_more(states, window):
        if step.seen is None:
            step.seen = _full(step.at.state, domain)
        states.append(step.seen)
        step = step.at.turns.last_action
    return _history(states, top.turns.counts.states + 1, window)


def shown_states(top: Node, domain: Domain, window: int | None) -> DialogueHistory:
    states: list[DialogueState] = []
    current = view_of(top, hide=False)
    if current is not None:
        states.append(_shown(current, domain))
    step = top.turns.last_shown
    # Policies pass over the states after `action_unlikely_intent`, and want as many others.
    passed_over = sum(state.previous_action == ACTION_UNLIKELY_INTENT for state in states)
    while step is not None and step.view is not None and _wants_more(states, window, passed_over):
        if step.seen_shown is None:
            step.seen_shown = _shown(step.view, domain)
        states.append(step.seen_shown)
        passed_over += step.seen_shown.previous_action == ACTION_UNLIKELY_INTENT
        step = step.view.earlier
    return _history(states, top.turns.counts.shown + (current is not None), window, passed_over)


def entity_labels(entities: tuple[ExtractedEntity, ...]) -> frozenset[str]:
    """The labels of a message's entities: `city`, with a role `city#to` too, with a group `city.1` too."""
    labels = {e.entity for e in entities}
    labels |= {f"{e.entity}#{e.role}" for e in entities if e.role is not None}
    labels |= {f"{e.entity}.{e.group}" for e in entities if e.group is not None}
    return frozenset(labels)


def _wants_more(states: list[DialogueState], window: int | None, passed_over: int = 0) -> bool:
    return window is None or len(states) - passed_over < window


def _history(
    latest_first: list[DialogueState], total: int, window: int | None, passed_over: int = 0
) -> DialogueHistory:
    if len(latest_first) < total and _wants_more(latest_first, window, passed_over):
        raise EarlierEventsNeeded
    return DialogueHistory(tuple(reversed(latest_first)), first_index=total - len(latest_first))


def _full(state: State, domain: Domain) -> DialogueState:
    slots = tuple(SlotFeature(s.name, s.values, s.since) for s in state.features)
    return _state(state, state, Previous(state.action_name, state.action_text), slots, domain)


def _shown(view: View, domain: Domain) -> DialogueState:
    slots = tuple(SlotFeature(s.name, s.values, s.since_shown) for s in view.state.features)
    return _state(view.state, view.user_state, view.previous, slots, domain)


def _state(
    state: State, user: State, previous: Previous, slots: tuple[SlotFeature, ...], domain: Domain
) -> DialogueState:
    by_intent, text = _user_part(user)
    return DialogueState(
        intent=by_intent.intent.name if by_intent else None,
        full_retrieval_intent=by_intent.full_retrieval_intent_name if by_intent else None,
        entities=_seen_entities(by_intent, domain) if by_intent else (),
        user_text=text,
        previous_action=previous.name,
        previous_action_text=previous.text,
        active_loop=state.loop_name,
        slots=slots,
    )


def _user_part(state: State) -> tuple[ParseData | None, str | None]:
    """What stands for the message: its parse, its text, or both while no policy has decided."""
    message = state.message
    if message is None:
        return None, None
    parse = None if state.use_text else message.parse_data
    text = None if state.use_text is False else message.text or None
    return parse, text


def _seen_entities(parse: ParseData, domain: Domain) -> tuple[str, ...]:
    labels = entity_labels(parse.entities)
    if not labels:
        return ()
    intent = domain.intents.get(parse.intent.name or "")
    return tuple(sorted(labels if intent is None else labels & intent.used_entities))
