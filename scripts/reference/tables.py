"""Tables in Markdown, of what the code has and what meanings.py says of it."""

from collections.abc import Iterable, Iterator, Mapping


def cell(text: object) -> str:
    """A text that breaks no table."""
    return " ".join(str(text).replace("|", "\\|").split())


def table(*columns: str, rows: Iterable[Iterable[object]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"| {' | '.join('---' for _ in columns)} |"
    for row in rows:
        yield f"| {' | '.join(cell(value) for value in row)} |"
    yield ""


def described(keys: Iterable[str], meanings: Mapping[str, str]) -> Iterator[str]:
    """A table of keys. Raises ValueError where a key has no meaning, or a meaning no key."""
    names = list(dict.fromkeys(keys))
    require_same(names, meanings)
    return table("key", "meaning", rows=((f"`{name}`", meanings[name]) for name in names))


def require_same(keys: Iterable[str], meanings: Iterable[str]) -> None:
    """Raises ValueError with what is in one of them alone."""
    if differing := sorted(set(keys) ^ set(meanings)):
        raise ValueError(f"scripts/reference/meanings.py and the code differ in {', '.join(differing)}")
