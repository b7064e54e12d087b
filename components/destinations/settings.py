"""One entry of `push.destinations`."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, model_validator

from models.section import Section

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


class DestinationSettings(Section):
    """A further destination for every pushed version: give exactly one of `folder` and `hub`."""

    folder: str | None = Field(
        None,
        description="Folder on a file system that TensorFlow supports, such as gs://bucket/models, in TF Serving's layout.",
    )
    hub: str | None = Field(
        None,
        description="Hugging Face Hub repository, owner/name, for safetensors, tokenizer and model card. HF_ENDPOINT "
        "selects another hub.",
    )
    private: bool = Field(True, description="Whether a newly created hub repository is private.")
    token_file: Path | None = Field(
        None, description="File with the hub token; null: HF_TOKEN, or the token saved by `hf auth login`."
    )

    @model_validator(mode="after")
    def _check(self) -> DestinationSettings:
        kinds = [key for key in ("folder", "hub") if getattr(self, key) is not None]
        if len(kinds) != 1:
            raise ValueError(f"give exactly one of folder and hub, got {' and '.join(kinds) or 'none'}")
        if self.folder is not None and not ("://" in self.folder or self.folder.startswith("/")):
            raise ValueError(f"folder must be a URL or an absolute path, got {self.folder!r}")
        if self.hub is not None and not _REPOSITORY.fullmatch(self.hub):
            raise ValueError(f"hub must be owner/name, got {self.hub!r}")
        if self.hub is None and self.token_file is not None:
            raise ValueError("token_file is only for hub")
        if self.token_file is not None and not self.token_file.is_absolute():
            raise ValueError(f"token_file must be an absolute path, got {str(self.token_file)!r}")
        return self

    def __str__(self) -> str:
        return self.folder if self.folder is not None else f"hub {self.hub}"
