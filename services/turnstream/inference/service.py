"""TF Serving's two gRPC services over a `ModelRepository`: Predict, GetModelMetadata, GetModelStatus, ..."""

from pathlib import Path
from typing import Any

import grpc

from turnstream.api.serving.v1 import serving_pb2 as pb
from turnstream.inference.protocol import from_tensors, to_tensors
from turnstream.inference.repository import ModelRepository, ServedModel
from turnstream.inference.signatures import DEFAULT_SIGNATURE, check_inputs, check_outputs, signatures_to_any
from turnstream.inference.sources import ModelConfigError, models_of
from turnstream.runtime.errors import InvalidRequest
from turnstream.runtime.services import Service

SIGNATURE_DEF = "signature_def"


class PredictionService:
    """Raises InvalidRequest and UnknownModel with the model's own names in the message."""

    def __init__(self, repository: ModelRepository) -> None:
        self._repository = repository

    async def Predict(self, request: pb.PredictRequest, context: Any) -> pb.PredictResponse:
        served = self._repository.resolve(request.model_spec)
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature, where = served.signature(name), f"{served}, signature {name!r}"
        wanted = list(request.output_filter) or sorted(signature.outputs)
        check_outputs(where, signature, wanted)
        inputs = from_tensors(request.inputs)
        check_inputs(where, signature, inputs)
        outputs = await served.predict(name, inputs)
        tensors = to_tensors({key: outputs[key] for key in wanted})
        return pb.PredictResponse(outputs=tensors, model_spec=_spec(served, name))

    async def GetModelMetadata(self, request: pb.GetModelMetadataRequest, context: Any) -> pb.GetModelMetadataResponse:
        unknown = sorted(set(request.metadata_field) - {SIGNATURE_DEF})
        if unknown or not request.metadata_field:
            raise InvalidRequest(f"metadata_field must be {SIGNATURE_DEF!r}, not {unknown}")
        served = self._repository.resolve(request.model_spec)
        metadata = {SIGNATURE_DEF: signatures_to_any(served.model.signatures)}
        return pb.GetModelMetadataResponse(model_spec=_spec(served), metadata=metadata)


class ModelService:
    def __init__(self, repository: ModelRepository) -> None:
        self._repository = repository

    async def GetModelStatus(self, request: pb.GetModelStatusRequest, context: Any) -> pb.GetModelStatusResponse:
        spec = request.model_spec
        if spec.WhichOneof("version_choice") == "version_label":
            version: int | None = self._repository.resolve(spec).version
        else:
            version = spec.version.value if spec.HasField("version") else None
        return pb.GetModelStatusResponse(model_version_status=self._repository.status(spec.name, version))

    async def HandleReloadConfigRequest(self, request: pb.ReloadConfigRequest, context: Any) -> pb.ReloadConfigResponse:
        """Answers once new versions are loaded; one that fails is in `GetModelStatus`. Raises InvalidRequest."""
        config = request.config
        try:
            await self._repository.reconfigure(lambda: models_of(config, Path("/"), "the request"))
        except ModelConfigError as error:
            raise InvalidRequest(str(error)) from error
        return pb.ReloadConfigResponse(status=pb.Status())


def _spec(served: ServedModel, signature: str = "") -> pb.ModelSpec:
    spec = pb.ModelSpec(name=served.name, signature_name=signature)
    spec.version.value = served.version
    return spec


def _register(server: Any, name: str, methods: "dict[str, grpc.RpcMethodHandler[Any, Any]]") -> None:
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, methods),))
    server.add_registered_method_handlers(name, methods)


def _unary(behaviour: Any, request: Any, response: Any) -> "grpc.RpcMethodHandler[Any, Any]":
    return grpc.unary_unary_rpc_method_handler(
        behaviour, request_deserializer=request.FromString, response_serializer=response.SerializeToString
    )


def add_prediction_service(servicer: PredictionService, server: Any) -> None:
    methods = {
        "Predict": _unary(servicer.Predict, pb.PredictRequest, pb.PredictResponse),
        "GetModelMetadata": _unary(servicer.GetModelMetadata, pb.GetModelMetadataRequest, pb.GetModelMetadataResponse),
    }
    _register(server, "tensorflow.serving.PredictionService", methods)


def add_model_service(servicer: ModelService, server: Any) -> None:
    methods = {
        "GetModelStatus": _unary(servicer.GetModelStatus, pb.GetModelStatusRequest, pb.GetModelStatusResponse),
        "HandleReloadConfigRequest": _unary(
            servicer.HandleReloadConfigRequest, pb.ReloadConfigRequest, pb.ReloadConfigResponse
        ),
    }
    _register(server, "tensorflow.serving.ModelService", methods)


def model_services(repository: ModelRepository) -> list[Service]:
    """What a server or a `LocalServer` registers."""
    return [
        Service(PredictionService(repository), add_prediction_service),
        Service(ModelService(repository), add_model_service),
    ]
