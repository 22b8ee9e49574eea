"""Prompts as a model's tokens, its tokens as text, and the tokens that end a completion. Knows a tokenizer, no model.

A chat goes through the model's own template, exactly as in training: a model is asked in the form it learnt to read.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from soar.errors import ConfigError, EndpointError
from soar.types import Prompt


class Text:
    """The tokenizer of a model's folder."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise EndpointError(f"the tokenizer in {folder} cannot be read: {error}") from None
        # Cached: a caller asks whether a prompt fits before it sends the prompt.
        self.tokens = lru_cache(256)(self._tokens)

    def _tokens(self, prompt: Prompt) -> tuple[int, ...]:
        """Return the token ids of a prompt; those of a chat end where the answer begins."""
        if isinstance(prompt, str):
            found = self._tokenizer(prompt, add_special_tokens=False)["input_ids"]
        else:
            messages = [{"role": message.role, "content": message.content} for message in prompt]
            found = self._template(messages, add_generation_prompt=True)
        if not found:
            raise EndpointError("the prompt is empty: a model needs at least one token to start from")
        return tuple(found)

    def text(self, tokens: tuple[int, ...]) -> str:
        """Return the text of tokens, without the special ones."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def stops(self, model: Any) -> frozenset[int]:
        """Return the tokens that end a completion: all that the model's generation settings, its configuration and the
        tokenizer name, and the one that the chat template puts after an answer, since finetuning teaches that one."""
        named = (model.generation_config.eos_token_id, model.config.eos_token_id, self._tokenizer.eos_token_id)
        listed = [each if isinstance(each, list | tuple) else [each] for each in named]
        found = frozenset(int(token) for each in listed for token in each if token is not None) | self._after_answer()
        if not found:
            raise EndpointError("neither the model nor its tokenizer names a token that ends a completion")
        return found

    def _after_answer(self) -> frozenset[int]:
        if self._tokenizer.chat_template is None:
            return frozenset()
        asked = [{"role": "user", "content": "x"}]
        before = self._template(asked, add_generation_prompt=True)
        whole = self._template([*asked, {"role": "assistant", "content": "x"}])
        special = set(self._tokenizer.all_special_ids)
        return frozenset([token for token in whole[len(before) :] if token in special][:1])

    def _template(self, messages: list[dict[str, str]], **more: bool) -> list[int]:
        if self._tokenizer.chat_template is None:
            raise ConfigError(
                "the model has no chat template: use an instruct model, or a prompt.rendering that writes text"
            )
        return self._tokenizer.apply_chat_template(messages, return_dict=False, **more)
