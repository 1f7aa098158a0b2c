"""Whether a command line of `turnstream` or `make` is one that exists, without running it."""

import re
import shlex
from collections.abc import Sequence

import click
from support.shared import REPOSITORY
from turnstream.cli.main import cli

ASSIGNMENT = re.compile(r"[A-Z_]+=")


def words_of(line: str) -> list[str]:
    """The words of a command up to a comment, a pipe or a second command; settings before it are left out.

    What a page writes in place of something stays a word.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();|&<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if set(word) <= set("();|&<>"):
            break
        words.append(word)
    while words and ASSIGNMENT.match(words[0]):
        words.pop(0)
    return words


def fault_of(words: Sequence[str]) -> str:
    """Why the command line does not take these words; empty where it does, or would with an argument more."""
    if words[0] == "make":
        return _fault_of_targets([word for word in words[1:] if "=" not in word and not word.startswith("-")])
    command: click.Command = cli
    name, arguments, parent = "turnstream", list(words[1:]), None
    try:
        while True:
            parent = command.make_context(name, arguments, parent=parent)
            rest = [*parent._protected_args, *parent.args]
            if not isinstance(command, click.Group) or not rest:
                return ""
            _, found, arguments = command.resolve_command(parent, rest)
            assert found is not None
            command, name = found, found.name or ""
    except (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError, click.MissingParameter):
        return ""
    except click.UsageError as error:
        told = error.format_message()
        return "" if told.endswith("requires an argument.") else told


def _fault_of_targets(targets: list[str]) -> str:
    there = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    return ", ".join(f"no target {target}" for target in targets if target not in there)
