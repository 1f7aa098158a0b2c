"""Loading TensorFlow, for a process that trains."""

import importlib
import importlib.util
import os
import sys
from typing import Any

from turnstream.runtime.quiet import quiet_stderr

_TENSORFLOW = "tensorflow"
_KERAS = "keras"


def require_tensorflow() -> None:
    """Raises ModuleNotFoundError where it is not installed, without loading it."""
    if importlib.util.find_spec(_TENSORFLOW) is None:
        raise ModuleNotFoundError("TensorFlow is not installed", name=_TENSORFLOW)


def load_tensorflow() -> None:
    """Importing it takes seconds, and its libraries talk about the machine. Raises ModuleNotFoundError.

    TensorFlow also loads Keras, for the optimizers that Keras registers, and goes on without where it is not installed.
    Keras brings scikit-learn, SciPy and matplotlib: 4 of 10 seconds, for nothing that is used here. So it is not seen
    until TensorFlow is there.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Trainings side by side share a graphics card.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if _TENSORFLOW in sys.modules:
        return
    unseen: dict[str, Any] = {} if _KERAS in sys.modules else {_KERAS: None}
    sys.modules.update(unseen)
    try:
        with quiet_stderr():
            importlib.import_module(_TENSORFLOW)
    finally:
        for name in unseen:
            del sys.modules[name]
