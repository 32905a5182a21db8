"""What can be wrong with the MATLAB files of hashing codes, and the one sentence for each."""

from __future__ import annotations

import numpy as np
import pytest
from layouts.matlab_writer import write_v5, write_v73
from layouts.miniatures import MINIATURES, REGISTRY, card, pixels

from harness.data.features.sources import read_dataset
from harness.errors import HarnessError


def six(**changed):
    """The matrices of two parts, (6, 4), (6, 5) and (6, 3) over (3, ...), some of them changed."""
    sizes = {"tr": 6, "te": 3}
    arrays = {
        f"{kind}_{part}": np.random.default_rng(0).random((sizes[part], width))
        if kind != "L"
        else np.eye(3)[np.arange(sizes[part]) % 3]
        for part in sizes
        for kind, width in (("I", 4), ("T", 5), ("L", 3))
    }
    return {**arrays, **{name: change(arrays[name]) for name, change in changed.items()}}


def spoilt(array):
    array = array.copy()
    array[1, 2] = np.nan
    return array


TURNED = dict.fromkeys(("I_tr", "T_tr", "L_tr", "I_te", "T_te", "L_te"), np.transpose)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (TURNED, "I_tr (4, 6), T_tr (5, 6) and L_tr (3, 6) must have one row for each item; each has 6 columns, so "
                 "that items seem to lie in columns: transpose them."),
        ({"I_te": np.transpose}, "I_te (4, 3), T_te (3, 5) and L_te (3, 3) must have one row for each item; I_te looks "
                                 "transposed."),
        ({"I_te": lambda array: array[:, :3]}, "I_tr (6, 4) and I_te (3, 3) must be matrices with the same number of "
                                               "columns, the features."),
        ({"T_te": lambda array: array[:, :2]}, "T_tr (6, 5) and T_te (3, 2) must be"),
        ({"L_tr": lambda array: array[:, :1]}, "L_tr (6, 1) and L_te (3, 3) must be matrices with the same number of "
                                               "columns, the classes."),
        ({"T_te": spoilt}, "T_te has NaN or infinite values in 1 rows, the first is row 1."),
        ({"I_tr": lambda array: array + 1j}, "I_tr must be a matrix of numbers (items, features), not complex128"),
        ({"L_te": lambda array: array * 2}, "L_tr and L_te[6, 0] is 2, expected 0 or 1."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["mirflickr25k", "wiki", "hashing-matrices"])
def test_matrices_that_do_not_fit_are_named_with_their_shapes(tmp_path, name, changed, says):
    given = card(name)
    folder = tmp_path / given.layout.folder
    write_v5(folder / "features.mat", six(**changed))
    with pytest.raises(HarnessError) as caught:
        read_dataset(REGISTRY, given, tmp_path)
    assert str(caught.value).startswith(f"{folder}/features.mat: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"I_te": lambda array: array[:, :7]}, "I_tr (6, 128) and I_te (3, 7) must be matrices with the same number"),
        ({"T_tr": lambda array: array[:-1]}, "I_tr (6, 128), T_tr (5, 10) and trainset_txt_img_cat.list (6, 1) must"),
        ({"T_te": spoilt}, "raw_features.mat: T_te has NaN or infinite values in 1 rows"),
    ],
)
def test_the_matrices_of_wikipedia_are_looked_at_by_the_same_rules(changed, says, tmp_path):
    from scipy.io import loadmat

    MINIATURES["wiki"].write(tmp_path)
    file = tmp_path / "wikipedia_dataset" / "raw_features.mat"
    arrays = {name: array for name, array in loadmat(file).items() if name[1] == "_" != name[0]}
    write_v5(file, {**arrays, **{name: change(arrays[name]) for name, change in changed.items()}})
    with pytest.raises(HarnessError) as caught:
        read_dataset(REGISTRY, MINIATURES["wiki"].card, tmp_path)
    assert says in str(caught.value)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 3200000\n"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda content: content[: len(content) // 2], "truncated file"),
        (lambda content: b"<html>Google Drive - Virus scan warning</html>", "it is a web page (HTML, 'Google Drive"),
        (lambda content: POINTER, "it is a Git LFS pointer, which stands for a file of 3,200,000 bytes"),
        (lambda content: b"", "it is empty (0 bytes)"),
        (lambda content: b"PK\x03\x04" + content, "it is a zip archive"),
        (lambda content: b"1,2,3\n4,5,6\n", "it is text that begins with '1,2,3 4,5,6'"),
    ],
)
def test_what_is_no_matlab_file_is_named_with_what_it_is(tmp_path, spoil, says):
    MINIATURES["mirflickr-mat"].write(tmp_path)
    file = tmp_path / "mirflickr25k" / "IAll" / "mirflickr25k-iall.mat"
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(HarnessError) as caught:
        read_dataset(REGISTRY, MINIATURES["mirflickr-mat"].card, tmp_path)
    assert str(caught.value).startswith(f"{file} cannot be read as a MATLAB file: ")
    assert says in str(caught.value)


@pytest.mark.parametrize("value", [0.5, -3.0, 300.0, np.nan])
def test_pixels_that_were_scaled_or_centred_are_refused(tmp_path, value):
    """Taken as uint8, an image in 0 to 1 would be black."""
    MINIATURES["mirflickr-mat"].write(tmp_path)
    path = tmp_path / "mirflickr25k" / "IAll" / "mirflickr25k-iall.mat"
    write_v73(path, {"IAll": np.full((6, 4, 3, 5), value)})
    with pytest.raises(HarnessError, match=r"IAll holds float64 from .* in its first image, expected pixels 0 to 255"):
        read_dataset(REGISTRY, MINIATURES["mirflickr-mat"].card, tmp_path)
    write_v73(path, {"IAll": pixels().astype(float)})
    data = read_dataset(REGISTRY, MINIATURES["mirflickr-mat"].card, tmp_path)
    np.testing.assert_array_equal(np.asarray(data.images[3]), pixels()[..., 3])


def test_a_variable_in_another_file_is_not_followed(tmp_path):
    import h5py

    write_v73(tmp_path / "secret.mat", {"YAll": np.ones((5, 4))})
    (tmp_path / "raw").write_bytes(np.ones((4, 5)).tobytes())
    for make in (
        lambda file: file.__setitem__("YAll", h5py.ExternalLink(str(tmp_path / "secret.mat"), "YAll")),
        lambda file: file.create_dataset("YAll", (4, 5), "f8", external=[(str(tmp_path / "raw"), 0, 160)]),
    ):
        MINIATURES["mirflickr-mat"].write(tmp_path)
        with h5py.File(tmp_path / "mirflickr25k" / "YAll" / "mirflickr25k-yall.mat", "w") as file:
            make(file)
        with pytest.raises(HarnessError, match="YAll refers to another place, which is not followed"):
            read_dataset(REGISTRY, MINIATURES["mirflickr-mat"].card, tmp_path)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("FAll", np.arange(5.0), "FAll must hold text, not float64 (1, 5)"),
        ("FAll", ["im1.jpg", "im2.jpg"], "YAll (5, 4), LAll (5, 3) and FAll (2,) must have one row for each item"),
        ("YAll", np.full((5, 4), np.inf), "YAll has NaN or infinite values in 5 rows"),
        ("LAll", np.array([[1e300], [1], [0], [1], [0]]), "LAll must hold classes, a whole number for each item"),
        ("LAll", np.array([[0.5], [1], [0], [1], [0]]), "LAll must hold classes, a whole number for each item"),
    ],
)
def test_a_variable_of_another_kind_is_named(tmp_path, variable, value, says):
    MINIATURES["mirflickr-names"].write(tmp_path)
    write = write_v73 if variable == "LAll" else write_v5
    write(tmp_path / "mirflickr25k" / variable / f"mirflickr25k-{variable.lower()}.mat", {variable: value})
    with pytest.raises(HarnessError) as caught:
        read_dataset(REGISTRY, MINIATURES["mirflickr-names"].card, tmp_path)
    assert says in str(caught.value)


def test_one_column_of_labels_holds_classes_and_that_is_told(tmp_path, caplog):
    MINIATURES["mirflickr-names"].write(tmp_path)
    write_v73(
        tmp_path / "mirflickr25k" / "LAll" / "mirflickr25k-lall.mat", {"LAll": np.array([[0], [1], [1], [0], [1]])}
    )
    data = read_dataset(REGISTRY, MINIATURES["mirflickr-names"].card, tmp_path)
    assert data.labels.tolist() == [0, 1, 1, 0, 1]
    assert "LAll is one column (5, 1), read as the class of each item" in caplog.text


def test_matlab_files_of_no_known_layout_are_listed(tmp_path, caplog):
    write_v5(tmp_path / "mirflickr25k" / "data.mat", {"XTrain": np.ones((5, 4)), "LTrain": np.ones((5, 3))})
    with pytest.raises(HarnessError, match="missing"):
        read_dataset(REGISTRY, card("mirflickr25k"), tmp_path)
    assert "not used: XTrain (data.mat), LTrain (data.mat); known are I_tr, T_tr" in caplog.text
    with pytest.raises(HarnessError, match=r"hold XTrain \(data.mat\), LTrain \(data.mat\); expected I_tr, T_tr"):
        read_dataset(REGISTRY, card("hashing-matrices"), tmp_path / "mirflickr25k")


def test_a_variable_that_declares_more_than_any_memory_is_refused(tmp_path):
    import h5py
    from scipy.io import savemat
    from scipy.sparse import csc_matrix

    MINIATURES["mirflickr-mat"].write(tmp_path)
    folder = tmp_path / "mirflickr25k"
    with h5py.File(folder / "YAll" / "mirflickr25k-yall.mat", "w") as file:
        file.create_dataset("YAll", (10**6, 10**6), "f8", chunks=(100, 100))
    with pytest.raises(HarnessError, match="YAll would fill 8,000,000,000,000 bytes, which is refused as a bomb"):
        read_dataset(REGISTRY, MINIATURES["mirflickr-mat"].card, tmp_path)
    savemat(folder / "YAll" / "mirflickr25k-yall.mat", {"YAll": csc_matrix((10**6, 10**5))})
    with pytest.raises(HarnessError, match="YAll would fill 800,000,000,000 bytes, which is refused as a bomb"):
        read_dataset(REGISTRY, MINIATURES["mirflickr-mat"].card, tmp_path)
    MINIATURES["mirflickr-mat"].write(tmp_path)
    with h5py.File(folder / "IAll" / "mirflickr25k-iall.mat", "w") as file:
        file.create_dataset("IAll", (5, 3, 10**6, 10**6), "u1", chunks=(1, 1, 100, 100))
    with pytest.raises(HarnessError, match="an image of IAll would fill 3,000,000,000,000 bytes"):
        read_dataset(REGISTRY, MINIATURES["mirflickr-mat"].card, tmp_path)
