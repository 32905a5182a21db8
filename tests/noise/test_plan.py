"""The noise plan as data: stored, read back, and what it realised."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from harness.errors import HarnessError
from harness.noise.plan import NoisePlan, class_changed, read_plan, realised_rates

# Six training images of a data set of eight, two captions each: caption 2 i and 2 i + 1 belong to image i.
CAPTION_IMAGE = np.repeat(np.arange(8), 2)
CLASSES = np.array([0, 0, 1, 1, 2, 2, 0, 1])
LABELS = CLASSES[:, None] == np.arange(3)[None, :]
STRINGS = ["a", "b", "c", "b", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"]


def make(**changed):
    plan = NoisePlan(
        image=np.array([0, 1, 2, 3, 5, 6]),
        # image 0 and 1 exchanged (same class), 2 got that of 5 and 3 that of 2 (other class), 5 got that of 3
        own_caption=np.array([1, 3, 4, 7, 10, 12]),
        caption=np.array([3, 1, 10, 4, 7, 12]),
        wrong=np.array([True, True, True, True, True, False]),
        trusted=np.array([False, False, False, False, False, True]),
        protocol="derangement",
        protocol_version=2,
        rate=0.8,
        data_seed=7,
        data_fingerprint="0123abcd",
    )
    return replace(plan, **changed)


def stored(path, arrays):
    np.savez(path, **arrays)
    return path


def assert_same(found, plan):
    for name in ("image", "caption", "own_caption", "trusted"):
        np.testing.assert_array_equal(getattr(found, name), getattr(plan, name))
        assert getattr(found, name).dtype == getattr(plan, name).dtype
    if plan.wrong is None:
        assert found.wrong is None
    else:
        np.testing.assert_array_equal(found.wrong, plan.wrong)
    for name in ("protocol", "protocol_version", "rate", "data_seed", "data_fingerprint"):
        assert getattr(found, name) == getattr(plan, name)
    assert found.fingerprint == plan.fingerprint


# --- round trip ---


@pytest.mark.parametrize(
    "changed",
    [{}, {"wrong": None}, {"rate": None}, {"rate": 0.1 + 0.2}, {"data_fingerprint": ""}, {"data_seed": 2**40}],
    ids=str,
)
def test_a_stored_plan_is_read_back_as_it_was(tmp_path, changed):
    plan = make(**changed)
    assert_same(read_plan(stored(tmp_path / "plan.npz", plan.arrays())), plan)


def test_a_plan_is_found_among_other_arrays_and_in_compressed_files(tmp_path):
    others = {"image": np.zeros((3, 3)), "trusted": np.zeros(8, dtype=bool), "wrong": np.ones(8)}
    path = tmp_path / "cell.npz"
    np.savez_compressed(path, **others, **make().arrays())
    assert_same(read_plan(path), make())


def test_integers_of_any_width_are_read(tmp_path):
    arrays = make().arrays()
    arrays = {name: a.astype(np.uint16) if a.dtype == np.int64 else a for name, a in arrays.items()}
    assert_same(read_plan(stored(tmp_path / "plan.npz", arrays)), make())


@pytest.mark.parametrize("name", ["image", "caption", "own_caption", "trusted", "wrong"])
def test_the_fingerprint_changes_with_every_array(name):
    array = getattr(make(), name).copy()
    array[0] = ~array[0] if array.dtype == bool else array[0] + 1
    assert make(**{name: array}).fingerprint != make().fingerprint


def test_a_known_mask_and_an_unknown_one_have_different_fingerprints():
    assert make(wrong=None).fingerprint != make().fingerprint
    assert make(wrong=None).fingerprint != make(wrong=np.zeros(6, dtype=bool)).fingerprint


# --- damaged files ---


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(HarnessError, match=r"--noise-plan .*none\.npz: there is no such file"):
        read_plan(tmp_path / "none.npz")


def npz_bytes():
    buffer = io.BytesIO()
    np.savez(buffer, **make().arrays())
    return buffer.getvalue()


def npy_bytes():
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


# once: only OSError and ValueError become a HarnessError. A file cut off or damaged raises zipfile.BadZipFile, an empty
# one EOFError, a single array TypeError.
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no zip",
        npz_bytes()[:-30],
        npz_bytes()[:100],
        npy_bytes(),
        npz_bytes()[:120] + b"\xff" * 60 + npz_bytes()[180:],
    ],
    ids=["empty", "text", "cut at the end", "cut early", "a single array", "damaged inside"],
)
def test_a_file_that_is_no_npz_is_named(tmp_path, content):
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(HarnessError, match=r"--noise-plan .*broken\.npz"):
        read_plan(path)


def test_a_folder_in_place_of_the_file_is_named(tmp_path):
    with pytest.raises(HarnessError, match="--noise-plan"):
        read_plan(tmp_path)


def test_a_zip_of_other_things_holds_no_plan(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as opened:
        opened.writestr("readme.txt", "hello")
    with pytest.raises(HarnessError, match="holds no noise plan: plan_image"):
        read_plan(tmp_path / "other.npz")


@pytest.mark.parametrize("name", ["image", "caption", "own_caption", "trusted", "header"])
def test_a_missing_array_is_named(tmp_path, name):
    arrays = make().arrays()
    del arrays[f"plan_{name}"]
    with pytest.raises(HarnessError, match=f"--noise-plan .*holds no noise plan: plan_{name} missing"):
        read_plan(stored(tmp_path / "plan.npz", arrays))


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("image", np.arange(6.0)),
        ("caption", np.arange(5)),
        ("caption", np.arange(6) > 3),
        ("own_caption", np.arange(12).reshape(6, 2)),
        ("own_caption", np.array(["1"] * 6)),
        ("trusted", np.zeros(7, dtype=bool)),
        ("wrong", np.zeros((6, 1), dtype=bool)),
        ("wrong", np.zeros(0, dtype=bool)),
        ("image", np.array(3)),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.dtype} {value.shape}",
)
def test_an_array_of_the_wrong_shape_or_type_is_named(tmp_path, name, array):
    # once: a single number in place of plan_image raises TypeError (len of a 0-d array).
    with pytest.raises(HarnessError, match=f"--noise-plan .*plan_{name}"):
        read_plan(stored(tmp_path / "plan.npz", make().arrays() | {f"plan_{name}": array}))


@pytest.mark.parametrize("name", ["trusted", "wrong"])
def test_a_mask_of_strings_is_refused_by_name(tmp_path, name):
    # once: any dtype is cast to bool, so "False" and "right" are read as True.
    with pytest.raises(HarnessError, match=f"--noise-plan .*plan_{name}"):
        read_plan(stored(tmp_path / "plan.npz", make().arrays() | {f"plan_{name}": np.array(["False"] * 6)}))


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("no json", "header is damaged"),
        ("[1, 2]", "header is damaged"),
        ("3", "header is damaged"),
        ("{}", "header is damaged"),
        ({"format": 99}, "format 99.*reads 1"),
        ({"rate": ...}, "header lacks rate"),
        ({"protocol": ..., "data_seed": ...}, "header lacks data_seed, protocol"),
        ({"format": {"a": 1}}, "has format an object; this version reads"),
        ({"data_seed": "seven"}, "header"),
        ({"data_seed": None}, "header"),
        ({"protocol_version": [1]}, "header"),
        ({"rate": "much"}, "header"),
    ],
    ids=str,
)
def test_a_header_that_cannot_be_read_is_refused(tmp_path, header, says):
    # once: values of the wrong type raise ValueError or TypeError, or (rate) are passed on.
    arrays = make().arrays()
    if isinstance(header, dict):
        facts = json.loads(str(arrays["plan_header"])) | header
        header = json.dumps({key: value for key, value in facts.items() if value is not ...})
    arrays["plan_header"] = np.array(header)
    with pytest.raises(HarnessError, match=f"--noise-plan .*{says}"):
        read_plan(stored(tmp_path / "plan.npz", arrays))


def test_objects_are_refused_without_unpickling(tmp_path):
    arrays = make().arrays() | {"plan_image": np.array([{}] * 6, dtype=object)}
    with pytest.raises(HarnessError, match="--noise-plan"):
        read_plan(stored(tmp_path / "plan.npz", arrays))


# --- realised rates ---


def test_realised_rates_of_a_plan_counted_by_hand():
    # untrusted: images 0, 1, 2, 3, 5. Class: 2 (got 5's), 3 (got 2's, the same class 1), 5 (got 3's)
    # text: image 0 got "b" instead of "b", image 1 likewise: unchanged; the other three changed
    assert STRINGS[1] == STRINGS[3]
    assert realised_rates(make(), CAPTION_IMAGE, LABELS, STRINGS) == {
        "requested": 0.8,
        "realised_index": 5 / 5,
        "realised_class": 2 / 5,
        "realised_text": 3 / 5,
        "realised_all": 5 / 6,
    }


def test_class_changed_marks_captions_of_images_without_a_shared_label():
    assert class_changed(make(), CAPTION_IMAGE, LABELS).tolist() == [False, False, True, False, True, False]
    multi = LABELS.copy()
    multi[5, 1] = True  # image 5 now has classes 1 and 2, and 3 and 2 have class 1
    assert class_changed(make(), CAPTION_IMAGE, multi).tolist() == [False] * 6


def test_what_is_not_known_is_none():
    found = realised_rates(make(), CAPTION_IMAGE, None, None)
    assert found == {
        "requested": 0.8, "realised_index": 1.0, "realised_class": None, "realised_text": None, "realised_all": 5 / 6,
    }  # fmt: skip
    assert class_changed(make(), CAPTION_IMAGE, None) is None


def test_shares_among_untrusted_pairs_are_none_where_all_are_trusted():
    plan = make(trusted=np.ones(6, dtype=bool), wrong=np.zeros(6, dtype=bool), caption=make().own_caption)
    found = realised_rates(plan, CAPTION_IMAGE, LABELS, STRINGS)
    assert [found[f"realised_{name}"] for name in ("index", "class", "text", "all")] == [None, None, None, 0.0]


def test_known_natural_noise_says_nothing_of_classes():
    plan = make(caption=make().own_caption, wrong=np.array([True, False, False, True, False, False]), rate=None)
    found = realised_rates(plan, CAPTION_IMAGE, LABELS, STRINGS)
    assert found["requested"] is None
    assert found["realised_index"] == 2 / 5
    assert found["realised_all"] == 2 / 6
    assert found["realised_class"] is None


def test_unknown_natural_noise_has_no_realised_rate_by_index_or_class():
    # once: without a mask the class share is given as 0.0, as if the data were known to be clean.
    plan = make(caption=make().own_caption, wrong=None, rate=None)
    found = realised_rates(plan, CAPTION_IMAGE, LABELS, STRINGS)
    assert found["realised_index"] is found["realised_all"] is None
    assert found["realised_class"] is None
    assert class_changed(plan, CAPTION_IMAGE, LABELS) is None


def test_a_right_pair_of_an_image_without_labels_is_not_class_changed():
    # once: an image without any label (NUS-WIDE and MIRFlickr have many) shares none with itself.
    labels = LABELS.copy()
    labels[6] = False  # image 6 keeps its own caption
    assert class_changed(make(), CAPTION_IMAGE, labels).tolist() == [False, False, True, False, True, False]
    clean = make(caption=make().own_caption, wrong=np.zeros(6, dtype=bool))
    assert not class_changed(clean, CAPTION_IMAGE, np.zeros((8, 3), dtype=bool)).any()
