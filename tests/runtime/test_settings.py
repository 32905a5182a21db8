"""Settings hold while a cell runs, and are gone afterwards."""

from __future__ import annotations

import os

import numba
import pytest
import torch
from threadpoolctl import threadpool_info

from harness.errors import HarnessError
from harness.runtime.settings import POOLS, RunSettings, applied


def chosen() -> list[str | None]:
    return [os.environ.get(name) for name in POOLS]


def pools() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info()}


def test_threads_reach_every_pool_and_are_put_back():
    numba.get_num_threads()  # numba starts its pool here, which sets the threads of the OpenMP library that torch uses
    before = (torch.get_num_threads(), numba.get_num_threads(), pools(), chosen())
    wanted = torch.get_num_threads() + 1
    with applied(RunSettings(device="cpu", threads=wanted)) as device:
        assert device == torch.device("cpu")
        assert torch.get_num_threads() == wanted
        assert numba.get_num_threads() == min(wanted, numba.config.NUMBA_NUM_THREADS)
        assert pools() == {wanted}
        assert os.environ["OPENBLAS_NUM_THREADS"] == str(wanted)
    assert (torch.get_num_threads(), numba.get_num_threads(), pools(), chosen()) == before


def test_more_threads_than_numba_started_with_are_no_error():
    with applied(RunSettings(device="cpu", threads=1000)):
        assert numba.get_num_threads() == numba.config.NUMBA_NUM_THREADS
    with applied(RunSettings(device="cpu", threads=1)):
        assert numba.get_num_threads() == 1


def test_deterministic_holds_meanwhile():
    before = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    cudnn = torch.backends.cudnn
    flags = (cudnn.deterministic, cudnn.benchmark)
    with applied(RunSettings(device="cpu", deterministic=True)):
        assert torch.are_deterministic_algorithms_enabled()
        assert (cudnn.deterministic, cudnn.benchmark) == (True, False)
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert not torch.are_deterministic_algorithms_enabled()
    assert (cudnn.deterministic, cudnn.benchmark) == flags
    assert os.environ.get("CUBLAS_WORKSPACE_CONFIG") == before


def test_what_a_component_changes_is_put_back_also_after_an_error():
    dtype = torch.get_default_dtype()

    def component():
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.autograd.set_detect_anomaly(True)
        os.environ["OF_A_COMPONENT"] = "1"
        torch.set_grad_enabled(False)
        torch.set_float32_matmul_precision("medium")
        torch.use_deterministic_algorithms(True)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), applied(RunSettings(device="cpu")):
        component()
    assert torch.get_default_dtype() == dtype
    assert torch.ones(1).device == torch.device("cpu")
    assert not torch.is_anomaly_enabled()
    assert "OF_A_COMPONENT" not in os.environ
    assert torch.is_grad_enabled()
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (RunSettings(threads=0), "--threads 0: expected at least 1"),
        (RunSettings(threads=-2), "--threads -2"),
        (RunSettings(device="abacus"), "--device abacus"),
    ],
)
def test_settings_that_cannot_be_applied(settings, message):
    with pytest.raises(HarnessError, match=message), applied(settings):
        raise AssertionError("never reached")
