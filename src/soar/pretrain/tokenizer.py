"""A small model's tokenizer: every lexeme of its domain one token, program text in learnt fragments, any other text in
characters or bytes.

Text is split by one regular expression and looked up; nothing is merged at run time. The lexemes are given, the rest of
the vocabulary is learnt from programs. Knows no model.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

from soar.domains.marks import BEGIN, PARENT, WRITE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

PAD, END = "<pad>", "<end>"
SPECIAL = (PAD, BEGIN, WRITE, END, PARENT)
"""The special tokens, ids 0 to 4 in this order."""

MERGES = 1000
"""How many fragments of program text are learnt on top of single lexemes."""

MIN_COUNT = 20
"""How often a word must occur in the bodies to be a token of its own."""

LEXEME = r"[A-Za-z_]+|[0-9]|\n *| |[^\s]|\s"
"""A regular expression that splits program text into lexemes: numbers into digits, line breaks with the indentation."""

_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_CHARACTERS = tuple(map(chr, (9, 10, *range(32, 127))))


def train_tokenizer(
    bodies: Sequence[str], domain: Sequence[str], pattern: str, merges: int = MERGES
) -> "PreTrainedTokenizerFast":
    """Return a tokenizer whose fragments are the commonest of `bodies`; it round-trips any text. `domain` are the
    lexemes that `pattern` finds."""
    lexemes = Counter(lexeme for body in bodies for lexeme in re.findall(LEXEME, body))
    words = [word for word, count in sorted(lexemes.items()) if count >= MIN_COUNT]
    return build_tokenizer(domain, pattern, words, learn_fragments(bodies, merges))


def learn_fragments(bodies: Iterable[str], merges: int) -> list[str]:
    """Return `merges` sequences of lexemes that are common in `bodies`, found by byte-pair encoding over lexemes.

    Fragments never hold a digit, so that every constant stays a token of its own.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    cut = [re.findall(LEXEME, body) for body in bodies]
    alphabet = sorted({lexeme for lexemes in cut for lexeme in lexemes})
    # BPE merges characters: a lexeme becomes one from the private use area, a digit a blank, at which words end.
    letter = {lexeme: chr(0xE000 + index) if not lexeme.isdigit() else " " for index, lexeme in enumerate(alphabet)}
    lexeme_of = {char: lexeme for lexeme, char in letter.items()}
    coded = ["".join(letter[lexeme] for lexeme in lexemes) for lexemes in cut]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    size = len(alphabet) + merges
    tokenizer.train_from_iterator(coded, trainers.BpeTrainer(vocab_size=size, show_progress=False))
    fragments = [token for token in tokenizer.get_vocab() if len(token) > 1]
    return sorted("".join(lexeme_of[char] for char in token) for token in fragments)


def build_tokenizer(
    domain: Iterable[str], pattern: str, words: Iterable[str] = (), fragments: Iterable[str] = ()
) -> "PreTrainedTokenizerFast":
    """Return the tokenizer of a domain's lexemes, which `pattern` finds, and of these words and fragments, all
    characters and all bytes.

    The model is a lookup: byte-pair encoding without merges, whose byte fallback covers what is not in the vocabulary.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    # Longest first: the regular expression takes the first alternative that matches.
    fragments = sorted(set(fragments), key=lambda text: (-len(text), text))
    ordered = dict.fromkeys([*SPECIAL, *domain, *sorted(words), *fragments, *_CHARACTERS, *_BYTES])
    vocabulary = {token: index for index, token in enumerate(ordered)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], byte_fallback=True, ignore_merges=True))
    cut = "|".join([pattern, *map(_bounded, fragments), LEXEME])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(cut), behavior="isolated")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BEGIN,
        eos_token=END,
        additional_special_tokens=[WRITE, PARENT],
        clean_up_tokenization_spaces=False,
        model_max_length=10**9,
    )


def token_id(tokenizer: "PreTrainedTokenizerBase", token: str) -> int:
    """Return the id of one token."""
    return cast(int, tokenizer.convert_tokens_to_ids(token))


def _bounded(fragment: str) -> str:
    """Return a pattern of the fragment that does not begin or end within a word."""
    before = r"(?<![A-Za-z_])" if re.match(r"[A-Za-z_]", fragment) else ""
    after = r"(?![A-Za-z_])" if re.search(r"[A-Za-z_]$", fragment) else ""
    return before + re.escape(fragment).replace(r"\ ", " ") + after
