"""The command that repeats a cell is read as exactly that cell, and nothing else is taken for one."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.cells.command import command_of, request_of
from harness.cells.request import CellRequest, MethodRequest
from harness.errors import HarnessError

HISTORIC = Path(__file__).parents[1] / "records" / "historic"

text = st.text(st.characters(blacklist_categories=("Cs", "Cc")) | st.sampled_from(",\\='\" -"), min_size=1, max_size=12)
path = text.map(lambda name: Path("/data") / name)
share = st.floats(0, 1, exclude_max=True)
number = st.integers(0, 2**70)
requests = st.builds(
    CellRequest,
    method=st.builds(
        MethodRequest,
        name=text,
        hasher=st.none() | text,
        detector=st.none() | text,
        objective=st.none() | text,
        preset=st.just("described") | text,
        settings=st.dictionaries(st.sampled_from(["hasher.lr", "beta", "phase.warm-up.epochs"]), text, max_size=3),
        epochs=st.none() | number,
    ),
    dataset=st.just("toy") | text,
    noise_plan=st.none() | path,
    data_root=st.none() | path,
    backbone=st.none() | text,
    pretrained=st.none() | text.map(lambda name: f"no-tag/{name}"),
    image_recipe=st.just("standard") | text,
    image_views=st.none() | number,
    image_augment=st.none() | text,
    text_views=st.none() | number,
    text_augment=st.none() | text,
    text_augment_data=st.none() | text.map(lambda name: f"/no/such/{name}"),
    skip_broken=st.booleans(),
    image_backbone=st.none() | text,
    text_backbone=st.none() | text,
    image_weights=st.none() | text.map(lambda name: f"/no/such/{name}"),
    text_weights=st.none() | text.map(lambda name: f"no-hub/{name}"),
    backbone_settings=st.dictionaries(st.sampled_from(["image_backbone.size", "text_backbone.kind"]), text, max_size=2),
    noise=st.none() | share,
    protocol=st.none() | text,
    trusted=st.none() | share,
    bits=number,
    seed=number,
    data_seed=number,
    standardise=text,
    limit=st.none() | number,
    precision=text,
    plugins=st.lists(path, max_size=2).map(tuple),
)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(requests)
def test_the_command_of_a_request_is_read_as_that_request(request_):
    assert request_of(command_of(request_)) == request_


@settings(derandomize=True, deadline=None, max_examples=30)
@given(requests, path)
def test_features_take_the_place_of_a_dataset(request_, features):
    request_ = replace(request_, features=features, dataset="toy")
    assert request_of(command_of(request_)) == request_


def test_relative_paths_become_absolute_and_links_keep_their_names(tmp_path, monkeypatch):
    # once: a link was followed, so that the command named features of another name, which are another data set.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "store-17.npz").touch()
    (tmp_path / "mine.npz").symlink_to("store-17.npz")
    (tmp_path / "resnet.safetensors").touch()
    request = CellRequest(
        MethodRequest("chnr"), features=Path("mine.npz"), plugins=(Path("own.py"),), image_weights="resnet.safetensors"
    )
    here = Path.cwd()
    assert request_of(command_of(request)) == replace(
        request,
        features=here / "mine.npz",
        plugins=(here / "own.py",),
        image_weights=os.fspath(here / "resnet.safetensors"),
    )


def test_a_hub_name_stays_as_it_is():
    request = CellRequest(MethodRequest("chnr"), text_weights="google-bert/bert-base-uncased")
    assert request_of(command_of(request)).text_weights == "google-bert/bert-base-uncased"


@pytest.mark.parametrize("record", sorted(HISTORIC.rglob("record.json")), ids=lambda path: path.parts[-4])
def test_commands_of_earlier_records_are_read(record):
    import json

    content = json.loads(record.read_text())
    if not content["command"]:
        with pytest.raises(HarnessError, match="another program"):
            request_of(content["command"])
        return
    request = request_of(content["command"])
    cell = content["cell"]
    assert (request.method.name, request.noise, request.bits) == (cell["method"], cell["noise"], cell["bits"])
    assert command_of(request) == content["command"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "another program"),
        ("   ", "another program"),
        ("make all", "does not begin with `harness run`"),
        ("harness table --method chnr", "does not begin with `harness run`"),
        ("harness run --method 'chnr", "No closing quotation"),
        ("harness run --bits 16", "names no --method"),
        ("harness run --method chnr --nose 0.4", "did you mean '--noise'"),
        ("harness run --method chnr --noise", "--noise has no value"),
        ("harness run --method chnr --noise much", "look at --noise much"),
        ("harness run --method chnr --seed 0-4", "look at --seed 0-4"),
        ("harness run --method chnr,duch-noisy", "look at --method chnr,duch-noisy"),
        ("harness run --method chnr --seed 0 --seed 1", "look at --seed 1"),
        ("harness run --method chnr --set beta=1,2", "look at --set beta=1,2"),
        ("harness run --method chnr --set beta=1 --set beta=2", "look at --set beta=2"),
        ("harness run --method chnr --set beta", "look at --set beta"),
    ],
)
def test_lines_that_repeat_no_single_cell_are_refused_in_one_sentence(line, said):
    with pytest.raises(HarnessError) as error:
        request_of(line)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
