"""What the inspector keeps of a bundle."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from turnstream.assistant.bundle import Bundle
from turnstream.assistant.domain import Domain
from turnstream.assistant.problems import nearest
from turnstream.runtime.errors import NotFound


@dataclass(frozen=True, slots=True)
class InspectedBundle:
    """`root` is where the bundle lies."""

    version: str
    root: Path
    domain: Domain

    @classmethod
    def load(cls, bundle: Bundle) -> Self:
        return cls(bundle.version, bundle.root, bundle.domain)

    def require_intent(self, name: str) -> None:
        """A retrieval intent may be named in full (`faq/ask_name`). Raises NotFound with the nearest name."""
        if name.split("/")[0] not in self.domain.intents:
            raise NotFound(f"The domain has no intent '{name}'. {nearest(name, self.domain.intents)}".rstrip())

    def require_entity(self, name: str) -> None:
        """Raises NotFound with the nearest name."""
        if name not in self.domain.entities:
            raise NotFound(f"The domain has no entity '{name}'. {nearest(name, self.domain.entities)}".rstrip())

    def as_json(self) -> Mapping[str, Any]:
        """The names of the domain, in its order."""
        domain = self.domain
        slots = {
            name: {"type": slot.type, "influence_conversation": slot.influence_conversation}
            for name, slot in domain.slots.items()
        }
        return {
            "intents": list(domain.intents),
            "entities": list(domain.entities),
            "actions": list(domain.action_names),
            "slots": slots,
            "forms": list(domain.forms),
        }
