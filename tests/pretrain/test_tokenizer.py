import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soar.domains.arc.grid_text import GRID_LEXEMES, GRID_PATTERN
from soar.domains.marks import BEGIN, PARENT, WRITE
from soar.pretrain.tokenizer import SPECIAL, train_tokenizer

BODIES = [
    "g = np.rot90(g)",
    "g[g == 3] = 5",
    "m = g == 0\nl, n = ndimage.label(m)\nfor i in range(1, n + 1):\n    g[l == i] = i % 10",
    "g = g[::-1, :]",
] * 30


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(BODIES, GRID_LEXEMES, GRID_PATTERN, merges=20)


@pytest.fixture(scope="module")
def loaded(tokenizer, tmp_path_factory):
    from transformers import AutoTokenizer, LlamaConfig

    folder = tmp_path_factory.mktemp("tokenizer")
    LlamaConfig(vocab_size=len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


@given(text=st.text())
@settings(max_examples=200)
def test_any_text_round_trips(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_a_loaded_tokenizer_cuts_as_the_one_that_was_saved(tokenizer, loaded):
    text = f"{BEGIN}in3r4c\nA2~\nB3\nout=\n$3\n{PARENT}g = g[::-1, :]\n{WRITE}" + "\n".join(BODIES)
    assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert loaded.decode(loaded(text)["input_ids"]) == text


def test_every_grid_lexeme_is_one_token(tokenizer):
    assert all(len(tokenizer.tokenize(lexeme)) == 1 for lexeme in GRID_LEXEMES)


def test_digits_of_programs_stay_apart(tokenizer):
    assert tokenizer.tokenize("g[g == 3] = 12")[-2:] == ["1", "2"]


def test_common_fragments_are_one_token(tokenizer):
    assert len(tokenizer.tokenize("m = g == 0")) <= 4


def test_a_fragment_does_not_cut_a_word(tokenizer):
    assert "np" not in tokenizer.tokenize("inputs")


def test_special_tokens_come_first(tokenizer):
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL)) == [0, 1, 2, 3, 4]
