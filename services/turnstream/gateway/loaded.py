"""What the gateway keeps of a bundle: enough to describe the assistant and to refuse names that it does not have."""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from turnstream.assistant.bundle import Bundle
from turnstream.assistant.codec import domain_as_rasa
from turnstream.runtime.errors import NotFound

SELECTORS = "selection/selectors.json"


@dataclass(frozen=True)
class LoadedGateway:
    """`domain` is the JSON of Rasa's GET /domain; `model_file` is where the bundle lies."""

    version: str
    model_id: str = ""
    model_file: str = ""
    domain: Mapping[str, Any] = field(default_factory=dict)
    intents: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()
    has_selectors: bool = False

    @classmethod
    def load(cls, bundle: Bundle) -> Self:
        """Raises BundleError."""
        return cls(
            version=bundle.version,
            model_id=bundle.model_id,
            model_file=str(bundle.root),
            domain=domain_as_rasa(bundle.domain),
            intents=frozenset(bundle.domain.intents),
            actions=frozenset(bundle.domain.action_names),
            has_selectors=bundle.has(SELECTORS) and bool(bundle.read_json(SELECTORS)),
        )

    def require_intent(self, name: str) -> None:
        """A retrieval intent is named by its base, as to Rasa. Raises NotFound with the nearest name."""
        if name not in self.intents:
            raise NotFound(f"The intent {name} does not exist in the domain.{_nearest(name, self.intents)}")

    def require_action(self, name: str) -> None:
        """Raises NotFound with the nearest name."""
        if name not in self.actions:
            raise NotFound(f"The action {name} does not exist in the domain.{_nearest(name, self.actions)}")


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""
