"""Imported by the process that trainings are forked from, so that each finds TensorFlow and the models loaded."""

import gc

from turnstream.training.tensorflow import load_tensorflow

# What is loaded stays: looking through it for garbage again and again takes a tenth of the time, and a page that the
# collector writes to is no longer shared with the processes forked from here.
gc.disable()
load_tensorflow()

# What they import needs TensorFlow, and is to find it as it was loaded above.
import turnstream.models.diet  # noqa: E402
import turnstream.models.selector  # noqa: E402
import turnstream.models.ted  # noqa: E402
import turnstream.models.unexpected_intent  # noqa: E402, F401

gc.freeze()
gc.enable()
