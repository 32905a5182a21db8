"""What one component does stays with its own cell, and what a code depends on is its own item."""

from __future__ import annotations

import json

import numpy as np
import pytest


def run_of(harness, features, plugin, methods="projection"):
    result = harness("run", "--features", features(), "--plugin", plugin, "--method", methods, "--bits", "16", "--json")
    return result, json.loads(result.out)


def test_hasher_whose_codes_are_its_items_own_is_taken(harness, features, plugin):
    result, (record,) = run_of(harness, features, plugin())
    assert (result.code, record["status"]) == (0, "ok")


@pytest.mark.parametrize(
    "in_encode",
    [
        "values = values - values.median(dim=0).values",
        "values = torch.nn.functional.batch_norm(values, None, None, training=True)",
        "values = values + 10 * torch.arange(len(values))[:, None] - 20",
        "values = values.roll(self.calls, 0); self.calls += 1",
    ],
    ids=["median of the batch", "batch statistics", "place in the batch", "number of the call"],
)
def test_hasher_whose_codes_depend_on_the_batch_is_refused(harness, features, plugin, in_encode):
    result, (record,) = run_of(harness, features, plugin(in_encode=in_encode))
    assert (result.code, record["status"]) == (1, "failed")
    assert "'projection': encode_image gives items another code in another batch" in record["error"]["message"]


@pytest.mark.parametrize(
    "in_fit",
    ["torch.set_default_dtype(torch.float64)", "torch.set_grad_enabled(False)", "torch.set_num_threads(1)"],
)
def test_settings_that_a_component_changes_do_not_reach_the_next_cell(harness, features, plugin, in_fit):
    import torch

    before = torch.get_num_threads()
    _, (_, second) = run_of(harness, features, plugin(in_fit=in_fit), "projection,cca-itq")
    assert (second["cell"]["method"], second["status"]) == ("cca-itq", "ok")
    assert (torch.get_default_dtype(), torch.is_grad_enabled()) == (torch.float32, True)
    assert torch.get_num_threads() == before


def test_error_of_a_component_names_its_line(harness, features, plugin):
    path = plugin(in_fit="raise ValueError('my mistake')")
    result, (record,) = run_of(harness, features, path)
    assert result.code == 1
    assert record["error"]["message"] == f"ValueError: my mistake ({path}, line 17)"


def test_phase_with_too_few_pairs_says_so(harness, features):
    result = harness("run", "--features", features(n=12, classes=2), "--method", "duch-ptc", "--epochs", "2")
    assert result.code == 1
    assert "phase 'warm-up' has 1 training pair, and the hasher needs at least 2 in a batch" in result.err + result.out
    assert "raise --trusted" in result.err + result.out


def test_queries_without_anything_to_find_are_told(harness, features):
    path = features(n=40, extra={"labels": np.arange(40)})
    result = harness("run", "--features", path, "--method", "cca-itq", "--bits", "8")
    assert result.code == 0
    assert "4 of 4 queries have no relevant item in the database; map and most" in result.out + result.err


def test_export_of_a_limited_cell_stays_limited(harness, tmp_path, features):
    cell = tmp_path / "part.npz"
    exported = harness("data", "export", "--cell", f"features={features()},noise=0.4,limit=80", "-o", cell)
    assert exported.code == 0, exported.err
    result = harness("run", "--features", cell, "--noise-plan", cell, "--method", "cca-itq", "--bits", "8")
    assert "LIMITED to 80 images" in result.out
    assert "left out: 1 run on a limited number of images" in harness("table").err
