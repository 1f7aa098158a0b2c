"""Imported by the process that trainings are forked from, so that each finds TensorFlow and the models loaded."""

from turnstream.models.tensorflow import load_tensorflow

load_tensorflow()

# What they import needs TensorFlow, and is to find it as it was loaded above.
import turnstream.models.diet  # noqa: E402
import turnstream.models.selector  # noqa: E402
import turnstream.models.ted  # noqa: E402
import turnstream.models.unexpected_intent  # noqa: E402, F401
