"""Where a cell's data come from: a dataset card with raw files, or ready features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.absent import refuse_absent
from harness.data.broken import refuse_broken
from harness.data.cache import cached_arrays
from harness.data.cards import CardLayout, DatasetCard, read_card
from harness.data.features.authors_file import read_authors_files
from harness.data.features.extraction import BackboneChoice, encode_captions, extract, missing_features
from harness.data.features.feature_file import read_feature_file
from harness.data.features.views import ImageViews, TextViews
from harness.data.parts import Choice, Parts, choose_parts
from harness.data.raw import RawDataset, check_raw
from harness.data.splits import stratified_limit, training_images
from harness.data.table import FeatureTable
from harness.errors import HarnessError
from harness.files.paths import relative_parts
from harness.plugin.declarations import BOTH, STANDARD
from harness.plugin.interfaces import Run
from harness.plugin.loading import Registry
from harness.plugin.parameters import read_values

SHARED_FROM_BYTES = 2**20
"""Smaller features are not worth files in the cache."""

ANY_FOLDER = "."
"""Folder in the layout of a card whose data root is the data set's own folder: ``folder`` and ``karpathy``."""


@dataclass
class DataSource:
    """The data of some cells, before features are needed.

    Attributes:
        name: Name of the data set in records and tables.
        raw: Raw images and captions; None for ready features.
        ready: Ready features; None for raw data.
        image, text: The backbones for raw data; no text backbone where the data bring text features.
        limited: Number of images kept by ``--limit``, or None.
        whole: Number of images before that, or None.
        card: The data set's card; None for features of the user.
        skipped: What the record says of images left out by ``--skip-broken``.
    """

    name: str
    raw: RawDataset | None = None
    ready: FeatureTable | None = None
    image: BackboneChoice | None = None
    text: BackboneChoice | None = None
    limited: int | None = None
    whole: int | None = None
    card: DatasetCard | None = None
    skipped: tuple[str, ...] = ()
    _tables: dict[bytes, FeatureTable] = field(default_factory=dict)

    @property
    def data(self) -> RawDataset | FeatureTable:
        """The ready features, or else the raw data."""
        data = self.ready if self.ready is not None else self.raw
        assert data is not None
        return data

    def __len__(self) -> int:
        return len(self.data)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the record and the user are told of the data: images left out, and a size that is not the card's."""
        other = "" if self.card is None or self.whole is None else self.card.other_size(self.whole)
        return (*self.skipped, other) if other else self.skipped

    @property
    def brings_noise(self) -> bool:
        """Whether the data say that some pairs are wrong."""
        return self.data.wrong is not None and bool(self.data.wrong.any())

    @property
    def shared_space(self) -> bool:
        """Whether both backbones name one shared space, with one model and its weights, or ready features say so."""
        if self.ready is not None:
            return self.ready.shared_space
        if self.image is None or self.text is None:
            return False
        spaces = [
            choice.name if choice.declaration.modality == BOTH else choice.declaration.shared_space
            for choice in (self.image, self.text)
        ]
        return (
            bool(spaces[0])
            and spaces[0] == spaces[1]
            and self.image.model == self.text.model
            and self.image.weights_fingerprint == self.text.weights_fingerprint
        )

    def backbones(self) -> dict[str, dict[str, object]]:
        """Backbones as stored in the record and hashed."""
        return {
            modality: {"name": "given"} if choice is None else choice.describe()
            for modality, choice in (("image", self.image), ("text", self.text))
        }

    def revisions(self) -> dict[str, str]:
        """Commit of weights from a hub by modality, as they lie on this machine now."""
        choices = {"image": self.image, "text": self.text}
        return {
            modality: choice.revision for modality, choice in choices.items() if choice is not None and choice.revision
        }

    def parts(self, choice: Choice) -> Parts:
        """Who is training, query and database image.

        Raises:
            HarnessError: As :func:`harness.data.parts.choose_parts`.
        """
        return choose_parts(
            self.data,
            choice,
            default="paper" if self.card is None else self.card.split,
            protocol=None if self.card is None else self.card.protocol,
            is_file=self.card is None,
            whole=self.whole if self.limited is not None else None,
        )

    def refuse_broken(self, watch: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Decode all images, unless that was done before: what is wrong is found before anything is computed.

        Args:
            watch: Progress in images.

        Raises:
            HarnessError: An image is missing or cannot be decoded.
        """
        if self.raw is not None:
            refuse_broken(self.raw, watch)

    def table(self, split: NDArray[np.int8], run: Run) -> FeatureTable:
        """The features; of raw data computed or taken from the cache, once for each split."""
        if self.ready is not None:
            return self.ready
        assert self.raw is not None
        assert self.image is not None
        training = training_images(split)
        key = training.tobytes()
        if key not in self._tables:
            self._tables = {key: extract(self.raw, training, self.image, self.text, run)}  # the last one only: memory
        return self._tables[key]

    def missing(self, split: NDArray[np.int8], device: str) -> list[str]:
        """Of "image" and "text" those whose features are not in the cache, for a kind of device ("cpu", "cuda")."""
        if self.ready is not None:
            return []
        assert self.raw is not None
        assert self.image is not None
        return missing_features(self.raw, training_images(split), self.image, self.text, device)

    def caption_encoder(self, split: NDArray[np.int8], run: Run) -> Callable[[list[str]], NDArray[np.float32]] | None:
        """The text backbone, for captions that are not in the data; None for ready features."""
        if self.raw is None or self.text is None:
            return None
        raw, backbone, training = self.raw, self.text, training_images(split)
        return lambda texts: encode_captions(raw, training, backbone, texts, run)


def features_source(path: Path, limit: int | None, data_seed: int, shared: bool = False) -> DataSource:
    """Ready features: an npz file, or the authors' HDF5 files.

    Args:
        path: File or folder.
        limit: Number of images to keep, or None for all.
        data_seed: Draws them.
        shared: Other processes of this machine read the same: the features are memory maps from the cache.

    Raises:
        HarnessError: The file cannot be used; see :mod:`harness.data.features.feature_file`.
    """
    is_authors = path.is_dir() or path.suffix in (".h5", ".hdf5", ".json")
    table = read_authors_files(path) if is_authors else read_feature_file(path)
    return ready_source(table, limit, data_seed, shared)


def ready_source(
    table: FeatureTable, limit: int | None, data_seed: int, shared: bool = False, card: DatasetCard | None = None
) -> DataSource:
    """Ready features, of a file or of a data set that is published as features."""
    limited, whole = table.limited, len(table)
    if limit is not None and limit < len(table):
        table = table.subset(stratified_limit(table.labels, limit, data_seed))
        table = replace(table, fingerprint=f"{table.fingerprint}-limit-{limit}-{data_seed}")
        limited = limit
    return DataSource(table.name, ready=mapped(table) if shared else table, limited=limited, whole=whole, card=card)


def mapped(table: FeatureTable) -> FeatureTable:
    """The table with its features as read-only memory maps, which all processes of a machine share.

    They are in the cache under the table's fingerprint. Where the cache cannot be written, the table stays as it is.
    """
    arrays = [table.image, table.text, *table.image_views, *table.text_views]
    if sum(array.nbytes for array in arrays) < SHARED_FROM_BYTES:
        return table
    key = {"ready": table.fingerprint, "shapes": [[str(array.dtype), *array.shape] for array in arrays]}
    about = {"dataset": table.name, "what": "ready features, shared by processes"}
    stored, _ = cached_arrays(key, lambda: arrays, about)
    views = len(table.image_views)
    return replace(
        table, image=stored[0], text=stored[1], image_views=tuple(stored[2 : 2 + views]),
        text_views=tuple(stored[2 + views :]),
    )  # fmt: skip


def card_of(registry: Registry, name: str) -> DatasetCard:
    """The card of a data set.

    Args:
        registry: What is registered.
        name: A registered name; ``NAME:FILE`` for the readers of any folder, where FILE lies below the data root; or
            the path of a card, which ends in ``.toml``.

    Raises:
        HarnessError: Unknown name, the card is wrong, or FILE is no path below the data root.
    """
    if name.endswith(".toml") and ":" not in name:
        return read_card(Path(name))
    base, colon, file = name.partition(":")
    card = read_card(registry.get("dataset", base).card)
    if not colon:
        return card
    if card.layout is None or card.layout.folder != ANY_FOLDER or not file:
        raise HarnessError(
            f"--dataset {name}: data set {base!r} takes no file; its files are those of its card, as "
            f"`harness info {base}` shows."
        )
    relative_parts(file, f"--dataset {base}:FILE")
    return card.model_copy(update={"layout": CardLayout(**{**card.layout.model_dump(), "annotations": file})})


def read_dataset(
    registry: Registry, card: DatasetCard, root: Path | None, *, complete: bool = True
) -> RawDataset | FeatureTable:
    """Read a data set in the layout of its card.

    Args:
        registry: Where the reader is found.
        card: The card.
        root: The data root, or the data set's own folder.
        complete: Whether all images must be there.

    Returns:
        Images and captions, or ready features where the set is published as features.

    Raises:
        HarnessError: Files are missing or damaged; the message says which and where they belong.
    """
    data = registry.get("reader", card.reader).load()(card, root)
    if not isinstance(data, RawDataset):
        return data
    check_raw(data, card.reader)
    if complete:
        refuse_absent(data)
    return data


def raw_source(
    raw: RawDataset,
    image: BackboneChoice,
    text: BackboneChoice | None,
    limit: int | None,
    data_seed: int,
    card: DatasetCard | None = None,
) -> DataSource:
    """Raw data with backbones."""
    limited, whole = None, len(raw)
    if limit is not None and limit < len(raw):
        raw = raw.subset(stratified_limit(raw.labels, limit, data_seed))
        limited = limit
    return DataSource(raw.name, raw=raw, image=image, text=text, limited=limited, whole=whole, card=card)


def backbone_choice(
    registry: Registry,
    name: str,
    modality: str,
    weights: str,
    settings: Mapping[str, str],
    source_hash: str,
    *,
    recipe: str = STANDARD,
    views: ImageViews | TextViews | None = None,
) -> BackboneChoice:
    """A backbone with its parameters read and checked.

    Args:
        registry: What is registered.
        name: Backbone as written.
        modality: "image" or "text".
        weights: Value of ``--image-weights`` or ``--text-weights``, or "".
        settings: ``"image_backbone.NAME"`` or ``"text_backbone.NAME"`` to text.
        source_hash: Hash of its code.
        recipe: How images are prepared.
        views: Augmented views; None for those that are made where nothing is said.

    Returns:
        The choice.

    Raises:
        HarnessError: Unknown name or parameter, weights where none are taken or none where some are needed.
    """
    declaration, model = registry.backbone(name, modality)
    if weights and declaration.weights == "none":
        raise HarnessError(f"--{modality}-weights {weights}: backbone {name!r} takes no weights.")
    if not weights and declaration.weights == "required":
        raise HarnessError(
            f"backbone {name!r} needs weights: give --{modality}-weights a local file or folder, or a hub name."
        )
    prefix = f"{modality}_backbone."
    own = {key.removeprefix(prefix): text for key, text in settings.items() if key.startswith(prefix)}
    parameters = read_values(declaration.parameters, own, f"backbone {name}", prefix)
    return BackboneChoice(name, declaration, model, weights, parameters, source_hash, modality, recipe, views)
