"""gRPC on one port: TF Serving's PredictionService and ModelService, and KServe's V2 service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from kserve.errors import ModelNotFound, ModelNotReady
from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc
from kserve.protocol.grpc.interceptors import ExceptionToStatusInterceptor
from kserve.protocol.grpc.servicer import InferenceServicer
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from components.serving.decoding import decoded
from components.serving.errors import (
    InvalidRequest,
    Overloaded,
    RequestError,
    TooLarge,
    message_of,
    shown,
    unknown_version,
)
from components.serving.models.predictor import Predictor
from components.serving.models.request_checks import check_declared, check_names, check_outputs
from components.serving.models.saved_model import ServedModel, Signature
from components.serving.observation import Observer, note, note_answer
from components.serving.protocols import tensor_protos
from components.serving.protocols.tf_serving_json import signature_map
from components.serving.settings import ServeSettings

_SIGNATURE_DEF = "signature_def"  # the only field that GetModelMetadata supports
RETRY_PUSHBACK = "grpc-retry-pushback-ms"  # of gRPC's retry design (gRFC A6)
_log = logging.getLogger(__name__)


def make_grpc_server(
    predictor: Predictor,
    inference: InferenceServicer,
    observer: Observer,
    settings: ServeSettings,
    shared: bool,
) -> tuple[grpc.aio.Server, int]:
    """Builds the server without starting it; returns it and its port.

    Args:
        shared: whether other workers also listen on the port; the kernel distributes the connections.

    Raises:
        RuntimeError: the port is in use.
    """
    server = grpc.aio.server(
        ThreadPoolExecutor(1),  # our handlers do not block
        interceptors=(_Interceptor(observer, settings),),
        options=[
            ("grpc.max_receive_message_length", settings.max_request_bytes),
            ("grpc.max_send_message_length", settings.max_grpc_response_bytes),
            ("grpc.max_metadata_size", settings.max_header_bytes),  # above it gRPC begins to reject at random
            ("grpc.absolute_max_metadata_size", settings.max_header_bytes),
            ("grpc.so_reuseport", int(shared)),  # otherwise two servers would share its requests unnoticed
        ],
    )
    service = TFServing(predictor)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    grpc_predict_v2_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(inference, server)
    return server, server.add_insecure_port(f"{settings.host}:{settings.grpc_port}")


class TFServing(
    prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer
):
    """Predict, GetModelMetadata and GetModelStatus; the other methods are UNIMPLEMENTED."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    async def Predict(self, request: predict_pb2.PredictRequest, context: Any) -> predict_pb2.PredictResponse:
        """Runs a signature; TensorProtos in, TensorProtos out."""
        version = self._version(request.model_spec)
        return await self._predictor.answer(version, lambda model: self._predict(model, request))

    async def GetModelMetadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: Any
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """The signatures."""
        unknown = [field for field in request.metadata_field if field != _SIGNATURE_DEF]
        if unknown or not request.metadata_field:
            raise InvalidRequest(
                f"metadata_field must be {_SIGNATURE_DEF!r}, got {shown(list(request.metadata_field))}"
            )
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self._predictor.versions.lease(self._version(request.model_spec)) as model:
            response.metadata[_SIGNATURE_DEF].Pack(signature_map(model.signatures))
            response.model_spec.name = model.name
            response.model_spec.version.value = model.version
        return response

    async def GetModelStatus(
        self, request: get_model_status_pb2.GetModelStatusRequest, context: Any
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """The state of each version, or of the requested one."""
        version = self._version(request.model_spec)
        response = get_model_status_pb2.GetModelStatusResponse()
        for known in self._predictor.versions.states():
            if version in (None, known.version):
                status = response.model_version_status.add(
                    version=known.version,
                    state=get_model_status_pb2.ModelVersionStatus.State.Value(known.state),
                )
                if known.error:
                    status.status.error_code = tf.errors.UNKNOWN
                    status.status.error_message = known.error
        if not response.model_version_status:
            raise unknown_version(request.model_spec.name, version)
        return response

    def _version(self, spec: Any) -> int | None:
        if spec.name != self._predictor.versions.name:
            raise unknown_version(spec.name, spec.version.value if spec.HasField("version") else None)
        if spec.version_label:
            raise InvalidRequest(f"version labels are not served, got {shown(spec.version_label)}")
        return int(spec.version.value) if spec.HasField("version") else None

    def _predict(
        self, model: ServedModel, request: predict_pb2.PredictRequest
    ) -> predict_pb2.PredictResponse:
        signature = model.signature(request.model_spec.signature_name)
        tensors = decoded(lambda: _tensors(signature, request, model.limits))
        outputs = model.run(signature, tensors)
        note_answer(model.version, signature.name, tensors)
        response = predict_pb2.PredictResponse()
        for key in request.output_filter or signature.outputs:
            response.outputs[key].CopyFrom(tf.make_tensor_proto(outputs[key]))
        response.model_spec.name, response.model_spec.signature_name = model.name, signature.name
        response.model_spec.version.value = model.version
        return response


def _tensors(
    signature: Signature, request: predict_pb2.PredictRequest, limits: ServeSettings
) -> dict[str, np.ndarray]:
    for option in ("predict_streamed_options", "request_options"):
        if request.HasField(option):
            raise InvalidRequest(f"{option} are not served")
    check_outputs(signature, request.output_filter)
    check_names(signature, request.inputs)
    declared = {key: tensor_protos.declared(key, request.inputs[key]) for key in signature.inputs}
    check_declared(signature, declared, limits)
    return {key: tensor_protos.decode(key, request.inputs[key]) for key in declared}


class _Malformed:
    """Replaces a request that could not be parsed, so that it is answered and logged like any other."""

    def __init__(self, error: Exception) -> None:
        self.reason = str(error)


class _Interceptor(ExceptionToStatusInterceptor):
    """Logs and counts each call, and turns errors into their gRPC status."""

    def __init__(self, observer: Observer, settings: ServeSettings) -> None:
        super().__init__()
        self._observer, self._settings = observer, settings

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await super().intercept_service(continuation, handler_call_details)
        # gRPC's own answer to an invalid protobuf is UNKNOWN, with the name of a Python class.
        return handler and handler._replace(request_deserializer=_forgiving(handler.request_deserializer))

    async def intercept(self, method: Any, request_or_iterator: Any, context: Any, method_name: str) -> Any:
        sent = dict(context.invocation_metadata() or ())
        log = self._observer.begin("grpc", method_name, sent.get("x-request-id"))
        try:
            checked = _checked(method, self._settings.max_grpc_response_bytes)
            response = await super().intercept(checked, request_or_iterator, context, method_name)
        except BaseException:
            # The status that handle_exception set; none if the client disconnected.
            log.end(log.facts.pop("status", "CANCELLED"))
            raise
        log.end("OK")
        return response

    async def handle_exception(
        self, ex: Exception, request_or_iterator: Any, context: Any, method_name: str
    ) -> NoReturn:
        code, message = _status(ex)
        note(status=code, error=message)
        if code == "INTERNAL":
            _log.error("%s failed", method_name, exc_info=ex)
        try:
            await context.abort(grpc.StatusCode[code], message, _pushback(ex))
        except grpc.aio.AbortError as abort:
            # gRPC keeps the error with the call, and its traceback refers to the call and the request: a cycle
            # whose size the garbage collector does not see. The error has been handled by the next loop iteration.
            asyncio.get_running_loop().call_soon(_forget, abort, ex)
            raise
        raise ex


def _forget(*errors: BaseException) -> None:
    for error in errors:
        error.__traceback__ = error.__context__ = error.__cause__ = None


def _forgiving(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def parse(message: bytes) -> Any:
        try:
            return deserialize(message)
        except DecodeError as error:
            return _Malformed(error)

    return parse


def _checked(method: Any, most: int) -> Any:
    """`method` for requests that could be parsed, with an answer of at most `most` bytes."""

    async def call(request: Any, context: Any) -> Any:
        if isinstance(request, _Malformed):
            raise InvalidRequest(f"the request is not a valid message: {request.reason}")
        response = await method(request, context)
        if response.ByteSize() > most:  # gRPC would reject it too, but with a traceback in the log
            raise TooLarge(
                f"the answer has {response.ByteSize()} bytes, at most {most} are allowed; ask for less"
            )
        return response

    return call


def _pushback(error: Exception) -> tuple[tuple[str, str], ...]:
    """REST's Retry-After as trailing metadata, which tells a client with a retry policy how long to wait."""
    requested = error.retry_after if isinstance(error, RequestError) else None
    seconds = Overloaded.retry_after if isinstance(error, ModelNotReady) else requested
    return () if seconds is None else ((RETRY_PUSHBACK, str(seconds * 1000)),)


def _status(error: Exception) -> tuple[str, str]:
    """Returns (name of the gRPC status, message for the client)."""
    if isinstance(error, RequestError):
        return error.code, message_of(error)
    if isinstance(error, ModelNotFound):
        return "NOT_FOUND", message_of(error)
    if isinstance(error, ModelNotReady):
        return "UNAVAILABLE", message_of(error)
    if isinstance(error, NotImplementedError):
        return "UNIMPLEMENTED", message_of(error) or "not implemented"
    return "INTERNAL", "internal error; see the server's log"
