"""The way to the brokers: found in the background, as often as it takes; the topics are made or checked."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import kafka
import kafka.errors

from turnstream.turnlog.errors import AccessDenied, IncompatibleLog, LogClosed
from turnstream.turnlog.interface import Snapshot
from turnstream.turnlog.kafka.archive import Buckets
from turnstream.turnlog.kafka.batches import Record
from turnstream.turnlog.kafka.clients import Refused, open_admin
from turnstream.turnlog.kafka.index import ConversationIndex
from turnstream.turnlog.kafka.reach import is_reachable
from turnstream.turnlog.kafka.reader import BY_PLACE, Reader
from turnstream.turnlog.kafka.settings import KafkaSettings, client_config
from turnstream.turnlog.kafka.topics import ensure_topics

logger = logging.getLogger(__name__)

T = TypeVar("T")
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_DENIED = (
    Refused,
    kafka.errors.SaslAuthenticationFailedError,
    kafka.errors.AuthorizationError,
    kafka.errors.UnsupportedSaslMechanismError,
)


def unreachable(settings: KafkaSettings) -> str:
    """What to look at. A broker that expects TLS or a log-in hangs up on a client that does not try either."""
    return (
        f"Kafka at {settings.bootstrap_servers} does not answer "
        f"(kafka.bootstrap_servers; kafka.security_protocol is {settings.security_protocol})"
    )


def missing_files(settings: KafkaSettings) -> list[str]:
    """The settings that name files that are not there."""
    names = ("ssl_cafile", "ssl_certfile", "ssl_keyfile")
    return [f"kafka.{name}" for name in names if (file := getattr(settings, name)) and not Path(file).is_file()]


class Connection:
    """Begins at once. `admin` waits for it."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._closed = False
        self._found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._found.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._attempt: asyncio.Future[Any] | None = None
        self._finding = asyncio.create_task(self._find())

    async def admin(self) -> Any:
        """The admin client. Raises IncompatibleLog, AccessDenied, LogClosed."""
        return await asyncio.shield(self._found)

    async def trouble(self) -> str:
        """What keeps the log from being used now, for people; empty where nothing does."""
        if not self._found.done():
            return unreachable(self._settings)
        if (error := self._found.exception()) is not None:
            return str(error)
        return "" if await is_reachable(self._settings) else unreachable(self._settings)

    def fail(self) -> None:
        """Whoever waits for the connection gets LogClosed."""
        self._closed = True
        if not self._found.done():
            self._found.set_exception(LogClosed("the turn log is closed"))

    async def close(self) -> None:
        """An attempt that is under way is waited for: at most the five seconds that it takes to fail."""
        self.fail()
        self._finding.cancel()
        if self._attempt is None:
            return
        await asyncio.wait([self._attempt])
        if self._attempt.exception() is None:
            await asyncio.to_thread(self._attempt.result().close)

    async def _find(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._found.done():
            try:
                self._attempt = asyncio.get_running_loop().run_in_executor(None, self._open)
                self._attempt.add_done_callback(lambda attempt: attempt.cancelled() or attempt.exception())
                admin = await asyncio.shield(self._attempt)
            except (IncompatibleLog, AccessDenied) as error:
                logger.error("%s", error)
                self._found.set_exception(error)
                return
            except Exception as error:
                logger.warning("%s (%s)", unreachable(self._settings), repr(error))
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            else:
                self._found.set_result(admin)

    def _open(self) -> Any:
        for name in missing_files(self._settings):
            raise AccessDenied(f"{name}: there is no file '{getattr(self._settings, name.partition('.')[2])}'")
        try:
            admin = open_admin(client_config(self._settings))
        except _DENIED as error:
            raise self._denied(error) from error
        try:
            ensure_topics(admin, self._settings)
            if self._closed:
                raise LogClosed("the turn log is closed")
        except _DENIED as error:
            admin.close()
            raise self._denied(error) from error
        except BaseException:
            admin.close()
            raise
        return admin

    def _denied(self, error: BaseException) -> AccessDenied:
        where = f"Kafka at {self._settings.bootstrap_servers} does not let this process in"
        if isinstance(error, Refused):
            return AccessDenied(f"{where}: {error}")
        return AccessDenied(f"{where}: {error!r}. Check the rights of the user that kafka.sasl_username names.")


@dataclass(slots=True)
class _Gathered:
    """The turns of a partition that the next reading is to find."""

    offsets: set[int] = field(default_factory=set)
    reading: "asyncio.Future[dict[int, Record]] | None" = None


def _heed(reading: "asyncio.Future[dict[int, Record]]") -> None:
    """An error is that of those who wait; where nobody does any more, nobody need hear of it."""
    if not reading.cancelled():
        reading.exception()


class Lookup:
    """Reading by place from asyncio: one reader in one thread, tried again while the broker is away."""

    def __init__(self, settings: KafkaSettings, connection: Connection) -> None:
        self._settings = settings
        self._connection = connection
        self._executor = ThreadPoolExecutor(1, "turnlog-reader")
        self._reader: Reader | None = None
        self._buckets = Buckets()
        self._lock = threading.Lock()
        self._gathered: dict[int, _Gathered] = {}
        self._closed = False

    async def index(self, partition: int, conversation_id: str) -> ConversationIndex | None:
        """A conversation's index, from the state topic; costs the state of its partition."""
        return await self.run(lambda reader: reader.index(partition, conversation_id))

    async def snapshot(self, partition: int, offset: int) -> Snapshot | None:
        """None where a newer one took its place."""

        def read(reader: Reader) -> Snapshot | None:
            with contextlib.suppress(KeyError):
                return reader.snapshot(partition, offset)
            return None

        return await self.run(read)

    async def archived_index(self, partition: int, bucket: int, conversation_id: str) -> ConversationIndex | None:
        """The index of a conversation that was idle, if it is in the bucket at this place of the archive."""
        return await self.run(lambda reader: self._buckets.find(reader, partition, bucket, conversation_id))

    async def bucket(self, partition: int, offset: int | None) -> bytes:
        """What stands in a bucket of the archive."""
        return await self.run(lambda reader: self._buckets.read(reader, partition, offset))

    async def with_admin(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        """Raises kafka.errors.KafkaError."""
        return await ask(await self._connection.admin())

    async def turns_at(self, partition: int, offsets: list[int]) -> list[Record]:
        """Those that are there, in order. Whoever asks while a reading of the partition waits is answered by it too.

        A worker that took a partition over is asked for many conversations at once, whose turns lie side by side.
        """
        if not offsets:
            return []
        with self._lock:
            gathered = self._gathered.get(partition)
            if gathered is None:
                gathered = self._gathered[partition] = _Gathered()
            gathered.offsets.update(offsets)
        if gathered.reading is None:
            gathered.reading = asyncio.ensure_future(self._read_gathered(partition, gathered))
            gathered.reading.add_done_callback(_heed)
        found = await asyncio.shield(gathered.reading)
        return [found[offset] for offset in sorted(offsets) if offset in found]

    async def _read_gathered(self, partition: int, gathered: "_Gathered") -> dict[int, Record]:
        def read(reader: Reader) -> dict[int, Record]:
            with self._lock:
                # Who asks from now on waits for the next reading.
                if self._gathered.get(partition) is gathered:
                    del self._gathered[partition]
            return {record.offset: record for record in reader.turns_at(partition, sorted(gathered.offsets))}

        return await self.run(read)

    async def run(self, read: Callable[[Reader], T]) -> T:
        """Raises LogClosed, IncompatibleLog, AccessDenied, ValueError for a record of another version."""
        admin = await self._connection.admin()
        pause_s = _FIRST_PAUSE_S
        while not self._closed:
            try:
                return await asyncio.get_running_loop().run_in_executor(self._executor, self._read, admin, read)
            except ValueError:
                raise
            except Exception as error:
                if not self._closed:
                    logger.warning("the turn log cannot be read; trying again: %s", repr(error))
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        raise LogClosed("the turn log is closed")

    async def close(self) -> None:
        self._closed = True
        if self._reader is not None:
            self._reader.cancel()
        await asyncio.get_running_loop().run_in_executor(self._executor, self._drop)
        self._executor.shutdown(wait=False)

    def _read(self, admin: Any, read: Callable[[Reader], T]) -> T:
        if self._reader is None:
            self._reader = Reader(self._settings, admin, BY_PLACE)
        try:
            return read(self._reader)
        except BaseException:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
