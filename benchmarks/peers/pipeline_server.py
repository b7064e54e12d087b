"""Peer of the model server: FastAPI and the transformers `pipeline` on PyTorch. Runs in `.venv-bench`.

    python -m benchmarks.peers.pipeline_server MODEL_FOLDER PORT

Written in the usual way: the model is loaded at the start, and an endpoint calls it. The endpoint is `async`, so one
request is computed at a time, with all of PyTorch's threads.
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline


class Body(BaseModel):
    """A predict request."""

    instances: list[str]


def make_app(folder: str) -> FastAPI:
    """Returns an app with `POST /predict` and `GET /health`."""
    classify = pipeline("text-classification", model=folder, framework="pt", device="cpu")
    app = FastAPI()

    @app.post("/predict")
    async def predict(body: Body) -> dict[str, Any]:
        return {"predictions": classify(body.instances)}

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


def main() -> None:
    uvicorn.run(make_app(sys.argv[1]), port=int(sys.argv[2]), log_level="warning")


if __name__ == "__main__":
    main()
