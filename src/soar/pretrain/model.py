"""A small model's shape, and its weights before training: new ones, or another's under a new vocabulary.

Knows transformers' Llama; knows no data. The embeddings of a domain's lexemes begin as sums of what they are made of:
a colour and a count, or digits, so that what is learnt about five red cells carries over to six.
"""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from soar.domains.marks import BEGIN
from soar.pretrain.recipe import Recipe
from soar.pretrain.tokenizer import END, PAD, token_id

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

CONTEXT = 1024


def new_model(
    tokenizer: "PreTrainedTokenizerBase",
    recipe: Recipe,
    *,
    width: int = 192,
    layers: int = 6,
    head_size: int = 64,
    mlp: int = 512,
) -> "LlamaForCausalLM":
    """Return an untrained model: ``layers`` decoder layers, tied embeddings, rotary base 1000 (prompts are short)."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=-(-len(tokenizer) // 16) * 16,
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=width // head_size,
        num_key_value_heads=width // head_size,
        head_dim=head_size,
        max_position_embeddings=CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
        tie_word_embeddings=True,
        bos_token_id=token_id(tokenizer, BEGIN),
        eos_token_id=token_id(tokenizer, END),
        pad_token_id=token_id(tokenizer, PAD),
    )
    model = LlamaForCausalLM(config)
    _shrink_residuals(model, layers)
    _compose_embeddings(model, tokenizer, recipe)
    return model


def grown_model(folder: Path, tokenizer: "PreTrainedTokenizerBase", layers: int = 0) -> "LlamaForCausalLM":
    """Return a folder's model with the vocabulary of another tokenizer, to be trained further.

    A token that both know keeps its embedding; a new one starts as the mean of the tokens that its text was split into.
    If the model has fewer than `layers` layers, new ones, which change nothing at first, are put between the old.
    """
    import torch
    from transformers import AutoTokenizer, LlamaForCausalLM

    before = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    if layers > model.config.num_hidden_layers:
        model = _deepened(model, layers)
    old, known = cast(torch.Tensor, model.get_input_embeddings().weight).detach().clone(), before.get_vocab()
    model.resize_token_embeddings(-(-len(tokenizer) // 16) * 16, mean_resizing=False)
    weight = cast(torch.Tensor, model.get_input_embeddings().weight)
    with torch.no_grad():
        for token, place in tokenizer.get_vocab().items():
            pieces = [known[token]] if token in known else before(token, add_special_tokens=False)["input_ids"]
            weight[place] = old[pieces].mean(0)
    return model


def _deepened(model: "LlamaForCausalLM", layers: int) -> "LlamaForCausalLM":
    """Return a model of `layers` layers that computes the same: the new ones, spread evenly, write nothing."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    had = model.config.num_hidden_layers
    deeper = LlamaForCausalLM(LlamaConfig(**{**model.config.to_dict(), "num_hidden_layers": layers}))
    places = [round(place) for place in torch.linspace(0, layers - 1, had).tolist()]
    deeper.model.embed_tokens.load_state_dict(model.model.embed_tokens.state_dict())
    deeper.model.norm.load_state_dict(model.model.norm.state_dict())
    for layer, place in zip(model.model.layers, places, strict=True):
        deeper.model.layers[place].load_state_dict(layer.state_dict())
    with torch.no_grad():
        for place in set(range(layers)) - set(places):
            for name, weight in deeper.model.layers[place].named_parameters():
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    weight.zero_()
    return deeper


def _shrink_residuals(model: "LlamaForCausalLM", layers: int) -> None:
    """Divide the weights that write to the residual stream by √(2 · layers) (GPT-2's initialisation)."""
    import torch

    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                weight.div_((2 * layers) ** 0.5)


def _compose_embeddings(model: "LlamaForCausalLM", tokenizer: "PreTrainedTokenizerBase", recipe: Recipe) -> None:
    """Set each lexeme's embedding to the sum of its parts' vectors, scaled to the usual size."""
    import torch

    weight = cast(torch.Tensor, model.get_input_embeddings().weight)
    scale = model.config.initializer_range
    parts: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for lexeme in recipe.lexemes:
            found = recipe.parts_of(lexeme)
            vectors = [parts.setdefault(part, torch.randn(weight.shape[1]) * scale) for part in found]
            weight[token_id(tokenizer, lexeme)] = torch.stack(vectors).sum(0) / len(found) ** 0.5
