"""What a cell works on: training pairs for the method, and queries, database and labels for the evaluator alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.data.raw import RawDataset
from harness.data.splits import (
    choose_captions,
    database_images,
    query_images,
    training_images,
    trusted_order,
    trusted_subset,
)
from harness.data.table import FeatureTable
from harness.errors import HarnessError
from harness.noise.plan import NoisePlan, draw_plan
from harness.plugin.declarations import ProtocolDeclaration
from harness.plugin.interfaces import Need, TrainingPairs
from harness.runtime.seeding import numpy_generator

if TYPE_CHECKING:
    import torch


Encode = Callable[[list[str]], NDArray[np.float32]]

STANDARDISATIONS = ("scalar", "feature", "center", "none")
"""One mean and deviation per modality; per feature; mean only; nothing (for shared spaces)."""


@dataclass(frozen=True)
class DataProtocol:
    """The data protocol of a cell: everything that methods in one comparison share.

    Attributes:
        noise: Noise protocol.
        rate: Noise rate asked for, or None where the protocol takes none.
        trusted: Share of trusted training pairs asked for; data that bring their own trusted pairs override it.
        data_seed: Seed of split, caption choice, trusted subset and noise.
        standardise: One of :data:`STANDARDISATIONS`.
        plan: A plan to use instead of drawing one, or None.
    """

    noise: ProtocolDeclaration
    rate: float | None
    trusted: float
    data_seed: int
    standardise: str
    plan: NoisePlan | None = None


@dataclass(frozen=True)
class Standardiser:
    """Subtract ``mean``, divide by ``scale``.

    Attributes:
        mean: (1,) or (d,) float64.
        scale: (1,) or (d,) float64, never 0.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, d) float32 to (n, d) float32."""
        return ((features - self.mean) / self.scale).astype(np.float32)


@dataclass(frozen=True)
class CellData:
    """The data of one cell, on the host.

    Attributes:
        table: All features.
        split: (n_images,) split codes.
        caption_of: (n_images,) caption row chosen for each image.
        plan: Who got whose caption, rows in ascending order of training image.
        image_standardiser, text_standardiser: Fitted on the training rows.
        order: (n_train,) the row of the plan that each row of the training pairs shows.
        given: (n_train,) caption row given to each image of the plan: the plan's caption, or where the plan has other
            words the row of ``table`` that holds them.
    """

    table: FeatureTable
    split: NDArray[np.int8]
    caption_of: NDArray[np.int64]
    plan: NoisePlan
    image_standardiser: Standardiser
    text_standardiser: Standardiser
    order: NDArray[np.int64]
    given: NDArray[np.int64]

    @property
    def queries(self) -> NDArray[np.int64]:
        """Query images."""
        return query_images(self.split)

    @property
    def database(self) -> NDArray[np.int64]:
        """Database images."""
        return database_images(self.split)

    def in_plan_order(self, values: NDArray) -> NDArray[np.float32]:
        """(n_train,) float32 values of the rows of the training pairs, in the order of the plan."""
        ordered = np.empty(len(self.plan), dtype=np.float32)
        ordered[self.order] = values
        return ordered


def assemble(
    table: FeatureTable, protocol: DataProtocol, split: NDArray[np.int8], encode: Encode | None = None
) -> CellData:
    """Fix split, captions, trusted subset, noise and standardisation of a cell.

    Args:
        table: The features.
        protocol: The data protocol.
        split: (n_images,) split codes.
        encode: Strings to (k, d_text) features, for plans that put other words into captions; None for ready features.

    Returns:
        The data of the cell.

    Raises:
        HarnessError: The plan is of other data, or the noise protocol cannot work on these.
    """
    caption_of = table.caption_choice
    if caption_of is None:
        caption_of = choose_captions(table.caption_image, len(table), protocol.data_seed)
    train = training_images(split)
    plan = protocol.plan or _draw(table, protocol, train, caption_of)
    if protocol.plan is not None:
        check_plan(plan, table, train)
        caption_of = caption_of.copy()
        caption_of[plan.image] = plan.own_caption
    table, given = edited_captions(table, plan, encode)
    return CellData(
        table=table,
        split=split,
        caption_of=caption_of,
        plan=plan,
        image_standardiser=fit_standardiser(table.image[plan.image], protocol.standardise),
        text_standardiser=fit_standardiser(table.text[given], protocol.standardise),
        order=numpy_generator(protocol.data_seed, "row-order").permutation(len(plan)),
        given=given,
    )


def fit_standardiser(training: NDArray[np.float32], choice: str) -> Standardiser:
    """Fit on the training rows of the original view; the result is applied to every view and part.

    Args:
        training: (n, d) features of the training rows.
        choice: One of :data:`STANDARDISATIONS`.

    Returns:
        The standardiser; constant features are centred but not scaled.
    """
    values = training.astype(np.float64)
    if choice == "none":
        return Standardiser(np.zeros(1), np.ones(1))
    if choice == "feature":
        mean, scale = values.mean(axis=0), values.std(axis=0)
    elif choice == "center":
        mean, scale = values.mean(axis=0), np.ones(1)
    else:
        mean, scale = values.mean(keepdims=True).reshape(1), values.std(keepdims=True).reshape(1)
    return Standardiser(mean, np.where(scale > 1e-12, scale, 1.0))


def edited_captions(
    table: FeatureTable, plan: NoisePlan, encode: Encode | None
) -> tuple[FeatureTable, NDArray[np.int64]]:
    """Find features for the words that a plan puts into captions; the table gets a row for each new text.

    Args:
        table: All features.
        plan: The noise plan.
        encode: Strings to features, or None.

    Returns:
        The table, and the caption row given to each image of the plan.

    Raises:
        HarnessError: The texts are not among the captions of ready features.
    """
    if plan.replaced is None:
        return table, plan.caption
    given = plan.caption.copy()
    edited = np.flatnonzero(plan.replaced != "")
    images = set(plan.image[edited].tolist())
    known = {
        (int(image), text): row
        for row, (image, text) in enumerate(zip(table.caption_image, table.captions or (), strict=False))
        if int(image) in images
    }
    keys = [(int(plan.image[row]), str(plan.replaced[row])) for row in edited]
    new = [key for key in keys if key not in known]
    if new:
        if encode is None or table.captions is None or table.text_views:
            raise HarnessError(
                f"--noise-plan puts other words into {len(edited)} captions, and these features hold no row for "
                f"{len(new)} of them: use the raw data, or features exported together with the plan."
            )
        known.update({key: len(table.text) + at for at, key in enumerate(new)})
        texts = [text for _, text in new]
        table = replace(
            table,
            text=np.concatenate([table.text, encode(texts)]),
            caption_image=np.concatenate([table.caption_image, np.array([image for image, _ in new])]),
            captions=[*table.captions, *texts],
        )
    given[edited] = [known[key] for key in keys]
    return table, given


def trusted_rows(
    table_trusted: NDArray[np.bool_] | None,
    table_wrong: NDArray[np.bool_] | None,
    train: NDArray[np.int64],
    share: float,
    data_seed: int,
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Who is trusted, and a random order of the training rows that starts with them.

    Args:
        table_trusted: (n_images,) bool trusted pairs that the data bring, or None.
        table_wrong: (n_images,) bool pairs known to be wrong, or None; they are never drawn as trusted.
        train: (n,) training images.
        share: Share to draw where the data bring none.
        data_seed: Data seed.

    Returns:
        (n,) bool and (n,) int64.
    """
    order = trusted_order(len(train), data_seed)
    if table_trusted is not None:
        trusted = table_trusted[train]
        return trusted, np.concatenate([order[trusted[order]], order[~trusted[order]]])
    if table_wrong is None:
        return trusted_subset(order, share), order
    wrong = table_wrong[train]
    order = np.concatenate([order[~wrong[order]], order[wrong[order]]])
    return trusted_subset(order, share) & ~wrong, order


def _draw(
    table: FeatureTable, protocol: DataProtocol, train: NDArray[np.int64], caption_of: NDArray[np.int64]
) -> NoisePlan:
    trusted, order = trusted_rows(table.trusted, table.wrong, train, protocol.trusted, protocol.data_seed)
    return draw_plan(
        protocol.noise,
        protocol.rate,
        image=train,
        own_caption=caption_of[train],
        trusted=trusted,
        trusted_first_order=order,
        labels=table.label_matrix[train],
        given_wrong=None if table.wrong is None else table.wrong[train],
        data_seed=protocol.data_seed,
        data_fingerprint=table.fingerprint,
        captions=table.captions,
    )


def check_plan(plan: NoisePlan, table: FeatureTable | RawDataset, train: NDArray[np.int64]) -> None:
    """Check that a plan fits the data: that it names exactly the training images, and existing captions of theirs.

    Raises:
        HarnessError: It does not; the message says in what way.
    """
    known = (table.fingerprint, table.origin if isinstance(table, FeatureTable) else "")
    if plan.data_fingerprint and plan.data_fingerprint not in known:
        raise HarnessError(
            f"--noise-plan is of other data: it was made for data {plan.data_fingerprint}, these are "
            f"{table.fingerprint} ({table.name}). Draw a plan for these data, or run on the data of the plan."
        )
    if not np.array_equal(plan.image, train):
        raise HarnessError(
            f"--noise-plan is of another split: it covers {len(plan)} images, {len(np.intersect1d(plan.image, train))} "
            f"of the {len(train)} training images here. It was made with data seed {plan.data_seed}: use --data-seed "
            f"{plan.data_seed}."
        )
    if len(plan) and not 0 <= min(plan.caption.min(), plan.own_caption.min()) <= max(
        plan.caption.max(), plan.own_caption.max()
    ) < len(table.caption_image):
        raise HarnessError(f"--noise-plan names captions beyond the {len(table.caption_image)} of these data.")
    if (table.caption_image[plan.own_caption] != plan.image).any():
        raise HarnessError("--noise-plan is of other data: its own captions do not belong to its images.")


def training_pairs(data: CellData, device: torch.device, granted: Need) -> TrainingPairs:
    """The pairs as the method may see them: materialised, standardised, in an order of their own.

    Args:
        data: The data of the cell.
        device: Where the tensors go.
        granted: Which of class labels, noise mask and source order the method declared that it needs.

    Returns:
        The training pairs.

    Raises:
        HarnessError: The noise mask is asked for and nobody knows it.
    """
    import torch

    plan, order, table = data.plan, data.order, data.table

    def images(features: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(data.image_standardiser(features[plan.image[order]])).to(device)

    def texts(features: NDArray[np.float32], captions: NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(data.text_standardiser(features[captions[order]])).to(device)

    grants: dict[Need, torch.Tensor] = {}
    if Need.CLASS_LABELS in granted:
        labels = table.labels[plan.image[order]]
        grants[Need.CLASS_LABELS] = torch.from_numpy(np.ascontiguousarray(labels)).to(device)
    if Need.NOISE_MASK in granted:
        if plan.wrong is None:
            raise HarnessError("the method needs the noise mask, and nobody knows which pairs of these data are wrong.")
        grants[Need.NOISE_MASK] = torch.from_numpy(plan.wrong[order]).to(device)
    if Need.SOURCE_ORDER in granted:
        grants[Need.SOURCE_ORDER] = torch.from_numpy(order.copy()).to(device)
    curated = np.where(plan.trusted, plan.own_caption, data.given)
    differs = bool((curated != data.given).any())
    return TrainingPairs(
        image=images(table.image),
        text=texts(table.text, data.given),
        image_views=tuple(images(view) for view in table.image_views),
        text_views=tuple(texts(view, data.given) for view in table.text_views),
        trusted=torch.from_numpy(plan.trusted[order]).to(device),
        granted=grants,
        trusted_text=texts(table.text, curated) if differs else None,
        trusted_text_views=tuple(texts(view, curated) for view in table.text_views) if differs else (),
    )
