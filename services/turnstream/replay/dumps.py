"""The rows of one table in a database's dump: what pg_dump, mysqldump, mariadb-dump and SQLite's `.dump` write.

Formats: the COPY text format and string constants of PostgreSQL's manual (COPY; Lexical Structure), the string
literals of MySQL's. A dump is read line by line; what belongs to other tables is passed over.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_NAME = r"""(?:[`"\[]?\w+[`"\]]?\.)?[`"\[]?{table}[`"\]]?"""
_TOKEN = re.compile(
    r"""\s*(?:
        (?:N|_\w+\s*)?'(?P<text>(?:[^'\\]|''|\\.)*)'(?:::[\w ]+)?
      | (?P<punctuation>[(),;])
      | (?P<word>[^\s(),;']+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_PLAIN_TOKEN = re.compile(_TOKEN.pattern.replace(r"(?:[^'\\]|''|\\.)*", "(?:[^']|'')*"), _TOKEN.flags)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "Z": "\x1a"}


class NotADump(ValueError):
    """A statement about the table cannot be read. `line` counts from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


@dataclass(frozen=True, slots=True)
class Row:
    """`values` by column; None is NULL. `line` is the one in which its statement, or the row itself, begins."""

    line: int
    values: dict[str, str | None]


def rows(lines: Iterable[str], table: str) -> Iterator[Row]:
    """Raises NotADump."""
    name = _NAME.format(table=re.escape(table))
    create = re.compile(rf"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{name}\s*\((.*)", re.IGNORECASE | re.DOTALL)
    copy = re.compile(rf"COPY\s+{name}\s*\(([^)]*)\)\s+FROM\s+stdin", re.IGNORECASE)
    insert = re.compile(rf"INSERT\s+INTO\s+{name}\s*(?:\(([^)]*)\))?\s*VALUES\s*(.*)", re.IGNORECASE | re.DOTALL)
    columns: list[str] = []
    escapes = False
    numbered = iter(enumerate(lines, 1))
    for number, line in numbered:
        # MySQL escapes with backslashes in every string, and quotes names with backticks.
        escapes = escapes or line.startswith(("-- MySQL dump", "-- MariaDB dump", "INSERT INTO `"))
        if found := create.match(line):
            columns = _defined(_statement(found[1], numbered))
        elif found := copy.match(line):
            yield from _copied(_names(found[1]), numbered)
        elif found := insert.match(line):
            names = _names(found[1]) if found[1] else columns
            yield from _inserted(number, names, found[2], numbered, escapes)


def _names(text: str) -> list[str]:
    return [name.strip().strip('`"[]') for name in text.split(",")]


def _statement(text: str, numbered: Iterator[tuple[int, str]]) -> str:
    """Up to the line that ends it."""
    while not text.rstrip().endswith(";"):
        following = next(numbered, None)
        if following is None:
            return text
        text += following[1]
    return text


def _defined(text: str) -> list[str]:
    """The columns of CREATE TABLE, one a line or all in one."""
    columns = []
    for part in re.split(r",\s*(?![^()]*\))", text.rpartition(")")[0]):
        word = part.split(maxsplit=1)[0].strip('`"[]') if part.strip() else ""
        if word and word.upper() not in {"PRIMARY", "KEY", "CONSTRAINT", "UNIQUE", "INDEX", "FOREIGN", "CHECK"}:
            columns.append(word)
    return columns


def _copied(columns: list[str], numbered: Iterator[tuple[int, str]]) -> Iterator[Row]:
    for number, line in numbered:
        values = line.rstrip("\r\n").split("\t")
        if values == ["\\."]:
            return
        if len(values) != len(columns):
            raise NotADump(number, f"{len(values)} values for {len(columns)} columns")
        unescaped = (None if value == "\\N" else _unescaped(value) for value in values)
        yield Row(number, dict(zip(columns, unescaped, strict=True)))


def _inserted(
    line: int, columns: list[str], text: str, numbered: Iterator[tuple[int, str]], escapes: bool
) -> Iterator[Row]:
    """The rows of one INSERT, whose strings may go over several lines."""
    token = _TOKEN if escapes else _PLAIN_TOKEN
    values: list[str | None] = []
    place = depth = 0
    while True:
        found = token.match(text, place)
        if found is None or (found.end() == len(text) and found["punctuation"] != ";"):
            following = next(numbered, None)
            if following is None:
                raise NotADump(line, "the statement does not end")
            text, place = text[place:] + following[1], 0
            continue
        place = found.end()
        match found["punctuation"]:
            case ";":
                return
            case "(":
                depth += 1
                values = [] if depth == 1 else values
            case ")":
                depth -= 1
                if depth == 0:
                    if len(values) != len(columns):
                        raise NotADump(line, f"{len(values)} values for {len(columns)} columns")
                    yield Row(line, dict(zip(columns, values, strict=True)))
            case None if depth == 1:
                values.append(_value(found, escapes))


def _value(found: re.Match[str], escapes: bool) -> str | None:
    if found["text"] is None:
        return None if found["word"].upper() == "NULL" else found["word"]
    text = found["text"].replace("''", "'")
    return _unescaped(text) if escapes else text


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPED.get(found[1], found[1]), text, flags=re.DOTALL)
