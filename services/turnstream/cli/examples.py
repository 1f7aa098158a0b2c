"""What stands below a command's help."""


def examples(*commands: str) -> str:
    """An epilog whose lines are shown as they are: each is a command that can be typed."""
    return "\n".join(("\b", "Examples:", *(f"  {command}" for command in commands)))
