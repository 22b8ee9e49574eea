import gzip
import json

import pytest

from soar.domains.sequences.domain import MAX_DIGITS, Sequences, copies_terms
from soar.errors import DataError
from soar.method import open_domain
from soar.prompts.chat import Chat
from soar.types import Example, Origin, Program, Task

SEQUENCES = Sequences()
SQUARES = [n * n for n in range(24)]


def written(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_a_sequence_shows_sixteen_terms_and_hides_the_next_eight(tmp_path):
    source = written(tmp_path / "s.jsonl", {"id": "A000290", "terms": [*SQUARES, 576], "name": "squares"})
    (task,) = SEQUENCES.load(source)
    assert task.id == "A000290"
    assert task.train == tuple(Example(n, n * n) for n in range(16))
    assert task.test == tuple(Example(n, n * n) for n in range(16, 24))


def test_the_set_in_the_package_loads_whole_with_no_two_tasks_alike():
    tasks = open_domain("sequences").load("sequences")
    assert len(tasks) == 5731
    assert len({task.train for task in tasks}) == len({task.id for task in tasks}) == len(tasks)


def test_gzip_and_byte_order_marks_are_read(tmp_path):
    line = json.dumps({"id": "a", "terms": SQUARES}) + "\n"
    (tmp_path / "s.gz").write_bytes(gzip.compress(line.encode("utf-8-sig")))
    assert [task.id for task in SEQUENCES.load(str(tmp_path / "s.gz"))] == ["a"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"id": "a", "terms": SQUARES[:23]}, "line 1: 23 terms, expected at least 24"),
        ({"id": "a", "terms": [*SQUARES[:-1], 1.5]}, "line 1: expected an integer, found float"),
        ({"id": "a", "terms": [*SQUARES[:-1], True]}, "expected an integer, found bool"),
        ({"id": 3, "terms": SQUARES}, 'expected an object with "id", a string'),
        ([1], "expected an object"),
    ],
)
def test_a_wrong_line_is_refused_with_its_number_and_the_reason(tmp_path, row, reason):
    with pytest.raises(DataError, match=reason):
        SEQUENCES.load(written(tmp_path / "s.jsonl", row))


def test_an_id_that_stands_twice_and_a_file_that_is_not_there_are_refused(tmp_path):
    twice = {"id": "a", "terms": SQUARES}
    with pytest.raises(DataError, match="line 2: the id 'a' occurs twice"):
        SEQUENCES.load(written(tmp_path / "s.jsonl", twice, twice))
    with pytest.raises(DataError, match="no sequences at"):
        SEQUENCES.load("nowhere")


def test_terms_of_any_size_up_to_a_limit_are_values():
    assert SEQUENCES.parse(-(10**MAX_DIGITS) + 1) < 0
    with pytest.raises(ValueError, match="more than 1000 digits"):
        SEQUENCES.parse(10**MAX_DIGITS)


def test_a_program_that_lists_terms_is_hard_coded_and_one_that_computes_them_is_not():
    fibonacci = _task([0, 1])
    listed = "def transform(n):\n    return [0, 1, 1, 2, 3, 5, 8, 13, 21,\n        34][n % 10]"
    honest = "def transform(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a"
    assert copies_terms(fibonacci, _program(fibonacci, listed))
    assert not copies_terms(fibonacci, _program(fibonacci, honest))


def test_a_chat_prompt_shows_indices_and_terms_and_no_hidden_one():
    task = _task([0, 1])
    text = "\n".join(message.content for message in Chat(open_domain("sequences")).sampling(task.without_answers()))
    assert "transform(n)" in text
    assert "## Training pair 16\nInput:\n15\nOutput:\n610" in text
    assert "987" not in text


def _task(begin):
    terms = list(begin)
    while len(terms) < 24:
        terms.append(terms[-1] + terms[-2])
    pairs = tuple(Example(n, term) for n, term in enumerate(terms))
    return Task("A000045", pairs[:16], pairs[16:])


def _program(task, code):
    outputs = [example.output for example in (*task.train, *task.test)]
    return Program(Origin("s", 0, task.id, "sample", 0, 0, 0), code, tuple(outputs[:16]), tuple(outputs[16:]), 1.0)


def test_a_damaged_archive_of_lines_is_refused(tmp_path):
    whole = gzip.compress(json.dumps({"id": "a", "terms": SQUARES}).encode())
    for n in range(10, len(whole)):
        (tmp_path / "s.gz").write_bytes(whole[:n] + bytes([whole[n] ^ 0xFF]) + whole[n + 1 :])
        with pytest.raises(DataError):
            SEQUENCES.load(str(tmp_path / "s.gz"))
