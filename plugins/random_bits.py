"""Bits drawn from a hash of an item's features, so that an item has one code in whatever batch it comes."""

from __future__ import annotations

import torch
from torch import Tensor

from harness import PairTrust, TrainingPairs
from harness.plugin.interfaces import Run

GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
MIX_2 = 0x94D049BB133111EB - (1 << 64)


def _mix(x: Tensor) -> Tensor:
    """The finaliser of SplitMix64 (Steele et al., OOPSLA 2014) on int64, arithmetic modulo 2^64."""
    for shift, factor in ((30, MIX_1), (27, MIX_2)):
        x = (x ^ ((x >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return x ^ ((x >> 31) & ((1 << 33) - 1))


class RandomCodes:
    """A keyed hash of the features' bit patterns, one bit for each code position."""

    def fit(self, pairs: TrainingPairs, trust: PairTrust, run: Run) -> None:
        """Draw the keys; the pairs are not looked at."""
        self.n_bits = run.n_bits
        self.keys = torch.randint(-(2**62), 2**62, (2,), generator=run.generator("random-codes"), device=run.device)

    def _bits(self, features: Tensor, key: Tensor) -> Tensor:
        patterns = features.float().contiguous().view(torch.int32).to(torch.int64)
        positions = torch.arange(1, patterns.shape[1] + 1, device=features.device, dtype=torch.int64)
        item = _mix((patterns ^ _mix(positions * GOLDEN + key)) * MIX_1).sum(dim=1)
        bit = torch.arange(1, self.n_bits + 1, device=features.device, dtype=torch.int64)
        return (_mix(item[:, None] + bit[None, :] * GOLDEN) & 1).float() - 0.5

    def encode_image(self, image: Tensor) -> Tensor:
        """(m, n_bits) of -0.5 and 0.5."""
        return self._bits(image, self.keys[0])

    def encode_text(self, text: Tensor) -> Tensor:
        """(m, n_bits) of -0.5 and 0.5."""
        return self._bits(text, self.keys[1])

    def state(self) -> dict[str, Tensor]:
        """The keys and the code length."""
        return {"keys": self.keys, "n_bits": torch.tensor(self.n_bits)}

    def restore(self, state: dict[str, Tensor], run: Run) -> None:
        """Take keys and code length back."""
        self.keys, self.n_bits = state["keys"].to(run.device), int(state["n_bits"])
