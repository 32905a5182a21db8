"""What the NVIDIA driver says of a GPU through NVML (nvidia-ml-py): energy, other processes, driver.

Nothing here runs in the background: the driver counts, and is asked at the borders of phases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

INSTALL = "pip install 'noisy-hashing-harness[energy]'"


class NoGpuCounter(Exception):
    """Nothing can be asked; the message says why, in words for a record."""


class Gpu:
    """One GPU as NVML knows it.

    It is found by its UUID, not by its number: CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER give a GPU other numbers in
    torch than NVML does.

    Args:
        device: The torch device.

    Raises:
        NoGpuCounter: The device is no NVIDIA GPU, nvidia-ml-py is missing, or NVML refuses.
    """

    def __init__(self, device: torch.device) -> None:
        if device.type != "cuda":
            raise NoGpuCounter(f"no energy counter: the cell ran on {device.type}")
        try:
            import pynvml
        except ImportError:
            raise NoGpuCounter(f"no energy counter: nvidia-ml-py is not installed ({INSTALL})") from None
        self._nvml: Any = pynvml
        try:
            pynvml.nvmlInit()
            self._handle = pynvml.nvmlDeviceGetHandleByUUID(_uuid(device))
        except pynvml.NVMLError as error:
            raise NoGpuCounter(f"no energy counter: NVML says {error}") from None

    def joules(self) -> float:
        """Energy that the whole GPU took since the driver was loaded, in joules.

        Raises:
            NoGpuCounter: The GPU does not count (before Volta, or a part of a divided GPU).
        """
        try:
            return self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle) / 1000.0
        except self._nvml.NVMLError as error:
            raise NoGpuCounter(f"no energy counter: NVML says {error}") from None

    def processes(self) -> int:
        """Processes that hold a CUDA context on the GPU, this one included; 0 where NVML does not say.

        They are counted, not named: inside a container this process has another number than NVML knows.
        """
        try:
            return len(self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle))
        except self._nvml.NVMLError:
            return 0

    def driver(self) -> str:
        """Version of the driver; "" where NVML does not say."""
        try:
            return str(self._nvml.nvmlSystemGetDriverVersion())
        except self._nvml.NVMLError:
            return ""


def _uuid(device: torch.device) -> str:
    """The name NVML uses; torch leaves out its beginning.

    Raises:
        NoGpuCounter: Torch knows no name (builds for other makes of GPU).
    """
    import torch

    uuid = str(getattr(torch.cuda.get_device_properties(device), "uuid", ""))
    if not uuid:
        raise NoGpuCounter("no energy counter: torch does not say which GPU it uses")
    return uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
