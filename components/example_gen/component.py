"""TFRecordExampleGen: ready-made splits of tf.Examples, as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import any_pb2, struct_pb2
from tfx.components.example_gen import component as tfx_example_gen
from tfx.components.example_gen import driver
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2, range_config_pb2

from components.errors import PipelineError
from components.example_gen import executor


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
            base = exec_properties.get("input_base")
            raise PipelineError(
                f"{base}: {error}; correct data.path or the patterns of data.splits"
            ) from error


class TFRecordExampleGen(tfx_example_gen.FileBasedExampleGen):
    """ImportExampleGen without re-splitting and shuffling, and with errors that name shard and record.

    Output `examples` (Examples): gzip TFRecords of tf.Examples, the input's records in the input's
    order. Shards may be plain or gzip (`.gz`); each is read once, verified while it is copied.

    Args:
      input_base: folder of the shards.
      splits: split name -> glob under `input_base`, `{"train": "train-*", "eval": "eval-*"}`;
        {SPAN}, {VERSION}, {YYYY}{MM}{DD} select the newest, as in every TFX ExampleGen.
      range_config: which span to take instead of the newest.
      code_fingerprint: a change re-runs the node.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
    DRIVER_CLASS = TFRecordDriver

    def __init__(
        self,
        input_base: str,
        splits: Mapping[str, str],
        range_config: range_config_pb2.RangeConfig | None = None,
        code_fingerprint: str = "",
    ) -> None:
        super().__init__(
            input_base=input_base,
            input_config=example_gen_pb2.Input(
                splits=[example_gen_pb2.Input.Split(name=n, pattern=p) for n, p in splits.items()]
            ),
            # Given and empty: otherwise a single split would be divided into train and eval.
            output_config=example_gen_pb2.Output(),
            custom_config=_custom_config(code_fingerprint),
            range_config=range_config,
            output_data_format=example_gen_pb2.FORMAT_TF_EXAMPLE,
        )


def _custom_config(code_fingerprint: str) -> example_gen_pb2.CustomConfig:
    packed = any_pb2.Any()
    packed.Pack(
        struct_pb2.Struct(fields={"code_fingerprint": struct_pb2.Value(string_value=code_fingerprint)})
    )
    return example_gen_pb2.CustomConfig(custom_config=packed)
