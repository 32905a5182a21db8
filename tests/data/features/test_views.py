"""Augmented views: what they are, that they are seeded, and what of them enters a cell."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image
from reference import tiny_models
from scipy.ndimage import gaussian_filter1d

from harness.data.features import augment, text_views
from harness.data.features.text_views import read_synonyms
from harness.data.features.views import ImageViews, TextViews
from harness.data.passes import DecodedOnce
from harness.errors import HarnessError
from harness.runtime.context import RunContext
from harness.runtime.seeding import numpy_generator

RUN = RunContext(8, torch.device("cpu"))
CAPTIONS = [
    "there is a river beside a road and many boats in a harbor",
    "Many planes are parked at the airport",
    "a",
    "there is a river beside a road and many boats in a harbor",
]


@dataclass(frozen=True)
class Pictures:
    count: int = 6

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index >= self.count:
            raise IndexError
        return Image.fromarray(np.random.default_rng(index).integers(0, 256, (24, 20, 3), dtype=np.uint8))


def arrays(view):
    return [np.asarray(view[index]) for index in range(len(view))]


def same(one, two):
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


# --- images ---


def test_the_standing_view_is_that_of_all_earlier_records():
    """Restated as the harness drew it before views had names: one generator, strengths drawn image after image."""
    random = numpy_generator(0, "image-augmentation")
    expected = []
    for index in range(6):
        sigma, degrees = random.uniform(1.1, 1.3), random.uniform(-10.0, -5.0)
        pixels = np.asarray(Pictures()[index], dtype=np.float32)
        for axis in (0, 1):
            pixels = gaussian_filter1d(pixels, sigma, axis=axis, radius=1, mode="nearest")
        blurred = Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))
        expected.append(np.asarray(blurred.rotate(degrees, resample=Image.Resampling.BILINEAR)))
    for seed in (0, 7):
        (view,) = ImageViews(seed=seed).of(Pictures())
        assert same(arrays(view), expected), "whatever the data seed"
        assert same([np.asarray(image) for image in view], expected), "one after another, too"


def test_the_standing_view_leaves_no_trace_in_a_cell_and_the_old_one_in_the_cache():
    assert ImageViews(seed=3).describe() == {}
    assert TextViews(seed=3).describe() == {}
    assert ImageViews(seed=3).recipes() == [augment.RECIPE]
    assert TextViews().recipes() == []


@pytest.mark.parametrize("kind", ["duch", "randaugment"])
def test_further_views_differ_from_one_another_and_follow_the_data_seed(kind):
    views = [arrays(view) for view in ImageViews(3, kind, seed=1).of(Pictures())]
    assert len(views) == 3
    assert not any(same(views[one], views[two]) for one, two in ((0, 1), (0, 2), (1, 2)))
    assert all(same(*pair) for pair in zip(views, map(arrays, ImageViews(3, kind, seed=1).of(Pictures())), strict=True))
    other = [arrays(view) for view in ImageViews(3, kind, seed=2).of(Pictures())]
    assert not same(views[2], other[2])
    assert not set(ImageViews(3, kind, seed=1).recipes()[1:]) & set(ImageViews(3, kind, seed=2).recipes())


def test_randaugment_leaves_the_global_generator_alone_and_needs_no_order():
    (view,) = ImageViews(1, "randaugment", seed=4).of(Pictures())
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    last, first = np.asarray(view[5]), np.asarray(view[0])
    assert torch.equal(torch.rand(3), expected)
    again = arrays(ImageViews(1, "randaugment", seed=4).of(Pictures())[0])
    np.testing.assert_array_equal(last, again[5])
    np.testing.assert_array_equal(first, again[0])


@pytest.mark.parametrize("kind", ["duch", "randaugment"])
def test_views_are_the_same_in_whatever_order_and_in_however_many_threads(kind):
    (view,) = ImageViews(1, kind, seed=3).of(DecodedOnce(Pictures(40)))
    expected = arrays(view)
    order = np.random.default_rng(0).permutation(np.repeat(np.arange(40), 3)).tolist()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda index: np.asarray(view[index]), order))
    for index, pixels in zip(order, found, strict=True):
        np.testing.assert_array_equal(pixels, expected[index])


def test_views_are_described_where_they_differ_from_the_standing_one():
    assert ImageViews(0).describe() == {"number": 0}
    assert ImageViews(0).of(Pictures()) == []
    assert ImageViews(2, seed=5).describe() == {"number": 2, "augment": "duch", "seed": 5}
    assert ImageViews(1, "randaugment").describe() == {"number": 1, "augment": "randaugment", "seed": 0}


# --- captions ---


def test_dropped_words_are_seeded_and_leave_at_least_one():
    long = [" ".join(f"w{number}" for number in range(200))] * 50
    (view,) = TextViews(1, "dropout", seed=1).of(long, RUN)
    assert view == TextViews(1, "dropout", seed=1).of(long, RUN)[0]
    assert view != TextViews(1, "dropout", seed=2).of(long, RUN)[0]
    kept = sum(len(text.split()) for text in view) / (200 * 50)
    assert abs(kept - 0.9) < 0.01
    assert len(set(view)) == 50, "equal captions lose words of their own"
    (short,) = TextViews(1, "dropout").of(["one", "", "a b"] * 300, RUN)
    assert {text for at, text in enumerate(short) if at % 3 == 0} == {"one"}
    assert set(short[2::3]) == {"a b", "a", "b"}


def test_what_a_caption_loses_does_not_depend_on_others():
    (view,) = TextViews(1, "dropout").of(CAPTIONS * 5, RUN)
    (other,) = TextViews(1, "dropout").of([*(["x y z"] * 19), CAPTIONS[3]], RUN)
    assert view[19] == other[19]


def test_synonyms_replace_whole_phrases_by_their_own_group(tmp_path):
    file = tmp_path / "list.txt"
    file.write_text("# remark\nriver, stream\nparking lot, car park  # phrases\nlot, plot\n")
    captions = ["A river, a parking lot and a lot of riverbeds. River!"] * 200
    (view,) = TextViews(1, "synonyms", data=str(file)).of(captions, RUN)
    found = Counter(
        word for text in view for word in re.findall(r"car park|parking lot|parking plot|stream|Stream", text)
    )
    assert found["parking plot"] == 0, "the longest phrase counts"
    for word in ("car park", "stream", "Stream"):
        assert 0.2 < found[word] / 200 < 0.4
    assert all("riverbeds" in text for text in view), "parts of words stay"
    assert view == TextViews(1, "synonyms", data=str(file)).of(captions, RUN)[0]


def test_the_list_that_comes_with_the_harness_is_sound_and_reaches_our_captions():
    groups = read_synonyms("")
    assert len(groups) > 50
    (view,) = TextViews(1, "synonyms").of(CAPTIONS * 20, RUN)
    assert sum(changed != text for changed, text in zip(view, CAPTIONS * 20, strict=True)) > 30


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("river\n", "line 1: 'river' has no synonym"),
        ("a, b\nc, a\n", "line 2: 'a' is in line 1, too"),
        ("# nothing\n", "has no synonyms"),
    ],
)
def test_a_wrong_list_is_told_by_its_line(tmp_path, content, said):
    file = tmp_path / "list.txt"
    file.write_text(content)
    with pytest.raises(HarnessError, match=re.escape(said)):
        TextViews(1, "synonyms", data=str(file))
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(HarnessError, match="is no text in UTF-8"):
        TextViews(1, "synonyms", data=str(file))


def test_an_edited_list_is_another_cell(tmp_path):
    file = tmp_path / "list.txt"
    seen = []
    for content in ("a, b\n", "a, c\n", "# remark\na, b\n"):
        file.write_text(content)
        seen.append(TextViews(1, "synonyms", data=str(file)).describe()["list"])
    assert seen[0] != seen[1]
    assert seen[0] == seen[2], "a remark changes nothing"


@pytest.fixture(scope="module")
def translators(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translators")
    for seed, direction in enumerate(text_views.TRANSLATIONS):
        tiny_models.marian(folder / direction, seed)
    return folder


def test_back_translation_equals_its_restatement_and_does_not_depend_on_the_batch(translators, monkeypatch):
    import transformers

    def translated(text, direction):
        tokenizer = transformers.AutoTokenizer.from_pretrained(translators / direction)
        network = transformers.MarianMTModel.from_pretrained(translators / direction).eval()
        with torch.inference_mode():
            tokens = tokenizer([text], truncation=True, max_length=15, return_tensors="pt")
            found = network.generate(**tokens, num_beams=4, max_new_tokens=15)
        return tokenizer.decode(found[0], skip_special_tokens=True)

    expected = [translated(translated(text, "forward"), "back") for text in CAPTIONS]
    views = TextViews(2, "back-translation", data=str(translators))
    first, second = views.of(CAPTIONS, RUN)
    assert first == expected
    assert first[0] == first[3]
    assert second != first, "the second view is the second best translation"
    monkeypatch.setattr(text_views, "TRANSLATED_AT_ONCE", 2)
    torch.manual_seed(9)
    assert views.of(CAPTIONS, RUN) == [first, second]


def test_translation_models_are_part_of_the_cell(translators, tmp_path):
    described = TextViews(1, "back-translation", seed=3, data=str(translators)).describe()
    assert set(described) == {"number", "augment", "models"}, "no chance, no seed"
    other = tmp_path / "other"
    for direction in text_views.TRANSLATIONS:
        (other / direction).mkdir(parents=True)
        for file in (translators / direction).iterdir():
            (other / direction / file.name).write_bytes(file.read_bytes())
    same_models = TextViews(1, "back-translation", data=str(other))
    assert same_models.describe() == described
    (other / "back" / "config.json").write_text((other / "back" / "config.json").read_text() + " ")
    assert same_models.describe() != described


def test_missing_or_broken_translation_models_are_one_sentence(tmp_path):
    with pytest.raises(HarnessError, match=r"give --text-augment-data DIR, where DIR holds forward/ and back/"):
        TextViews(1, "back-translation")
    for direction in text_views.TRANSLATIONS:
        (tmp_path / direction).mkdir()
        (tmp_path / direction / "config.json").write_text("{ nonsense")
    with pytest.raises(HarnessError, match=r"the MarianMT model in .*forward cannot be loaded: "):
        TextViews(1, "back-translation", data=str(tmp_path)).of(CAPTIONS, RUN)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: ImageViews(-1), "--image-views -1: expected 0 to 16"),
        (lambda: TextViews(17), "--text-views 17: expected 0 to 16"),
        (lambda: ImageViews(1, "duck"), "did you mean 'duch'"),
        (lambda: TextViews(1, "synonym"), "did you mean 'synonyms'"),
    ],
)
def test_wrong_values_are_told(made, said):
    with pytest.raises(HarnessError, match=said):
        made()
