"""The config's section that says where a checkpoint is. Imports no TensorFlow."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from models.section import LocalPath, Section


class CheckpointSettings(Section):
    """A pretrained encoder and its tokenizer files, from exactly one of three sources."""

    alternatives: ClassVar = {"path": (), "recipe": (), "hub": ("revision",)}

    path: LocalPath | None = Field(
        None, description="Local folder with config.json, tokenizer files and weights."
    )
    recipe: str | None = Field(
        None, description="Checkpoint recipe (data/checkpoints/<name>.yaml): a sha256-verified package."
    )
    hub: str | None = Field(None, description="Hugging Face Hub id; requires `revision` and network access.")
    revision: str | None = Field(None, description="Commit (40 hex digits) of the hub repository.")
    allow_pickle: bool = Field(
        False, description="Accept pickle weights (pytorch_model.bin), which can run code when loaded."
    )

    @model_validator(mode="after")
    def _one_source(self) -> CheckpointSettings:
        sources = [k for k in self.alternatives if getattr(self, k) is not None]
        if len(sources) != 1:
            raise ValueError(f"give exactly one of path, recipe or hub, got {sources or 'none'}")
        pinned = self.revision is not None and len(self.revision) == 40
        if self.hub is not None and not (
            pinned and all(c in "0123456789abcdef" for c in self.revision or "")
        ):
            raise ValueError(f"hub requires revision, a commit of 40 hex digits, got {self.revision!r}")
        if self.hub is None and self.revision is not None:
            raise ValueError(f"revision is only for hub, got revision {self.revision!r} without hub")
        return self
