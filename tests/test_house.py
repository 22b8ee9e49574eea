"""What stands where: each kind of knowledge in its room and nowhere else."""

import re
from collections import Counter
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "soar"
TEXTS = {str(file.relative_to(SOURCE)): file.read_text(encoding="utf-8") for file in sorted(SOURCE.rglob("*.py"))}


def naming(pattern: str, *, but_in: tuple[str, ...]) -> list[str]:
    """Return the files outside some rooms that hold what a pattern describes."""
    return [name for name, text in TEXTS.items() if not name.startswith(but_in) and re.search(pattern, text)]


def test_no_file_outside_the_domain_of_arc_names_a_grid():
    assert naming(r"(?i)\bgrids?\b|MAX_SIDE", but_in=("domains/arc/", "pretrain/arc/")) == []
    assert naming(r"\bgrid\b", but_in=()), "the pattern finds what there is"


def test_no_file_outside_the_archive_holds_sql():
    assert naming(r"\b(SELECT|INSERT|UPDATE|DELETE|PRAGMA)\s+\w", but_in=("archive/",)) == []
    assert naming(r"\bSELECT\b", but_in=())


def test_no_pattern_repeats_a_group_possessively():
    """Before Python 3.11.5 such a pattern fails to match (CPython issue 106052), and Debian 12 has 3.11.2."""
    possessive = r"\)(?:[*+?]|\{\d*,?\d*\})\+"
    assert naming(possessive, but_in=()) == []
    assert re.search(possessive, "(?:a|b)*+"), "the pattern finds what there may be"


def test_nothing_below_the_method_reads_a_configuration():
    readers = (
        "config.py",
        "method.py",
        "task_sets.py",
        "session.py",
        "execute.py",
        "doctor.py",
        "cli.py",
        "dry_run.py",
        "finetuning.py",
        "importing.py",
        "solving.py",
        "exchange.py",
        "experiments/arms.py",
        "experiments/settings.py",
    )
    assert naming(r"soar\.config\b", but_in=readers) == []


def test_a_file_begins_with_what_it_knows_and_has_one_subject():
    assert [name for name, text in TEXTS.items() if not text.startswith('"""')] == []
    assert [name for name, text in TEXTS.items() if len(text.splitlines()) > 400] == []


def test_every_file_of_tests_has_a_name_of_its_own():
    """Pytest imports them by their names, and two of one name are an error only where both are collected."""
    names = Counter(file.name for file in Path(__file__).parent.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
