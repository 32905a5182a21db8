"""From raw images and captions to features, through backbones and the cache."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data import decoding, loading
from harness.data.cache import Workspace, filled_arrays, is_stored
from harness.data.content_hashes import hash_remembered
from harness.data.features.views import ImageViews, TextViews, fingerprint_of_tree
from harness.data.features.weights import revision_of
from harness.data.passes import DecodedOnce, Pass
from harness.data.raw import RawDataset
from harness.data.table import FeatureTable
from harness.errors import HarnessError
from harness.plugin.declarations import STANDARD, BackboneDeclaration
from harness.plugin.interfaces import Run

log = logging.getLogger(__name__)

LIBRARIES = (
    "numpy", "open_clip_torch", "pillow", "scikit-image", "scikit-learn", "scipy", "sentence-transformers",
    "sentencepiece", "timm", "tokenizers", "torch", "torchvision", "transformers",
)  # fmt: skip
"""Libraries whose version may change features."""

CROP = "crop"
"""Parameter of image backbones that cut out the centre of larger images: the side of that square in pixels."""

NOTED_SECONDS = 5.0
"""So much work may be lost where a process is killed."""

HUB = "hub:"
"""What the fingerprint of weights that are named after a repository of a hub begins with."""


@dataclass(frozen=True)
class BackboneChoice:
    """A backbone with everything that determines its features.

    Attributes:
        name: As written on the command line.
        declaration: What was registered.
        model: Model of a family, or "".
        weights: File, folder or hub name, or "".
        parameters: Its parameters, all of them.
        source: Hash of its code.
        modality: What it encodes here: "image" or "text"; "" for the one that it was registered for.
        recipe: How images are prepared and normalised, one of those it was registered with.
        views: Augmented views that it encodes, too; None for those that are made where nothing is said.
    """

    name: str
    declaration: BackboneDeclaration
    model: str = ""
    weights: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    modality: str = ""
    recipe: str = STANDARD
    views: ImageViews | TextViews | None = None

    @property
    def encodes(self) -> str:
        """ "image" or "text"."""
        return self.modality or self.declaration.modality

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells it from other choices in one process."""
        return (
            self.name, self.encodes, self.weights, tuple(sorted(self.parameters.items())), self.recipe, self.views,
        )  # fmt: skip

    @cached_property
    def weights_fingerprint(self) -> str:
        """``sha256:...`` of local weights, ``hub:NAME`` or ``library`` otherwise; "" if it takes none.

        Raises:
            HarnessError: The weights look like a path and are not there.
        """
        if self.declaration.weights == "none":
            return ""
        if not self.weights:
            return "library"
        if self.declaration.whole_folder and Path(self.weights).is_dir():
            return fingerprint_of_tree(Path(self.weights))
        return fingerprint_of_weights(self.weights, f"--{self.encodes}-weights")

    @property
    def revision(self) -> str:
        """Commit of weights from a hub, as they lie on this machine now; "" where it is not known, and for others.

        It is no part of a cell, which is planned before its weights are downloaded.
        """
        return revision_of(self.weights) if self.weights_fingerprint.startswith(HUB) else ""

    @property
    def fitted(self) -> bool:
        """Whether it is fitted on the training images or captions, so that its features depend on the split."""
        return hasattr(self.declaration.load(), "fit")

    def encoder_facts(self) -> dict[str, Any]:
        """What the backbone is, as stored in the record and hashed; what was added later only where it is used."""
        declared = self.declaration.declared_parameters or ()
        unsaid = {parameter.name: parameter.default for parameter in declared if parameter.unsaid}
        facts: dict[str, Any] = {
            "name": self.name,
            "weights": self.weights_fingerprint,
            "parameters": {name: value for name, value in self.parameters.items() if unsaid.get(name) != value},
        }
        if self.recipe != STANDARD:
            facts["recipe"] = self.recipe
        return facts

    def describe(self) -> dict[str, Any]:
        """The backbone and the views that it encodes, as stored in the record and hashed."""
        views = {} if self.views is None else self.views.describe()
        return {**self.encoder_facts(), **({"views": views} if views else {})}

    def make(self) -> Any:
        """The backbone itself."""
        known = {"model": self.model, "weights": self.weights, "modality": self.encodes, "recipe": self.recipe}
        handed = {name: known[name] for name in self.declaration.handed}
        return self.declaration.load()(**self.parameters, **handed)


def fingerprint_of_weights(weights: str, option: str) -> str:
    """Content hash of a weights file or folder; a name that is no path is taken for a hub name.

    Raises:
        HarnessError: The name looks like a path, and nothing is there.
    """
    path = Path(weights)
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file())
        if not files:
            raise HarnessError(f"{option} {weights}: the folder is empty.")
    elif (
        path.is_absolute()
        or weights.startswith(".")
        or path.suffix in (".safetensors", ".pth", ".pt", ".bin")
        or weights.count("/") > 1
    ):
        raise HarnessError(f"{option} {weights}: there is no such file or folder.")
    else:
        return f"{HUB}{weights}"
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() if len(files) > 1 else b"")
        digest.update(bytes.fromhex(hash_remembered(file, "weights")))
    return f"sha256:{digest.hexdigest()[:16]}"


def fingerprint_below(weights: str) -> str:
    """Content hash of all files in folders below a weights folder, which :func:`fingerprint_of_weights` leaves out; ""
    if there are none.
    """
    path = Path(weights)
    if not path.is_dir():
        return ""
    files = sorted(file for file in path.rglob("*") if file.parent != path and file.is_file())
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(path).as_posix()} {hash_remembered(file, 'weights')}\n".encode())
    return f"sha256:{digest.hexdigest()[:16]}" if files else ""


def extract(
    raw: RawDataset, training: NDArray[np.int64], image: BackboneChoice, text: BackboneChoice | None, run: Run
) -> FeatureTable:
    """Features of all images (original and augmented) and captions.

    Args:
        raw: The data.
        training: Training images; backbones that must be fitted see these alone.
        image: Image backbone.
        text: Text backbone; None where the data bring text features.
        run: Device, streams and progress.

    Returns:
        The features, with the fingerprint of the raw data.
    """
    of_images = image.views if isinstance(image.views, ImageViews) else ImageViews()
    of_captions = text.views if text is not None and isinstance(text.views, TextViews) else TextViews()

    def images() -> list[Any]:
        decoded = DecodedOnce(raw.images)
        return [decoded, *of_images.of(decoded, int(image.parameters.get(CROP, 0)))]

    def captions() -> list[Any]:
        return [raw.captions, *of_captions.of(raw.captions, run)]

    image_features, *image_views = _encode(
        image, raw.name, raw.image_fingerprint, raw.images, training, of_images.recipes(), images, run
    )
    if text is None:
        assert raw.text_features is not None
        text_features, text_views = raw.text_features, []
    else:
        of_training = np.flatnonzero(np.isin(raw.caption_image, training))
        text_features, *text_views = _encode(
            text, raw.name, raw.caption_fingerprint, raw.captions, of_training, of_captions.recipes(), captions, run
        )
    return FeatureTable(
        name=raw.name,
        image=image_features,
        text=text_features,
        caption_image=raw.caption_image,
        labels=raw.labels,
        image_views=tuple(image_views),
        text_views=tuple(text_views),
        split=raw.split,
        trusted=raw.trusted,
        wrong=raw.wrong,
        parts=raw.parts,
        unlabelled=raw.unlabelled,
        captions=raw.captions,
        filenames=raw.filenames,
        fingerprint=raw.fingerprint,
    )


def encode_captions(
    raw: RawDataset, training: NDArray[np.int64], text: BackboneChoice, captions: Sequence[str], run: Run
) -> NDArray[np.float32]:
    """Features of captions that are not in the data, such as those a noise protocol edited; cached on their own.

    Args:
        raw: The data; a backbone that must be fitted sees the training captions as they are there.
        training: Training images.
        text: Text backbone.
        captions: What to encode.
        run: Device, streams and progress.

    Returns:
        (len(captions), d_text) float32.
    """
    of_training = np.flatnonzero(np.isin(raw.caption_image, training))
    edited = list(captions)
    (features,) = _encode(
        text, raw.name, raw.caption_fingerprint, raw.captions, of_training, [], lambda: [edited], run, edited
    )
    return features


def _encode(
    choice: BackboneChoice,
    dataset: str,
    content: str,
    items: Any,
    training: NDArray[np.int64],
    recipes: list[str],
    make_views: Callable[[], list[Any]],
    run: Run,
    edited: list[str] | None = None,
) -> list[NDArray[np.float32]]:
    """Encode what ``make_views`` gives: items and their augmented views, or other captions; after a fit to the items
    where one is asked for.
    """
    below = choice.weights and not choice.declaration.whole_folder

    def key(fitted: bool) -> dict[str, Any]:
        return {
            **choice.encoder_facts(),
            "revision": choice.revision,
            "below_weights": fingerprint_below(choice.weights) if below else "",
            "modality": choice.encodes,
            "source": choice.source,
            "content": content,
            "encoding": loading.VERSION,
            "decoder": decoding.VERSION if choice.encodes == "image" else None,
            "fitted_on": hashlib.sha256(training.tobytes()).hexdigest()[:16] if fitted else None,
            "views": recipes,
            "libraries": {name: version_of(name) for name in LIBRARIES},
            "device": run.device.type,
            **({} if edited is None else {"captions": hashlib.sha256("\0".join(edited).encode()).hexdigest()}),
        }

    def compute(workspace: Workspace) -> list[NDArray]:
        backbone = choice.make()
        if fitted:
            backbone.fit(Pass([items], training), run)  # one image at a time, however many there are
        sources = make_views()
        if choice.recipe == STANDARD:
            return _encoded(choice, backbone, sources, workspace, run)
        # Another recipe may make features depend on who shares a batch: views apart, and from the beginning.
        arrays = [array for source in sources for array in _encoded(choice, backbone, [source], workspace, run)]
        for array in arrays:
            if array.shape != arrays[0].shape:
                raise HarnessError(
                    f"backbone {choice.name!r} gives the augmented view {array.shape} and the original "
                    f"{arrays[0].shape}."
                )
        return arrays

    about = {"dataset": dataset, "modality": choice.encodes, "weights": choice.weights}
    # An entry tells whether this code is fitted; to ask the backbone itself imports its libraries, which takes seconds.
    fitted = next((guess for guess in (False, True) if is_stored(key(guess))), None)
    fitted = choice.fitted if fitted is None else fitted
    # The revision of weights that are downloaded meanwhile is known only afterwards.
    arrays, _ = filled_arrays(key(fitted), compute, about, key_afterwards=lambda: key(fitted))
    return arrays


def _encoded(
    choice: BackboneChoice, backbone: Any, sources: Sequence[Any], workspace: Workspace, run: Run
) -> list[NDArray[np.float32]]:
    """Features of items and their views, all in one pass; what an earlier process had encoded is not done again."""
    views, count = len(sources), len(sources[0])
    begun = workspace.begun(views, count) if choice.recipe == STANDARD else None
    arrays, filled = begun or ([], np.zeros((views, count), dtype=bool))
    if begun:
        log.warning(
            "going on where making features by %s was stopped: %d of %d are there",
            choice.name, filled.all(axis=0).sum(), count,
        )  # fmt: skip
    positions = np.flatnonzero(~filled.T)
    asked: Sequence[Any] = Pass(sources, positions)
    output = backbone.encode(asked if choice.encodes == "image" else list(asked), run) if len(asked) else iter(())
    if not isinstance(output, Iterator):
        whole = _checked(output, len(asked), choice.name)
        if not begun:
            return [np.ascontiguousarray(whole[view::views]) for view in range(views)]
        output = iter([(np.arange(len(asked)), whole)])
    noted = time.monotonic()
    try:
        for rows, part in output:
            features = _as_floats(part, choice.name)
            width = arrays[0].shape[1] if arrays else None
            whole_part = features.ndim == 2 and features.shape[1] >= 1 and len(features) == len(rows)
            if not whole_part or width not in (None, features.shape[1]) or not np.isfinite(features).all():
                raise HarnessError(
                    f"backbone {choice.name!r} must yield finite features, one row for each of the {len(rows)} of a "
                    f"batch and all of one width; it yielded {features.shape}."
                )
            arrays = arrays or [workspace.empty((count, features.shape[1])) for _ in sources]
            item_of, view_of = np.divmod(positions[rows], views)
            for view, array in enumerate(arrays):
                array[item_of[view_of == view]] = features[view_of == view]
            filled[view_of, item_of] = True
            if choice.recipe == STANDARD and time.monotonic() - noted > NOTED_SECONDS:
                workspace.note(filled)
                noted = time.monotonic()
    except BaseException:
        if choice.recipe == STANDARD and filled.any():
            workspace.note(filled)
        raise
    if not filled.all():
        raise HarnessError(f"backbone {choice.name!r} yielded features for {int(filled.sum())} of {filled.size} items.")
    return arrays


def _checked(output: Any, expected: int, name: str) -> NDArray[np.float32]:
    array = _as_floats(output, name)
    if array.ndim != 2 or len(array) != expected or array.shape[1] < 1 or not np.isfinite(array).all():
        raise HarnessError(f"backbone {name!r} must return ({expected}, d) finite features; it returned {array.shape}.")
    return array


def _as_floats(output: Any, name: str) -> NDArray[np.float32]:
    try:
        return np.asarray(output, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise HarnessError(
            f"backbone {name!r} must return a matrix of numbers; it returned {type(output).__name__}."
        ) from error


def version_of(library: str) -> str:
    """The installed version of a library, or "" where it is not installed."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""
