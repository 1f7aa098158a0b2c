"""What every turn log must do: one suite, run on each implementation.

A test module subclasses `TurnLogContract` and says how to open a log, how to open the same one again, and how to stop
one as a killed process would.
"""

from turnstream.testing.turnlog_contract.agendas import AgendasContract
from turnstream.testing.turnlog_contract.inbox import InboxContract
from turnstream.testing.turnlog_contract.owners import OwnersContract
from turnstream.testing.turnlog_contract.running import (
    PATIENCE_S,
    RecordingWorker,
    Running,
    a_message,
    a_turn,
    everything,
    soon,
)
from turnstream.testing.turnlog_contract.turns import TurnsContract

__all__ = ["PATIENCE_S", "RecordingWorker", "Running", "TurnLogContract", "a_message", "a_turn", "everything", "soon"]


class TurnLogContract(InboxContract, TurnsContract, AgendasContract, OwnersContract):
    """Subclass it, name the class `Test...`, and implement the abstract methods."""
