"""Published index files: what they mean, and which are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness.errors import HarnessError
from harness.noise.index_file import read_index_file

N = 200
TRAIN = 5 + 2 * np.arange(N)  # image numbers need not begin at 0
CAPTION_IMAGE = np.repeat(np.arange(600), 2)
OWN = 2 * TRAIN + (np.arange(N) % 2)


def shuffled(length: int, share: float, seed: int = 0) -> np.ndarray:
    """As RCL's program makes them."""
    random = np.random.default_rng(seed)
    chosen = random.permutation(length)[: int(share * length)]
    index = np.arange(length)
    index[chosen] = np.roll(chosen, 1)
    return index


def read(path, rate=None):
    return read_index_file(path, rate, train=TRAIN, own_caption=OWN, caption_image=CAPTION_IMAGE)


def save(tmp_path, array, name="noise_inx_0.4.npy"):
    np.save(tmp_path / name, array)
    return tmp_path / name


def test_a_permutation_of_images_is_reproduced_pair_by_pair(tmp_path):
    index = shuffled(N, 0.4)
    given, rate = read(save(tmp_path, index))
    assert rate == 0.4
    # in the published programs caption j is shown with image index[j]
    published = {(int(index[j]), j) for j in range(N)}
    assert {(i, int(given[i])) for i in range(N)} == published
    assert (given != np.arange(N)).sum() == 80


def test_a_file_by_caption_makes_the_same_pairs_wrong(tmp_path):
    by_caption = np.repeat(np.arange(N), 2)
    moved = np.random.default_rng(1).permutation(2 * N)[:160]
    by_caption[moved] = np.roll(by_caption[moved], 1)
    given, _ = read(save(tmp_path, by_caption, "f30k_precomp_0.4.npy"))
    own_entry = by_caption[2 * np.arange(N) + np.arange(N) % 2]
    np.testing.assert_array_equal(given, own_entry)


@pytest.mark.parametrize(
    ("make", "rate", "name", "words"),
    [
        (lambda: shuffled(N, 0.4), 0.2, "noise_inx_0.4.npy", ["0.4", "--noise 0.2"]),
        (lambda: shuffled(N, 0.2), None, "noise_inx_0.4.npy", ["0.2", "the 0.4 in its name"]),
        (lambda: shuffled(N + 1, 0.4), None, "noise_inx_0.4.npy", ["201 entries", "200 training images"]),
        (lambda: shuffled(N, 0.4) + 1, None, "noise_inx_0.4.npy", ["names image 200"]),
        (lambda: shuffled(N, 0.4) * 1.0, None, "noise_inx_0.4.npy", ["whole numbers"]),
        (lambda: np.array([{"a": 1}], dtype=object), None, "x.npy", ["holds Python objects"]),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, make, rate, name, words):
    path = tmp_path / name
    np.save(path, make(), allow_pickle=True)
    with pytest.raises(HarnessError) as refusal:
        read(path, rate)
    assert all(word in str(refusal.value) for word in words), str(refusal.value)


def test_a_missing_file_and_one_that_is_no_array(tmp_path):
    with pytest.raises(HarnessError, match="no such file"):
        read(tmp_path / "none.npy")
    (tmp_path / "text.npy").write_text("hello")
    with pytest.raises(HarnessError, match="no npy file"):
        read(tmp_path / "text.npy")


def test_index_file_on_the_command_line(harness, features, tmp_path):
    file = features(n=200)
    index = save(tmp_path, shuffled(100, 0.4))
    arguments = ("--method", "cca-itq", "--features", file, "--bits", 8)
    result = harness("run", *arguments, "--noise-plan", index, "--noise", 0.4, "--json")
    assert result.code == 0, result.err
    record = json.loads(result.out)[0]
    assert (record["cell"]["protocol"], record["cell"]["noise"]) == ("index-file", 0.4)
    assert record["metrics"]["noise"]["realised_all"] == 0.4
    assert record["cell"]["images"]["trusted"] == 20
    wrong = harness("run", *arguments, "--noise-plan", index, "--noise", 0.2)
    assert wrong.code == 2
    assert "which is not --noise 0.2" in wrong.err
    drawn = harness("run", *arguments, "--protocol", "index-file", "--noise", 0.4)
    assert drawn.code == 2 or "add --noise-plan FILE.npy" in drawn.err
    assert "add --noise-plan FILE.npy" in drawn.err + drawn.out
