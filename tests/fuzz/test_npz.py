"""Hostile npz files: features, noise plans, codes of other programs, arrays of runs."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from fuzz.answers import answered
from fuzz.hostile import TEXT, as_json, changed, damaged
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from harness.data.features.feature_file import read_feature_file
from harness.data.features.sources import ready_source
from harness.files.npz import read_npz
from harness.noise.plan import read_plan
from harness.retrieval.code_file import code_table, stored_table
from harness.retrieval.codes import CodeTable

Arrays = dict[str, NDArray | bytes]
"""Name to array, or to the bytes of the member."""

RANDOM = np.random.default_rng(0)
N = 8
FEATURES: dict[str, NDArray] = {
    "image": RANDOM.normal(size=(N, 4)).astype(np.float32),
    "text": RANDOM.normal(size=(2 * N, 3)),
    "caption_image": np.repeat(np.arange(N), 2),
    "labels": np.arange(N) % 2,
    "image_aug": RANDOM.normal(size=(2, N, 4)).astype(np.float16),
    "split": np.array([0, 0, 0, 0, 1, 1, 2, 2], dtype=np.int8),
    "caption_choice": np.arange(N) * 2,
    "trusted": np.arange(N) < 2,
    "wrong": np.arange(N) == 3,
    "captions": np.array([f"caption {row}" for row in range(2 * N)]),
    "filenames": np.array([f"{row}.png" for row in range(N)]),
    "cell_header": np.array(json.dumps({"data": "small", "limit": 8, "shared_space": True, "split": "paper"})),
}
PLAN: dict[str, NDArray] = {
    "plan_image": np.arange(4), "plan_caption": np.arange(4) * 2, "plan_own_caption": np.arange(4) * 2,
    "plan_trusted": np.arange(4) < 2, "plan_wrong": np.zeros(4, dtype=bool),
    "plan_replaced": np.array(["", "a", "", ""]),
    "plan_header": np.array(json.dumps({
        "format": 1, "protocol": "derangement", "protocol_version": 1, "rate": 0.4, "data_seed": 0,
        "data_fingerprint": "0" * 16})),
}  # fmt: skip
CODES: dict[str, NDArray] = {
    "query_image_codes": RANDOM.choice([-1, 1], size=(3, 10)),
    "query_text_codes": RANDOM.random((3, 10)),
    "database_image_codes": RANDOM.choice([False, True], size=(5, 10)),
    "database_text_codes": RANDOM.choice([0, 1], size=(5, 10)).astype(np.uint8),
    "query_labels": np.array([0, 1, 1]),
    "database_labels": np.array([0, 0, 1, 1, 1]),
    "query_ids": np.arange(3),
    "database_ids": np.arange(3, 8),
}
STORED: dict[str, NDArray] = {
    "n_bits": np.array(10),
    "query_image_codes": RANDOM.integers(0, 4, size=(3, 2)).astype(np.uint8),
    "query_text_codes": RANDOM.integers(0, 4, size=(3, 2)).astype(np.uint8),
    "query_labels": np.array([0, 1, 1]),
    "query_ids": np.arange(3),
    "relevant_pairs": np.array([[0, 1, 2], [0, 1, 2]]),
    "relevant_dtype": np.array("int8"),
}

HEADERS = (
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4), }",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (True,), }",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (4,), 'x': 1}",
    b"{'descr': '|O', 'fortran_order': False, 'shape': (4,), }",
    b"{'descr': [('a', '<f4'), ('b', '|S3')], 'fortran_order': False, 'shape': (4,), }",
    b"{'descr': [('a', [('a', '<f4')] * 9)], 'fortran_order': False, 'shape': (4,), }",
    b"{'descr': '<U2000000000', 'fortran_order': False, 'shape': (1,), }",
    b"{'descr': '<f4', 'fortran_order': " + b"[" * 150 + b"]" * 150 + b", 'shape': (4,), }",
    b"(" * 5000 + b")" * 5000,
    b"__import__('os').getcwd()",
    b"\xff\xfe",
    b"",
)
"""Headers of arrays that lie of their size, hold objects, are no header, or are too deep to be parsed."""


def member_with(header: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)


ANY = hnp.arrays(
    hnp.scalar_dtypes() | st.sampled_from([np.dtype("<U3"), np.dtype("|S3"), np.dtype("f2")]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9),
)
OBJECTS = st.sampled_from([np.array([None, 1, "a"], dtype=object), np.array([{"a": 1}] * N, dtype=object)])
RAW = st.sampled_from(HEADERS).map(member_with) | st.binary(max_size=40)


def _with_values(array: NDArray, value: Any, rows: slice) -> NDArray:
    """The array with some rows of another value, in a type that holds it."""
    found = array.astype(np.result_type(array.dtype, np.asarray(value).dtype)) if array.dtype.kind in "biuf" else array
    found = np.array(found)
    if found.ndim:
        found[rows] = value
    return found


@st.composite
def of_array(draw: st.DrawFn, array: NDArray) -> NDArray | bytes:
    """An array of the same kind with something wrong, or any other."""
    if array.ndim == 0 and str(array).startswith("{"):  # a header in JSON
        return np.array(as_json(draw(changed(json.loads(str(array))))).decode())
    how = draw(st.sampled_from(["value", "value", "shape", "type", "any", "objects", "raw"]))
    if how == "value":
        value = draw(st.sampled_from([np.nan, np.inf, -1, 0, 1, 2, 0.5, 255, 2**31, 2**62, 1e300, -(2**63)]))
        return _with_values(array, value, slice(draw(st.integers(0, 4)), None))
    if how == "shape":
        change: Callable[[NDArray], NDArray] = draw(
            st.sampled_from([
                lambda a: a.T, lambda a: a[:0], lambda a: a[:1], lambda a: a[:-1], lambda a: a[..., None],
                lambda a: a[None], lambda a: a.reshape(-1), lambda a: np.concatenate([a, a]), lambda a: a[..., :0],
                np.asfortranarray,
            ])
        )  # fmt: skip
        return np.array(change(array)) if array.ndim else array[None]
    if how == "type":
        kinds = ["f2", "f8", ">f4", "c8", "i1", "u8", "?", "<U5", "|S5", "M8[s]", "m8[s]"]
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                return array.astype(draw(st.sampled_from(kinds)))
            except (TypeError, ValueError):
                return array
    return draw({"any": ANY, "objects": OBJECTS, "raw": RAW}[how])


def npz(arrays: Mapping[str, NDArray | bytes], repeated: bool = False) -> bytes:
    """The arrays as an npz file; with ``repeated`` its last member is there twice."""
    made = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, array in [*arrays.items(), *([*arrays.items()][-1:] if repeated else [])]:
            member = io.BytesIO()
            if isinstance(array, bytes):
                member.write(array)
            else:
                np.lib.format.write_array(member, array, allow_pickle=True)
            packed.writestr(f"{name}.npy", member.getvalue())
    return made.getvalue()


@st.composite
def npz_files(draw: st.DrawFn, valid: dict[str, NDArray]) -> bytes:
    """An npz file with up to three things wrong, and damaged bytes in one of four."""
    arrays: Arrays = dict(valid)
    for name in draw(st.lists(st.sampled_from([*valid]), max_size=3, unique=True)):
        how = draw(st.sampled_from(["array", "array", "array", "array", "drop", "name"]))
        if how == "array":
            arrays[name] = draw(of_array(valid[name]))
        elif how == "drop":
            del arrays[name]
        else:
            other = draw(TEXT).replace("\0", "").encode("utf-8", "replace").decode()[:500]
            arrays[other] = arrays.pop(name)
    content = npz(arrays, draw(st.booleans()))
    return draw(damaged(content)) if draw(st.integers(0, 3)) == 0 else content


def check_features(path: Any) -> None:
    table = answered(lambda: read_feature_file(path))
    if table is None:
        return
    n_captions = len(table.text)
    assert np.isfinite(table.image).all()
    assert np.isfinite(table.text).all()
    assert table.caption_image.shape == (n_captions,)
    assert set(table.caption_image.tolist()) == set(range(len(table)))
    source = answered(lambda: ready_source(table, 4, 0))
    assert source is None or len(source) == min(4, len(table))


def check_plan(path: Any) -> None:
    plan = answered(lambda: read_plan(path))
    assert plan is None or plan.caption.shape == plan.trusted.shape == (len(plan),)


def check_table(table: CodeTable) -> None:
    for codes, labels, ids in (
        (table.query, table.query_labels, table.query_ids),
        (table.database, table.database_labels, table.database_ids),
    ):
        assert all(found.shape[1] == -(-table.n_bits // 8) for found in codes.values())
        for modality, found in codes.items():
            assert len(found) == len(ids) or (table.partners is not None and modality == "text")  # several captions
        assert len(labels) == len(ids)
        assert ids.shape == (len(ids),)


def check_codes(path: Any) -> None:
    table = answered(lambda: code_table(read_npz(path, "--codes"), f"--codes {path}"))
    if table is not None:
        check_table(table)


def check_stored(path: Any) -> None:
    table = answered(lambda: stored_table(read_npz(path, "--cell"), f"--cell {path}"))
    if table is not None:
        check_table(table)


KINDS = {
    "features": (FEATURES, check_features), "plan": ({**FEATURES, **PLAN}, check_plan), "codes": (CODES, check_codes),
    "stored": (STORED, check_stored),
}  # fmt: skip


@settings(settings.get_profile("fuzz"))
@given(data=st.data(), kind=st.sampled_from([*KINDS]))
def test_an_npz_file_is_read_or_refused(sandbox, kind, data):
    valid, check = KINDS[kind]
    path = sandbox.file("given.npz", data.draw(npz_files(valid), label="file"))
    with sandbox.untouched():
        check(path)


@pytest.mark.parametrize("kind", KINDS)
def test_the_valid_files_are_valid(sandbox, kind):
    """Otherwise all examples would be of one kind."""
    path = sandbox.file("given.npz", npz(KINDS[kind][0]))
    readers = {
        "features": read_feature_file,
        "plan": read_plan,
        "codes": lambda path: code_table(read_npz(path, ""), ""),
        "stored": lambda path: stored_table(read_npz(path, ""), ""),
    }
    readers[kind](path)
