"""One entry of `push.destinations`."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, model_validator

from models.section import Section

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


class DestinationSettings(Section):
    """A second place for every pushed version: give exactly one of `folder` and `hub`."""

    folder: str | None = Field(
        None,
        description="Folder on a file system of TensorFlow's, such as gs://bucket/models: gets TF Serving's layout.",
    )
    hub: str | None = Field(
        None,
        description="Hugging Face Hub repository, owner/name: gets safetensors, tokenizer and model card. HF_ENDPOINT "
        "names another hub.",
    )
    private: bool = Field(True, description="Whether a hub repository that has to be made is private.")
    token_file: Path | None = Field(
        None, description="File with the hub's token; null: HF_TOKEN, or the token that `hf auth login` left."
    )

    @model_validator(mode="after")
    def _check(self) -> DestinationSettings:
        given = [key for key in ("folder", "hub") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of folder and hub, got {' and '.join(given) or 'none'}")
        if self.folder is not None and not ("://" in self.folder or self.folder.startswith("/")):
            raise ValueError(f"folder must be a URL or an absolute path, got {self.folder!r}")
        if self.hub is not None and not _REPOSITORY.fullmatch(self.hub):
            raise ValueError(f"hub must be owner/name, got {self.hub!r}")
        if self.hub is None and self.token_file is not None:
            raise ValueError("token_file goes with hub")
        if self.token_file is not None and not self.token_file.is_absolute():
            raise ValueError(f"token_file must be an absolute path, got {str(self.token_file)!r}")
        return self

    def __str__(self) -> str:
        return self.folder if self.folder is not None else f"hub {self.hub}"
