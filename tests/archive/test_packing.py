"""Texts take little room and come back as they were; what is nothing of ours is refused."""

import contextlib
import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soar.archive.packing import (
    DICTIONARY,
    names_of,
    pack,
    pack_all,
    pack_outputs,
    pack_without,
    unpack,
    unpack_output,
)
from soar.archive.rows import code_hash, encode_output
from soar.types import Failure

CODE = "def transform(values):\n    return [row[::-1] for row in values if row]\n" * 5
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS, TEXTS, TEXTS, st.booleans())
def test_a_text_comes_back_as_it_was_with_its_program_and_without(before, code, after, inside):
    text = before + (code if inside else "") + after
    assert unpack(pack(text)) == text
    assert unpack(pack(text, code), code) == text
    assert unpack(pack(text * 50, code), code) == text * 50


def test_a_text_takes_no_room_for_the_program_in_it_and_cannot_be_read_without_it():
    code = random.Random(1).randbytes(300).hex()
    text = f"I think:\n```python\n{code}```\nThat is it."
    stored = pack(text, code)
    assert len(stored) < 60 < 300 < len(pack(text)) < len(text)
    with pytest.raises(ValueError, match="its program is missing"):
        unpack(stored)


def test_a_text_that_would_not_become_shorter_is_stored_as_it_is():
    for text in ("", "x", random.Random(0).randbytes(200).decode("latin-1")):
        assert len(pack(text)) <= len(text.encode()) + 1


def test_outputs_are_packed_where_they_are_long_and_failures_never():
    long, short = encode_output(((0,) * 9,) * 9)[1], encode_output(((1,),))[1]
    failure = encode_output(Failure("IndexError", "list index out of range " * 9))[1]
    stored = pack_outputs([long, short, failure, long])
    assert isinstance(stored[0], bytes)
    assert stored[1:3] == [short, failure]
    assert list(map(unpack_output, stored)) == [long, short, failure, long]
    assert pack_outputs([]) == []


@given(st.lists(TEXTS))
def test_texts_are_packed_together_as_alone(texts):
    assert pack_all(texts) == [pack(text) for text in texts]
    programs = [(text, code) for text in texts for code in (None, CODE, text)]
    assert pack_without(programs) == [pack(*each) for each in programs]
    assert list(map(unpack, pack_all(texts))) == texts


def test_names_are_read_out_of_their_bytes():
    names = [code_hash(str(n)) for n in range(5)]
    assert names_of(bytes.fromhex("".join(names))) == tuple(names)
    assert names_of(b"") == ()


@pytest.mark.parametrize("seed", range(300))
def test_damaged_bytes_are_another_text_or_refused(seed):
    """Which of both, the checksums tell; nothing else may come of them."""
    chance, stored = random.Random(seed), bytearray(pack(CODE))
    for _ in range(chance.randint(1, 3)):
        stored[chance.randrange(len(stored))] = chance.randrange(256)
    with contextlib.suppress(ValueError):
        assert isinstance(unpack(bytes(stored[: chance.choice([len(stored), 9])]), ""), str)


def test_threads_pack_side_by_side():
    texts = [CODE * n + str(n) for n in range(1, 60)]
    wrong = []

    def work():
        wrong.extend(text for text in texts * 5 if unpack(pack(text)) != text)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_what_was_packed_is_read_for_ever():
    """Another dictionary would make every archive unreadable. One that is better gets another first byte."""
    stored = bytes.fromhex(PACKED_ONCE)
    assert unpack(stored) == CODE
    assert code_hash(DICTIONARY.read_bytes().hex()) == DICTIONARY_ONCE


PACKED_ONCE = "01606300c5000020726f775d05fc7e85fb108c154581b5b669ac87fb58b004"
DICTIONARY_ONCE = "3b55eed0c56412097c748516b6f31d71"
