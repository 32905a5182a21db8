"""The contracts between the core and everything that is plugged into it.

A *detector* says of each training pair how far to trust it, a *hasher* learns two functions from features to codes,
an *objective* is the per-pair loss of a hasher that lets one be chosen, a *recipe* (a method) is pure data that names
them. The classes below that derive from :class:`typing.Protocol` need not be subclassed: a plugin's class only has to
have the methods. Methods marked *optional* may be left out. No torch is imported: declaring a plugin stays cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from enum import Flag, auto
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy
    import torch
    from PIL.Image import Image
    from torch import Tensor


class Need(Flag):
    """What a component cannot work without, declared at registration.

    Needs are granted or refused before anything is computed, stored in the record and printed in tables.
    """

    TRUSTED = auto()  # a trusted subset that is not empty
    SHARED_SPACE = auto()  # image and caption features of one space (CLIP), so that they can be compared directly
    EPOCHS = auto()  # a hasher that trains in epochs (a Learner)
    PAIR_LOSSES = auto()  # a hasher that reports a loss per pair
    TWO_LEARNERS = auto()  # co-teaching: two copies of the hasher
    CLASS_LABELS = auto()  # class labels of the training pairs: not unsupervised any more, and marked so
    NOISE_MASK = auto()  # the true noise mask: an oracle, and marked so
    SOURCE_ORDER = auto()  # position of each pair in the data's own order; only to repeat bugs of released programs

    @property
    def names(self) -> tuple[str, ...]:
        """The members of this flag as lower-case words, in order of declaration."""
        return tuple(str(member.name).lower().replace("_", "-") for member in type(self) if member in self)


NOTHING = Need(0)
"""No need, or nothing offered."""

GRANTED_TO_METHODS = Need.CLASS_LABELS | Need.NOISE_MASK | Need.SOURCE_ORDER
"""Needs that break the wall between a method and the runner; a record lists those that were granted."""


@dataclass(frozen=True)
class TrainingPairs:
    """The training pairs as a method may see them: materialised rows, wrong captions already in place.

    Rows come in an order of their own. There are no ids, file names, labels or index maps.

    Attributes:
        image: (n, d_image) float32 image features, on the device of the run.
        text: (n, d_text) float32 caption features; row i is the caption that image i was given, right or wrong.
        image_views, text_views: Augmented views, each (n, d_image) or (n, d_text); may be empty.
        trusted: (n,) bool, pairs known to be right; may be all False.
        granted: What the component declared that it needs, for example ``granted[Need.CLASS_LABELS]``: (n,) int64 for
            single labels or (n, n_classes) bool; ``granted[Need.NOISE_MASK]``: (n,) bool;
            ``granted[Need.SOURCE_ORDER]``: (n,) int64 position of each pair in the order of the data set.
        trusted_text, trusted_text_views: Caption features with the trusted rows as their curator saw them. They differ
            from ``text`` only under the protocol ``chnr-released``, which makes some trusted pairs wrong after the
            trusted phase; None where they are the same.
    """

    image: Tensor
    text: Tensor
    image_views: tuple[Tensor, ...] = ()
    text_views: tuple[Tensor, ...] = ()
    trusted: Tensor = None  # type: ignore[assignment]
    granted: Mapping[Need, Tensor] = field(default_factory=dict)
    trusted_text: Tensor | None = None
    trusted_text_views: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return self.image.shape[0]

    def as_trusted(self) -> TrainingPairs:
        """The same n rows with the captions that a phase on trusted pairs must use (see ``trusted_text``)."""
        if self.trusted_text is None:
            return self
        return replace(
            self, text=self.trusted_text, text_views=self.trusted_text_views, trusted_text=None, trusted_text_views=()
        )

    def rows(self, rows: Tensor) -> Batch:
        """The pairs at ``rows``, an (b,) int64 tensor on the device of the features."""
        return Batch(self, rows)


@dataclass(frozen=True)
class Batch:
    """Some rows of the training pairs; features are gathered when they are asked for.

    Attributes:
        pairs: The pairs that the rows index.
        rows: (b,) int64 row numbers within ``pairs``.
    """

    pairs: TrainingPairs
    rows: Tensor

    def __len__(self) -> int:
        return self.rows.shape[0]

    @property
    def image(self) -> Tensor:
        """(b, d_image) image features."""
        return self.pairs.image[self.rows]

    @property
    def text(self) -> Tensor:
        """(b, d_text) caption features."""
        return self.pairs.text[self.rows]

    @property
    def image_views(self) -> tuple[Tensor, ...]:
        """Augmented image views, each (b, d_image)."""
        return tuple(view[self.rows] for view in self.pairs.image_views)

    @property
    def text_views(self) -> tuple[Tensor, ...]:
        """Augmented caption views, each (b, d_text)."""
        return tuple(view[self.rows] for view in self.pairs.text_views)


@dataclass(frozen=True)
class PairTrust:
    """What every detector says and every hasher and objective reads.

    Attributes:
        weight: (n,) float32 in [0, 1], how far each pair is trusted.
        target: (n,) float32 soft correspondence in [0, 1] (NCR's recast label, CRCL's refined one); None: the weight.
    """

    weight: Tensor
    target: Tensor | None = None

    def at(self, rows: Tensor) -> PairTrust:
        """The trust of some rows, (b,) each."""
        return PairTrust(self.weight[rows], None if self.target is None else self.target[rows])

    def soft_target(self) -> Tensor:
        """The target where there is one, otherwise the weight."""
        return self.weight if self.target is None else self.target


@dataclass(frozen=True)
class Evidence:
    """The whole training set at the end of an epoch, without gradient; for detectors that watch the training.

    Attributes:
        epoch: Number of epochs finished so far, counted over all phases, from 1.
        phase: Name of the phase.
        pair_loss: (n,) float32 loss of each pair now; None where the hasher does not offer ``PAIR_LOSSES``.
        similarity: ``similarity(slice)`` gives rows of the (n, n) cosine matrix between image and caption outputs.
    """

    epoch: int
    phase: str
    pair_loss: Tensor | None
    similarity: Callable[[slice], Tensor]


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs of a recipe.

    Attributes:
        name: Name, unique in the recipe; ``--set phase.NAME.epochs=...`` changes its length.
        epochs: Number of epochs.
        pairs, trust: ``"all"`` training pairs or the ``"trusted"`` ones; ``"ones"`` (full trust) or ``"detector"``.
        restart: Start from new initial values, with new streams (CRCL trains anew and keeps the refined labels).
    """

    name: str
    epochs: int
    pairs: str = "all"
    trust: str = "detector"
    restart: bool = False

    def __post_init__(self) -> None:
        if self.pairs not in ("all", "trusted"):
            raise ValueError(f"phase {self.name!r}: pairs must be 'all' or 'trusted', not {self.pairs!r}")
        if self.trust not in ("ones", "detector"):
            raise ValueError(f"phase {self.name!r}: trust must be 'ones' or 'detector', not {self.trust!r}")
        if self.epochs < 0:
            raise ValueError(f"phase {self.name!r}: epochs must not be negative")


@dataclass(frozen=True)
class EpochsOf:
    """A parameter value that follows the length of a phase, also when ``--epochs`` or ``--set`` changes it."""

    phase: str


@dataclass(frozen=True)
class Recipe:
    """A method: pure data, so that ``--hasher``, ``--detector`` and ``--objective`` can override any of it.

    Attributes:
        hasher, detector: Names of the hasher and of the noise detector.
        objective: Name of the objective, for hashers that take one; None otherwise.
        phases: Training phases; empty means the hasher's own default (a closed form has none).
        learners: 2 trains two hashers that exchange their trust (co-teaching); the first is evaluated.
        parameters: Values that differ from the components' defaults, keys as in ``--set`` ("hasher.beta").
        presets: Named sets of such values; every method also has the empty preset ``described``.
    """

    hasher: str
    detector: str = "none"
    objective: str | None = None
    phases: tuple[Phase, ...] = ()
    learners: int = 1
    parameters: Mapping[str, Any] = field(default_factory=dict)
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Run(Protocol):
    """What a component learns about the run it serves, and how it reports."""

    @property
    def n_bits(self) -> int:
        """Code length."""

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""

    @property
    def precision(self) -> str:
        """ "fp32", "bf16" or "tf32"; "fp32" for a method none of whose components declared another one."""

    def autocast(self) -> AbstractContextManager[None]:
        """For the forward pass of a network while training: under precision bf16 its products are bf16 meanwhile.

        Keep losses and similarities outside, on ``outputs.float()``. Under fp32 nothing happens, nor under tf32, which
        holds for the whole training. Who uses this declares it: ``register(..., precisions=("fp32", "bf16", "tf32"))``.
        """

    def generator(self, stream: str) -> torch.Generator:
        """A seeded generator on the run's device; the same stream name gives the same numbers in every run of a seed.

        While a component's methods run, the global generators of torch, numpy and random are seeded too (and put back
        afterwards), so that ``torch.nn`` initialisation and dropout are reproducible without further care.
        """

    def numpy_generator(self, stream: str) -> numpy.random.Generator:
        """A seeded numpy generator, for components that work in numpy."""

    def report(
        self, *, phase: str, epoch: int, epochs: int, loss: float | Tensor | None = None, rate: float | None = None
    ) -> None:
        """Tell how far the work is: epoch ``epoch`` of ``epochs`` is finished, ``rate`` of them in a second."""

    def frozen_randomness(self) -> AbstractContextManager[None]:
        """While this lasts, global random numbers drawn leave the streams of the training untouched."""


class NoiseDetector(Protocol):
    """Says of each training pair how far to trust it. It sees features, never codes."""

    def fit(self, pairs: TrainingPairs, run: Run) -> PairTrust:
        """Look at the pairs before training and return the trust in each, (n,)."""

    def observe(self, evidence: Evidence, run: Run) -> PairTrust | None:
        """Optional: called after each epoch if ``EPOCHS`` or ``PAIR_LOSSES`` was declared; None: unchanged."""

    def weigh_batch(self, batch: Batch, learner: Learner) -> Tensor | None:
        """Optional: weights (b,) drawn anew for one batch; None: those of :meth:`fit` or :meth:`observe` stand."""


class Hasher(Protocol):
    """Learns codes for both modalities. These methods are enough for every closed form."""

    def fit(self, pairs: TrainingPairs, trust: PairTrust, run: Run) -> None:
        """Learn from the pairs. Not needed by a :class:`Learner`."""

    def encode_image(self, image: Tensor) -> Tensor:
        """(m, d_image) features to (m, n_bits) real numbers; a bit is 1 where the number is above 0.

        An item gets the same code in whatever batch it comes, and nothing but its own features counts.
        """

    def encode_text(self, text: Tensor) -> Tensor:
        """(m, d_text) features to (m, n_bits) real numbers; as :meth:`encode_image`."""

    def state(self) -> dict[str, Tensor]:
        """Optional: the tensors that, given back to :meth:`restore`, make the same codes."""

    def restore(self, state: dict[str, Tensor], run: Run) -> None:
        """Optional: the inverse of :meth:`state`, on a freshly made hasher."""


class Learner(Hasher, Protocol):
    """A hasher that trains in epochs. The core owns phases, batches, progress and curves; it declares ``EPOCHS``.

    Attributes:
        batch_size: Pairs per batch.
        smallest_batch: Optional, default 1: smaller remainders join the batch before them (batch normalisation: 2).
        drop_last: Optional, default False: leave out the incomplete last batch.
    """

    batch_size: int

    def begin(self, pairs: TrainingPairs, phases: Sequence[Phase], run: Run) -> None:
        """Make networks, memory banks and graphs. ``pairs`` are all training pairs."""

    def begin_phase(self, phase: Phase, pairs: TrainingPairs, rows: Tensor) -> None:
        """Optional: a phase starts that trains on ``rows`` of ``pairs``."""

    def step(self, batch: Batch, trust: PairTrust) -> Tensor:
        """One training step with the learner's own optimisers; the loss as a 0-d tensor, left on the device."""

    def pair_losses(self, batch: Batch) -> Tensor:
        """(b,) loss of each pair, every pair fully trusted; differentiable. For those that declare ``PAIR_LOSSES``."""

    def end_epoch(self, epoch: int) -> None:
        """Optional: epoch ``epoch``, counted from 0 over all phases, is over."""


class Objective(Protocol):
    """A per-pair loss for hashers that let it be chosen."""

    def __call__(self, z_image: Tensor, z_text: Tensor, trust: PairTrust) -> Tensor:
        """(b, n_bits) real-valued outputs of both modalities and the trust to (b,) losses, trust already applied."""

    def end_step(self, step: int) -> None:
        """Optional: the learner has done ``step`` training steps since it began, or began anew."""


class Backbone(Protocol):
    """A frozen encoder from raw images or captions to features."""

    def fit(self, training: Sequence[Any], run: Run) -> None:
        """Optional: fit on the captions (or images) of the training images; pretrained encoders leave it out."""

    def encode(self, raw: Collection[Image] | Sequence[str], run: Run) -> numpy.ndarray | Iterator[Sequence[Any]]:
        """(n, d) float32 features of PIL RGB images or of strings, in order; or an iterator of parts: (b,) row numbers
        and their (b, d) features, which go straight to the cache (:func:`harness.data.loading.encode_in_batches`).

        ``raw`` has a length, is iterated once or read by index from several threads, and decodes as that goes.
        """


@dataclass(frozen=True)
class PairsToCorrupt:
    """What a noise protocol sees: training pairs in the order of the data set, one caption each.

    Attributes:
        untrusted_order: (n_untrusted,) int64 rows that are not trusted, in a random order that does not depend on the
            rate. Taking the first round(rate * n_untrusted) makes masks nested over rates.
        trusted_first_order: (n,) int64 all rows in random order, the trusted ones first.
        labels: (n, n_classes) bool, or None where the data have none.
        given_wrong: (n,) bool mask of natural noise that came with the data, or None where it is not known.
        stream: ``stream(name)`` gives a numpy generator of the data seed.
        captions: The caption of each row, for protocols that edit captions; None for all others.
    """

    untrusted_order: numpy.ndarray
    trusted_first_order: numpy.ndarray
    labels: numpy.ndarray | None
    given_wrong: numpy.ndarray | None
    stream: Callable[[str], numpy.random.Generator]
    captions: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.trusted_first_order)


class NoiseProtocol(Protocol):
    """Decides which pairs become wrong and which caption they get."""

    def __call__(self, pairs: PairsToCorrupt, rate: float) -> numpy.ndarray:
        """(n,) int64: the row whose caption each row gets, or itself; with ``edits_captions`` n texts or None, too."""


class ImageSource(Protocol):
    """Images of a data set, decoded one at a time."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Image:
        """The image as PIL RGB."""

    def fingerprint(self, index: int) -> str:
        """A content hash of one image that does not need decoding."""


class DatasetReader(Protocol):
    """Reads one published layout; a dataset card names it."""

    def __call__(self, card: Any, root: Any) -> Any:
        """Card and data root to a ``RawDataset``, or a ``FeatureTable`` where the set is published as features."""
