"""The gRPC service `ResponseSelection`."""

from typing import Any

import grpc.aio

from turnstream.api.v1 import selection_pb2, selection_pb2_grpc
from turnstream.dialogue.proto import selected_to_proto
from turnstream.features.proto import features_from_proto
from turnstream.inference.asker import ModelAsker
from turnstream.runtime.bundles import Bundles
from turnstream.runtime.errors import InvalidRequest
from turnstream.selection.loaded import LoadedSelection

Context = grpc.aio.ServicerContext[Any, Any]


class SelectionService(selection_pb2_grpc.ResponseSelectionServicer):
    def __init__(
        self, bundles: Bundles[LoadedSelection], models: ModelAsker, *, predict_timeout_s: float = 5.0
    ) -> None:
        self._bundles = bundles
        self._models = models
        self._predict_timeout_s = predict_timeout_s

    async def SelectResponse(
        self, request: selection_pb2.SelectResponseRequest, context: Context
    ) -> selection_pb2.SelectResponseResponse:
        if not request.HasField("features") and not request.intent:
            raise InvalidRequest("'features' are missing; only a message that names its intent has none")
        version = request.bundle_version or self._bundles.stable
        loaded = self._bundles.get(version)
        try:
            features = features_from_proto(request.features, loaded.spec) if request.HasField("features") else None
        except ValueError as error:
            raise InvalidRequest(str(error)) from error
        selections = await loaded.select(features, self._models, self._predict_timeout_s)
        return selection_pb2.SelectResponseResponse(
            selections={name: selected_to_proto(selected) for name, selected in selections.items()},
            all_retrieval_intents=loaded.retrieval_intents if selections else (),
            bundle_version=version,
        )
