"""What the action service keeps of a bundle."""

from collections.abc import Callable
from dataclasses import dataclass

from turnstream.action.dispatch import Actions
from turnstream.action.responses import DomainResponses, ResponseGenerator
from turnstream.assistant.bundle import Bundle
from turnstream.assistant.codec import domain_as_rasa
from turnstream.assistant.domain import Domain
from turnstream.assistant.routing import IntentRouter

GeneratorFactory = Callable[[Domain], ResponseGenerator]
"""What words the responses of a domain: its own variations, or an outside NLG server."""


@dataclass(frozen=True)
class LoadedActions:
    """An assistant's domain and its actions."""

    domain: Domain
    actions: Actions

    @classmethod
    def load(cls, bundle: Bundle, responses: GeneratorFactory = DomainResponses) -> "LoadedActions":
        return cls.of_domain(bundle.domain, responses, IntentRouter.of_config(bundle.config))

    @classmethod
    def of_domain(
        cls, domain: Domain, responses: GeneratorFactory = DomainResponses, router: IntentRouter | None = None
    ) -> "LoadedActions":
        return cls(domain, Actions(domain, responses(domain), domain_as_rasa(domain), router))
