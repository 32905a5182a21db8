"""What a cell cost, and that measuring changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.execution import encoding, runner
from harness.execution.attempt import attempt
from harness.runtime import cost, nvml
from harness.runtime.cost import Meter, latency, learned_numbers
from harness.runtime.settings import RunSettings

CPU = RunSettings(device="cpu")
PHASES = ["features", "data", "detector", "training", "encode", "evaluate", "total"]


def test_a_record_says_what_its_cell_cost(prepared):
    job, metrics = prepared("chnr", epochs=2, bits=20)
    record = attempt(job, metrics, CPU).record
    assert record.status == "ok", record.error
    assert sorted(record.timings) == sorted(PHASES)
    assert record.timings["total"] >= sum(record.timings[phase] for phase in PHASES[:-1])
    found = record.cost
    assert found["cpu_seconds"] > 0
    assert found["peak_memory_of"] in ("cell", "process")
    assert found["peak_memory_bytes"] > 10 * 2**20
    assert found["code_bytes"] == 3
    assert found["peak_cuda_bytes"] is None
    assert found["energy_joules"] is None
    assert found["energy_note"] == "no energy counter: the cell ran on cpu"
    for how in ("alone", "in_bulk"):
        assert found["encode_seconds"][how].keys() == {"image", "text"}
        assert all(0 < seconds < 1 for seconds in found["encode_seconds"][how].values())
    ranked = record.queries["total"] * 4
    assert found["evaluate_queries_per_second"] == pytest.approx(ranked / record.timings["evaluate"], rel=0.01)


def test_learned_numbers_of_a_method_are_those_of_its_parts(prepared):
    job, metrics = prepared("chnr", epochs=2)
    outcome = attempt(job, metrics, CPU)
    saved = sum(tensor.numel() for name, tensor in outcome.model.items() if name.startswith("hasher."))
    d = 24 + 20
    discriminator = 3 * (d * d + d) + d + 1
    assert outcome.record.cost["parameters"] == {
        "hasher": saved,
        "detector": discriminator,
        "trained": saved + discriminator,
    }


def test_a_detector_without_learned_numbers_has_none(prepared):
    job, metrics = prepared("random-codes")
    assert attempt(job, metrics, CPU).record.cost["parameters"]["detector"] is None


class WithState:
    def state(self):
        return {"a": torch.zeros(3, 4), "b": torch.zeros(5)}


class WithParameters:
    def parameters(self):
        yield torch.zeros(7)


class WithNetwork:
    def __init__(self):
        self.network = torch.nn.Linear(3, 2)
        self.other = "text"


class Broken:
    def state(self):
        raise OSError("no")


@pytest.mark.parametrize(
    ("component", "count"),
    [(WithState(), 17), (WithParameters(), 7), (WithNetwork(), 8), (Broken(), None), (object(), None), (None, None)],
)
def test_counting_learned_numbers(component, count):
    assert learned_numbers(component) == count


def test_measuring_changes_no_code_and_no_weight(prepared, monkeypatch):
    job, metrics = prepared("chnr", epochs=4)
    measured = attempt(job, metrics, CPU)
    monkeypatch.setattr(runner, "latencies", lambda *_: {})
    monkeypatch.setattr(runner, "learned_numbers", lambda _: None)
    monkeypatch.setattr(cost, "_forget_peak_memory", lambda: False)
    monkeypatch.setattr(encoding.time, "perf_counter", time.monotonic)
    plain = attempt(job, metrics, CPU)
    assert measured.record.metrics == plain.record.metrics
    for name, array in measured.arrays.items():
        np.testing.assert_array_equal(array, plain.arrays[name], err_msg=name)
    for name, tensor in measured.model.items():
        assert tensor.equal(plain.model[name]), name


def test_measuring_takes_little_time(prepared, monkeypatch):
    """Under 0.2 s a cell: everything that is done for the record's cost alone."""
    taken = []

    def timed(function):
        def call(*arguments, **named):
            start = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                taken.append(time.perf_counter() - start)

        return call

    monkeypatch.setattr(runner, "latencies", timed(runner.latencies))
    monkeypatch.setattr(runner, "learned_numbers", timed(runner.learned_numbers))
    monkeypatch.setattr(Meter, "__init__", timed(Meter.__init__))
    monkeypatch.setattr(Meter, "finish", timed(Meter.finish))
    job, metrics = prepared("chnr", epochs=2)
    assert attempt(job, metrics, CPU).record.status == "ok"
    assert len(taken) == 5
    assert sum(taken) < 0.2


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux lets a process reset its peak")
def test_the_peak_is_the_cell_s_own():
    # In a process of its own: what earlier tests freed may be kept here, and be used again without growing anything.
    code = (
        "import json, numpy as np, torch\n"
        "from harness.runtime.cost import Meter\n"
        "first = Meter(torch.device('cpu'))\n"
        "hog = np.ones(200 * 2**20, dtype=np.uint8)\n"
        "del hog\n"
        "large = first.finish()\n"
        "print(json.dumps([large, Meter(torch.device('cpu')).finish()]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    large, small = json.loads(done.stdout)
    assert large["peak_memory_of"] == small["peak_memory_of"] == "cell"
    assert large["peak_memory_bytes"] - large["memory_before_bytes"] > 190 * 2**20
    assert small["peak_memory_bytes"] < large["peak_memory_bytes"] - 100 * 2**20


def test_without_a_reset_the_peak_is_that_of_the_process(monkeypatch):
    monkeypatch.setattr(cost, "_forget_peak_memory", lambda: False)
    found = Meter(torch.device("cpu")).finish()
    assert found["peak_memory_of"] == "process"
    assert found["peak_memory_bytes"] > 50 * 2**20


def test_a_kernel_that_refuses_the_reset(tmp_path):
    assert cost._forget_peak_memory(tmp_path / "no" / "clear_refs") is False


def test_processor_time_counts_work_and_not_sleep():
    meter = Meter(torch.device("cpu"))
    with meter.phase("asleep"):
        time.sleep(0.2)
    found = meter.finish()
    assert meter.seconds["asleep"] >= 0.2
    assert found["cpu_seconds"] < 0.15


def test_phases_that_are_entered_again_add_up():
    meter = Meter(torch.device("cpu"))
    for _ in range(2):
        with meter.phase("detector"):
            time.sleep(0.02)
    assert 0.04 <= meter.seconds["detector"] < 0.5


def test_latency_is_a_median_and_gives_up_on_what_fails():
    calls = []

    def slow_once(item):
        calls.append(item.shape)
        time.sleep(0.02 if len(calls) == 3 else 0.0)

    assert latency(slow_once, np.zeros((1, 4), dtype=np.float32)) < 0.01
    assert set(calls) == {(1, 4)}

    def refuses(item):
        raise RuntimeError("needs two items")

    assert latency(refuses, np.zeros((1, 4), dtype=np.float32)) is None


class NvmlError(Exception):
    pass


class StandInNvml:
    """Behaves as pynvml (nvidia-ml-py 13) does: handles, millijoules, process lists, NVMLError."""

    NVMLError = NvmlError

    def __init__(self, millijoules, processes=1):
        self.millijoules, self.processes = iter(millijoules), processes
        self.asked = []

    def nvmlInit(self):
        return None

    def nvmlDeviceGetHandleByUUID(self, uuid):
        self.asked.append(uuid)
        return "handle"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        assert handle == "handle"
        value = next(self.millijoules, None)
        if value is None:
            raise NvmlError("Not Supported")
        return value

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        return [object()] * self.processes

    def nvmlSystemGetDriverVersion(self):
        return "570.00"


@pytest.fixture
def stand_in(monkeypatch):
    """A GPU that is not there: NVML and the calls of torch that the meter makes on a CUDA device."""
    import sys

    def install(*arguments, **named):
        module = StandInNvml(*arguments, **named)
        monkeypatch.setitem(sys.modules, "pynvml", module)
        monkeypatch.setattr(nvml, "_uuid", lambda device: "GPU-1234")
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 12345)
        return module

    return install


def metered():
    meter = Meter(torch.device("cuda:0"))
    for phase in ("training", "encode"):
        with meter.phase(phase):
            pass
    return meter.finish()


def test_energy_of_phases_and_of_the_cell(stand_in):
    module = stand_in([1000, 1500, 4500, 5000, 5250, 6000])
    found = metered()
    assert module.asked == ["GPU-1234"]
    assert found["energy_joules_by_phase"] == {"training": 3.0, "encode": 0.25}
    assert found["energy_joules"] == 5.0
    assert found["energy_shared"] is False
    assert "energy_note" not in found
    assert found["peak_cuda_bytes"] == 12345


@pytest.mark.parametrize(("processes", "shared"), [(2, True), (1, False), (0, None)])
def test_energy_is_flagged_where_others_use_the_gpu(stand_in, processes, shared):
    stand_in(range(6), processes=processes)
    assert metered()["energy_shared"] is shared


@pytest.mark.parametrize("readings", [[], [1000, 1500]])
def test_a_gpu_that_does_not_count_or_stops_counting(stand_in, readings):
    stand_in(readings)
    found = metered()
    assert found["energy_joules"] is None
    assert found["energy_note"] == "no energy counter: NVML says Not Supported"
    assert "energy_shared" not in found


def test_without_the_library_the_record_says_what_to_install(stand_in, monkeypatch):
    import sys

    stand_in([])
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "pip install 'noisy-hashing-harness[energy]'" in metered()["energy_note"]


def test_the_real_library_has_what_is_called():
    pynvml = pytest.importorskip("pynvml")
    called = [name for name in vars(StandInNvml) if name.startswith("nvml")]
    assert len(called) == 5
    assert all(callable(getattr(pynvml, name)) for name in called)
    assert issubclass(pynvml.NVMLError, Exception)


def test_the_uuid_is_written_as_nvml_does(monkeypatch):
    class Properties:
        uuid = "1a2b"

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Properties)
    assert nvml._uuid(torch.device("cuda")) == "GPU-1a2b"
    Properties.uuid = "MIG-77"
    assert nvml._uuid(torch.device("cuda")) == "MIG-77"
    del Properties.uuid
    with pytest.raises(nvml.NoGpuCounter, match="which GPU"):
        nvml._uuid(torch.device("cuda"))
