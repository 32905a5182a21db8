"""From raw images and captions to features, through backbones and the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data import decoding, loading
from harness.data.cache import Workspace, filled_arrays, is_cached
from harness.data.content_hashes import hash_remembered
from harness.data.features.one_pass import in_one_pass
from harness.data.features.views import ImageViews, TextViews, fingerprint_of_tree
from harness.data.features.weights import revision_of
from harness.data.passes import DecodedOnce, Pass
from harness.data.raw import RawDataset
from harness.data.table import FeatureTable
from harness.errors import HarnessError
from harness.plugin.declarations import STANDARD, BackboneDeclaration
from harness.plugin.interfaces import Run

LIBRARIES = (
    "numpy", "open_clip_torch", "pillow", "scikit-image", "scikit-learn", "scipy", "sentence-transformers",
    "sentencepiece", "timm", "tokenizers", "torch", "torchvision", "transformers",
)  # fmt: skip
"""Libraries whose version may change features."""

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
    of_images, of_captions = _views_of(image, text)

    def images() -> list[Any]:
        decoded = DecodedOnce(raw.images)
        return [decoded, *of_images.of(decoded)]

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


def missing_features(
    raw: RawDataset, training: NDArray[np.int64], image: BackboneChoice, text: BackboneChoice | None, device: str
) -> list[str]:
    """Of "image" and "text" those whose features :func:`extract` would compute on a kind of device ("cpu", "cuda")."""
    of_images, of_captions = _views_of(image, text)
    keys = {"image": _key(image, raw.image_fingerprint, training, of_images.recipes(), device)}
    if text is not None:
        of_training = np.flatnonzero(np.isin(raw.caption_image, training))
        keys["text"] = _key(text, raw.caption_fingerprint, of_training, of_captions.recipes(), device)
    return [modality for modality, key in keys.items() if not is_cached(key)]


def _views_of(image: BackboneChoice, text: BackboneChoice | None) -> tuple[ImageViews, TextViews]:
    of_captions = text.views if text is not None and isinstance(text.views, TextViews) else TextViews()
    return image.views if isinstance(image.views, ImageViews) else ImageViews(), of_captions


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

    def key() -> dict[str, Any]:
        return _key(choice, content, training, recipes, run.device.type, edited)

    def compute(workspace: Workspace) -> list[NDArray]:
        backbone = choice.make()
        if fitted:
            backbone.fit(Pass([items], training), run)  # one image at a time, however many there are
        sources = make_views()
        images = choice.encodes == "image"
        if choice.recipe == STANDARD:
            return in_one_pass(choice.name, backbone, sources, workspace, run, images=images, resumable=True)
        # Another recipe may make features depend on who shares a batch: views apart, and from the beginning.
        arrays = [
            array
            for source in sources
            for array in in_one_pass(choice.name, backbone, [source], workspace, run, images=images, resumable=False)
        ]
        for array in arrays:
            if array.shape != arrays[0].shape:
                raise HarnessError(
                    f"backbone {choice.name!r} gives the augmented view {array.shape} and the original "
                    f"{arrays[0].shape}."
                )
        return arrays

    about = {"dataset": dataset, "modality": choice.encodes, "weights": choice.weights}
    known = key()
    fitted = known["fitted_on"] is not None
    # The revision of weights that are downloaded meanwhile is known only afterwards.
    arrays, _ = filled_arrays(known, compute, about, key_afterwards=key)
    return arrays


def _key(
    choice: BackboneChoice,
    content: str,
    training: NDArray[np.int64],
    recipes: list[str],
    device: str,
    edited: list[str] | None = None,
) -> dict[str, Any]:
    """Everything that determines the features of a data set's items, or of other captions."""
    below = choice.weights and not choice.declaration.whole_folder
    facts = {
        **choice.encoder_facts(),
        "revision": choice.revision,
        "below_weights": fingerprint_below(choice.weights) if below else "",
        "modality": choice.encodes,
        "source": choice.source,
        "content": content,
        "encoding": loading.VERSION,
        "decoder": decoding.VERSION if choice.encodes == "image" else None,
        "fitted_on": None,
        "views": recipes,
        "libraries": {name: version_of(name) for name in LIBRARIES},
        "device": device,
        **({} if edited is None else {"captions": hashlib.sha256("\0".join(edited).encode()).hexdigest()}),
    }
    fitted = {**facts, "fitted_on": hashlib.sha256(training.tobytes()).hexdigest()[:16]}
    # An entry tells whether this code is fitted; to ask the backbone itself imports its libraries, which takes seconds.
    for key in (facts, fitted):
        if is_cached(key):
            return key
    return fitted if choice.fitted else facts


def version_of(library: str) -> str:
    """The installed version of a library, or "" where it is not installed."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""
