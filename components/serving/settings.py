"""The config's `serve` section."""

from __future__ import annotations

import itertools

from pydantic import Field, field_validator

from models.section import Section


class ServeSettings(Section):
    """The model server and what one request may ask of it. The command line overrides host and ports."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(8501, ge=0, le=65535, description="Port of REST and of the metrics; 0: any free one.")
    grpc_port: int = Field(8500, ge=0, le=65535, description="Port of gRPC; 0: any free one.")
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that share the two ports, each with a model, a queue and batches of its own.",
    )
    max_batch_rows: int = Field(32, ge=1, le=1024, description="Rows that go through the model at once.")
    length_buckets: tuple[int, ...] = Field(
        (32, 64, 128, 256, 512, 1024),
        description="Bytes of text: rows up to the same bound share batches, each padded to its longest row. "
        "[]: all rows do.",
    )
    batch_threads: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Batches that are computed at the same time; default: one for each core.",
    )
    threads_per_batch: int = Field(
        1,
        ge=1,
        le=64,
        description="Threads that compute one batch (TensorFlow's intra-op threads). More shorten the answers of "
        "models much larger than MiniLM while few clients ask.",
    )
    max_waiting: int = Field(
        128, ge=1, le=4096, description="Requests in work or waiting; one more is sent away with 503."
    )
    max_request_rows: int = Field(1024, ge=1, description="Rows of one request.")
    max_text_bytes: int = Field(65536, ge=1, description="Bytes of one text.")
    max_request_bytes: int = Field(
        4 << 20,
        ge=1024,
        description="Bytes of one request: its body, its gRPC message, also once decompressed.",
    )
    max_tensor_bytes: int = Field(
        16 << 20,
        ge=1024,
        description="Bytes that the inputs of one request may take once decoded: 8 for a number of 2 characters.",
    )
    max_grpc_response_bytes: int = Field(256 << 20, ge=1024, description="Bytes of one gRPC answer.")
    max_header_bytes: int = Field(
        32 << 10, ge=1024, description="Bytes of a request's line and headers; of its metadata in gRPC."
    )
    max_headers: int = Field(100, ge=1, description="Headers of one request.")
    read_seconds: float = Field(
        20.0, gt=0, description="Time for a request's headers to arrive, and for its body."
    )
    poll_seconds: float = Field(0.5, gt=0, le=2, description="How often new versions are looked for.")
    drain_seconds: float = Field(30.0, ge=0, description="Time for accepted requests when the server stops.")

    @field_validator("length_buckets")
    @classmethod
    def _bounds_grow(cls, bounds: tuple[int, ...]) -> tuple[int, ...]:
        if any(low >= high for low, high in itertools.pairwise((0, *bounds))):
            raise ValueError("the bounds must be positive and grow, such as [32, 64, 128]")
        return bounds
