"""KServe's V2 protocol: the model as KServe's data plane sees it."""

from __future__ import annotations

import contextvars
from collections.abc import Mapping
from typing import Any

import numpy as np
from kserve import InferInput, InferOutput, InferRequest, InferResponse, Model, ModelRepository
from kserve.errors import InvalidInput, ModelNotFound
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.infer_type import to_http_parameters
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.utils.numpy_codec import from_np_dtype

from components.serving.board import Board
from components.serving.errors import InvalidRequest, Refused, RequestError, version_number
from components.serving.observation import note_answer
from components.serving.predictor import Predictor
from components.serving.saved_model import ServedModel, Signature, Tensors
from components.serving.tf_serving_json import is_number, not_of_type

# The version that a request names outside of its body: KServe's handlers know of none.
requested_version: contextvars.ContextVar[int | None] = contextvars.ContextVar("version", default=None)


class KServeModel(Model):
    """The served model under its name, whichever version answers."""

    def __init__(self, name: str, predictor: Predictor) -> None:
        super().__init__(name)
        self._predictor = predictor
        self.ready = True  # a method of ours says it, see healthy()

    async def healthy(self) -> bool:
        """Whether a version is loaded."""
        return self._predictor.versions.current_version is not None

    def load(self) -> bool:
        """KServe asks for it when a request finds no version: that is the watcher's work."""
        return False

    async def get_input_types(self) -> list[dict[str, Any]]:
        """Inputs of the text signature."""
        return await self._types("inputs")

    async def get_output_types(self) -> list[dict[str, Any]]:
        """Outputs of the text signature."""
        return await self._types("outputs")

    def version(self) -> str:
        """The version asked for; without one, that which answers."""
        with self._predictor.versions.lease(requested_version.get()) as model:
            return str(model.version)

    async def predict(
        self, payload: Any, headers: dict[str, str] | None = None, response_headers: Any = None
    ) -> InferResponse:
        """Answers `infer`, REST and gRPC; the parameter `signature_name` picks another signature."""
        if not isinstance(payload, InferRequest):
            raise InvalidRequest("the V2 protocol takes an inference request with 'inputs'")
        parameters = to_http_parameters(payload.parameters) if payload.parameters else {}
        named = payload.model_version
        version = version_number(self.name, named) if named else requested_version.get()
        return await self._predictor.answer(version, lambda model: _infer(model, payload, parameters))

    async def _types(self, which: str) -> list[dict[str, Any]]:
        with self._predictor.versions.lease(requested_version.get()) as model:
            specs = getattr(model.signature(""), which).values()
            return [
                {
                    "name": spec.key,
                    "datatype": from_np_dtype(np.dtype(spec.dtype.as_numpy_dtype)),
                    "shape": [-1 if size is None else size for size in spec.shape],
                }
                for spec in specs
            ]


def _infer(model: ServedModel, request: InferRequest, parameters: Mapping[str, Any]) -> InferResponse:
    signature = model.signature(str(parameters.get("signature_name", "")))
    names = [given.name for given in request.inputs]
    if len(set(names)) != len(names):
        raise InvalidRequest(f"an input is given twice: {names}")
    tensors = {given.name: _tensor(given) for given in request.inputs}
    wanted = [output.name for output in request.request_outputs or ()] or list(signature.outputs)
    unknown = sorted(set(wanted) - set(signature.outputs))
    if unknown:
        raise InvalidRequest(f"signature {signature.name!r} has no output {unknown[0]!r}")
    outputs = model.run(signature, tensors)
    note_answer(model.version, signature.name, tensors)
    return InferResponse(
        response_id=request.id or "",
        model_name=model.name,
        model_version=str(model.version),
        infer_outputs=_outputs(signature, outputs, wanted, binary=request.use_binary_outputs),
        use_binary_outputs=request.use_binary_outputs,
        requested_outputs=request.request_outputs,
    )


def _tensor(given: InferInput) -> np.ndarray:
    try:
        values = given.as_numpy()
    except InvalidInput:
        raise InvalidRequest(f"input {given.name!r}: unknown datatype {given.datatype!r}") from None
    except Exception as error:  # noqa: BLE001 - KServe decodes what the client sent with whatever it raises
        raise InvalidRequest(f"input {given.name!r}: {error}") from None
    if values.dtype != object:
        if isinstance(given.data, list):
            _check_numbers(given.data, values.dtype, given.name)
        return values
    flat = [value.encode() if isinstance(value, str) else value for value in values.flat]
    if not all(isinstance(value, bytes) for value in flat):
        raise InvalidRequest(f"input {given.name!r}: every value of BYTES must be a string")
    texts = np.empty(len(flat), object)
    texts[:] = flat
    return texts.reshape(values.shape)


def _check_numbers(data: list[Any], dtype: np.dtype, name: str) -> None:
    """KServe lets numpy cast what JSON holds: 2.9 and "2" would both be the integer 2."""
    waiting: list[Any] = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += reversed(value)
        elif not is_number(value, dtype):
            raise not_of_type(value, dtype, name)


def _outputs(signature: Signature, outputs: Tensors, wanted: list[str], binary: bool) -> list[InferOutput]:
    answers = []
    for name in wanted:
        values = outputs[name]
        datatype = from_np_dtype(values.dtype)
        output = InferOutput(name=name, shape=list(values.shape), datatype=datatype)
        output.set_data_from_numpy(values, binary_data=binary)
        answers.append(output)
    return answers


class FixedModels(ModelRepositoryExtension):
    """Lets no client load or unload."""

    async def load(self, model_name: str) -> None:
        """Refuses."""
        raise Refused("models are loaded from the serving folder, not by a request")

    async def unload(self, model_name: str) -> None:
        """Refuses."""
        raise Refused("models are unloaded when a newer version is pushed, not by a request")


class ServingDataPlane(DataPlane):
    """KServe's data plane, with a readiness that means it and errors that are the client's where they are."""

    def __init__(self, repository: ModelRepository, board: Board | None) -> None:
        super().__init__(model_registry=repository)
        self._board = board
        self.draining = False

    async def ready(self) -> bool:
        """Whether a version is loaded, by every worker, and the server is not about to stop."""
        if self.draining or not (self._board is None or self._board.is_ready()):
            return False
        models = self.model_registry.get_models()
        return all([await model.healthy() for model in models.values()])

    async def model_metadata(self, model_name: str) -> dict[str, Any]:
        """As KServe's, with the version that answers."""
        told: dict[str, Any] = await super().model_metadata(model_name)
        model = await self.get_model(model_name)
        return told | ({"versions": [model.version()]} if isinstance(model, KServeModel) else {})

    def decode(self, *args: Any, **kwargs: Any) -> Any:
        """As KServe's, but what cannot be decoded is the client's error, not ours."""
        try:
            return super().decode(*args, **kwargs)
        except (InvalidInput, ModelNotFound, RequestError):
            raise
        except Exception as error:
            raise InvalidRequest(f"Unrecognized request format: {error}") from error
