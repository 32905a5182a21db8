"""LaTeX: names that would break it, the shape of the tabular, and a real LaTeX where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from harness.report.tables.latex import escape

NASTY = [
    "a_b", "50%", "R&D", "#1", "$x$", "{brace}", "~tilde", "^caret", "back\\slash", "<less>", 'quo"te', "pipe|", "[x]",
    "*star", "it's", "`tick`", "±×→", "naïve Œuvre", "β=0.5 λ", "日本", "new\nline", "\\input{x}", "%", "\\\\",
]  # fmt: skip

_ARGUMENTS = {
    "textbf": 1, "underline": 1, "textsuperscript": 1, "multirow": 3, "multicolumn": 3, "caption": 1, "begin": 1,
    "end": 1, "cmidrule": 1, "textbackslash": 1, "textasciitilde": 1, "textasciicircum": 1, "textless": 1,
    "textgreater": 1, "textcolor": 2,
    "textbar": 1, "textquotedblright": 1, "textasciigrave": 1, "textquotesingle": 1, "ldots": 1,
}  # fmt: skip
_PLAIN = {
    "centering", "toprule", "midrule", "bottomrule", "par", "smallskip", "footnotesize", "linewidth", "pm", "times",
    "rightarrow", "leq", "geq", "neq", "dagger", "ddagger", "circ", "cdot",
}  # fmt: skip


def problems(text: str) -> list[str]:
    """What TeX would stumble over: unknown commands, open groups and formulas, signs with a meaning, odd rows."""
    found, depth, in_formula, position = [], 0, False, 0
    text = re.sub(r"(?m)^%.*\n", "", text)
    while position < len(text):
        sign = text[position]
        command = re.match(r"\\([a-zA-Z]+)", text[position:])
        if command:
            name = command[1]
            if name not in _ARGUMENTS and name not in _PLAIN:
                found.append(f"unknown command {name}")
            position += len(command[0])
            continue
        if sign == "\\":
            following = text[position + 1]
            if following == "\\" and re.match(r"\s*[\[*]", text[position + 2 :]):
                found.append("an argument after \\\\")
            elif following not in "\\&%$#_{}":
                found.append(f"\\{following}")
            position += 2
            continue
        if sign == "{":
            depth += 1
        elif sign == "}":
            depth -= 1
        elif sign == "$":
            in_formula = not in_formula
        elif sign in "%#~" or (sign in "^_" and not in_formula):
            found.append(f"bare {sign}")
        elif not sign.isascii() and not re.match("[À-ſ]", sign):
            found.append(f"no glyph for {sign}")
        if depth < 0:
            found.append("a group is closed that was not opened")
        position += 1
    return found + ["open group"] * bool(depth) + ["open formula"] * in_formula


def columns_of_rows(text: str) -> tuple[int, list[int]]:
    """How many columns the tabular declares, and how many each row fills."""
    (declared,) = re.findall(r"\\begin\{tabular\}\{([lrc]+)\}", text)
    body = text.split("\\begin{tabular}")[1].split("\\end{tabular}")[0]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    counts = []
    for row in rows:
        cells = re.split(r"(?<!\\)&", row)
        spans = [re.match(r"\s*\\multicolumn\{(\d+)\}", cell) for cell in cells]
        counts.append(sum(int(span[1]) if span else 1 for span in spans))
    return len(declared), counts


@pytest.mark.parametrize("name", NASTY)
def test_escaped_names_have_nothing_left_that_tex_reads(name):
    assert problems(escape(name)) == []


def test_quotation_marks_compile_in_every_font_encoding():
    assert escape('a "b"') == r"a \textquotedblright{}b\textquotedblright{}", "\\textquotedbl needs T1"


def test_the_checker_finds_what_it_should():
    assert problems("a_b") == ["bare _"]
    assert problems("50%") == ["bare %"]
    assert problems("{") == ["open group"]
    assert problems("$") == ["open formula"]
    assert problems("\\foo{x}") == ["unknown command foo"]
    assert problems("x \\\\\n*y") == ["an argument after \\\\"]
    assert problems("λ") == ["no glyph for λ"]


@pytest.fixture
def documents(written, harness):
    """LaTeX of several layouts over methods with nasty names."""
    runs = []
    for number, name in enumerate(NASTY):
        for noise in (0.0, 0.4):
            for seed in range(2):
                runs.append(
                    {
                        "method": f"m{number}",
                        "row": name,
                        "noise": noise,
                        "seed": seed,
                        "i2t": number / 50 + seed / 100,
                        "t2i": 0.2,
                        "granted": ["noise-mask"] if number == 3 else [],
                        "notes": ["hasher x cannot weigh pairs: half"] if number == 4 else [],
                    }
                )
    runs.append(
        {"method": "lost", "row": "lost_100%", "status": "failed", "error": "50% of a_b & c\nmore", "noise": 0.4}
    )
    written(*runs)
    layouts = [
        (),
        ("--rows", "direction,method", "--columns", "noise"),
        ("--rows", "noise", "--columns", "direction", "--by", "method", "--where", "noise=0.4"),
        ("--rows", "method,noise,direction", "--columns", "bits,dataset", "--by", "protocol"),
        ("--preset", "robustness"),
    ]
    found = []
    for layout in layouts:
        shown = harness("table", *layout, "--format", "latex")
        assert shown.code == 0, shown.err
        found.append(shown.out)
    return found


def test_every_layout_is_sound(documents):
    for document in documents:
        assert problems(document) == []
        for table in document.split(r"\begin{table}")[1:]:
            declared, counts = columns_of_rows(table)
            assert set(counts) == {declared}
            for rule in ("toprule", "midrule", "bottomrule"):
                assert f"\\{rule}" in table
            for begin, end in re.findall(r"\\cmidrule\(lr\)\{(\d+)-(\d+)\}", table):
                assert 1 <= int(begin) <= int(end) <= declared


def test_spans_of_rows_and_columns_are_as_long_as_what_they_span(documents):
    blocks = documents[1]
    assert rf"\multirow{{{len(NASTY) + 1}}}{{*}}{{i2t}}" in blocks
    assert r"\multicolumn{2}{c}{noise rate}" in blocks
    assert r"\multicolumn{2}{c}{i2t} & \multicolumn{2}{c}{t2i}" in documents[0]


def test_best_is_bold_and_runner_up_underlined(written, harness):
    written({"method": "a", "i2t": 0.1}, {"method": "b", "i2t": 0.3}, {"method": "c", "i2t": 0.2})
    shown = harness("table", "--metric", "i2t/map", "--format", "latex").out
    assert r"\textbf{0.300}" in shown
    assert r"\underline{0.200}" in shown
    assert "a & 0.100 " in shown


@pytest.fixture
def beside_published(written, harness):
    """LaTeX of our numbers beside those of the CHNR paper."""
    facts = {"dataset": "ucm", "metric": "map_relevant@20", "bits": 64, "protocol": "chnr-released", "noise": 0.4}
    results = written({**facts, "method": "chnr", "trusted": 0.3, "i2t": 0.9, "t2i": 0.8})
    shown = harness("table", "--preset", "paper", "--published", "--format", "latex", "--results", results)
    assert shown.code == 0, shown.err
    return shown.out


def test_published_numbers_are_sound_and_grey(beside_published):
    assert problems(beside_published) == []
    declared, counts = columns_of_rows(beside_published.split(r"\begin{table}")[1])
    assert set(counts) == {declared}
    assert r"\textcolor{gray}{0.7941}" in beside_published
    assert r"\usepackage{booktabs,multirow,xcolor}" in beside_published


def test_real_latex_compiles_it(documents, beside_published, tmp_path):
    program = shutil.which("pdflatex") or shutil.which("tectonic")
    if program is None:
        pytest.skip("neither pdflatex nor tectonic is installed")
    preamble = "\\documentclass{article}\n\\usepackage[T1]{fontenc}\n\\usepackage{textcomp,booktabs,multirow,xcolor}\n"
    content = (
        preamble
        + "\\begin{document}\n"
        + "\n\\clearpage\n".join([*documents, beside_published])
        + "\n\\end{document}\n"
    )
    (tmp_path / "tables.tex").write_text(content)
    options = ["-interaction=nonstopmode", "-halt-on-error"] if "pdflatex" in program else []
    done = subprocess.run(
        [program, *options, "tables.tex"], cwd=tmp_path, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "tables.pdf").stat().st_size > 1000
