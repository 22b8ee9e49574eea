"""What a trainer reads of rows, word for word, and in what order it takes them."""

import json

import numpy as np
import pytest

from soar.errors import DataError
from soar.learning.trainers.tokens import CHUNK, Tokens, order, read_prompts, read_tokens


class Words:
    """A tokenizer whose tokens are the lengths of words, and which holds its caller to what it asks for."""

    eos_token_id = 99

    def __call__(self, text, *, add_special_tokens):
        assert add_special_tokens is False
        return {"input_ids": [len(word) for word in text.split()]}

    def apply_chat_template(self, messages, add_generation_prompt=False, *, return_dict):
        assert return_dict is False
        tokens = [len(word) for message in messages for word in message["content"].split()]
        return [*tokens, 70] if add_generation_prompt else [*tokens[:2], 70, *tokens[2:], 71]


class Rewriting(Words):
    def apply_chat_template(self, messages, add_generation_prompt=False, *, return_dict):
        return [len(messages)]


CHAT = {"prompt": [{"role": "user", "content": "a bb"}], "completion": [{"role": "assistant", "content": "ccc"}]}


def write(path, *rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def refusal(path, tokenizer=None, max_length=6):
    with pytest.raises(DataError) as error:
        read_tokens(path, tokenizer or Words(), max_length)
    return str(error.value)


def test_an_example_knows_its_line_and_where_its_prompt_ends(tmp_path):
    path = write(tmp_path / "rows", {"prompt": "a bb", "completion": "ccc ë"}, CHAT)
    examples, dropped = read_tokens(path, Words(), 5)
    assert examples == [Tokens([1, 2, 3, 1, 99], 2, 1), Tokens([1, 2, 70, 3, 71], 3, 2)]
    assert dropped == 0
    assert Tokens([1], 0).line == 0


def test_of_rows_that_are_too_long_none_is_cut_and_the_rest_keep_their_lines(tmp_path):
    rows = [{"prompt": "a " * n, "completion": "b"} for n in (9, 3, 8, 4)]
    examples, dropped = read_tokens(write(tmp_path / "rows", *rows), Words(), 6)
    assert [(each.line, len(each.ids)) for each in examples] == [(2, 5), (4, 6)]
    assert dropped == 2


def test_each_refusal_says_what_was_found_and_what_to_do(tmp_path):
    path = write(tmp_path / "rows")
    assert refusal(path) == (
        f"{path} holds no example: no program of the searches was chosen to learn from. Start a new run that searches"
        " more or has another learning.curator; what this one found stays readable"
    )
    write(path, *[{"prompt": "a " * 9, "completion": "b"}] * 2)
    assert refusal(path) == f"{path}: none of 2 examples fits finetune.max_length = 6 tokens; raise it"
    path.write_text('{"prompt": "a", "completion": "b"}\n{"prompt"')
    start = f"{path}, line 2: Expecting ':' delimiter: "
    assert refusal(path).startswith(start)
    assert refusal(path).endswith("; remove the file and run the command again")
    for row in ({"prompt": "a"}, {"completion": "a"}, [1]):
        assert refusal(write(path, row)) == f"{path}, line 1: expected an object with prompt and completion"
    assert refusal(write(path, CHAT), Rewriting()) == (
        "the chat template of this model changes the prompt when a completion follows; it cannot be finetuned"
    )


def test_prompts_are_found_by_their_lines_in_the_order_asked_for(tmp_path):
    path = write(tmp_path / "rows", {"prompt": "a"}, {"prompt": "b"}, {"nothing": 1}, {"prompt": ["ë"]})
    assert read_prompts(path, [Tokens([1], 1, 4), Tokens([1], 1, 1), Tokens([1], 1, 4)]) == [["ë"], "a", ["ë"]]


def test_the_order_is_drawn_once_for_all_epochs_and_the_last_is_cut_short():
    draw = np.random.default_rng(3)
    twice = [*draw.permutation(4), *draw.permutation(4)]
    found = order([1] * 4, batch_size=1, epochs=1.5, rng=np.random.default_rng(3))
    later = draw.permutation(6)
    assert found == [twice[:6][place] for place in later]
    assert all(type(index) is int for index in found)


def test_batches_are_of_neighbours_in_length_and_what_is_left_comes_last():
    lengths = [5, 1, 4, 2, 3, 9, 7]
    found = order(lengths, batch_size=3, epochs=1, rng=np.random.default_rng(0))
    taken = [[lengths[index] for index in found[at : at + 3]] for at in (0, 3, 6)]
    assert sorted(taken[:2]) == [[1, 2, 3], [4, 5, 7]]
    assert taken[2] == [9]
    firsts = {order(lengths, batch_size=3, epochs=1, rng=np.random.default_rng(seed))[0] for seed in range(9)}
    assert firsts == {1, 2}, "which batch comes first is drawn too"


def test_lengths_are_sorted_within_fifty_batches_only():
    count = 2 * CHUNK
    lengths = np.random.default_rng(1).permutation(3 * count).tolist()
    shuffled = np.random.default_rng(2).permutation(3 * count)
    found = order(lengths, batch_size=2, epochs=1, rng=np.random.default_rng(2))
    for at in range(0, 3 * count, count):
        assert sorted(found[at : at + count]) == sorted(shuffled[at : at + count])
        chunk = sorted(lengths[index] for index in found[at : at + count])
        pairs = sorted([lengths[index] for index in found[at + n : at + n + 2]] for n in range(0, count, 2))
        assert pairs == [chunk[n : n + 2] for n in range(0, count, 2)]
    assert CHUNK == 50
