"""The tiny world's tokenizer: byte-complete BPE, single digits, tags as single tokens.

No chat template: a base model has none. The turn tokens wait for the stage that teaches it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from r1.data.tiny.corpus import documents

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

END = "<|endoftext|>"
TURN_START, TURN_END = "<|im_start|>", "<|im_end|>"
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
WORD_PATTERN = r" ?[A-Za-z]+|\p{N}|\p{Han}+| ?\p{L}+| ?[^\s\p{L}\p{N}]|\s"


def train_tokenizer(vocab_size: int, num_documents: int, seed: int) -> PreTrainedTokenizerFast:
    """Learn the merges from the corpus's first documents; the same arguments give the same file."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORD_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    specials = [END, TURN_START, TURN_END]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(TAGS),
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (document.text for document in itertools.islice(documents(seed), num_documents))
    stripped = (_without_tags(text) for text in texts)
    tokenizer.train_from_iterator(stripped, trainer)
    tokenizer.add_tokens([AddedToken(tag, normalized=False, special=False) for tag in TAGS])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END)


def _without_tags(text: str) -> str:
    for tag in TAGS:
        text = text.replace(tag, "\n")
    return text
