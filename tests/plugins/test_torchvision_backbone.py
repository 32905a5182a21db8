"""The torchvision backbone with weights from files: layouts, misfits, hostile files, and what it computes."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from harness_plugins.torchvision_features import TorchvisionFeatures, read_state, without_head
from PIL import Image
from reference.parts import encoded
from safetensors.torch import save_file

from harness.errors import HarnessError
from harness.runtime.context import RunContext

from torchvision import models  # isort: skip - torchvision_features declares its operators first

RUN = RunContext(8, torch.device("cpu"))
WIDTH = {"squeezenet1_1": 512, "resnet18": 512}


@pytest.fixture(scope="session")
def networks():
    """Randomly initialised networks by name."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return {name: models.get_model(name, weights=None).eval() for name in WIDTH}


def features_only(name, state):
    head = ("fc.",) if name == "resnet18" else ("classifier.",)
    kept = {key: value for key, value in state.items() if not key.startswith(head)}
    assert len(kept) < len(state)
    return kept


@pytest.fixture
def saved(networks, tmp_path):
    """``saved("resnet18", "features", ".pth")``: a weights file; ``change`` edits the state before it is written."""

    def write(name="squeezenet1_1", layout="full", suffix=".safetensors", change=dict) -> Path:
        state = networks[name].state_dict()
        state = change(dict(features_only(name, state) if layout == "features" else state))
        path = tmp_path / f"{name}-{layout}{suffix}"
        if suffix == ".safetensors":
            save_file(state, path)
        else:
            torch.save({"state_dict": state, "epoch": 3} if layout == "checkpoint" else state, path)
        return path

    return write


def backbone(path, name="squeezenet1_1", batch_size=2, crop=48, size=32) -> TorchvisionFeatures:
    return TorchvisionFeatures(model=name, weights=str(path), batch_size=batch_size, crop=crop, size=size)


def pictures(count=3, sizes=((60, 50), (40, 44), (48, 90))) -> list[Image.Image]:
    random = np.random.default_rng(0)
    return [
        Image.fromarray(random.integers(0, 256, (*sizes[at % len(sizes)], 3), dtype=np.uint8)) for at in range(count)
    ]


def restated(network, images, crop, size) -> np.ndarray:
    """One image at a time, resized by Pillow; the mean of the last feature map."""
    rows = []
    for image in images:
        width, height = image.size
        if min(width, height) > crop:
            left, top = round((width - crop) / 2), round((height - crop) / 2)
            image = image.crop((left, top, left + crop, top + crop))
        pixels = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR), dtype=np.float32) / 255
        pixels = (pixels - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
        x = torch.from_numpy(pixels.transpose(2, 0, 1)[None]).float()
        layers = dict(network.named_children())
        trunk = layers["features"] if "features" in layers else torch.nn.Sequential(*list(layers.values())[:-2])
        with torch.no_grad():
            rows.append(trunk(x).mean(dim=(2, 3))[0].numpy())
    return np.stack(rows)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("layout", ["full", "features"])
@pytest.mark.parametrize("name", list(WIDTH))
def test_weights_load_in_both_layouts_and_formats_and_give_the_penultimate_layer(saved, networks, name, layout, suffix):
    images = pictures()
    found = encoded(backbone(saved(name, layout, suffix), name), images, RUN)
    assert found.shape == (3, WIDTH[name])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, restated(networks[name], images, 48, 32), rtol=1e-4, atol=1e-5)


def test_a_training_checkpoint_with_a_state_dict_inside_loads(saved):
    images = pictures()
    nested = encoded(backbone(saved(layout="checkpoint", suffix=".pth")), images, RUN)
    assert np.array_equal(nested, encoded(backbone(saved()), images, RUN))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_prefix_of_parallel_training_is_taken_off_in_every_format(saved, suffix):
    plain = encoded(backbone(saved()), pictures(), RUN)
    path = saved(suffix=suffix, change=lambda state: {f"module.{key}": value for key, value in state.items()})
    assert np.array_equal(encoded(backbone(path), pictures(), RUN), plain)


def test_counters_of_batch_normalisation_may_be_missing(saved):
    def without_counters(state):
        return {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}

    found = encoded(backbone(saved("resnet18", change=without_counters), "resnet18"), pictures(), RUN)
    assert np.array_equal(found, encoded(backbone(saved("resnet18"), "resnet18"), pictures(), RUN))


def test_features_do_not_depend_on_the_batch_or_the_time(saved):
    path, images = saved("resnet18"), pictures(5)
    whole = encoded(backbone(path, "resnet18", batch_size=5), images, RUN)
    torch.manual_seed(77)
    assert np.array_equal(encoded(backbone(path, "resnet18", batch_size=5), images, RUN), whole)
    np.testing.assert_allclose(encoded(backbone(path, "resnet18", batch_size=2), images, RUN), whole, atol=1e-5)
    np.testing.assert_allclose(encoded(backbone(path, "resnet18"), images[::-1], RUN)[::-1], whole, atol=1e-5)
    assert np.abs(whole[0] - whole[1]).max() > 1e-3, "two pictures differ"


def test_dropout_is_off(saved):
    path = saved()  # squeezenet has dropout in its classifier
    runs = [encoded(backbone(path), pictures(), RUN) for _ in range(2)]
    assert np.array_equal(*runs)


def drop(key):
    return lambda state: {name: value for name, value in state.items() if name != key}


def add(key):
    return lambda state: {**state, key: torch.zeros(2)}


def reshape(key):
    return lambda state: {**state, key: torch.zeros(2, 2)}


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (drop("layer1.0.conv1.weight"), "1 missing (layer1.0.conv1.weight, ...)"),
        (add("layer9.weight"), "1 unexpected (layer9.weight, ...)"),
        (reshape("conv1.weight"), "1 of other shape (conv1.weight, ...)"),
    ],
    ids=["missing", "unexpected", "shape"],
)
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_that_do_not_fit_are_refused_with_the_first_difference(saved, change, difference, suffix):
    path = saved("resnet18", suffix=suffix, change=change)
    with pytest.raises(HarnessError) as caught:
        encoded(backbone(path, "resnet18"), pictures(), RUN)
    assert str(caught.value) == f"--image-weights {path} does not fit torchvision/resnet18: {difference}."


def test_weights_of_another_network_are_refused(saved):
    with pytest.raises(HarnessError, match=r"does not fit torchvision/resnet18: \d+ missing .*, \d+ unexpected .*\.$"):
        encoded(backbone(saved("squeezenet1_1"), "resnet18"), pictures(), RUN)


class Hostile:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_code_in_a_weights_file_is_refused_and_never_run(tmp_path, how):
    path, trace = tmp_path / "weights.pth", tmp_path / "trace"
    content = {"conv1.weight": torch.zeros(1), "extra": Hostile(trace)}
    if how == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(HarnessError) as caught:
        encoded(backbone(path, "resnet18"), pictures(), RUN)
    assert not trace.exists()
    assert str(caught.value).startswith(f"--image-weights {path} cannot be read as weights")
    assert "\n" not in str(caught.value)


def test_refusal_of_code_does_not_advise_to_load_it_all_the_same(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"extra": Hostile(tmp_path / "trace")}, path)
    with pytest.raises(HarnessError) as caught:
        read_state(path)
    said = str(caught.value).replace(str(path), "FILE")
    assert "can still be loaded" not in said
    assert "\x1b" not in said, "no escape sequences of torch's"
    assert said.endswith(".")
    assert not said.endswith("the defaul."), "no sentence cut in the middle of a word"


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b"no weights at all", "it is text that begins with 'no weights at all'"),
        (b"version https://git-lfs.github.com/spec/v1\nsize 46830571\n", "it is a Git LFS pointer"),
        (b"\xff\xfe\xfd" * 9, ""),
    ],
    ids=["empty", "text", "pointer", "noise"],
)
def test_file_that_is_damaged_is_named(tmp_path, suffix, content, says):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(HarnessError) as caught:
        read_state(path)
    assert str(caught.value).startswith(f"--image-weights {path} cannot be read as weights: {says}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [torch.zeros(3), [torch.zeros(3)], {"a": 1, "b": torch.zeros(2)}])
def test_file_without_a_dictionary_of_tensors_is_refused(tmp_path, content):
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    with pytest.raises(HarnessError, match=r"holds no dictionary of tensors\.$"):
        read_state(path)


@pytest.mark.parametrize(("name", "near"), [("resnet81", "'resnet18'"), ("squeezenet11", "'squeezenet1_1'")])
def test_unknown_model_is_answered_with_near_names(tmp_path, name, near):
    with pytest.raises(HarnessError) as caught:
        encoded(backbone(tmp_path / "none.pth", name), pictures(), RUN)
    assert f"unknown torchvision model {name!r}: did you mean" in str(caught.value)
    assert near in str(caught.value)


def test_detection_models_are_not_offered(tmp_path):
    with pytest.raises(HarnessError, match="unknown torchvision model 'fasterrcnn_resnet50_fpn'"):
        encoded(backbone(tmp_path / "none.pth", "fasterrcnn_resnet50_fpn"), pictures(), RUN)


@pytest.mark.parametrize(
    ("name", "width"), [("mobilenet_v3_small", 1024), ("shufflenet_v2_x0_5", 1024), ("mnasnet0_5", 1280)]
)
def test_head_of_other_families_goes_too(name, width):
    network = models.get_model(name, weights=None).eval()
    gone = without_head(network)
    assert not [key for key in network.state_dict() if key.startswith(tuple(gone))]
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, width)


def test_crop_is_central_and_leaves_smaller_images_alone(saved):
    path = saved()
    (image,) = pictures(1, ((60, 60),))
    inner = image.crop((6, 6, 54, 54))
    uncropped = encoded(backbone(path, crop=100), [image], RUN)
    assert np.array_equal(
        encoded(backbone(path, crop=48), [image], RUN), encoded(backbone(path, crop=100), [inner], RUN)
    )
    assert not np.array_equal(encoded(backbone(path, crop=48), [image], RUN), uncropped)
    assert np.array_equal(encoded(backbone(path, crop=60), [image], RUN), uncropped)


def test_misfit_is_one_failed_cell_on_the_command_line(saved, harness, tmp_path):
    path = saved("squeezenet1_1")
    words = ("--dataset", "toy", "--image-backbone", "torchvision/resnet18", "--image-weights", path, "--limit", "30")
    result = harness("run", "--method", "random-codes", *words, "--set", "image_backbone.size=32")
    assert result.code == 1
    assert "does not fit torchvision/resnet18" in result.err
    assert "Traceback" not in result.err
