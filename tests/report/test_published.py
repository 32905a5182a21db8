"""Published numbers: the files that plugins carry, and what is wrong with a bad one."""

from __future__ import annotations

import csv
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.plugin.loading import load_registry
from harness.report.published import load_published, read_published

GOOD = """
[paper]
title = "Somebody, 2020"
address = "https://example.org"

[methods]
"A" = { corresponds_to = "chnr", preset = "released" }

[common]
dataset = "ucm"
metric = "map"
split = "paper"
features = "words"
columns = "bits"
values = [16, 32]

[[table]]
source = "Table 1"
noise = 0.0

[table.i2t]
"A" = "0.50 .6"
"B" = "- 0.7"
"""


@pytest.fixture(scope="module")
def registry():
    return load_registry(environment={})


@pytest.fixture(scope="module")
def numbers(registry):
    return load_published(registry)


@pytest.fixture
def read(tmp_path):
    def write(text=GOOD, *changes):
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "published.toml"
        path.write_text(text)
        return read_published(path)

    return write


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_numbers_are_facts_as_printed(read):
    first, second, third = read()
    assert (first.value, first.printed, first.bits, first.noise) == (0.5, "0.50", 16, 0.0)
    assert (second.value, second.printed, second.bits) == (0.6, ".6", 32)
    assert (third.method, third.bits, third.corresponds_to, third.preset) == ("B", 32, "", "described")
    assert (first.corresponds_to, first.preset) == ("chnr", "released")
    assert first.metric_printed == "map"
    with pytest.raises(FrozenInstanceError):
        first.value = 0.9


@pytest.mark.parametrize(
    ("old", "new", "at", "sentence"),
    [
        ("source =", "sorce =", "sorce", "unknown key 'sorce': did you mean 'source'?"),
        ("values = [16, 32]", "values = [16, 32]\nbitz = 3", "bitz", "unknown key 'bitz': did you mean 'bits'"),
        ('address = "https://example.org"', "", "[paper]", "key 'address' of paper is missing."),
        ('preset = "released"', 'presett = "x"', "presett", "unknown key 'presett': did you mean 'preset'?"),
        ('split = "paper"', "split = 3", "split", "key 'common.split': input should be a valid string."),
        ("noise = 0.0", 'noise = "no"', "noise", "key 'table.0.noise': input should be a valid number"),
        ("noise = 0.0", "", "[[table]]", "its columns are bits: key 'noise' is missing."),
        ("noise = 0.0", "noise = 0.2", "[[table]]", "key 'protocol' is missing: there is noise."),
        ('"0.50 .6"', '"0.50"', '"A" = "0.50', "'A' has 1 numbers for 2 columns (bits 16, 32); '-' stands for"),
        ('"0.50 .6"', '"0.50 0,6"', '"A" = "0.50', "'A': '0,6' is no number"),
        ("[16, 32]", "[16, 16]", '"A" = "0.50', "'A' at bits 16 stands there twice."),
        ("[16, 32]", "[16, 32.5]", "values", "code lengths in 'values' must be whole numbers."),
        ('"A" = {', '"AA" = {', '"AA" = {', "unknown row of the tables 'AA': did you mean 'A'?"),
    ],
)
def test_mistakes_are_told_with_file_and_line(read, tmp_path, old, new, at, sentence):
    text = GOOD.replace(old, new)
    with pytest.raises(HarnessError) as told:
        read(text)
    assert sentence in str(told.value)
    where = f"published numbers {tmp_path / 'published.toml'}, line {line_of(text, at)}: "
    assert str(told.value).startswith(where), told.value


def test_a_table_without_rows_and_a_file_that_is_no_toml_are_told(read):
    with pytest.raises(HarnessError, match="it has no rows"):
        read(GOOD.replace('[table.i2t]\n"A" = "0.50 .6"\n"B" = "- 0.7"\n', "").replace('"A" = {', "#"))
    with pytest.raises(HarnessError, match="line 2"):
        read("\nx =")


def test_a_table_may_have_presets_of_its_own(read):
    first, *_ = read(
        GOOD + '\n[table.methods]\n"A" = { corresponds_to = "chnr", parameters = { "hasher.beta" = 0.5 } }\n'
    )
    assert first.preset == "described"
    assert dict(first.parameters) == {"hasher.beta": "0.5"}


PLUGIN = """
from pathlib import Path
from harness import hookimpl

@hookimpl
def register_published(register):
    register("mine", Path(__file__).parent / "mine.toml", summary="s")
"""


@pytest.fixture
def registry_with(tmp_path):
    def load(*changes):
        text = GOOD
        for old, new in changes:
            text = text.replace(old, new)
        (tmp_path / "mine.toml").write_text(text)
        (tmp_path / "mine.py").write_text(PLUGIN)
        return load_registry([tmp_path / "mine.py"], environment={})

    return load


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('metric = "map"', 'metric = "mapp"', "unknown metric 'mapp'"),
        ("0.50 .6", "50 .6", "50 of 'A' is outside of 0 to 1, where map lies; percentages are divided by 100."),
        ("released", "realeased", "unknown preset of method chnr 'realeased': did you mean 'released'?"),
        ('preset = "released"', 'parameters = { "hasher.bta" = 1 }', "bta"),
    ],
)
def test_what_is_not_registered_is_told_and_other_papers_are_read(registry_with, numbers, old, new, sentence):
    registry = registry_with((old, new))
    with pytest.raises(HarnessError) as told:
        load_published(registry)
    assert sentence in str(told.value)
    assert "mine.toml" in str(told.value)
    problems: list[str] = []
    assert load_published(registry, problems) == numbers
    assert problems == [str(told.value)]


def test_a_method_that_nobody_registers_is_no_mistake(registry_with):
    found = load_published(registry_with(('"chnr"', '"of-another-plugin"')))
    (number, *_) = [one for one in found if one.name == "mine"]
    assert (number.corresponds_to, number.row) == ("of-another-plugin", "")


def test_every_shipped_number_names_a_data_set_a_protocol_and_methods_that_resolve(registry, numbers):
    assert {number.name for number in numbers} == {"chnr-icip2022", "ucch-tpami2023", "ccah-ijis2023"}
    assert {number.dataset for number in numbers} <= set(registry.names("dataset"))
    assert {number.protocol for number in numbers} - {""} <= set(registry.names("protocol"))
    methods = set(registry.names("method"))
    for number in numbers:
        assert bool(number.row) == (number.corresponds_to in methods), number
        assert number.features, number
        assert number.address.startswith("https://")
    ours = {number.row for number in numbers if number.name == "chnr-icip2022" and number.row}
    assert ours >= {f"{name} [preset=released]" for name in ("chnr", "chnr-cubed", "chnr-discrete", "duch-noisy")}


def test_the_papers_words_mean_these_methods(numbers):
    meant = {
        (one.name, one.method): (one.corresponds_to, one.preset)
        for one in numbers
        if one.dataset in ("ucm", "mirflickr25k")
    }
    assert meant["chnr-icip2022", "DUCH"] == ("duch-noisy", "released")
    assert meant["chnr-icip2022", "DUCH, pre-trained on clean"] == ("duch-ptc", "released")
    assert meant["chnr-icip2022", "JDSH"] == ("jdsh", "released")
    assert meant["ucch-tpami2023", "JDSH"] == ("jdsh", "mirflickr")
    assert meant["ccah-ijis2023", "CCAH"] == ("", "described")


def test_numbers_that_others_quote_are_there(numbers):
    def value(name, dataset, direction, method, bits, noise=0.0):
        (found,) = [
            one.printed
            for one in numbers
            if (one.name, one.dataset, one.direction, one.method, one.bits, one.noise)
            == (name, dataset, direction, method, bits, noise)
        ]
        return found

    # One method, one data set, two metrics: .700 and .862 (docs/published.md).
    assert value("ucch-tpami2023", "mirflickr25k", "i2t", "DJSRH", 64) == "0.700"
    assert value("ccah-ijis2023", "mirflickr25k", "i2t", "DJSRH", 64) == "0.862"
    assert value("ccah-ijis2023", "nuswide-10", "t2i", "CCAH", 128) == "0.874"
    assert value("ucch-tpami2023", "mscoco", "t2i", "UCCH", 128) == "0.677"
    assert value("chnr-icip2022", "ucm", "i2t", "CHNR (normal weights)", 64, 0.4) == "0.7941"
    assert value("chnr-icip2022", "rsicd", "t2i", "DJSRH", 64, 0.5) == "0.3731"
    assert sum(one.name == "chnr-icip2022" for one in numbers) == 168


COUNTS = {
    ("ucch-tpami2023", "mirflickr25k"): 110, ("ucch-tpami2023", "iaprtc12"): 110, ("ucch-tpami2023", "mscoco"): 110,
    ("ucch-tpami2023", "nuswide-10"): 104, ("ccah-ijis2023", "mirflickr25k"): 96, ("ccah-ijis2023", "nuswide-10"): 96,
    ("chnr-icip2022", "ucm"): 84, ("chnr-icip2022", "rsicd"): 84,
}  # fmt: skip


def test_no_number_is_lost(numbers):
    from collections import Counter

    assert Counter((one.name, one.dataset) for one in numbers) == COUNTS


SHARED = Path("/work/shared/published/chnr2022_map20_64bit.csv")


@pytest.mark.skipif(not SHARED.is_file(), reason="the authors' numbers are not on this machine")
def test_the_chnr_numbers_are_the_authors_file(numbers):
    ours = {
        (one.dataset, one.direction, one.method, one.noise): one.printed
        for one in numbers
        if one.name == "chnr-icip2022"
    }
    theirs = {}
    for line in list(csv.reader(SHARED.read_text().splitlines()))[1:]:
        dataset, direction, *method, noise, value = line
        theirs[dataset, direction, ",".join(method), float(noise)] = value
    assert ours == theirs
