"""When a machine is taken to compute in bfloat16, and in which format attention is computed on a CPU."""

import pytest
import torch

from soar.learning.trainers import precision
from soar.learning.trainers.precision import attend_in_float32, has_fast_bf16


@pytest.mark.parametrize(
    ("able", "fast"),
    [
        ({}, False),
        ({"avx512_bf16": False, "amx_bf16": False}, False),
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"bf16": True}, True),
        ({"bf16": "unknown"}, False),
        ({"avx512_f": True}, False),
    ],
)
def test_a_processor_is_fast_in_bfloat16_if_it_has_one_of_its_instructions(monkeypatch, able, fast):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: not fast)
    assert has_fast_bf16("cpu") is fast


@pytest.mark.parametrize("able", [True, False])
def test_a_gpu_is_asked_itself(monkeypatch, able):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: able and not including_emulation)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"bf16": not able})
    assert has_fast_bf16("cuda") is able


def test_attention_gets_what_it_was_given_in_float32_without_autocast(monkeypatch):
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations import sdpa_attention
    from transformers.masking_utils import sdpa_mask

    registered, called = {}, []

    def forward(*given, **more):
        called.append((given, more, torch.is_autocast_enabled("cpu")))
        return "attended"

    monkeypatch.setattr(sdpa_attention, "sdpa_attention_forward", forward)
    monkeypatch.setattr(AttentionInterface, "register", registered.__setitem__)
    monkeypatch.setattr(
        AttentionMaskInterface, "register", lambda name, mask: registered.update({name + " mask": mask})
    )

    class Model:
        def set_attn_implementation(self, name):
            registered["chosen"] = name

    attend_in_float32(Model())
    assert registered["chosen"] == precision.MIXED == "sdpa_float32"
    assert registered["sdpa_float32 mask"] is sdpa_mask
    tensors = [torch.full((2,), float(n), dtype=torch.bfloat16) for n in range(3)]
    with torch.autocast("cpu", torch.bfloat16):
        assert registered["sdpa_float32"]("module", *tensors, "mask", scaling=0.5) == "attended"
    ((module, query, key, value, mask), more, autocast), *rest = called
    assert (module, mask, more, autocast, rest) == ("module", "mask", {"scaling": 0.5}, False, [])
    assert [each.dtype for each in (query, key, value)] == [torch.float32] * 3
    assert [each[0].item() for each in (query, key, value)] == [0, 1, 2]
