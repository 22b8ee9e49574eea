import json
from pathlib import Path

import pytest

WORDS = [f"w{number}" for number in range(40)]


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    """A folder with a random Llama of 20,000 parameters and a tokenizer of 44 words."""
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("base")
    special = ["<pad>", "<task>", "<end>", "<unk>"]
    tokenizer = Tokenizer(
        WordLevel({word: number for number, word in enumerate([*special, *WORDS])}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<task>", eos_token="<end>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=44,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def rows(tmp_path) -> Path:
    """48 examples: the completion answers the word that the prompt ends with by another."""
    path = tmp_path / "examples.jsonl"
    lines = [
        {"prompt": f"<task> {' '.join(WORDS[: 1 + n % 7])} w{n % 8}", "completion": f"w{20 + n % 8}"} for n in range(48)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path
