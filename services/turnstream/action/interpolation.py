"""Filling `{slot}` placeholders, with the meaning that Rasa 3.6 gives them.

`{name}` is replaced by the value's text (None gives `None`); `{{` and `}}` give one brace each. One unknown name leaves
the whole text as written, and so does a text that has both a placeholder and an escaped name (`{{name}} is {name}`).
A value that holds braces is not filled again.
"""

import re
from collections.abc import Mapping
from typing import Any

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}\n]+)\}|\{|\}")


UNBALANCED = "a text has an unbalanced brace; write {{ or }} for a literal one"


class UnbalancedBraceError(ValueError):
    """A text with a brace that has no partner; `text` is the whole of it."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{UNBALANCED}: {text!r}")
        self.text = text


def fill(value: Any, values: Mapping[str, Any]) -> Any:
    """Fill every text inside a JSON-like value; keys of maps stay as they are. Raises UnbalancedBraceError."""
    if isinstance(value, str):
        return fill_text(value, values)
    if isinstance(value, Mapping):
        return {k: fill(v, values) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [fill(v, values) for v in value]
    return value


def fill_text(text: str, values: Mapping[str, Any]) -> str:
    """Fill one text. Raises UnbalancedBraceError."""
    if "{" not in text and "}" not in text:
        return text
    parts: list[str] = []
    position = 0
    placeholders = escaped_names = 0
    opened = False
    for token in _TOKEN.finditer(text):
        literal, mark, name = text[position : token.start()], token.group(), token.group(1)
        escaped_names += opened and mark == "}}" and bool(literal) and "\n" not in literal
        if name is not None and name not in values:
            return text
        if mark in ("{", "}"):
            return _without_name(text, token.start())
        placeholders += name is not None
        opened = mark == "{{"
        parts += (literal, str(values[name]) if name is not None else mark[0])
        position = token.end()
    if placeholders and escaped_names:
        return text
    return "".join((*parts, text[position:]))


def _without_name(text: str, start: int) -> str:
    """The text as written where the brace at `start` has a partner: what it encloses is no name."""
    depth = 0
    for character in text[start:]:
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return text
        if depth < 0:
            break
    raise UnbalancedBraceError(text)
