"""A folder with an untrained small model, for tests that need one: transformers wrote it, so transformers can say what
it computes."""

from pathlib import Path


def save_small_llama(folder: Path, family: str = "llama", **changes):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

    settings = {
        "vocab_size": 64,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 256,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0},
        "tie_word_embeddings": True,
        "initializer_range": 0.3,
        "bos_token_id": 1,
        "eos_token_id": 3,
        "pad_token_id": 0,
        **changes,
    }
    torch.manual_seed(0)
    if family == "llama":
        reference = LlamaForCausalLM(LlamaConfig(**settings)).eval()
    else:
        reference = Qwen3ForCausalLM(Qwen3Config(**settings)).eval()
    reference.save_pretrained(folder)
    return reference
