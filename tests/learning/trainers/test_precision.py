import torch

from soar.learning.trainers.precision import attend_in_float32
from soar.lm.embedded import SHIPPED


def test_attention_in_float32_is_what_it_was_and_stays_so_under_autocast():
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(SHIPPED, dtype=torch.float32, local_files_only=True)
    ids = torch.arange(5, 90)[None]
    with torch.no_grad():
        before = model(ids).logits
        attend_in_float32(model)
        assert torch.allclose(model(ids).logits, before, atol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = model(ids).logits.float()
    assert not torch.equal(mixed, before)
    assert (mixed.log_softmax(-1) - before.log_softmax(-1)).abs().max() < 1.0
    assert (mixed.argmax(-1) == before.argmax(-1)).float().mean() > 0.9


def test_the_kind_of_attention_is_not_written_into_a_saved_model(tmp_path):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(SHIPPED, dtype=torch.float32, local_files_only=True)
    attend_in_float32(model)
    model.save_pretrained(tmp_path)
    assert AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True).config._attn_implementation == "sdpa"
