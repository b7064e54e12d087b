"""TFRecordExampleGen: takes existing splits of tf.Examples unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from google.protobuf import any_pb2, struct_pb2
from tfx.components.example_gen import component as tfx_example_gen
from tfx.components.example_gen import driver
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.utils import proto_utils

from components.example_gen import executor
from components.example_gen.spans import day_of, fixed_folder, is_dated, span_number
from components.fingerprints import code_fingerprint
from models.errors import PipelineError


class TFRecordDriver(driver.FileBasedDriver):
    """TFX's driver (spans, versions, fingerprint of the files), with errors that say what to do."""

    def resolve_exec_properties(
        self, exec_properties: dict[str, Any], *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        """Fills in span, version and fingerprint.

        Raises:
            PipelineError: no file matches a pattern with {SPAN}, {VERSION} or a date in it, or the
                splits disagree on the newest.
        """
        try:
            return super().resolve_exec_properties(exec_properties, *args, **kwargs)
        except ValueError as error:
            base, span = exec_properties.get("input_base"), _requested_span(exec_properties)
            reason = str(error) if span is None else f"{error}, span {_format_span(span, exec_properties)}"
            raise PipelineError(
                f"{base}: {reason}; correct data.path or the patterns of data.splits"
            ) from error


def _format_span(span: int, exec_properties: dict[str, Any]) -> str:
    return str(day_of(span)) if is_dated(exec_properties["input_config"]) else str(span)


def _requested_span(exec_properties: dict[str, Any]) -> int | None:
    requested = exec_properties.get("range_config")
    if not requested:
        return None
    range_config = range_config_pb2.RangeConfig()
    proto_utils.json_to_proto(requested, range_config)
    return int(range_config.static_range.start_span_number)


class TFRecordExampleGen(tfx_example_gen.FileBasedExampleGen):
    """ImportExampleGen without re-splitting and shuffling; its errors name shard and record.

    Output `examples` (Examples): gzip TFRecords of tf.Examples, the input's records in the input's
    order. Shards may be plain or gzip (`.gz`); each is read once and verified while it is copied.

    Args:
        input_base: folder of the shards.
        splits: split name -> glob under `input_base`, `{"train": "train-*", "eval": "eval-*"}`;
            {SPAN}, {VERSION}, {YYYY}{MM}{DD} select the newest, as in every TFX ExampleGen, and are allowed
            in `input_base` too.
        span: number or day of the span to use instead of the newest.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
    DRIVER_CLASS = TFRecordDriver

    def __init__(
        self,
        input_base: str,
        splits: Mapping[str, str],
        span: int | date | None = None,
    ) -> None:
        base, below = fixed_folder(input_base)
        super().__init__(
            input_base=base,
            input_config=example_gen_pb2.Input(
                splits=[example_gen_pb2.Input.Split(name=n, pattern=below + p) for n, p in splits.items()]
            ),
            # Explicitly empty: otherwise a single split would be divided into train and eval.
            output_config=example_gen_pb2.Output(),
            custom_config=_custom_config(code_fingerprint("components.example_gen.executor")),
            range_config=None if span is None else range_of(span_number(span)),
            output_data_format=example_gen_pb2.FORMAT_TF_EXAMPLE,
        )


def range_of(span: int) -> range_config_pb2.RangeConfig:
    """The range config of a single span."""
    one = range_config_pb2.StaticRange(start_span_number=span, end_span_number=span)
    return range_config_pb2.RangeConfig(static_range=one)


def _custom_config(code: str) -> example_gen_pb2.CustomConfig:
    packed = any_pb2.Any()
    packed.Pack(struct_pb2.Struct(fields={"code_fingerprint": struct_pb2.Value(string_value=code)}))
    return example_gen_pb2.CustomConfig(custom_config=packed)
