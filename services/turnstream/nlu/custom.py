"""The author's own components in the pipeline of a message."""

import inspect
from pathlib import Path

from turnstream.assistant.components.custom import CustomComponentOptions, load_class
from turnstream.features.custom_component import CustomComponent
from turnstream.features.understanding import Understanding
from turnstream.nlu.understanding import Outside


class CustomStep:
    """Runs a CustomComponent. Raises CustomComponentError where its class cannot be loaded here."""

    def __init__(self, options: CustomComponentOptions, folder: Path) -> None:
        self._component: CustomComponent = load_class(options.path)(options.options)
        self._component.load(folder)

    async def process(self, message: Understanding, outside: Outside) -> Understanding:
        found = self._component.process(message)
        return await found if inspect.isawaitable(found) else found
