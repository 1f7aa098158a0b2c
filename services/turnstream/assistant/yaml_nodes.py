"""YAML files as trees of values that know their line.

Scalars are read as Rasa reads them: `true`/`false` (not `yes`/`no`), decimal and 0x/0o numbers with underscores
(`010` is ten), floats, `null`. `${NAME}` in an unquoted scalar is replaced from the environment. A date is refused.
"""

import datetime
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml._yaml import CParser

from turnstream.assistant.location import Location
from turnstream.assistant.problems import Problems
from turnstream.assistant.yaml_advice import place_and_advice

_PLAIN = "plain"
_TEXT = "text"
_MERGE_KEY = "<<"
MAX_REPEATED = 1_000_000
"""Values that aliases name again, all in all: a short text can name a billion."""

_INT = re.compile(r"[-+]?(?:0b[0-1_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)$")
_FLOAT = re.compile(
    r"(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?(?:(?:[Tt]|\s+)\d\d?:\d\d:\d\d(?:\.\d*)?\s*(?:Z|[-+]\d\d?(?::?\d\d)?)?)?$")
_WORDS: Mapping[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TAGGED: Mapping[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,)}
_STARTS_A_NUMBER = frozenset("0123456789+-.")
_ENVIRONMENT = re.compile(r"\$\{(\w+)\}|\$(\w+)")


class Node:
    """A value of a file: a scalar, a list of nodes or a mapping from key to node; `line` counts from 1.

    `block_line` is the line on which the text of a literal or folded scalar begins, 0 for any other value. `unset` are
    the environment variables in it that have no value, where the file was read so that they may lack one.
    """

    __slots__ = ("block_line", "file", "key_lines", "line", "unset", "value")

    def __init__(self, value: Any, file: str, line: int, block_line: int = 0) -> None:
        self.value = value
        self.file = file
        self.line = line
        self.block_line = block_line
        self.unset: tuple[str, ...] = ()
        self.key_lines: dict[Any, int] = {}

    @property
    def location(self) -> Location:
        return Location(self.file, self.line)

    @property
    def mapping(self) -> "dict[Any, Node] | None":
        return self.value if isinstance(self.value, dict) else None

    @property
    def items(self) -> "list[Node] | None":
        return self.value if isinstance(self.value, list) else None

    def key_location(self, key: Any) -> Location:
        """Where `key` is written in this mapping."""
        return Location(self.file, self.key_lines.get(key, self.line))

    def plain(self) -> Any:
        """The value as dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {_key_text(key): node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def unset_variables(node: Node) -> Iterator[tuple[Node, str]]:
    """Every environment variable without a value in `node` and below it, with the scalar that names it."""
    for name in node.unset:
        yield node, name
    for child in node.items or list((node.mapping or {}).values()):
        yield from unset_variables(child)


def refuse_unset(node: Node, problems: Problems) -> None:
    """An error for every environment variable in `node` and below it that has no value."""
    for scalar, name in unset_variables(node):
        problems.error(scalar.location, *_unset(name, scalar.value))


def _unset(name: str, text: str) -> tuple[str, str]:
    return f"The environment variable '{name}' is not set.", f"Set it, or quote '{text}'."


def _key_text(key: Any) -> str:
    """A key as JSON has it: always a text."""
    return key if isinstance(key, str) else json.dumps(key)


def read_yaml(
    path: Path, file: str, problems: Problems, environ: Mapping[str, str] | None = None, *, unset_ok: bool = False
) -> Node | None:
    """Read a file; None where it is empty, or cannot be read (then `problems` says why). `file` is its shown name.

    An environment variable that is not set is an error, or with `unset_ok` stands in its node's `unset`.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        problems.error(Location(file), "There is no such file.")
        return None
    except OSError as error:
        problems.error(Location(file), f"The file cannot be read: {error.strerror}.")
        return None
    return parse_yaml(content, file, problems, environ, unset_ok=unset_ok)


def parse_yaml(
    content: bytes | str,
    file: str,
    problems: Problems,
    environ: Mapping[str, str] | None = None,
    *,
    unset_ok: bool = False,
) -> Node | None:
    """Parse the content of a file, see `read_yaml`. A byte order mark and CRLF line ends are fine."""
    text = _decoded(content, file, problems) if isinstance(content, bytes) else content
    if text is None:
        return None
    try:
        tree = _compose(text)
        if tree is None:
            return None
        return _Builder(file, problems, os.environ if environ is None else environ, unset_ok=unset_ok).build(tree)
    except yaml.MarkedYAMLError as error:
        line, advice = place_and_advice(error, text)
        what = error.problem or error.context or "it cannot be parsed"
        problems.error(Location(file, line), f"No valid YAML: {what}.", advice)
    except yaml.reader.ReaderError as error:
        position = error.position if isinstance(error.position, int) else 0
        line = text.count("\n", 0, position) + 1
        problems.error(Location(file, line), f"No valid YAML: {error.reason}.")
    except RecursionError:
        problems.error(Location(file), "No valid YAML: it is nested too deeply.")
    return None


def _decoded(content: bytes, file: str, problems: Problems) -> str | None:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.error(Location(file, line), "The file is not valid UTF-8.", "Save it with the encoding UTF-8.")
        return None


class _Composer(CParser):
    """libyaml's parser; tells unquoted scalars from quoted ones and leaves their meaning to `_Builder`."""

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        """Nothing to do: no rule depends on the path."""

    def ascend_resolver(self) -> None:
        """Nothing to do: no rule depends on the path."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        """The tag of a node without one."""
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _TEXT
        return "tag:yaml.org,2002:map" if kind is yaml.MappingNode else "tag:yaml.org,2002:seq"


def _compose(text: str) -> yaml.Node | None:
    composer = _Composer(text)
    try:
        node: yaml.Node | None = composer.get_single_node()
        return node
    finally:
        composer.dispose()


class _Builder:
    """Turns PyYAML's node graph into `Node`s. Aliases give one `Node` in several places."""

    def __init__(self, file: str, problems: Problems, environ: Mapping[str, str], *, unset_ok: bool) -> None:
        self._unset_ok = unset_ok
        self._file = file
        self._problems = problems
        self._environ = environ
        self._built: dict[int, Node] = {}
        self._open: set[int] = set()
        self._sizes: dict[int, int] = {}
        self._repeated = 0

    def build(self, node: yaml.Node) -> Node:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        key = id(node)
        line = node.start_mark.line + 1
        if key in self._built:
            self._repeated += self._sizes[key]
            if self._repeated > MAX_REPEATED:
                raise yaml.MarkedYAMLError(problem="aliases repeat too much", problem_mark=node.start_mark)
            return self._built[key]
        if key in self._open:
            self._error(line, "An anchor contains itself.")
            return Node(None, self._file, line)
        self._open.add(key)
        built = self._mapping(node, line) if isinstance(node, yaml.MappingNode) else self._sequence(node, line)
        self._open.discard(key)
        self._built[key] = built
        self._sizes[key] = 1 + sum(self._sizes.get(id(part), 1) for part in _parts(node.value))
        return built

    def _error(self, line: int, message: str, hint: str = "") -> None:
        self._problems.error(Location(self._file, line), message, hint)

    def _sequence(self, node: yaml.Node, line: int) -> Node:
        return Node([self.build(item) for item in node.value], self._file, line)

    def _mapping(self, node: yaml.MappingNode, line: int) -> Node:
        built = Node({}, self._file, line)
        merged: list[Node] = []
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._error(key_line, "A key must be a text, not a list or mapping.")
                continue
            if key_node.tag == _PLAIN and key_node.value == _MERGE_KEY:
                merged.extend(self._merged(value_node, key_line))
                continue
            key = self._scalar(key_node).value
            if key in built.value:
                first = built.key_lines[key]
                self._error(key_line, f"The key '{key}' is there twice; the first is in line {first}.", "Remove one.")
                continue
            built.value[key] = self.build(value_node)
            built.key_lines[key] = key_line
        for other in merged:
            for key, value in other.value.items():
                built.value.setdefault(key, value)
                built.key_lines.setdefault(key, other.key_lines[key])
        return built

    def _merged(self, node: yaml.Node, line: int) -> Iterator[Node]:
        built = self.build(node)
        for part in built.items if built.items is not None else [built]:
            if part.mapping is None:
                self._error(line, "'<<' needs a mapping, or a list of mappings.")
            else:
                yield part

    def _scalar(self, node: yaml.ScalarNode) -> Node:
        line = node.start_mark.line + 1
        block_line = line + 1 if node.style in ("|", ">") else 0
        tag = node.tag
        if tag == _PLAIN:
            built = Node(self._plain_value(node.value, line), self._file, line)
            if "${" in node.value:
                built.unset = self._unset_in(node.value, line)
            return built
        if tag != _TEXT and not tag.endswith(":str"):
            return Node(self._tagged_value(tag, node.value, line), self._file, line)
        return Node(node.value, self._file, line, block_line)

    def _plain_value(self, text: str, line: int) -> Any:
        if text in _WORDS:
            return _WORDS[text]
        if text[0] in _STARTS_A_NUMBER:
            if _INT.match(text) or _FLOAT.match(text):
                return self._number(text, line)
            if _DATE.match(text) and _is_date(text):
                self._error(line, f"'{text}' is a date.", f'Write it as a text: "{text}".')
        return self._expanded(text) if "${" in text else text

    def _number(self, text: str, line: int) -> Any:
        try:
            if _INT.match(text):
                return _integer(text)
            return _float(text) if _FLOAT.match(text) else text
        except ValueError:
            self._error(line, f"'{text[:40]}' is no number that can be read.", "Quote it, if it is a text.")
            return text

    def _expanded(self, text: str) -> str:
        """With the values of the environment; a variable that is not set stays as it is written."""
        return _ENVIRONMENT.sub(lambda match: self._environ.get(_variable(match), match.group()), text)

    def _unset_in(self, text: str, line: int) -> tuple[str, ...]:
        unset = tuple(name for name in map(_variable, _ENVIRONMENT.finditer(text)) if name not in self._environ)
        if not self._unset_ok:
            for name in unset:
                self._error(line, *_unset(name, text))
        return unset

    def _tagged_value(self, tag: str, text: str, line: int) -> Any:
        kind = tag.rpartition(":")[2]
        if kind == "null":
            return None
        value = _WORDS[text] if text in _WORDS else self._number(text, line)
        expected = _TAGGED.get(kind, ())
        if not isinstance(value, expected):
            self._error(line, f"'{text}' with the tag '{tag}' is not supported.", "Remove the tag.")
            return text
        return float(text) if kind == "float" else value


def _variable(match: re.Match[str]) -> str:
    name: str = match.group(1) or match.group(2)
    return name


def _parts(items: Iterable[Any]) -> Iterator[yaml.Node]:
    for item in items:
        yield item[1] if isinstance(item, tuple) else item


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    base = {"0b": 2, "0o": 8, "0x": 16}.get(digits[:2], 10)
    return sign * int(digits[2:] if base != 10 else digits, base)


def _float(text: str) -> float:
    digits = text.replace("_", "").lower()
    return float(digits.replace(".inf", "inf").replace(".nan", "nan"))


def _is_date(text: str) -> bool:
    try:
        datetime.date(*(int(part) for part in re.split(r"[-Tt\s]", text)[:3]))
    except ValueError:
        return False
    return True
