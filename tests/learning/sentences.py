"""A small sentence-transformers model with weights drawn at random, which knows the words of some texts."""

from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.trainers import WordLevelTrainer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast


def make_model(folder: Path, texts: list[str]) -> Path:
    """Write the model into a folder of its own; return that."""
    words = Tokenizer(WordLevel(unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    words.train_from_iterator(texts, WordLevelTrainer(special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"]))
    torch.manual_seed(0)
    sizes: Any = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    inner = folder / "inner"
    BertModel(BertConfig(vocab_size=words.get_vocab_size(), **sizes)).save_pretrained(inner)
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(inner)
    whole = SentenceTransformer(modules=[Transformer(str(inner)), Pooling(sizes["hidden_size"])])
    whole.save(str(folder / "model"))
    return folder / "model"
