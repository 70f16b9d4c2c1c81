"""Tiny models with random weights of every kind of memory: a cache, windows, recurrent states, and mixtures of them.

`gemma3` looks back 32 tokens in five layers of six; `jamba` has a state in every second layer, and `lfm2` a short
convolution; the other names are those of gguf_fixture.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf  # noqa: TID253
import gguf_fixture as tiny
import numpy as np

Shapes = dict[str, tuple[int, ...]]

WINDOW, HEAD, KERNEL = 32, tiny.WIDTH // tiny.HEADS, 4
KINDS = ("llama", "gemma2", "gemma3", "mamba", "jamba", "lfm2")


def write_kind(path: Path, kind: str, context_tokens: int = 2048) -> Path:
    """A model of some 30,000 parameters."""
    if kind not in _WRITERS:
        return tiny.write_gguf(path, architecture=kind, context_tokens=context_tokens)
    describe, layers = _WRITERS[kind]
    writer = gguf.GGUFWriter(path, kind)
    writer.add_name("tiny")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(context_tokens)
    writer.add_embedding_length(tiny.WIDTH)
    writer.add_block_count(len(layers))
    writer.add_feed_forward_length(tiny.FORWARD)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_head_count(tiny.HEADS)
    describe(writer)
    size = tiny._add_bpe(writer)
    writer.add_vocab_size(size)
    writer.add_chat_template(tiny.CHAT)
    norm = "token_embd_norm" if kind == "lfm2" else "output_norm"
    shapes: Shapes = {"token_embd.weight": (size, tiny.WIDTH), f"{norm}.weight": (tiny.WIDTH,)}
    shapes |= {} if kind == "gemma3" else {"output.weight": (size, tiny.WIDTH)}
    shapes |= {f"blk.{place}.{name}": shape for place, layer in enumerate(layers) for name, shape in layer.items()}
    for name, shape in shapes.items():
        writer.add_tensor(name, tiny._weights(name, shape, 1))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _describe_window(writer: gguf.GGUFWriter) -> None:
    writer.add_head_count_kv(tiny.HEADS // 2)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_sliding_window(WINDOW)


def _describe_state(writer: gguf.GGUFWriter) -> None:
    writer.add_head_count_kv([0, tiny.HEADS // 2] * 2)
    writer.add_ssm_conv_kernel(KERNEL)
    writer.add_ssm_inner_size(2 * tiny.WIDTH)
    writer.add_ssm_state_size(8)
    writer.add_ssm_time_step_rank(4)


def _describe_convolution(writer: gguf.GGUFWriter) -> None:
    writer.add_head_count_kv([0, tiny.HEADS // 2] * 2)
    writer.add_shortconv_l_cache(KERNEL)
    writer.add_rope_dimension_count(HEAD)


def _attend(*more: str) -> Shapes:
    wide = {"post_attention_norm": tiny.WIDTH, "post_ffw_norm": tiny.WIDTH, "attn_q_norm": HEAD, "attn_k_norm": HEAD}
    return tiny._attention_shapes() | {f"{name}.weight": (wide[name],) for name in more}


def _forward() -> Shapes:
    return {name: shape for name, shape in tiny._attention_shapes().items() if "attn" not in name}


def _remember() -> Shapes:
    norms: Shapes = {"ssm_dt_norm.weight": (4,), "ssm_b_norm.weight": (8,), "ssm_c_norm.weight": (8,)}
    return tiny._state_shapes() | _forward() | norms


def _convolve() -> Shapes:
    width = tiny.WIDTH
    own: Shapes = {"attn_norm.weight": (width,), "shortconv.conv.weight": (width, KERNEL)}
    own |= {"shortconv.in_proj.weight": (3 * width, width), "shortconv.out_proj.weight": (width, width)}
    return own | _forward()


_WRITERS: dict[str, tuple[Callable[[gguf.GGUFWriter], None], list[Shapes]]] = {
    "gemma3": (
        _describe_window,
        [_attend("post_attention_norm", "post_ffw_norm", "attn_q_norm", "attn_k_norm")] * 6,
    ),
    "jamba": (_describe_state, [_remember(), _attend()] * 2),
    "lfm2": (_describe_convolution, [_convolve(), _attend("attn_q_norm", "attn_k_norm")] * 2),
}


class PlainModel:
    """The same file through the library's own class: one sequence, nothing shared, nothing brought back."""

    def __init__(self, path: Path, context_tokens: int = 2048) -> None:
        from llama_cpp import Llama

        self._llama = Llama(
            str(path), n_ctx=context_tokens, n_batch=context_tokens, n_threads=1, logits_all=True, verbose=False
        )

    def read(self, tokens: list[int]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """The log-probabilities behind each token."""
        self._llama.reset()
        self._llama._ctx.kv_cache_clear()
        self._llama.eval(tokens)
        rows = np.array(self._llama.scores[: len(tokens)], np.float64)
        rows -= rows.max(axis=1, keepdims=True)
        return rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))

    def write(self, prompt: list[int], count: int, stop: int) -> list[int]:
        """The likeliest tokens."""
        token, written = int(self.read(prompt)[-1].argmax()), list[int]()
        while token != stop and len(written) < count:
            written.append(token)
            self._llama.eval([token])
            token = int(np.argmax(self._llama.scores[len(prompt) + len(written) - 1]))
        return written

    def close(self) -> None:
        self._llama.close()
