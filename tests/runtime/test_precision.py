"""``--precision``: what it means on a device, in the cell and its hash, and what is refused."""

from __future__ import annotations

import types

import pytest
import torch

from harness.errors import HarnessError
from harness.runtime import precision as module
from harness.runtime.context import RunContext
from harness.runtime.precision import float32_products, processor_multiplies_bf16, resolve_precision

CPU = torch.device("cpu")
CUDA = torch.device("cuda", 0)
ALL = ("fp32", "bf16", "tf32")


@pytest.fixture
def cpu_with_bf16(monkeypatch):
    monkeypatch.setattr(module, "processor_multiplies_bf16", lambda: True)


@pytest.fixture
def cpu_without_bf16(monkeypatch):
    monkeypatch.setattr(module, "processor_multiplies_bf16", lambda: False)


def gpu(monkeypatch, generation):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (generation, 0))


def test_auto_is_bf16_where_cpu_and_method_have_it(cpu_with_bf16):
    assert resolve_precision("auto", ALL, CPU) == "bf16"
    assert resolve_precision("auto", ("fp32",), CPU) == "fp32"
    assert resolve_precision("auto", ("fp32", "tf32"), CPU) == "fp32"


def test_auto_is_fp32_on_a_cpu_without_bf16_products_and_on_devices_nobody_tested(cpu_without_bf16):
    assert resolve_precision("auto", ALL, CPU) == "fp32"
    assert resolve_precision("auto", ALL, torch.device("mps")) == "fp32"


@pytest.mark.parametrize(("generation", "expected"), [(7, "fp32"), (8, "bf16"), (9, "bf16")])
def test_auto_on_a_gpu_follows_its_generation(monkeypatch, generation, expected):
    gpu(monkeypatch, generation)
    assert resolve_precision("auto", ALL, CUDA) == expected


def test_tf32_on_a_new_gpu(monkeypatch):
    gpu(monkeypatch, 9)
    assert resolve_precision("tf32", ALL, CUDA) == "tf32"
    assert resolve_precision("tf32", ("fp32", "bf16"), CUDA) == "fp32"


def test_bf16_can_be_asked_for_on_any_cpu(cpu_without_bf16):
    assert resolve_precision("bf16", ALL, CPU) == "bf16"


@pytest.mark.parametrize("asked", ["bf16", "tf32"])
def test_an_old_gpu_refuses_in_one_sentence(monkeypatch, asked):
    gpu(monkeypatch, 7)
    with pytest.raises(HarnessError, match=rf"^--precision {asked}: device cuda:0 has no .* products.*\.$"):
        resolve_precision(asked, ALL, CUDA)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 xsave\n", True),
        ("flags : fpu avx2\n", False),
        ("flags : amx_bf16 amx_tile\n", True),
        ("Features : fp asimd bf16\n", True),
        ("", False),
    ],
)
def test_the_processor_is_asked_for_its_instructions(tmp_path, text, expected):
    (tmp_path / "cpuinfo").write_text(text)
    assert processor_multiplies_bf16.__wrapped__(tmp_path / "cpuinfo") is expected


def test_a_system_that_says_nothing_about_its_processor_has_no_fast_bf16(tmp_path):
    assert processor_multiplies_bf16.__wrapped__(tmp_path / "missing") is False


def test_autocast_makes_products_bf16_under_bf16_only():
    a = torch.randn(4, 4)
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("tf32", torch.float32)):
        with RunContext(8, CPU, precision=name).autocast():
            assert (a @ a).dtype == dtype
    assert (a @ a).dtype == torch.float32


def test_float32_products_are_put_back_also_after_an_error():
    before = torch.get_float32_matmul_precision()

    def work() -> None:
        with float32_products("tf32"):
            assert torch.get_float32_matmul_precision() == "high"
            raise HarnessError("stop")

    with pytest.raises(HarnessError, match="stop"):
        work()
    assert torch.get_float32_matmul_precision() == before


def cells(harness, path, *words):
    result = harness("run", "--features", path, "--dry-run", "--json", "--device", "cpu", *words)
    assert result.code == 0, result.err
    return [(row["cell"]["method"], row["cell"]["precision"], row["hash"]) for row in result.json]


def test_precision_is_an_axis_and_part_of_the_hash(harness, features):
    found = cells(harness, features(), "--method", "chnr", "--precision", "fp32,bf16")
    assert [precision for _, precision, _ in found] == ["fp32", "bf16"]
    assert found[0][2] != found[1][2]


def test_auto_is_the_cell_that_it_resolves_to(harness, features, cpu_with_bf16):
    path = features()
    assert cells(harness, path, "--method", "chnr") == cells(harness, path, "--method", "chnr", "--precision", "bf16")


def test_auto_on_another_processor_is_another_cell(harness, features, cpu_without_bf16):
    path = features()
    assert cells(harness, path, "--method", "chnr") == cells(harness, path, "--method", "chnr", "--precision", "fp32")


def test_a_closed_form_is_one_cell_whatever_the_precision(harness, features, cpu_with_bf16):
    found = cells(harness, features(), "--method", "cca-itq", "--precision", "auto,fp32,bf16")
    assert [precision for _, precision, _ in found] == ["fp32"]


@pytest.mark.parametrize("method", ["chnr", "cca-itq"])
def test_tf32_on_a_cpu_is_refused_in_one_sentence(harness, features, method):
    result = harness(
        "run", "--features", features(), "--method", method, "--precision", "tf32", "--device", "cpu", "--dry-run"
    )
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "--precision tf32: device cpu has no TF32 products" in result.err


def test_an_unknown_precision_names_the_known_ones(harness, features):
    result = harness("run", "--features", features(), "--method", "cca-itq", "--precision", "fp23")
    assert result.code == 2
    assert "fp32" in result.err


SMALL = (
    "--method", "chnr", "--epochs", "2", "--bits", "8", "--noise", "0.4", "--trusted", "0.5",
    "--set", "hasher.hidden=16", "--set", "hasher.batch_size=16", "--set", "detector.batch_size=16",
)  # fmt: skip


def test_the_record_says_what_was_computed_and_its_command_repeats_just_that(harness, features, cpu_with_bf16):
    record = harness("run", "--features", features(), *SMALL, "--device", "cpu", "--json").json[0]
    assert record["cell"]["precision"] == "bf16"
    assert "--precision bf16" in record["command"]
    closed = harness("run", "--features", features(), "--method", "cca-itq", "--device", "cpu", "--json").json[0]
    assert closed["cell"]["precision"] == "fp32"
    assert "--precision" not in closed["command"]


def test_methods_without_a_choice_stand_in_the_table_of_each_precision(harness, features):
    path = features()
    assert harness("run", "--features", path, *SMALL, "--precision", "fp32,bf16").code == 0
    closed = ("--method", "cca-itq", "--bits", "8", "--noise", "0.4", "--trusted", "0.5", "--precision", "bf16")
    assert harness("run", "--features", path, *closed).code == 0
    tables = harness("table").out.split("\nmap on ")
    assert len(tables) == 2
    assert all("cca-itq" in table and "chnr" in table for table in tables)
    assert "precision bf16" in tables[0] + tables[1]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("threads", [1, 2])
def test_one_seed_gives_one_set_of_codes(precision, threads):
    from conftest import feature_arrays
    from reference.cell import cell_data, probe_codes, small_method

    from harness.data.assemble import training_pairs
    from harness.execution.runner import fit_method
    from harness.plugin.interfaces import NOTHING

    pairs = training_pairs(cell_data(feature_arrays(n=60)), CPU, NOTHING)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = [
            probe_codes(fit_method(small_method("chnr"), pairs, RunContext(16, CPU, 3, precision=precision)), 24, 20)
            for _ in range(2)
        ]
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


@pytest.mark.parametrize("precisions", [("bf16",), ("fp32", "fp8"), ()])
def test_a_plugin_must_offer_fp32_and_nothing_unknown(precisions):
    from harness import hookimpl
    from harness.plugin.loading import Registry, _register_functions

    assert hookimpl
    register = _register_functions(Registry(), {"plugin": "mine", "file": None})["register_detectors"]
    with pytest.raises(HarnessError, match="precisions must be some of fp32, bf16, tf32, fp32 among them"):
        register("mine", types.SimpleNamespace, summary="s", precisions=precisions)
