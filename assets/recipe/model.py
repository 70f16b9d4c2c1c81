"""Model: the shape of desk and how its weights start.

Knows nothing of text or of training.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from assets.recipe.tokenizer import CONTEXT


def build_model(
    vocabulary: int,
    end_id: int,
    pad_id: int,
    seed: int,
    width: int = 160,
    layers: int = 4,
    inner: int = 480,
    heads: int = 5,
    matched: float = 0.5,
    seeded: bool = True,
) -> LlamaForCausalLM:
    """A llama with random weights, but for what the seed_ functions lay into them."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": 50000.0},
        rms_norm_eps=1e-5,
        initializer_range=0.05,
        tie_word_embeddings=True,
        bos_token_id=end_id,
        eos_token_id=end_id,
        pad_token_id=pad_id,
        attn_implementation="eager",
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        if matched:
            seed_matching(model, matched)
        if seeded:
            seed_recency(model)
    return model


def seed_matching(model: LlamaForCausalLM, share: float) -> None:
    """Let attention start out looking for what resembles itself, and half of the heads pass on what they find.

    share: how much of each key projection equals the query projection (Trockman and Kolter, 2023, found such a start
        in trained models).
    """
    for layer in model.model.layers:
        attention = layer.self_attn
        query, key = attention.q_proj.weight, attention.k_proj.weight
        query.mul_(1.5)
        key.copy_(share * query + (1 - share) * 1.5 * key)
        half = attention.v_proj.weight.shape[0] // 2
        basis = torch.linalg.qr(torch.randn(model.config.hidden_size, half))[0]
        attention.v_proj.weight[:half] = 0.5 * basis.T
        attention.o_proj.weight[:, :half] = 0.4 * basis


def seed_recency(model: LlamaForCausalLM, constant: float = 0.2, sharpness: float = 6.0) -> None:
    """Let three heads of the first layer start out looking one token back, two back, and at the last few.

    Every embedding gets the same first component; queries and keys read it as a fixed direction in the planes that
    the position rotates, so that their product depends on the distance alone. The component adds the same to all
    logits and so changes no prediction.
    """
    config, attention = model.config, model.model.layers[0].self_attn
    size, theta = config.head_dim, config.rope_parameters["rope_theta"]
    table = model.model.embed_tokens.weight
    table[:, 0] = constant
    read = constant / table.square().mean(dim=1).sqrt().mean()
    gain = (sharpness * size**0.5) ** 0.5 / read
    for head, (offset, planes) in enumerate([(1, range(5)), (2, range(5)), (4, range(2, 6))]):
        for plane in planes:
            angle = offset * theta ** (-2 * plane / size)
            row = head * size + plane
            attention.q_proj.weight[row, 0] = gain
            attention.q_proj.weight[row + size // 2, 0] = 0.0
            attention.k_proj.weight[row, 0] = gain * torch.cos(torch.tensor(angle))
            attention.k_proj.weight[row + size // 2, 0] = gain * torch.sin(torch.tensor(angle))


@torch.no_grad()
def tell_apart(table: torch.Tensor, words: Sequence[Sequence[int]], seed: int, common: float = 0.6) -> None:
    """Give words that stand in for one another vectors of their own; all ids of a word get nearly the same one.

    Where text gives one of them by chance, as with the days of the week, guessing draws their vectors together, until
    the model sees that a day is named but not which. Each keeps a share of what all have in common, and gets a
    direction that none of the others has. The first component stays: seed_recency reads it.
    """
    generator = torch.Generator().manual_seed(seed)
    length = table.norm(dim=1).median()
    own = torch.linalg.qr(torch.randn(table.shape[1] - 1, len(words), generator=generator))[0].T
    for form in zip(*words, strict=True):
        ids = list(form)
        first, shared = table[ids, 0], table[ids].mean(dim=0)
        table[ids] = common * shared
        table[ids, 1:] += 0.8 * length * own
        table[ids, 0] = first
