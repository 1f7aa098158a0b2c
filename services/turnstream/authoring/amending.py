"""Adding to a YAML file that somebody wrote, so that all that was in it stays as it stands, comments included."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from turnstream.assistant.yaml_writer import item_yaml, training_yaml


class NotAmendable(Exception):
    """A file that cannot be added to line by line; the message says why."""


def amended(text: str, section: str, addition: Sequence[Any] | Mapping[str, Any]) -> str:
    """Add items to the list, or entries to the mapping, under a key of the file; an empty text makes a new file.

    Raises NotAmendable.
    """
    if not addition:
        return text
    if not text.strip():
        return training_yaml(**{section: addition})
    changed = _changed(text, section, addition)
    _compare(text, changed, section, addition)
    return changed


def _changed(text: str, section: str, addition: Sequence[Any] | Mapping[str, Any]) -> str:
    lines = text.splitlines(keepends=True)
    if not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    root = _compose(text)
    found = [(key, value) for key, value in root.value if key.value == section]
    if not found:
        return "".join(lines) + f"\n{section}:\n" + _block(addition, 2)
    key, value = found[0]
    if isinstance(value, yaml.ScalarNode) and value.value in ("", "~", "null"):
        lines[key.start_mark.line] = f"{section}:\n"
        lines.insert(key.start_mark.line + 1, _block(addition, 2))
        return "".join(lines)
    kind = yaml.MappingNode if isinstance(addition, Mapping) else yaml.SequenceNode
    if not isinstance(value, kind):
        raise NotAmendable(f"its '{section}' is no {'mapping' if kind is yaml.MappingNode else 'list'}")
    if value.flow_style:
        return _in_brackets(text, value, addition)
    end = _last_line(lines, value) + 1
    return "".join([*lines[:end], _block(addition, value.start_mark.column), *lines[end:]])


def _compose(text: str) -> yaml.MappingNode:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise NotAmendable(f"it cannot be read: {error}") from error
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise NotAmendable("it is no mapping of sections")
    return root


def _block(addition: Sequence[Any] | Mapping[str, Any], column: int) -> str:
    if isinstance(addition, Mapping):
        entries = [item_yaml({key: value}).replace("- ", "", 1) for key, value in addition.items()]
        written = "".join(_outdented(entry) for entry in entries)
    else:
        written = "".join(item_yaml(item) for item in addition)
    return "".join(" " * column + line if line.strip() else line for line in written.splitlines(keepends=True))


def _outdented(entry: str) -> str:
    """An entry without the indentation that it had as an item of a list."""
    first, *rest = entry.splitlines(keepends=True)
    return first + "".join(line.removeprefix("  ") for line in rest)


def _in_brackets(text: str, value: yaml.CollectionNode, addition: Sequence[Any] | Mapping[str, Any]) -> str:
    written = yaml.safe_dump(addition, default_flow_style=True, allow_unicode=True, width=10**9, sort_keys=False)
    end = value.end_mark.index - 1
    inner = written.strip()[1:-1]
    return text[:end].rstrip(", \n") + (", " if value.value else "") + inner + text[end:]


def _last_line(lines: Sequence[str], value: yaml.CollectionNode) -> int:
    """The last line of a block that is neither empty nor a comment between it and what follows."""
    end = value.end_mark.line if value.end_mark.line < len(lines) else len(lines)
    if value.end_mark.column:
        end = min(end + 1, len(lines))
    last = value.start_mark.line
    for number in range(value.start_mark.line, end):
        line = lines[number]
        if line.strip() and not (line.lstrip().startswith("#") and _indent(line) <= value.start_mark.column):
            last = number
    return last


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _compare(old: str, new: str, section: str, addition: Sequence[Any] | Mapping[str, Any]) -> None:
    """What was there must be there, and the addition at its place."""
    try:
        before, after = (yaml.load(text, Loader=yaml.BaseLoader) for text in (old, new))
    except yaml.YAMLError as error:
        raise NotAmendable(f"nothing can be added to its '{section}' by itself") from error
    added = yaml.load(training_yaml(**{section: addition}), Loader=yaml.BaseLoader)[section]
    was = before.get(section) or type(added)()
    wanted = {**was, **added} if isinstance(added, dict) else [*was, *added]
    if after != {**before, section: wanted}:
        raise NotAmendable(f"nothing can be added to its '{section}' by itself")
