"""Which code runs an action: the author's before the built-in one; responses, forms and end-to-end texts."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from turnstream.action import coexistence, fallback, responding, session
from turnstream.action.custom import CustomActions
from turnstream.action.defaults import Defaults, deactivate_loop, do_nothing
from turnstream.action.extraction import SlotExtraction
from turnstream.action.failures import ActionFailed, ActionRejected
from turnstream.action.forms import FormLoop
from turnstream.action.loops import run_loop
from turnstream.action.responding import Speaker
from turnstream.action.responses import ResponseGenerator
from turnstream.action.scene import Scene
from turnstream.assistant import domain as names
from turnstream.assistant.domain import RESPONSE_PREFIX, Domain
from turnstream.assistant.routing import IntentRouter
from turnstream.dialogue.events import Event

Builtin = Callable[[Scene], Awaitable[list[Event]]]


class Actions:
    """All actions of one assistant."""

    def __init__(
        self,
        domain: Domain,
        responses: ResponseGenerator,
        domain_json: Mapping[str, Any],
        router: IntentRouter | None = None,
    ) -> None:
        self._domain = domain
        self._speaker = Speaker(responses)
        self._custom = CustomActions(self._speaker, domain_json)
        self._extraction = SlotExtraction(self._custom.run, router)
        self._builtin = self._builtins(Defaults(self._speaker))

    def knows(self, name: str) -> bool:
        """Whether `run` has something to run for the name."""
        return name in self._domain.action_names or name in self._builtin or self._retrieves(name)

    def is_custom(self, name: str) -> bool:
        """Whether an action server runs it."""
        if name.startswith(RESPONSE_PREFIX) or name in self._domain.e2e_actions:
            return False
        return name in self._domain.actions or not (name in self._builtin or name in self._domain.forms)

    async def run(self, name: str, scene: Scene) -> list[Event]:
        """The events of an action, in order. Raises ActionFailed and ActionRejected."""
        if self.is_custom(name):
            return await self._custom.run(name, scene)
        if name in self._builtin:
            return await self._builtin[name](scene)
        if name in self._domain.forms:
            return await run_loop(self._form(name), scene)
        if name in self._domain.e2e_actions:
            return self.run_text(name, scene)
        if self._retrieves(name):
            return await self._speaker.say_selected(name, scene)
        return await self._speaker.say(name, scene)

    def run_text(self, text: str, scene: Scene) -> list[Event]:
        """Say the text of an end-to-end utterance."""
        return [responding.say_text(text, scene.now)]

    def _retrieves(self, name: str) -> bool:
        """Whether the name stands for the response that was selected for a retrieval intent."""
        is_response = name.startswith(RESPONSE_PREFIX)
        return is_response and name.removeprefix(RESPONSE_PREFIX) in self._domain.retrieval_intents

    def _form(self, name: str) -> FormLoop:
        return FormLoop(self._domain.forms[name], run=self.run, extract=self._extract)

    async def _extract(self, scene: Scene) -> list[Event]:
        """What fills slots when a form starts; the author's own extraction where there is one."""
        try:
            return await self.run(names.ACTION_EXTRACT_SLOTS, scene)
        except ActionFailed as failure:
            scene.failures.append(failure)
        except ActionRejected as rejection:
            scene.failures.append(rejection.as_failure(names.ACTION_EXTRACT_SLOTS))
        return []

    def _builtins(self, defaults: Defaults) -> dict[str, Builtin]:
        async def fall_back_in_two_stages(scene: Scene) -> list[Event]:
            return await run_loop(fallback.TwoStageFallback(run=self.run), scene)

        async def ask_other_engine(scene: Scene) -> list[Event]:
            return await coexistence.ask_other_engine(self._custom.run, scene)

        return {
            names.ACTION_LISTEN: _awaitable(do_nothing),
            names.ACTION_UNLIKELY_INTENT: _awaitable(do_nothing),
            names.ACTION_RESTART: defaults.restart,
            names.ACTION_SESSION_START: _awaitable(session.start_session),
            names.ACTION_DEFAULT_FALLBACK: defaults.fall_back,
            names.ACTION_DEACTIVATE_LOOP: _awaitable(deactivate_loop),
            names.ACTION_REVERT_FALLBACK_EVENTS: _awaitable(fallback.revert_fallback),
            names.ACTION_DEFAULT_ASK_AFFIRMATION: _awaitable(fallback.ask_affirmation),
            names.ACTION_DEFAULT_ASK_REPHRASE: defaults.ask_rephrase,
            names.ACTION_TWO_STAGE_FALLBACK: fall_back_in_two_stages,
            names.ACTION_RESET_ROUTING: _awaitable(coexistence.reset_routing),
            names.ACTION_ROUTE_TO_CALM: ask_other_engine,
            names.ACTION_BACK: defaults.back,
            names.ACTION_SEND_TEXT: _awaitable(responding.send_text),
            names.ACTION_EXTRACT_SLOTS: self._extraction.run,
        }


def _awaitable(action: Callable[[Scene], list[Event]]) -> Builtin:
    async def run(scene: Scene) -> list[Event]:
        return action(scene)

    return run
