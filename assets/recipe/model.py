"""Model: the shape of desk and how its weights start.

Knows nothing of text or of training.
"""

from __future__ import annotations

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from .tokenizer import CONTEXT


def build_model(vocabulary: int, end_id: int, pad_id: int, width: int, layers: int, inner: int, heads: int, seed: int, matched: float) -> LlamaForCausalLM:
    """A llama with random weights.

    matched: share of each key projection that equals the query projection, so that attention starts out looking for
        what resembles itself: the seed of the lookup that few-shot examples need.
    """
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
    if matched:
        with torch.no_grad():
            for layer in model.model.layers:
                query, key = layer.self_attn.q_proj.weight, layer.self_attn.k_proj.weight
                query.mul_(1.5)
                key.copy_(matched * query + (1 - matched) * 1.5 * key)
    return model
