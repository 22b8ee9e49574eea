import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import TASK, acting, programs

from soar.errors import ConfigError
from soar.learning.dedup import BLOCK, DEDUPLICATIONS, by_outputs, by_similarity_and_outputs, by_text, distinct
from soar.learning.embed import NGRAM_COSINE, code_rank_embed, ngrams
from soar.scoring import solves

HERE = [name for name in DEDUPLICATIONS if not name.startswith("embeddings")]


@given(programs())
@pytest.mark.parametrize("name", HERE)
def test_what_stays_are_programs_in_their_order_and_nothing_more_goes_the_second_time(name, found):
    kept = DEDUPLICATIONS[name](TASK, found)
    keys = [program.key for program in kept]
    assert keys == [program.key for program in found if program.key in set(keys)]
    assert DEDUPLICATIONS[name](TASK, kept) == kept


@given(programs())
def test_of_every_behaviour_the_shortest_program_stays(found):
    kept = by_outputs(TASK, found)
    assert {p.outputs for p in kept} == {p.outputs for p in found}
    assert len(kept) == len({p.outputs for p in found})
    assert all(len(p.code) == min(len(q.code) for q in found if q.outputs == p.outputs) for p in kept)


def test_texts_that_differ_in_blanks_only_are_one():
    texts = ["a = 1\nb = 2", "a = 1  \n\nb = 2\n", "a = 1\nb = 3"]
    kept = by_text(TASK, [acting(n, 1, code=text) for n, text in enumerate(texts)])
    assert [program.code for program in kept] == [texts[0], texts[2]]


def plainly_distinct(vectors, above):
    stay = []
    for row, vector in enumerate(vectors):
        if all(vector @ vectors[earlier] <= above for earlier in stay):
            stay.append(row)
    return stay


@given(st.integers(0, 1000), st.sampled_from([0, 1, 5, 40]), st.floats(-0.5, 0.99))
def test_the_blocked_comparison_equals_the_plain_one(seed, count, above):
    vectors = np.random.default_rng(seed).normal(size=(count, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert distinct(vectors, above) == plainly_distinct(vectors, above)


def test_the_comparison_spans_blocks():
    vectors = np.eye(3)[np.arange(3 * BLOCK) % 3]
    assert distinct(vectors, 0.9) == [0, 1, 2]


PROGRAM = """import numpy as np

def transform(grid):
    g = np.array(grid)
    out = np.where(g == 3, 5, g)
    return out[::-1, :]
"""


def test_ngrams_call_a_comment_or_layout_the_same_and_another_constant_not():
    texts = [PROGRAM, PROGRAM.replace("    ", "  "), PROGRAM.replace("== 3", "== 4"), PROGRAM.replace("[::-1, :]", "")]
    alike = ngrams(texts) @ ngrams(texts)[0]
    assert alike[1] > NGRAM_COSINE
    assert (alike[2:] < NGRAM_COSINE).all()
    assert np.linalg.norm(ngrams(texts), axis=1) == pytest.approx(1)
    assert not ngrams([""]).any()


def test_the_variant_of_the_code_thins_out_wrong_programs_by_outputs_only():
    wrong = [acting(n, 1, 0, n % 2, code=PROGRAM) for n in range(4)]
    right = [acting(10 + n, 4, 2, code=PROGRAM + " " * n) for n in range(3)]
    kept = by_similarity_and_outputs(TASK, [*wrong, *right], embed=ngrams, above=0.9)
    assert [program.key for program in kept] == [program.key for program in (*wrong[:2], right[0])]
    assert sum(solves(TASK, program) for program in kept) == 1


def test_without_the_library_the_papers_embedding_says_what_is_missing():
    with pytest.raises(ConfigError, match=r"sentence-transformers.*the model nomic-ai/CodeRankEmbed on this machine"):
        code_rank_embed(["x"])
