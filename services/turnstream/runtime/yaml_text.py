"""YAML that operators write, as plain values."""

from typing import Any

import yaml

MAX_VALUES = 100_000
"""Of what aliases name, each time counts: a short text can name a billion values."""


class BadYaml(ValueError):
    """The text is no YAML, or no plain values, or too many."""


def load_yaml(text: str, loader: type[Any] = yaml.CSafeLoader) -> Any:
    """Raises BadYaml."""
    try:
        content = yaml.load(text, Loader=loader)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # PyYAML lets out what Python says of a 13th month, or of a number of 5,000 digits.
        raise BadYaml(str(error)) from error
    except RecursionError as error:
        raise BadYaml("it is nested too deep") from error
    _check_size(content)
    return content


def _check_size(content: Any) -> None:
    seen, waiting = 0, [content]
    while waiting:
        value = waiting.pop()
        seen += 1
        if seen + len(waiting) > MAX_VALUES:
            raise BadYaml(f"it has more than {MAX_VALUES} values, or an anchor that contains itself")
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list | set | tuple):
            waiting.extend(value)
