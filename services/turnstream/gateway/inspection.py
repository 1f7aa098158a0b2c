"""What the inspector is given: the log, the bundles, and who is asked."""

from dataclasses import dataclass
from typing import Any, Protocol

from turnstream.inspector.histories import ConversationLog
from turnstream.inspector.loaded import InspectedBundle
from turnstream.inspector.project_files import ProjectFiles
from turnstream.runtime.bundles import Bundles
from turnstream.turnlog.interface import LogReader


class InspectedLog(ConversationLog, LogReader, Protocol):
    """The roles of the turn log that the inspector uses."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """`project` is the author's files; None: none are written. `nlu` is a stub, `nlu_timeout_s` its."""

    log: InspectedLog
    bundles: Bundles[InspectedBundle]
    nlu: Any
    project: ProjectFiles | None = None
    nlu_timeout_s: float = 10.0
