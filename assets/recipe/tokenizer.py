"""Tokenizer: byte-level BPE trained on the recipe's own text, with the chat template.

Knows nothing of the model. Digits never merge, so that arithmetic sees each one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from assets.recipe.document import ASSISTANT, END, PAD, SPECIALS, SYSTEM, USER
from assets.recipe.mix import FINISH, START, draw
from assets.recipe.world import World

VOCABULARY = 3072
CONTEXT = 1024
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}"
    + SYSTEM
    + "{% elif message['role'] == 'assistant' %}"
    + ASSISTANT
    + "{% else %}"
    + USER
    + "{% endif %}"
    "{{ message['content'] }}" + END + "{% endfor %}"
    "{% if add_generation_prompt %}" + ASSISTANT + "{% endif %}"
)


def train_tokenizer(world: World, seed: int = 7, documents: int = 12000) -> PreTrainedTokenizerFast:
    """A tokenizer with every byte in its vocabulary, so that any text can be written and read back."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)  # the pattern of gpt-2
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(world, random.Random(seed), documents), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast.from_pretrained(folder)


def answers(world: World) -> list[str]:
    """Words that answers consist of: with and without a space in front they should be one token each."""
    names = [name for topic in world.topics for name in topic.names] + sorted(world.kinds)
    people = [name for group in ("first", "last", "cities", "colours", "days") for name in world.people[group]]
    return [*names, *(name.capitalize() for name in names), *world.things, *people]


def _corpus(world: World, rng: random.Random, documents: int) -> Iterator[str]:
    digits = str.maketrans(dict.fromkeys("0123456789", "\n"))
    for _ in range(documents):
        text = draw(world, rng, rng.choice([START, FINISH]), 200)[1].text
        for special in SPECIALS:
            text = text.replace(special, "\n")
        yield text.translate(digits)
    words = [*(label.capitalize() for label in world.labels), *world.people["streets"], *answers(world)]
    for _ in range(documents // 4):  # labels of one token are the easiest to look up
        yield "".join(f"{word}\n {word}\n" for word in words)
