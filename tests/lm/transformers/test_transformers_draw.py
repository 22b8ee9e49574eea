import numpy as np
import pytest
import torch

from soar.errors import EndpointError
from soar.lm.transformers.draw import draw, numbers

LOGITS = torch.log(torch.tensor([0.5, 0.3, 0.02, 0.18]))


def drawn(count, temperature=1.0, min_p=0.0):
    found = draw(LOGITS.expand(count, -1), list(numbers(7, count)), [temperature] * count, [min_p] * count)
    return np.bincount(found, minlength=4) / count


def test_tokens_are_drawn_as_often_as_they_are_probable():
    assert drawn(20_000) == pytest.approx([0.5, 0.3, 0.02, 0.18], abs=0.015)


def test_a_lower_temperature_sharpens():
    sharp = np.array([0.25, 0.09, 0.0004, 0.0324])
    assert drawn(20_000, temperature=0.5) == pytest.approx(sharp / sharp.sum(), abs=0.015)


def test_min_p_is_a_share_of_the_most_probable_token():
    found = drawn(20_000, min_p=0.05)
    assert found[2] == 0
    assert found == pytest.approx(np.array([0.5, 0.3, 0, 0.18]) / 0.98, abs=0.015)
    assert drawn(100, min_p=1.0).tolist() == [1, 0, 0, 0]


def test_the_ends_of_the_interval_are_tokens_that_may_be_drawn():
    logits = torch.tensor([[0.0, 5.0, -9.0]] * 2)
    assert draw(logits, [0.0, 1 - 2**-53], [1.0, 1.0], [0.1, 0.1]) == [1, 1]


def test_fewer_numbers_of_a_seed_are_the_first_of_more():
    assert numbers(3, 5).tolist() == numbers(3, 9)[:5].tolist()
    assert numbers(3, 5).tolist() != numbers(4, 5).tolist()


def test_values_that_are_not_finite_end_the_search():
    with pytest.raises(EndpointError, match="not finite"):
        draw(torch.tensor([[1.0, float("nan")]]), [0.0], [1.0], [0.0])
