"""The config's `serve` section."""

from __future__ import annotations

import itertools
from typing import Literal

from pydantic import Field, field_validator

from models.section import Section


class ServeSettings(Section):
    """The model server and the limits of a request. The command line overrides host and ports."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0: all addresses.")
    port: int = Field(8501, ge=0, le=65535, description="Port of REST and the metrics; 0: any free port.")
    grpc_port: int = Field(8500, ge=0, le=65535, description="Port of gRPC; 0: any free port.")
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that share the two ports, each with its own model, queue and batches.",
    )
    max_batch_rows: int = Field(32, ge=1, le=1024, description="Maximum rows per batch.")
    length_buckets: tuple[int, ...] = Field(
        (32, 64, 128, 256, 512, 1024),
        description="Upper bounds of the length buckets, in bytes of text. Only rows of the same bucket share a "
        "batch, which is padded to its longest row. []: one bucket for all rows.",
    )
    batch_threads: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Batches that are computed in parallel; default: one per core.",
    )
    threads_per_batch: int = Field(
        1,
        ge=1,
        le=64,
        description="Threads per batch (TensorFlow's intra-op threads). More threads reduce the latency of "
        "models much larger than MiniLM while there are few clients.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="Data type of the matrix products. The Evaluator judges the model with the same one. bfloat16 is faster "
        "on processors with AVX512_BF16 or AMX, several times slower on others.",
    )
    max_waiting: int = Field(
        128, ge=1, le=4096, description="Maximum active and waiting requests; further ones get 503."
    )
    max_request_rows: int = Field(1024, ge=1, description="Maximum rows per request.")
    max_text_bytes: int = Field(65536, ge=1, description="Maximum bytes per text.")
    max_request_bytes: int = Field(
        4 << 20,
        ge=1024,
        description="Maximum bytes per request: HTTP body or gRPC message, compressed and decompressed.",
    )
    max_tensor_bytes: int = Field(
        16 << 20,
        ge=1024,
        description="Maximum bytes of a request's decoded inputs; a number of 2 characters takes 8 bytes.",
    )
    max_grpc_response_bytes: int = Field(256 << 20, ge=1024, description="Maximum bytes per gRPC answer.")
    max_header_bytes: int = Field(
        32 << 10, ge=1024, description="Maximum bytes of request line and headers, or of gRPC metadata."
    )
    max_headers: int = Field(100, ge=1, description="Maximum headers per request.")
    read_seconds: float = Field(
        20.0, gt=0, description="Maximum time to receive a request's headers, and its body, in seconds."
    )
    poll_seconds: float = Field(
        0.5, gt=0, le=2, description="Interval of the check for new versions, in seconds."
    )
    drain_seconds: float = Field(
        30.0, ge=0, description="Maximum time to answer accepted requests when the server stops, in seconds."
    )

    @field_validator("length_buckets")
    @classmethod
    def _bounds_grow(cls, bounds: tuple[int, ...]) -> tuple[int, ...]:
        if any(low >= high for low, high in itertools.pairwise((0, *bounds))):
            raise ValueError("the bounds must be positive and increasing, such as [32, 64, 128]")
        return bounds
