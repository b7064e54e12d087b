"""Peer of the model server: the KServe SDK around the same SavedModel, without batching.

    .venv/bin/python -m benchmarks.peers.kserve_server SAVED_MODEL PORT

Written as in KServe's guide to custom models: a `Model` with `load` and `predict`, and `ModelServer`.
"""

from __future__ import annotations

import sys
from typing import Any

import tensorflow as tf
import tensorflow_text  # noqa: F401  (registers the ops of the exported graph)
from kserve import Model, ModelServer

from models.features import PREDICTED_LABEL, PROBABILITIES, SERVING_SIGNATURE


class SavedModel(Model):
    """Answers KServe's V1 protocol."""

    def __init__(self, name: str, folder: str) -> None:
        super().__init__(name)
        self._folder = folder
        self.load()

    def load(self) -> bool:
        """Loads the SavedModel."""
        self._saved = tf.saved_model.load(self._folder)
        self._serve = self._saved.signatures[SERVING_SIGNATURE]
        self.ready = True
        return self.ready

    def predict(
        self, payload: Any, headers: dict[str, str] | None = None, response_headers: Any = None
    ) -> dict[str, Any]:
        """Returns label and probabilities of each instance."""
        answer = self._serve(text=tf.constant(payload["instances"]))
        labels, rows = answer[PREDICTED_LABEL].numpy(), answer[PROBABILITIES].numpy()
        predictions = [
            {"label": label.decode(), "probabilities": row.tolist()}
            for label, row in zip(labels, rows, strict=True)
        ]
        return {"predictions": predictions}


def main() -> None:
    folder, port = sys.argv[1:]
    ModelServer(http_port=int(port), enable_grpc=False, access_log_format=None).start(
        [SavedModel("trec", folder)]
    )


if __name__ == "__main__":
    main()
