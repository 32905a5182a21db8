"""Which commit of a repository of the Hugging Face hub lies on this machine; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path


def revision_of(name: str) -> str:
    """Commit hash of the snapshot that loading by name uses.

    Args:
        name: Name of a repository of models, for example "google-bert/bert-base-uncased".

    Returns:
        The hash, from the cache of huggingface_hub (``models--ORG--NAME/refs/main`` and ``snapshots/HASH``); "" where
        the cache does not have the repository.
    """
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"
    try:
        commit = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
    return commit if commit and (folder / "snapshots" / commit).is_dir() else ""
