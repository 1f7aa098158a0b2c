"""A reader of bytes, and what it may do with any bytes at all: answer, or raise one of its documented errors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Target:
    """`read` is given any bytes; `refusals` are the errors that it documents. `seeds` are inputs that it accepts."""

    name: str
    read: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...] = ()
    seeds: Callable[[], Sequence[bytes]] = field(default=tuple)

    def __call__(self, data: bytes) -> None:
        """Raises what is a finding."""
        try:
            self.read(data)
        except self.refusals:
            return


def choosing(*readers: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """One reader of several: the first byte says which reads the rest."""

    def read(data: bytes) -> object:
        return readers[data[0] % len(readers)](data[1:]) if data else None

    return read


def chosen(number: int, data: bytes) -> bytes:
    """An input for reader `number` of `choosing`."""
    return bytes([number]) + data
