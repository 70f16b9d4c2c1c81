"""Tiny Hugging Face folders with random weights, and adapters for them, written in a moment.

The text they write is noise, but the same noise every time.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import peft  # noqa: TID253
import torch  # noqa: TID253
import transformers  # noqa: TID253
from gguf_fixture import CHAT, CONTROLS
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast  # noqa: TID253

TEXT = "the parcel in the house, and the kettle is here; Be kind. Where is my parcel? And mine? ünïcode € "
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
    "tie_word_embeddings": False,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 1,
}


def write_hf(
    folder: Path,
    architecture: str = "Llama",
    chat_template: str | None = CHAT,
    context_tokens: int = 200,
    dtype: torch.dtype = torch.float32,
    more_controls: tuple[str, ...] = (),
    **shape: Any,
) -> Path:
    """A model of some 40,000 parameters. more_controls: further control tokens. shape: changes to its configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = write_tokenizer(folder, chat_template, more_controls)
    torch.manual_seed(1)
    config = getattr(transformers, f"{architecture}Config")(
        vocab_size=shape.pop("vocab_size", len(tokenizer) + 5),  # more than the tokenizer has, as padded models do
        max_position_embeddings=context_tokens,
        **{**SHAPE, **shape},
    )
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)
    for name, parameter in model.named_parameters():
        if "norm" not in name:  # some architectures begin with numbers too small to tell tokens apart
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return folder


def write_tokenizer(
    folder: Path, chat_template: str | None = CHAT, more_controls: tuple[str, ...] = ()
) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = [*CONTROLS, *more_controls]
    trainer = trainers.BpeTrainer(
        vocab_size=300 + len(more_controls), special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([TEXT] * 4, trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|begin|>",
        eos_token="<|end|>",
        additional_special_tokens=special[2:],
        chat_template=chat_template,
    )
    made.save_pretrained(folder)
    return made


def write_adapter(base: Path, folder: Path, config: peft.PeftConfig, seed: int = 5) -> Path:
    """An adapter for a base, with random numbers in every tensor that training would change."""
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    config.task_type = "CAUSAL_LM"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = peft.get_peft_model(model, config)
        torch.manual_seed(seed)
        for _, parameter in sorted(made.named_parameters()):
            if parameter.requires_grad:
                with torch.no_grad():
                    parameter.add_(torch.randn_like(parameter) * 0.2)
        made.save_pretrained(folder)
    return folder
