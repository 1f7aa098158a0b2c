"""Networks are trained in processes of their own: tracing and exporting a graph holds Python's lock, so that threads
would take turns.

They are forked from a server that has TensorFlow loaded and has never used it.
"""

import multiprocessing
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

from turnstream.assistant.bundle import BundleWriter
from turnstream.models.training_loop import ProgressCallback, TrainingProgress
from turnstream.training.tensorflow import load_tensorflow, require_tensorflow

Build = Callable[[BundleWriter, ProgressCallback], None]

_CONTEXT = multiprocessing.get_context("forkserver")


class TrainingEnded(Exception):
    """The process of a training ended in the middle; the message says how, and what may be the reason."""


class Stopped(Exception):
    """Another part failed, or the training was interrupted."""


def prepare() -> None:
    """Begin to load TensorFlow, and return at once. Raises ModuleNotFoundError where it is not installed."""
    require_tensorflow()
    _CONTEXT.set_forkserver_preload(["turnstream.training.preloaded"])
    forkserver.ensure_running()


def timed(build: Build, writer: BundleWriter, progress: ProgressCallback) -> float:
    """Call `build`; the seconds it took."""
    started = time.monotonic()
    build(writer, progress)
    return time.monotonic() - started


class Workers:
    """The processes of one training; for threads that wait for one each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: set[ForkServerProcess] = set()
        self._is_stopped = False

    def run(self, build: Build, writer: BundleWriter, progress: ProgressCallback) -> float:
        """Call `build` in another process, which gets a copy of the writer, and wait for it: the seconds it took there.

        `progress` is called in this thread. Raises what `build` raises, TrainingEnded where its process is gone, and
        Stopped.
        """
        told, tells = _CONTEXT.Pipe(duplex=False)
        with told:
            with tells:
                process = self._start(build, writer, tells)
            try:
                while isinstance(message := _received(told, process), TrainingProgress):
                    progress(message)
                return message
            except TrainingEnded:
                self.raise_if_stopped()
                raise
            finally:
                self._end(process)

    def stop(self) -> None:
        """End all of them, and wait for their end; those who wait for one are told, and no other begins."""
        with self._lock:
            self._is_stopped = True
            for process in self._processes:
                process.terminate()
            for process in self._processes:
                process.join()

    def raise_if_stopped(self) -> None:
        """Raises Stopped."""
        if self._is_stopped:
            raise Stopped

    def _start(self, build: Build, writer: BundleWriter, tells: Connection) -> ForkServerProcess:
        process = _CONTEXT.Process(target=_work, args=(build, writer, tells), daemon=True)
        with self._lock:
            self.raise_if_stopped()
            process.start()
            self._processes.add(process)
        return process

    def _end(self, process: ForkServerProcess) -> None:
        with self._lock:
            self._processes.discard(process)
        # One that is done ends by itself; one that nobody waits for any more is to end.
        process.terminate()
        process.join()
        process.close()


def _received(told: Connection, process: ForkServerProcess) -> TrainingProgress | float:
    """The next progress, or the seconds at the end. Raises what the process raised, and TrainingEnded."""
    try:
        message = told.recv()
    except EOFError:
        process.join()
        raise TrainingEnded(_how(process.exitcode)) from None
    if isinstance(message, Exception):
        raise message
    assert isinstance(message, TrainingProgress | float)
    return message


def _how(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "its process was killed, which is what happens where memory runs out"
    return f"its process ended with {f'signal {-code}' if code is not None and code < 0 else f'exit code {code}'}"


def _work(build: Build, writer: BundleWriter, tells: Connection) -> None:
    """The process. Ctrl-C goes to all of a terminal's processes; this one is ended by the one that waits for it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        load_tensorflow()
        tells.send(timed(build, writer, tells.send))
    except BrokenPipeError:
        # Nobody waits any more.
        return
    except Exception as error:
        tells.send(_sendable(error))


def _sendable(error: Exception) -> Exception:
    """With the traceback of this process; as plain text where the exception does not survive being sent."""
    text = "".join(traceback.format_exception(error))
    error.add_note(f"In the process of the training:\n{text}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(text)
    return error
