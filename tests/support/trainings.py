"""What processes of trainings are given to do: by name, so that it can be sent to them."""

import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from turnstream.assistant.bundle import BundleWriter
from turnstream.models.training_loop import ProgressCallback, TrainingProgress, split


class Torn(Exception):
    """Does not survive being sent: what is made of its arguments lacks one."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} in {where}")


@dataclass(frozen=True)
class Export:
    """Writes the id of its process where the model belongs, after an epoch."""

    model: str

    def __call__(self, writer: BundleWriter, progress: ProgressCallback) -> None:
        progress(TrainingProgress(self.model, 1, 1, {"loss": 0.5}))
        folder = writer.add_model(self.model)
        folder.mkdir(parents=True)
        (folder / "process").write_text(str(os.getpid()), encoding="utf-8")


@dataclass(frozen=True)
class Meet:
    """Ends where another has the same pipe open, at the other end."""

    pipe: Path
    mode: str
    model: str

    def __call__(self, writer: BundleWriter, progress: ProgressCallback) -> None:
        with self.pipe.open(self.mode, encoding="utf-8"):
            Export(self.model)(writer, progress)


@dataclass(frozen=True)
class Fail:
    """`pipe`: fails once another has opened it."""

    error: str
    pipe: Path | None = None

    def __call__(self, writer: BundleWriter, progress: ProgressCallback) -> None:
        if self.pipe is not None:
            self.pipe.read_text(encoding="utf-8")
        match self.error:
            case "torn":
                raise Torn("a thread", "a seam")
            case "unsuitable":
                split(np.zeros(3, np.int32), 5, np.random.default_rng(1))
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case message:
                raise ValueError(message)


@dataclass(frozen=True)
class Endless:
    """Says who it is in `pipe`, and never comes to an end."""

    pipe: Path
    id: Path

    def __call__(self, writer: BundleWriter, progress: ProgressCallback) -> None:
        self.id.write_text(str(os.getpid()), encoding="utf-8")
        self.pipe.write_text("begun", encoding="utf-8")
        threading.Event().wait()
