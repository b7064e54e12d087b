"""KServe's V2 protocol over gRPC: KServe's servicer, with versions and with strict checks of requests."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from kserve.constants.constants import GRPC_CONTENT_DATATYPE_MAPPINGS
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.servicer import InferenceServicer
from kserve.utils.utils import to_headers

from components.serving.errors import InvalidRequest, shown, version_number
from components.serving.models.kserve_model import requested_version
from components.serving.models.request_checks import check_names, check_outputs
from components.serving.models.saved_model import ServedModel
from components.serving.protocols.v2_request import (
    BINARY_SIZE,
    SIGNATURE_NAME,
    V2Input,
    V2Output,
    V2Request,
    check_parameters,
    datatype_of,
    infer,
    raw_bytes,
)


class VersionedInference(InferenceServicer):
    """Adds versions and checks of declared tensors, both of which KServe's own servicer ignores."""

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
        """Answers tensors with tensors, in raw form if the request was in raw form."""
        self._set_version(request.model_name, request.model_version)
        response, _ = await self._data_plane.infer(
            request=functools.partial(answer, request=request),
            headers=to_headers(context),
            model_name=request.model_name,
        )
        found: pb.ModelInferResponse = response
        return found

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Any) -> pb.ModelReadyResponse:
        """Whether the model, or the tensor version of it, is loaded; NOT_FOUND for another model."""
        if request.version:
            await self._metadata(request)
        return await super().ModelReady(request, context)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Any) -> pb.ModelMetadataResponse:
        """Inputs and outputs of the text signature."""
        return pb.ModelMetadataResponse(**await self._metadata(request))

    async def _metadata(self, request: pb.ModelReadyRequest | pb.ModelMetadataRequest) -> dict[str, Any]:
        self._set_version(request.name, request.version)
        found: dict[str, Any] = await self._data_plane.model_metadata(model_name=request.name)
        return found

    def _set_version(self, name: str, version: str) -> None:
        requested_version.set(version_number(name, version) if version else None)


def answer(model: ServedModel, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
    """Raises InvalidRequest: see `components.serving.protocols.v2_request.infer`."""
    found = infer(model, lambda: _request(model, request))
    response = pb.ModelInferResponse(id=found.id, model_name=found.name, model_version=found.version)
    for name, values, raw in found.outputs:
        datatype = datatype_of(values)
        output = response.outputs.add(name=name, datatype=datatype, shape=values.shape)
        if raw or datatype not in GRPC_CONTENT_DATATYPE_MAPPINGS:  # FP16 has no other form
            response.raw_output_contents.append(raw_bytes(values))
        else:
            getattr(output.contents, GRPC_CONTENT_DATATYPE_MAPPINGS[datatype]).extend(values.ravel().tolist())
    return response


def _request(model: ServedModel, request: pb.ModelInferRequest) -> V2Request:
    parameters = check_parameters("the request", _values("the request", request), {SIGNATURE_NAME: str})
    signature = model.signature(parameters.get(SIGNATURE_NAME, ""))
    check_names(signature, (tensor.name for tensor in request.inputs))
    check_outputs(signature, (output.name for output in request.outputs))
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InvalidRequest(f"raw_input_contents has {len(raw)} entries for {len(request.inputs)} inputs")
    inputs = [_input(tensor, raw[number] if raw else None) for number, tensor in enumerate(request.inputs)]
    return V2Request(
        request.id, signature, inputs, [_output(tensor) for tensor in request.outputs], bool(raw)
    )


def _values(where: str, owner: Any) -> Iterator[tuple[str, Any]]:
    for key, parameter in owner.parameters.items():
        kind = parameter.WhichOneof("parameter_choice")
        if kind is None:
            raise InvalidRequest(f"{where} has the parameter {shown(key)} without a value")
        yield key, getattr(parameter, kind)


def _output(tensor: Any) -> V2Output:
    where = f"output {tensor.name!r}"
    check_parameters(where, _values(where, tensor), {})
    return V2Output(tensor.name)


def _input(tensor: Any, raw: bytes | None) -> V2Input:
    where, shape = f"input {tensor.name!r}", tuple(tensor.shape)
    # KServe's client also sends it for raw inputs over gRPC.
    size = check_parameters(where, _values(where, tensor), {BINARY_SIZE: int}).get(BINARY_SIZE)
    if size is not None and (raw is None or size != len(raw)):
        has = "no raw_input_contents" if raw is None else f"{len(raw)} bytes of raw_input_contents"
        raise InvalidRequest(f"{where} has the {BINARY_SIZE} {size} and {has}")
    if raw is None:
        return V2Input(
            tensor.name,
            tensor.datatype,
            shape,
            lambda dtype, count: _contents_size(tensor, dtype, count),
            lambda dtype: _contents_values(tensor, shape, dtype),
        )
    if tensor.HasField("contents"):
        raise InvalidRequest(f"{where} has contents beside raw_input_contents; send one of them")
    return V2Input.of_raw(tensor.name, tensor.datatype, shape, raw)


def _contents_size(tensor: Any, dtype: np.dtype, count: int) -> int:
    """Checks the number of values without decoding them; returns their decoded size."""
    field = GRPC_CONTENT_DATATYPE_MAPPINGS.get(tensor.datatype.upper())
    if field is None:
        raise InvalidRequest(
            f"input {tensor.name!r}: {tensor.datatype} has its values in raw_input_contents only"
        )
    others = [found.name for found, _ in tensor.contents.ListFields() if found.name != field]
    if others:
        raise InvalidRequest(
            f"input {tensor.name!r} of {tensor.datatype} must have its values in {field}, got {others}"
        )
    values = getattr(tensor.contents, field)
    if len(values) != count:
        raise InvalidRequest(f"input {tensor.name!r} has {len(values)} values in {field}, its shape {count}")
    return count + sum(map(len, values)) if dtype.hasobject else count * dtype.itemsize


def _contents_values(tensor: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    values = getattr(tensor.contents, GRPC_CONTENT_DATATYPE_MAPPINGS[tensor.datatype.upper()])
    array = np.empty(len(values), dtype)
    try:
        array[:] = list(values)
    except OverflowError as error:  # 300 as a UINT8
        raise InvalidRequest(f"input {tensor.name!r}: {error}") from None
    return array.reshape(shape)
