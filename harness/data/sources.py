"""Where a cell's data come from: a dataset card with raw files, or ready features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.authors_file import read_authors_files
from harness.data.cards import DatasetCard, read_card
from harness.data.extraction import BackboneChoice, encode_captions, extract
from harness.data.feature_file import read_feature_file
from harness.data.raw import RawDataset
from harness.data.splits import check_split, paper_split, stratified_limit, training_images
from harness.data.table import FeatureTable, subset_table
from harness.errors import HarnessError
from harness.interfaces import Run
from harness.parameters import defaults, find
from harness.plugins import Registry


@dataclass
class DataSource:
    """The data of some cells, before features are needed.

    Attributes:
        name: Name of the data set in records and tables.
        raw: Raw images and captions; None for ready features.
        ready: Ready features; None for raw data.
        image, text: The backbones for raw data.
        limited: Number of images kept by ``--limit``, or None.
    """

    name: str
    raw: RawDataset | None = None
    ready: FeatureTable | None = None
    image: BackboneChoice | None = None
    text: BackboneChoice | None = None
    limited: int | None = None
    _tables: dict[bytes, FeatureTable] = field(default_factory=dict)

    @property
    def data(self) -> RawDataset | FeatureTable:
        """Raw data or ready features, whichever there is."""
        found = self.ready if self.ready is not None else self.raw
        assert found is not None
        return found

    def __len__(self) -> int:
        return len(self.data)

    @property
    def brings_noise(self) -> bool:
        """The data themselves say that some pairs are wrong."""
        return self.ready is not None and self.ready.wrong is not None and bool(self.ready.wrong.any())

    @property
    def shared_space(self) -> bool:
        """Both backbones name the same shared space."""
        if self.image is None or self.text is None:
            return False
        return (
            bool(self.image.declaration.shared_space)
            and self.image.declaration.shared_space == self.text.declaration.shared_space
        )

    def backbones(self) -> dict[str, dict[str, object]]:
        """Backbones as stored in the record and hashed."""
        if self.image is None or self.text is None:
            return {"image": {"name": "given"}, "text": {"name": "given"}}
        return {"image": self.image.describe(), "text": self.text.describe()}

    def split(self, data_seed: int) -> NDArray[np.int8]:
        """The split that ready features bring, otherwise the paper's.

        Raises:
            HarnessError: Fewer images than a split needs.
        """
        if self.ready is not None and self.ready.split is not None:
            check_split(self.ready.split, self.name)
            return self.ready.split
        return paper_split(len(self), data_seed)

    def table(self, split: NDArray[np.int8], run: Run) -> FeatureTable:
        """The features; of raw data computed or taken from the cache, once for each split."""
        if self.ready is not None:
            return self.ready
        assert self.raw is not None
        assert self.image is not None
        assert self.text is not None
        training = training_images(split)
        key = training.tobytes()
        if key not in self._tables:
            self._tables = {key: extract(self.raw, training, self.image, self.text, run)}  # the last one only: memory
        return self._tables[key]

    def caption_encoder(self, split: NDArray[np.int8], run: Run) -> Callable[[list[str]], NDArray[np.float32]] | None:
        """The text backbone, for captions that are not in the data; None for ready features."""
        if self.raw is None or self.text is None:
            return None
        raw, backbone, training = self.raw, self.text, training_images(split)
        return lambda texts: encode_captions(raw, training, backbone, texts, run)


def features_source(path: Path, limit: int | None, data_seed: int) -> DataSource:
    """Ready features: an npz file, or the authors' HDF5 files.

    Raises:
        HarnessError: The file cannot be used; see :mod:`harness.data.feature_file`.
    """
    is_authors = path.is_dir() or path.suffix in (".h5", ".hdf5", ".json")
    table = read_authors_files(path) if is_authors else read_feature_file(path)
    limited = table.limited
    if limit is not None and limit < len(table):
        table = subset_table(table, stratified_limit(table.labels, limit, data_seed))
        table = replace(table, fingerprint=f"{table.fingerprint}-limit-{limit}-{data_seed}")
        limited = limit
    return DataSource(table.name, ready=table, limited=limited)


def card_of(registry: Registry, name: str) -> DatasetCard:
    """The card of a data set.

    Raises:
        HarnessError: Unknown name, or the card is wrong.
    """
    return read_card(registry.get("dataset", name).card)


def raw_dataset(registry: Registry, card: DatasetCard, root: Path | None) -> RawDataset:
    """Read a data set in the layout of its card.

    Raises:
        HarnessError: Files are missing or damaged; the message says which and where they belong.
    """
    reader = registry.get("reader", card.reader).load()
    return reader(card, root)


def raw_source(
    raw: RawDataset, image: BackboneChoice, text: BackboneChoice, limit: int | None, data_seed: int
) -> DataSource:
    """Raw data with backbones."""
    limited = None
    if limit is not None and limit < len(raw):
        raw = raw.subset(stratified_limit(raw.labels, limit, data_seed))
        limited = limit
    return DataSource(raw.name, raw=raw, image=image, text=text, limited=limited)


def backbone_choice(
    registry: Registry, name: str, modality: str, weights: str, settings: Mapping[str, str], source_hash: str
) -> BackboneChoice:
    """A backbone with its parameters read and checked.

    Args:
        registry: What is registered.
        name: Backbone as written.
        modality: "image" or "text".
        weights: Value of ``--image-weights`` or ``--text-weights``, or "".
        settings: ``"image_backbone.NAME"`` or ``"text_backbone.NAME"`` to text.
        source_hash: Hash of its code.

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
    parameters = defaults(declaration.parameters)
    prefix = f"{modality}_backbone."
    for key, text in settings.items():
        if key.startswith(prefix):
            parameter = find(declaration.parameters, key.removeprefix(prefix), f"backbone {name}")
            parameters[parameter.name] = parameter.read(text, key)
    return BackboneChoice(name, declaration, model, weights, parameters, source_hash)
