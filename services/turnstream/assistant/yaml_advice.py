"""What to do about a file that is no YAML, told by what libyaml says of it."""

import yaml

GENERAL = "Check indentation, quotes and colons."
QUOTED = "while scanning a quoted scalar"


def place_and_advice(error: yaml.MarkedYAMLError, text: str) -> tuple[int, str]:
    """The line, from 1 (0: none), where the author should look, and what to do there."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return 0, GENERAL
    number = mark.line + 1
    lines = text.splitlines()
    written = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return number, "A tab stands before this line: indent with spaces."
    if error.context == QUOTED and error.context_mark is not None:
        return error.context_mark.line + 1, f"The quote that begins in line {error.context_mark.line + 1} has no end."
    if "mapping values are not allowed" in (error.problem or ""):
        return number, "Put a text that has ': ' in it in quotes, or check the indentation."
    return number, GENERAL
