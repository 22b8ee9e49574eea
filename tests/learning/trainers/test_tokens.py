import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soar.errors import DataError
from soar.learning.trainers.tokens import IGNORED, Tokens, order, read_tokens


class Words:
    """A tokenizer whose tokens are the lengths of words; a chat is its roles and contents."""

    eos_token_id = 99

    def __call__(self, text, add_special_tokens):
        return {"input_ids": [len(word) for word in text.split()]}

    def apply_chat_template(self, messages, add_generation_prompt=False, return_dict=False):
        tokens = [token for message in messages for token in (70, *self(message["content"], False)["input_ids"], 71)]
        return [*tokens, 70] if add_generation_prompt else tokens


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_loss_asks_for_the_completion_and_its_end_alone(tmp_path):
    path = write(tmp_path / "rows", {"prompt": "a bb ccc", "completion": "dddd e"})
    (tokens,), dropped = read_tokens(path, Words(), 10)
    assert list(tokens.ids) == [1, 2, 3, 4, 1, 99]
    assert tokens.labels == [IGNORED, IGNORED, IGNORED, 4, 1, 99]
    assert dropped == 0


def test_a_chat_is_masked_up_to_where_the_answer_begins(tmp_path):
    row = {"prompt": [{"role": "user", "content": "a bb"}], "completion": [{"role": "assistant", "content": "ccc"}]}
    (tokens,), _ = read_tokens(write(tmp_path / "rows", row), Words(), 10)
    assert tokens.labels == [IGNORED] * 5 + [3, 71]


def test_an_example_that_is_too_long_is_left_out_whole_and_counted(tmp_path):
    rows = [{"prompt": "a " * n, "completion": "b"} for n in (3, 4, 5)]
    examples, dropped = read_tokens(write(tmp_path / "rows", *rows), Words(), 6)
    assert [len(example.ids) for example in examples] == [5, 6]
    assert dropped == 1


def test_nothing_left_to_learn_from_and_damaged_rows_are_said(tmp_path):
    path = write(tmp_path / "rows", {"prompt": "a " * 9, "completion": "b"})
    with pytest.raises(DataError, match="none of 1 examples"):
        read_tokens(path, Words(), 6)
    path.write_text('{"prompt": "a", "comp')
    with pytest.raises(DataError, match="line 1"):
        read_tokens(path, Words(), 6)
    with pytest.raises(DataError, match="prompt and completion"):
        read_tokens(write(path, {"prompt": "a"}), Words(), 6)


def test_a_template_that_rewrites_the_prompt_is_refused(tmp_path):
    class Changing(Words):
        def apply_chat_template(self, messages, add_generation_prompt=False, return_dict=False):
            return [len(messages), *super().apply_chat_template(messages, add_generation_prompt)]

    row = {"prompt": [{"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]}
    with pytest.raises(DataError, match="chat template"):
        read_tokens(write(tmp_path / "rows", row), Changing(), 10)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=60), st.integers(1, 5), st.sampled_from([1.0, 2.0, 1.5, 0.5]))
def test_an_epoch_takes_every_example_once(lengths, batch_size, epochs):
    indices = order(lengths, batch_size=batch_size, epochs=epochs, rng=np.random.default_rng(0))
    assert len(indices) == round(epochs * len(lengths))
    counts = np.bincount(indices, minlength=len(lengths))
    assert counts.max() <= np.ceil(epochs)
    assert counts.min() >= np.floor(epochs)


def test_batches_hold_similar_lengths_in_random_order():
    lengths = np.random.default_rng(0).integers(50, 500, 2000).tolist()
    indices = order(lengths, batch_size=16, epochs=1, rng=np.random.default_rng(1))
    batches = np.array(lengths)[indices].reshape(-1, 16)
    padding = 1 - sum(lengths) / (batches.max(axis=1).sum() * 16)
    assert padding < 0.03
    assert abs(np.corrcoef(batches.mean(axis=1), np.arange(len(batches)))[0, 1]) < 0.2


def test_labels_mask_nothing_where_there_is_no_prompt():
    assert Tokens([1, 2], 0).labels == [1, 2]
