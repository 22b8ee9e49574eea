"""What the documents name must be there."""

import importlib
import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

import soar

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_name_in_a_document_exists(document):
    text = document.read_text(encoding="utf-8")
    for name in set(re.findall(r"`(soar(?:\.\w+)+)`", text)):
        assert exists(name), name
    tests = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
    for name in set(re.findall(r"`(test_\w+)`", text)):
        assert f"def {name}(" in tests, name
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (document.parent / link).exists(), link


def exists(name: str) -> bool:
    """Return whether a dotted name is a module or something inside one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_the_page_of_settings_is_what_the_code_says():
    spec = importlib.util.spec_from_file_location("settings_page", ROOT / "docs" / "settings.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == made.page(), "run python docs/settings.py"


def test_the_layers_of_the_page_are_those_that_are_enforced():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (each for each in settings["tool"]["importlinter"]["contracts"] if each["type"] == "layers")
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("## Layers")[1]
    shown = re.findall(r"^    (\w+(?: \| \w+)*)  ", page, re.MULTILINE)
    assert shown == [layer.replace("soar.", "") for layer in contract["layers"]]


def test_the_citation_names_the_version():
    assert f"\nversion: {soar.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
