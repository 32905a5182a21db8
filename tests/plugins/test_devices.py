"""GPUs are dealt out to places; stand-ins play the GPUs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from harness_plugins.executors import devices
from harness_plugins.executors.devices import deal

from harness.errors import HarnessError
from harness.execution import Session


@pytest.fixture
def gpus(monkeypatch):
    """``gpus(2, "4,5")``: so many GPUs are visible, by these names."""

    def play(count, said=None):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        if said is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
        monkeypatch.setattr(devices, "usable_cores", lambda: 8)

    return play


def dealt(**session):
    places = deal(Session(folder=Path(), **session))
    assert [place.name for place in places] == [str(number) for number in range(len(places))]
    return [(place.device, place.environment.get("CUDA_VISIBLE_DEVICES")) for place in places]


def test_each_gpu_gets_its_cells_in_turn(gpus):
    gpus(2)
    assert dealt() == [("cuda", "0"), ("cuda", "1")]
    assert dealt(cells_per_gpu=2) == [("cuda", "0"), ("cuda", "1"), ("cuda", "0"), ("cuda", "1")]
    assert dealt(cells_per_gpu=2, workers=3) == [("cuda", "0"), ("cuda", "1"), ("cuda", "0")]


def test_only_visible_gpus_are_dealt_out_by_the_names_they_have(gpus):
    gpus(2, "5, GPU-8f2a")
    assert dealt() == [("cuda", "5"), ("cuda", "GPU-8f2a")]
    assert dealt(device="cuda:1", cells_per_gpu=2) == [("cuda", "GPU-8f2a")] * 2


@pytest.mark.parametrize("said", [None, ""])
def test_without_a_gpu_cores_are_shared_out(gpus, said):
    gpus(0, said)
    assert dealt() == [("cpu", None)] * 8
    assert dealt(threads=4) == [("cpu", None)] * 2
    assert dealt(threads=16) == [("cpu", None)]
    assert dealt(workers=3) == [("cpu", None)] * 3


def test_processor_is_used_where_it_was_asked_for(gpus):
    gpus(2)
    assert dealt(device="cpu", workers=1) == [("cpu", None)]


@pytest.mark.parametrize(
    ("session", "message"),
    [
        ({"workers": 3}, "--workers 3: 2 GPUs with --cells-per-gpu 1 have room for 2: raise --cells-per-gpu."),
        ({"workers": 0}, "--workers 0: expected at least 1."),
        ({"cells_per_gpu": 0}, "--cells-per-gpu 0: expected at least 1."),
        ({"device": "cuda:2"}, "--device cuda:2: there are 2 GPUs here; --device cpu always works."),
        ({"device": "cuda:x"}, "--device cuda:x: there are 2 GPUs here; --device cpu always works."),
    ],
)
def test_places_that_are_not_there(gpus, session, message):
    gpus(2)
    with pytest.raises(HarnessError) as error:
        deal(Session(folder=Path(), **session))
    assert str(error.value) == message


def test_cuda_that_is_not_here(gpus):
    gpus(0)
    with pytest.raises(HarnessError, match="--device cuda: there are 0 GPUs here"):
        deal(Session(folder=Path(), device="cuda"))
