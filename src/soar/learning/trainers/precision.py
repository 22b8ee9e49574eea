"""Number formats for finetuning on a CPU: matrix products in bfloat16 if the processor has such instructions, attention
in 32-bit floats, which is faster there. Knows torch; knows neither data nor trainers.
"""

from typing import Any

MIXED = "sdpa_float32"
"""The name under which transformers knows the attention below."""


def has_fast_bf16(device: str) -> bool:
    """Return whether a device type ("cpu", "cuda") of this machine computes in bfloat16 natively; a processor that does
    not is ten times faster in float32, and a GPU before Ampere emulates it."""
    import torch

    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return any(able.get(name) is True for name in ("avx512_bf16", "amx_bf16", "bf16"))


def attend_in_float32(model: Any) -> None:
    """Make a transformers model compute its attention in 32-bit floats even under autocast.

    The backward pass of torch's attention is slower in bfloat16 on a CPU.
    """
    import torch
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def attend(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **more: Any) -> Any:
        with torch.autocast(query.device.type, enabled=False):
            return sdpa_attention_forward(module, query.float(), key.float(), value.float(), attention_mask, **more)

    AttentionInterface.register(MIXED, attend)
    AttentionMaskInterface.register(MIXED, sdpa_mask)
    model.set_attn_implementation(MIXED)
