"""A template as an installable package: the component in one module, its light registration in another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

HOOKS = "\n\n\n@hookimpl\n"
API = re.compile(r"^harness_api = .*\n", re.MULTILINE)

INSTALLED = {
    " --plugin {{module}}.py": "",
    "plugin check {{module}}.py": "plugin check {{name}}",
    "pytest test_{{module}}.py": "pytest tests",
    'Path(__file__).with_name("{{module}}.py")': '"{{name}}"',
    "load_registry([PLUGIN])": "load_registry()",
    ", as one file": "",
}
"""What of the words about a file is said otherwise of a package that is installed."""


def package_of(kind: str, templates: Mapping[str, str]) -> dict[PurePosixPath, str]:
    """The files of a package.

    Args:
        kind: Kind of the component.
        templates: Ending of each template of the kind (``"py"``, ``"test"``, perhaps ``"toml"``), and ``"pyproject"``,
            to its text.

    Returns:
        Path within the package to text, words in double braces still in it.
    """
    docstring, imports, body = _parted(_installed(templates["py"]))
    code, _, hooks = API.sub("", body).strip("\n").partition(HOOKS)
    gap = "\n" if code.startswith(("class ", "def ")) else ""
    hooks = targets_replaced(f"@hookimpl\n{hooks}", f'"{{{{module}}}}.{kind}:{{}}"')
    api = "".join(API.findall(body))
    package = PurePosixPath("src", "{{module}}")
    files = {
        PurePosixPath("pyproject.toml"): templates["pyproject"],
        package / "__init__.py": '"""{{name}}: a plugin for noisy-hashing-harness."""\n',
        package / "registration.py": _joined(
            '"""What every command imports: it registers, and imports nothing heavy."""\n',
            _used(imports, hooks),
            f"{api}\n\n{hooks}\n",
        ),
        package / f"{kind}.py": _joined(docstring, _used(imports, code), f"{gap}{code}\n"),
        PurePosixPath("tests", "test_{{module}}.py"): _tidied(_installed(templates["test"])),
    }
    if "toml" in templates:
        files[package / "{{name}}.toml"] = templates["toml"]
    return files


def targets_replaced(text: str, form: str) -> str:
    """A template with each ``{{target:NAME}}`` written in a form such as ``"{}"``."""
    return re.sub(r"\{\{target:((?:\{\{)?\w+(?:\}\})?)\}\}", lambda match: form.replace("{}", match[1]), text)


def _installed(text: str) -> str:
    for words, others in INSTALLED.items():
        text = text.replace(words, others)
    return text


def _tidied(text: str) -> str:
    """A module without the imports that it has no use for."""
    docstring, imports, body = _parted(text)
    return _joined(docstring, _used(imports, body), body)


def _parted(text: str) -> tuple[str, str, str]:
    """Docstring, imports and the rest of a module that begins with the usual ``from __future__``."""
    docstring, _, rest = text.partition("\nfrom __future__ import annotations\n\n")
    lines = rest.splitlines(keepends=True)
    end = next(at for at, line in enumerate(lines) if line.strip() and not line.startswith(("import ", "from ")))
    return docstring, "".join(lines[:end]), "".join(lines[end:])


def _joined(docstring: str, imports: str, body: str) -> str:
    return f"{docstring}\nfrom __future__ import annotations\n\n{imports}{body}"


def _used(imports: str, code: str) -> str:
    """The imports whose names stand in the code, group by group."""
    groups = []
    for group in imports.strip().split("\n\n"):
        lines = [line for line in (_line_used(line, code) for line in group.splitlines()) if line]
        groups += ["\n".join(lines)] if lines else []
    return "".join(f"{group}\n\n" for group in groups)


def _line_used(line: str, code: str) -> str:
    start, word, names = line.rpartition("import ")
    used = [name for name in names.split(", ") if re.search(rf"(?<![.\w]){re.escape(name.split()[-1])}\b", code)]
    return f"{start}{word}{', '.join(used)}" if used else ""
