"""Numbers of things, in words."""


def counted(count: int, name: str) -> str:
    """`1 turn`, `2 turns`, `3 stories`; `name` is the singular."""
    plural = f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"
    return f"{count} {name if count == 1 else plural}"
