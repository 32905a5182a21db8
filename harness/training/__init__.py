"""What learners share: the one training loop, and batches for those who train on their own."""

from harness.training.batches import batches

__all__ = ["batches"]
