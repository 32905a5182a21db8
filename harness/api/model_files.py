"""Models from files of :meth:`harness.api.model.Model.save`, and from run folders. Both may be a stranger's."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from harness.api.inputs import registry_with
from harness.api.model import FORMAT, LARGEST_MODEL, METADATA, Model, ModelFacts, named_curves
from harness.cells.methods import ResolvedMethod
from harness.data.assemble import Standardiser
from harness.errors import HarnessError, text_of
from harness.execution.runner import make_hasher
from harness.files.json_text import parsed_json
from harness.files.npz import read_npz
from harness.files.whole import TooLargeError, read_plain_file
from harness.plugin.declarations import Component
from harness.plugin.interfaces import NOTHING
from harness.plugin.parameters import read_values
from harness.plugin.registry import Registry
from harness.records.repeat import deterministic_in, threads_of_record
from harness.records.schema import RunRecord, first_mistake
from harness.records.store import StoredRun, read_record, short
from harness.runtime.context import RunContext
from harness.runtime.outlets import warn
from harness.runtime.seeding import global_randomness
from harness.runtime.settings import RunSettings, applied
from harness.text import shown

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_FACTS = 2**20
"""Characters of the metadata of a model file."""

UNKNOWN = "unknown"
"""Hash of code that Python cannot give."""

OF_THE_FIT = ("curve_loss", "curve_phase", "updates", "curve_detector_epoch", "curve_detector_auroc")
"""Arrays of a run that are curves of its fit; others are of its evaluation."""


def load_model(path: str | os.PathLike[str], *, plugins: Iterable[Any] = (), device: str = "auto") -> Model:
    """A model from a file of :meth:`Model.save`, or from the folder of a run.

    Nothing in the file is run or unpickled. Warns where the hasher's code here is not that which the model was made
    with.

    Args:
        path: The file, or a run folder (``results/runs/METHOD/DATASET/HASH``).
        plugins: Plugin files, modules, or classes of this session, where the hasher is of one that is not installed.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``: where it encodes.

    Returns:
        The model; it makes the codes that it made when it was saved.

    Raises:
        HarnessError: There is no such file, it is damaged or of a newer version, its hasher is not registered here, or
            the device is not here.
    """
    file = Path(path)
    if file.is_dir():
        return model_of_run(file, plugins=plugins, device=device)
    where = f"model {file}"
    content = _read(file, where)
    said = _metadata(content)
    if said is None and file.name == "model.safetensors" and (file.parent / "record.json").is_file():
        return model_of_run(file.parent, plugins=plugins, device=device)
    facts = _facts_in(said, where)
    tensors = _tensors_in(content, where)
    return _built(facts, tensors, where, registry_with(plugins), device)


def model_of_run(
    run: StoredRun | str | os.PathLike[str], *, plugins: Iterable[Any] = (), device: str = "auto"
) -> Model:
    """The model that a run left behind, which makes the codes of its queries and database again.

    Args:
        run: The run, or its folder.
        plugins: As for :func:`load_model`; those in the record's command are not loaded of themselves.
        device: As for :func:`load_model`.

    Returns:
        The model, with the trust and the curves of the run.

    Raises:
        HarnessError: It has no model, or it cannot be built; as :func:`load_model`.
    """
    if not isinstance(run, StoredRun):
        run = StoredRun(Path(run), _record_in(Path(run)))
    record, file = run.record, run.folder / "model.safetensors"
    where = f"run {record.hash}"
    if not file.is_file():
        raise HarnessError(
            f"{where} has no model in {run.folder}: the cell failed, its hasher has no state(), or the model is larger "
            "than runs keep."
        )
    tensors = _tensors_in(_read(file, f"{where}: {file}"), f"{where}: {file}")
    arrays = read_npz(run.folder / "arrays.npz", f"{where}:", ("trust", *OF_THE_FIT).__contains__)
    model = _built(_facts_of(record, where), tensors, where, registry_with(plugins), device)
    model.trust = arrays.pop("trust", None)
    model.curves = named_curves(arrays)
    return model


def _record_in(folder: Path) -> RunRecord:
    try:
        return read_record(folder / "record.json")
    except (FileNotFoundError, NotADirectoryError):
        raise HarnessError(f"{folder} is no run folder: there is no record.json in it.") from None
    except ValueError as error:
        raise HarnessError(f"{folder / 'record.json'} is no sound record: {short(error)}.") from error
    except OSError as error:
        raise HarnessError(f"{folder / 'record.json'} cannot be read: {error.strerror}.") from error


def _facts_of(record: RunRecord, where: str) -> ModelFacts:
    """What a record says of the model beside it."""
    cell, versions = record.cell, record.environment.get("versions")
    known = ModelFacts.model_fields.keys() & type(cell).model_fields.keys()
    try:
        return ModelFacts(
            harness=str(versions.get("harness", ""))[:100] if isinstance(versions, dict) else "",
            image_features=None,
            text_features=None,
            threads=threads_of_record(record) or 1,
            deterministic=deterministic_in(record),
            sources=record.identity.get("sources", {}),
            data=record.identity.get("data", ""),
            notes=record.notes,
            **{name: getattr(cell, name) for name in known},
        )
    except ValidationError as error:
        raise HarnessError(f"{where} holds no facts of a model: {first_mistake(error)}.") from error


def _read(file: Path, where: str) -> bytes:
    try:
        return read_plain_file(file, LARGEST_MODEL)
    except FileNotFoundError:
        raise HarnessError(f"{where}: there is no such file.") from None
    except TooLargeError as error:
        raise HarnessError(f"{where} is no model: {error}.") from error
    except (OSError, ValueError) as error:
        raise HarnessError(f"{where} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def _metadata(content: bytes) -> Any:
    """What a model file says of itself, None where it is no such file. Safetensors: the length of a header in 8 bytes,
    the header in JSON, the tensors.
    """
    length = int.from_bytes(content[:8], "little")
    if not 0 < length <= len(content) - 8:
        return None
    try:
        text = parsed_json(content[8 : 8 + length])["__metadata__"][METADATA]
        return parsed_json(text) if len(text) <= LARGEST_FACTS else None
    except (ValueError, KeyError, TypeError):
        return None


def _facts_in(said: Any, where: str) -> ModelFacts:
    if not isinstance(said, dict) or "format" not in said:
        raise HarnessError(f"{where} is no model of harness: save() of a model writes one.")
    if said["format"] != FORMAT:
        raise HarnessError(
            f"{where} has format {shown(said['format'])}, and this version reads {FORMAT}: update the harness."
        )
    try:
        return ModelFacts.model_validate(said)
    except ValidationError as error:
        raise HarnessError(f"{where} is damaged: {first_mistake(error)}.") from error


def _tensors_in(content: bytes, where: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors: dict[str, Tensor] = load(content)
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise HarnessError(f"{where} is damaged: {text_of(error).rstrip('.')}.") from error
    return tensors


def _built(facts: ModelFacts, tensors: dict[str, Tensor], where: str, registry: Registry, device: str) -> Model:
    """A model of facts and tensors, which may be a stranger's."""
    if facts.hasher not in registry.names("hasher"):
        raise HarnessError(
            f"{where}: hasher {facts.hasher!r} is of no plugin that is loaded here: name its file with plugins=[...]."
        )
    method = _method_of(facts, registry, where)
    standardisers, trust = {}, tensors.pop("trust", None)
    for modality, width in (("image", facts.image_features), ("text", facts.text_features)):
        values = [tensors.pop(f"standardiser.{modality}.{name}", None) for name in ("mean", "scale")]
        standardisers[modality] = _standardiser(values, width, f"{where} is damaged: standardiser.{modality}")
    strange = [name for name in tensors if not name.startswith("hasher.")]
    if strange:
        raise HarnessError(f"{where} holds {strange[0][:80]!r}, which is no tensor of a model.")
    weight = None if trust is None else _trust(trust, where)
    _warn_of_other_code(facts, registry, where)
    settings = RunSettings(device=device, threads=facts.threads, deterministic=facts.deterministic)
    with applied(settings) as chosen, global_randomness(facts.seed, "hasher-made"):
        try:
            hasher = make_hasher(method)
            hasher.restore(
                {name.removeprefix("hasher."): tensor for name, tensor in tensors.items()},
                RunContext(facts.bits, chosen, facts.seed),
            )
        except HarnessError:
            raise
        except Exception as error:  # whatever a stranger's class or file leads to
            raise HarnessError(
                f"{where}: its tensors are none of hasher {facts.hasher!r} ({type(error).__name__}: {text_of(error)})."
            ) from error
    return Model(facts, hasher, standardisers, replace(settings, device=str(chosen)), weight)


def _method_of(facts: ModelFacts, registry: Registry, where: str) -> ResolvedMethod:
    """The hasher and its objective, with checked parameters; a model needs nothing else to encode."""
    components: dict[str, Component] = {"hasher": registry.get("hasher", facts.hasher)}
    if facts.objective is not None:
        components["objective"] = registry.get("objective", facts.objective)
    values: dict[str, Any] = {}
    for role, component in components.items():
        prefix = f"{role}."
        said: Mapping[str, Any] = {
            key.removeprefix(prefix): value for key, value in facts.parameters.items() if key.startswith(prefix)
        }
        try:
            read = read_values(component.parameters, said, f"{role} {component.name}", prefix)
        except HarnessError as error:
            raise HarnessError(f"{where}: {error}") from error
        values.update({f"{prefix}{name}": value for name, value in read.items()})
    return ResolvedMethod(facts.method, facts.row, facts.preset, components, values, (), 1, NOTHING)


def _standardiser(values: list[Tensor | None], width: int | None, what: str) -> Standardiser:
    """Mean and scale, (1,) or (width,) float64, finite, and scales above 0."""
    arrays = [value.numpy() for value in values if value is not None and str(value.dtype) == "torch.float64"]
    if len(arrays) < 2 or any(
        array.ndim != 1 or not len(array) or (width is not None and len(array) not in (1, width))
        or not np.isfinite(array).all() for array in arrays
    ) or not (arrays[1] > 0).all():  # fmt: skip
        raise HarnessError(f"{what} must be a mean and a scale above 0, of one number or one for each feature.")
    return Standardiser(arrays[0], arrays[1])


def _trust(tensor: Tensor, where: str) -> NDArray[np.float32]:
    weight: NDArray[np.float32] = tensor.float().numpy()
    if weight.ndim != 1 or not ((weight >= 0) & (weight <= 1)).all():
        raise HarnessError(f"{where} is damaged: trust must be (n,) numbers from 0 to 1.")
    return weight


def _warn_of_other_code(facts: ModelFacts, registry: Registry, where: str) -> None:
    made_with = facts.sources.get("hasher", UNKNOWN)
    if UNKNOWN in (made_with, here := registry.source_hash(registry.get("hasher", facts.hasher))):
        return
    if made_with != here:
        warn(
            f"{where}: hasher {facts.hasher!r} has other code here than when the model was made, so that the codes may "
            "differ."
        )
