"""Weights of networks: read without running code, put into a network that they fit, and of which commit they are."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.files.looks_like import looks_like, why_unreadable

if TYPE_CHECKING:
    from torch import Tensor, nn

log = logging.getLogger(__name__)

POSITIONS = ("position_embeddings", "position_embedding", "embed_positions", "wpe")
"""What networks call the table of what they learned of each position in a text."""

PARALLEL = "module."
"""Prefix of every key in a state that torch.nn.DataParallel saved."""


def read_state(path: Path, option: str = "--image-weights") -> dict[str, Tensor]:
    """Weights from a safetensors file, or from a pth, pt or bin file without unpickling objects.

    Args:
        path: The file. A training checkpoint with the weights under ``state_dict`` serves, too, and one in which every
            name begins with ``module.``, which is taken off.
        option: Where the user named it, for messages.

    Returns:
        Name to tensor, on the CPU.

    Raises:
        HarnessError: The file cannot be read as either, or holds no dictionary of tensors.
    """
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle, header and OS errors alike mean: not a weights file
        said = why_unreadable(path, error, "zip", "pickle")
        if isinstance(error, pickle.UnpicklingError) and not looks_like(path, "zip", "pickle"):
            # torch's own message says how to run the code all the same
            said = "it is damaged or holds more than tensors, and code in a weights file is never run"
        raise HarnessError(f"{option} {path} cannot be read as weights: {said}.") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise HarnessError(f"{option} {path} holds no dictionary of tensors.")
    if state and all(str(key).startswith(PARALLEL) for key in state):
        state = {key.removeprefix(PARALLEL): value for key, value in state.items()}
    return state


def fit_into(
    network: nn.Module,
    state: Mapping[str, Tensor],
    what: str,
    *,
    may_miss: Callable[[str], bool] = lambda key: False,
    may_exceed: Callable[[str], bool] = lambda key: False,
) -> None:
    """Load a state into a network, if it fits.

    Args:
        network: The network; changed in place.
        state: Name to tensor.
        what: The subject of the message: "--image-weights FILE does not fit torchvision/resnet18".
        may_miss: Whether a key of the network may be missing in the state; counters of batch normalisation always may.
        may_exceed: Whether a key of the state that the network lacks is left out.

    Raises:
        HarnessError: Keys are missing, unexpected or of another shape; the message counts them and gives the first.
    """
    expected = network.state_dict()
    used = {key: value for key, value in state.items() if not (key not in expected and may_exceed(key))}
    missing = [
        key for key in expected.keys() - used.keys() if not (key.endswith("num_batches_tracked") or may_miss(key))
    ]
    shapes = [key for key in expected if key in used and used[key].shape != expected[key].shape]
    refuse_misfit(what, missing, used.keys() - expected.keys(), shapes)
    network.load_state_dict(used, strict=False)


def longest_text(network: nn.Module, asked: int, what: str) -> int:
    """How many tokens of a text a network gets: what is asked for, or as many positions as it knows; a note tells.

    Args:
        network: An encoder of texts.
        asked: Number of tokens.
        what: What asks for it, for the note: "text_backbone.max_tokens".

    Returns:
        ``asked``, or the number of learned positions if that is smaller. Networks that compute positions take any
        number.
    """
    from torch.nn import Embedding

    known = [
        # RoBERTa and its like count positions from behind that of padding, BART and OPT from an offset.
        table.num_embeddings - (getattr(table, "offset", 0) if table.padding_idx is None else table.padding_idx + 1)
        for name, table in network.named_modules()
        if isinstance(table, Embedding) and name.rpartition(".")[2] in POSITIONS
    ]
    if asked > min(known, default=asked):
        log.warning(
            "%s = %d: %s knows %d positions, where texts are cut.", what, asked, type(network).__name__, min(known)
        )
    return min([asked, *known])


def refuse_misfit(
    what: str, missing: Collection[str] = (), unexpected: Collection[str] = (), shapes: Iterable[str] = ()
) -> None:
    """Say which keys differ, if any do.

    Raises:
        HarnessError: Some do.
    """
    kinds = (("missing", sorted(missing)), ("unexpected", sorted(unexpected)), ("of other shape", list(shapes)))
    differences = [f"{len(keys)} {kind} ({keys[0]}, ...)" for kind, keys in kinds if keys]
    if differences:
        raise HarnessError(f"{what}: {', '.join(differences)}.")


def first_line(error: BaseException) -> str:
    """What an error of a library says, as part of a sentence."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300].rstrip(" .:")


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
