"""Number formats of training: what may be asked for, what ``auto`` means on a device, and what a cell then says.

A precision names the format of the *products* of a training. Weights, optimiser states, statistics of batch
normalisation, losses and everything that makes codes for evaluation stay float32 under each of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from harness.errors import HarnessError, unknown_name

if TYPE_CHECKING:
    import torch

FP32, BF16, TF32 = "fp32", "bf16", "tf32"
PRECISIONS = (FP32, BF16, TF32)
AUTO = "auto"
CPU = "cpu"

BF16_INSTRUCTIONS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Processor flags that mean a fast bf16 product: x86 with AVX-512 or AMX, ARM."""


@lru_cache(maxsize=1)
def processor_multiplies_bf16(description: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU has bf16 products of its own; False where the system does not say (then ``auto`` is fp32)."""
    try:
        lines = description.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    words = next((line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))), "")
    return bool(BF16_INSTRUCTIONS & set(words.split()))


def is_fast(device: torch.device | str) -> bool:
    """Whether bf16 products are faster than float32 ones on a device; :data:`CPU` stands for the processor."""
    if _is_cpu(device):
        return processor_multiplies_bf16()
    return _is_cuda(device) and _has_tensor_cores_for_bf16(device)


def _is_cpu(device: torch.device | str) -> bool:
    return device == CPU if isinstance(device, str) else device.type == CPU


def _is_cuda(device: torch.device | str) -> TypeGuard[torch.device]:
    return not isinstance(device, str) and device.type == "cuda"


def _has_tensor_cores_for_bf16(device: torch.device) -> bool:
    import torch

    return torch.cuda.get_device_capability(device)[0] >= 8


def check_precision(asked: str) -> None:
    """Check that a value of ``--precision`` exists.

    Raises:
        HarnessError: It does not.
    """
    if asked not in (AUTO, *PRECISIONS):
        raise unknown_name("value of --precision", asked, (AUTO, *PRECISIONS))


def resolve_precision(asked: str, offered: Collection[str], device: torch.device | str) -> str:
    """The precision that a cell is trained in.

    ``auto`` is bf16 where the device has fast bf16 products and a component of the method can use them, otherwise fp32
    (never tf32). A method none of whose components offers the asked precision is computed in fp32, and its cell says
    so: the result is the same under each.

    Args:
        asked: "auto", "fp32", "bf16" or "tf32".
        offered: What the method's components offer together.
        device: Where it will be trained; :data:`CPU` stands for the processor.

    Returns:
        "fp32", "bf16" or "tf32".

    Raises:
        HarnessError: The device cannot compute in it.
    """
    if asked == AUTO:
        return BF16 if BF16 in offered and is_fast(device) else FP32
    if asked == TF32 and not (_is_cuda(device) and _has_tensor_cores_for_bf16(device)):
        raise HarnessError(
            f"--precision tf32: device {device} has no TF32 products, which are those of NVIDIA GPUs since Ampere; "
            "use fp32, bf16 or auto."
        )
    if asked == BF16 and not (_is_cpu(device) or is_fast(device)):
        raise HarnessError(f"--precision bf16: device {device} has no bf16 products; use fp32 or auto.")
    return asked if asked in offered else FP32


@contextmanager
def float32_products(precision: str) -> Iterator[None]:
    """In a ``with`` block, torch computes float32 products on a GPU in TF32 under tf32, otherwise in full."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == TF32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
