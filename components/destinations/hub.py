"""Pushes a version as one commit to a Hugging Face Hub repository."""

from __future__ import annotations

import tempfile
from pathlib import Path

from components.destinations.hub_files import write_hub_files
from components.destinations.settings import DestinationSettings
from components.versions.record import read_record
from models.errors import PipelineError


def push_to_hub(
    version: Path, destination: DestinationSettings, name: str, checkpoint: Path, max_length: int, task: str
) -> str:
    """Pushes a version to the hub as one commit; returns the address of the commit.

    The repository is created if it does not exist. Nothing is committed if all files are already there. The
    token is passed only to the client; it appears in no log, message or metadata.

    Args:
        version: folder of a served version.
        destination: with `hub`.
        name: name of the served model.
        checkpoint: folder of the pretrained encoder.
        max_length: maximum tokens per text or pair.
        task: what the model learned, a key of `TASKS`.

    Raises:
        PipelineError: a checkpoint file, the token, the permission or the network is missing, or the hub rejects
            the push.
    """
    import huggingface_hub
    from huggingface_hub.utils import disable_progress_bars

    repository = str(destination.hub)
    disable_progress_bars()
    with tempfile.TemporaryDirectory() as folder:
        token = _token(destination)
        try:
            write_hub_files(version, checkpoint, name, max_length, task, Path(folder))
            hub = huggingface_hub.HfApi(token=token)
            hub.create_repo(repository, private=destination.private, exist_ok=True)
            commit = hub.upload_folder(
                repo_id=repository, folder_path=folder, commit_message=_message(name, version)
            )
        except (OSError, ValueError, KeyError) as error:  # covers the hub client's and transformers' errors
            raise PipelineError(_reason(error, token)) from None
    return str(commit.commit_url)


def _token(destination: DestinationSettings) -> str | bool:
    """The token; True lets the client use HF_TOKEN or the token of a login, and fail if there is neither."""
    if destination.token_file is None:
        return True
    try:
        return destination.token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(
            f"push.destinations: token_file {destination.token_file} cannot be read ({type(error).__name__})"
        ) from None


def _message(name: str, version: Path) -> str:
    return f"{name}, version {version.name}, run {read_record(version).run_id}"


def _reason(error: Exception, token: str | bool) -> str:
    reason = " ".join(str(error).split())[:400] or "no message"
    if isinstance(token, str) and token:
        reason = reason.replace(token, "***")
    return f"the push failed ({type(error).__name__}: {reason})"
