"""Sharing conversations with another engine, such as Rasa's CALM: who answers is kept in a slot, chosen by intent.

https://rasa.com/docs/pro/calm-with-nlu/coexistence.
"""

from dataclasses import dataclass
from typing import Self

from turnstream.assistant.components.base import read_options
from turnstream.assistant.components.routers import IntentBasedRouterOptions
from turnstream.assistant.config import ModelConfig
from turnstream.assistant.problems import Problems


@dataclass(frozen=True, slots=True)
class IntentRouter:
    """Begins a session by the intent of its first message."""

    nlu_non_sticky: frozenset[str]
    calm: frozenset[str]
    nlu_sticky: frozenset[str] = frozenset()

    @classmethod
    def of_config(cls, config: ModelConfig) -> Self | None:
        """The router of a pipeline; None where it has none, or a faulty one."""
        for component in config.pipeline or ():
            if component.name == IntentBasedRouterOptions.component_name:
                options = read_options(IntentBasedRouterOptions, component, Problems())
                if isinstance(options, IntentBasedRouterOptions):
                    lists = (options.nlu_non_sticky, options.calm_sticky, options.nlu_sticky)
                    return cls(*map(frozenset, lists))
        return None

    @property
    def intents(self) -> frozenset[str]:
        """All that it names."""
        return self.nlu_non_sticky | self.nlu_sticky | self.calm

    def route(self, intent: str | None) -> bool | None:
        """True: a session with the other engine begins; False: one with this; None: this answers the message alone."""
        if intent in self.calm:
            return True
        # An intent in none of the lists begins a session here.
        return None if intent in self.nlu_non_sticky else False
