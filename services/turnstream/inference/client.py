"""Asking a model: TF Serving's gRPC API over `grpc.aio`, without importing TensorFlow.

The same client speaks to the official server and to `inference.server`.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import Int64Value
from numpy.typing import NDArray

from turnstream.api.serving.v1 import serving_pb2 as pb
from turnstream.inference.bags import led_by_padding
from turnstream.inference.metrics import PREDICTION_FAILURES
from turnstream.inference.protocol import from_tensors, to_tensors
from turnstream.inference.signatures import DEFAULT_SIGNATURE, Signature, signatures_from_any
from turnstream.runtime.channels import open_channel
from turnstream.runtime.errors import (
    DeadlinePassed,
    InternalError,
    InvalidRequest,
    ModelServerUnavailable,
    TurnstreamError,
    Unavailable,
    UnknownModel,
    error_from_rpc,
)
from turnstream.runtime.metrics import timed
from turnstream.runtime.settings import ChannelSettings

PREDICT = "/tensorflow.serving.PredictionService/Predict"
GET_MODEL_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
GET_MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
STATUS_INTERVAL_S = 0.1
MISSING_VERSION_S = 2.0
"""How long a version is asked for that the server says it does not have."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """`state` is a number of `serving_pb2.ModelVersionStatus.State`; `error` is empty where all is well."""

    version: int
    state: int
    error: str = ""

    @property
    def available(self) -> bool:
        return self.state == pb.ModelVersionStatus.AVAILABLE


class ModelClient:
    """`target` is how errors name the server."""

    def __init__(self, channel: grpc.aio.Channel, target: str = "the model server") -> None:
        self._channel = channel
        self._target = target
        self._predict = _call(channel, PREDICT, pb.PredictRequest, pb.PredictResponse)
        self._metadata = _call(channel, GET_MODEL_METADATA, pb.GetModelMetadataRequest, pb.GetModelMetadataResponse)
        self._status = _call(channel, GET_MODEL_STATUS, pb.GetModelStatusRequest, pb.GetModelStatusResponse)

    @classmethod
    def open(cls, target: str, settings: ChannelSettings | None = None) -> "ModelClient":
        """A client of `host:port`; it connects at the first call."""
        return cls(open_channel(target, settings), f"the model server at {target}")

    async def predict(
        self,
        model: str,
        inputs: Mapping[str, NDArray[Any]],
        *,
        version: int | None = None,
        label: str | None = None,
        timeout_s: float,
        outputs: Sequence[str] = (),
        signature: str = DEFAULT_SIGNATURE,
    ) -> dict[str, NDArray[Any]]:
        """Run a signature; the first axis of every array is the batch. All outputs come back, or the named ones.

        Neither `version` nor `label`: the newest version. A version that the server does not have is asked for again,
        for a while: of several servers another may have it, and one that was started anew may still load it.
        Arrays may be read-only. Bags (`ids`, `weights`; see `inference.bags`) are sent with padding in front, so that
        batching on the server changes nothing.
        Raises InvalidRequest, UnknownModel, ModelServerUnavailable, DeadlinePassed, TryLater.
        """
        spec = model_spec(model, version=version, label=label, signature=signature)
        with timed(f"model {model}"):
            tensors = to_tensors(led_by_padding(inputs))
            request = pb.PredictRequest(model_spec=spec, inputs=tensors, output_filter=outputs)
            try:
                response: pb.PredictResponse = await self._ask_while_missing(request, model, version, timeout_s)
            except TurnstreamError as error:
                PREDICTION_FAILURES.labels(model, error.status.name).inc()
                raise
            arrays: dict[str, NDArray[Any]] = self._read(lambda: from_tensors(response.outputs), model)
        return arrays

    async def _ask_while_missing(
        self, request: pb.PredictRequest, model: str, version: int | None, timeout_s: float
    ) -> Any:
        loop = asyncio.get_running_loop()
        began, left_s = loop.time(), timeout_s
        while True:
            try:
                return await self._ask(self._predict, request, model, left_s)
            except UnknownModel:
                if version is None or loop.time() - began >= min(MISSING_VERSION_S, timeout_s / 2):
                    raise
            await asyncio.sleep(STATUS_INTERVAL_S)
            left_s = began + timeout_s - loop.time()

    async def signatures(
        self, model: str, *, version: int | None = None, label: str | None = None, timeout_s: float
    ) -> dict[str, Signature]:
        """The signatures of a model by name. Raises as `predict` does."""
        spec = model_spec(model, version=version, label=label)
        request = pb.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
        response: pb.GetModelMetadataResponse = await self._ask(self._metadata, request, model, timeout_s)
        found: dict[str, Signature] = self._read(lambda: signatures_from_any(response.metadata["signature_def"]), model)
        return found

    async def versions(self, model: str, *, version: int | None = None, timeout_s: float) -> tuple[ModelVersion, ...]:
        """The versions that the server knows of, and their states. Raises as `predict` does."""
        request = pb.GetModelStatusRequest(model_spec=model_spec(model, version=version))
        response: pb.GetModelStatusResponse = await self._ask(self._status, request, model, timeout_s)
        return tuple(
            ModelVersion(s.version, s.state, s.status.error_message if s.status.error_code else "")
            for s in response.model_version_status
        )

    async def wait_until_available(self, model: str, *, version: int | None = None, timeout_s: float) -> None:
        """Until this version (any, where None) can be asked. Raises DeadlinePassed, saying what was missing."""
        missing = "not asked yet"
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    try:
                        found = await self.versions(model, version=version, timeout_s=timeout_s)
                        if any(v.available for v in found):
                            return
                        missing = ", ".join(f"version {v.version}: {_state_name(v)}" for v in found) or "no version"
                    except (Unavailable, UnknownModel) as error:
                        missing = error.message
                    await asyncio.sleep(STATUS_INTERVAL_S)
        except TimeoutError:
            raise DeadlinePassed(f"model {model!r} was not available within {timeout_s} s: {missing}") from None

    async def close(self) -> None:
        await self._channel.close()

    async def __aenter__(self) -> "ModelClient":
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, call: Any, request: Any, model: str, timeout_s: float) -> Any:
        try:
            return await call(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise self._typed(error, model, timeout_s) from error

    def _typed(self, error: grpc.aio.AioRpcError, model: str, timeout_s: float) -> TurnstreamError:
        details = error.details() or error.code().name
        match error.code():
            case grpc.StatusCode.UNAVAILABLE:
                return ModelServerUnavailable(f"{self._target} is unavailable: {details}")
            case grpc.StatusCode.NOT_FOUND:
                return UnknownModel(f"{self._target} has no such model: {details}")
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return DeadlinePassed(f"{self._target} did not answer for model {model!r} within {timeout_s} s")
            case _:
                return error_from_rpc(error, f"model {model!r}")

    def _read(self, read: Callable[[], Any], model: str) -> Any:
        try:
            return read()
        except (InvalidRequest, DecodeError) as error:
            raise InternalError(
                f"{self._target} gave an answer for model {model!r} that makes no sense: {error}"
            ) from error


def _call(channel: grpc.aio.Channel, path: str, request: Any, response: Any) -> Any:
    return channel.unary_unary(path, request.SerializeToString, response.FromString)


def model_spec(
    model: str, *, version: int | None = None, label: str | None = None, signature: str = ""
) -> pb.ModelSpec:
    """Raises InvalidRequest without a name, or with both a version and a label."""
    if not model:
        raise InvalidRequest("a model's name must not be empty")
    if version is not None and label is not None:
        raise InvalidRequest(f"model {model!r}: give a version or a label, not both")
    return pb.ModelSpec(
        name=model,
        version=None if version is None else Int64Value(value=version),
        version_label=label,  # type: ignore[arg-type]
        signature_name=signature,
    )


def _state_name(version: ModelVersion) -> str:
    known = pb.ModelVersionStatus.State.values()
    name = pb.ModelVersionStatus.State.Name(version.state) if version.state in known else str(version.state)  # type: ignore[arg-type]
    return f"{name} {version.error}".strip()
