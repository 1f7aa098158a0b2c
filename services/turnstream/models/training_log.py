"""Metrics of a training as event files that TensorBoard shows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from turnstream.assistant.components import NetworkOptions


class TrainingLog:
    """Writes metrics into event files; without writers it writes nothing.

    writers: for the metrics of training and for those of held-out examples; by_batch: whether each batch is a step,
    else each epoch is.
    """

    def __init__(self, writers: Mapping[str, Any], *, by_batch: bool) -> None:
        self._writers = writers
        self._by_batch = by_batch
        self._batches = 0

    def after_batch(self, metrics: Mapping[str, float]) -> None:
        self._batches += 1
        if self._by_batch:
            self._write("train", metrics, self._batches)

    def after_epoch(self, epoch: int, metrics: Mapping[str, float], validation: Mapping[str, float]) -> None:
        """epoch counts from 1."""
        if not self._by_batch:
            self._write("train", metrics, epoch)
        self._write("test", validation, self._batches if self._by_batch else epoch)

    def _write(self, which: str, metrics: Mapping[str, float], step: int) -> None:
        writer = self._writers.get(which)
        if writer is None or not metrics:
            return
        import tensorflow as tf

        # What tells TensorBoard to draw a curve; `tf.summary.scalar` would need the package tensorboard.
        plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
        metadata = tf.compat.v1.SummaryMetadata(plugin_data=plugin)
        with writer.as_default():
            for name, value in metrics.items():
                tf.summary.write(name, tf.constant(value, tf.float32), step=step, metadata=metadata)


@contextmanager
def training_log(options: NetworkOptions, model: str) -> Iterator[TrainingLog]:
    """A log into `tensorboard_log_directory`, in folders `<model>/train` and `<model>/test`; one that writes nothing
    without the key. `tensorboard_log_level` says what a step is.
    """
    writers: dict[str, Any] = {}
    if options.tensorboard_log_directory:
        # The training loop is imported where nothing is trained, too: TensorFlow takes seconds.
        import tensorflow as tf

        folder = Path(options.tensorboard_log_directory) / model
        writers = {which: tf.summary.create_file_writer(str(folder / which)) for which in ("train", "test")}
    try:
        yield TrainingLog(writers, by_batch=options.tensorboard_log_level != "epoch")
    finally:
        for writer in writers.values():
            writer.close()
