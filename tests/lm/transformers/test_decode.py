"""Which rows of a batch are drawn from: those of samples, not those that only fill its shape."""

from types import SimpleNamespace

import torch

from soar.lm.transformers.decode import Decoder, Job


class Scripted:
    """A model of five tokens whose rows say the token after their last one; of padding it computes nothing finite."""

    def read(self, prompt):
        return SimpleNamespace(logits=after(torch.tensor([prompt[-1]]))[0])

    def begin(self, prefix, rows):
        return SimpleNamespace(rows=rows)

    def step(self, groups, tokens):
        logits = after(torch.tensor(tokens))
        logits[2:] = torch.nan
        return logits

    def forget(self):
        raise AssertionError


def after(tokens):
    return torch.nn.functional.one_hot((tokens + 1) % 5, 5) * 100.0


def test_rows_without_a_sample_are_not_drawn_from():
    decoder = Decoder(Scripted(), frozenset([4]), granule=8)
    done = decoder.admit(Job((0,), ((0, 7), (1, 8)), temperature=1.0, min_p=0.1, max_new_tokens=9))
    assert (done, decoder.rows) == ([], 8)
    while decoder.rows:
        done += decoder.step()
    assert [(each.index, each.tokens, each.finish_reason) for each in done] == [
        (0, (1, 2, 3), "stop"),
        (1, (1, 2, 3), "stop"),
    ]
