"""Tiny GGUF files with random weights, written in a moment: every kind of model that the engine must bear.

The text they write is noise, but the same noise every time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import gguf  # noqa: TID253
import numpy as np

CHAT = (
    "{% for message in messages %}{{ '<|' + message.role + '|>' }}{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
LONG_CHAT = (
    "{{ bos_token }}{# " + "a long comment, as real templates have them " * 200 + "#}"
    "{%- set ns = namespace(turn=0) -%}"
    "{%- if messages[0].role == 'system' -%}{{ raise_exception('System role not supported') }}{%- endif -%}"
    "{%- for message in messages -%}{%- set ns.turn = ns.turn + 1 -%}"
    "{{ '<|' + message['role'] + '|>' + message['content'] | trim + '<|end|>' }}"
    "{%- if ns.turn > 100 -%}{%- break -%}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)
THINKING_CHAT = CHAT.replace("<|assistant|>{% endif %}", "<|assistant|><think>\n{% endif %}")

CONTROLS = ("<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
WORDS = ("he", "the", " the", "in", " in", "er", "an", " a", "ing", "€")
WIDTH, LAYERS, HEADS, FORWARD = 32, 2, 4, 64

Adaptation = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


def write_gguf(
    path: Path,
    chat_template: str | None = CHAT,
    vocabulary: Literal["bpe", "spm"] = "bpe",
    context_tokens: int = 512,
    architecture: str = "llama",
    seed: int = 1,
    experts: int = 0,
    marks: tuple[str, ...] = (),
) -> Path:
    """A model of some 20,000 parameters; bpe adds no beginning-of-text token, spm does.

    architecture: `mamba` has a recurrent state instead of a cache, `gemma2` a sliding window of 32 tokens; any
        other name gets llama's tensors. experts: of each layer of a mixture of experts, two of which compute a token.
        marks: further tokens of bpe, such as `<tool_call>`, with the ids from `len(CONTROLS)` on.
    """
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(context_tokens)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_layer_norm_rms_eps(1e-5)
    if architecture == "mamba":
        _add_state(writer)
    else:
        _add_attention(writer, architecture)
    size = _add_bpe(writer, marks) if vocabulary == "bpe" else _add_spm(writer)
    writer.add_vocab_size(size)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    blocks = {"mamba": _state_shapes, "gemma2": _window_shapes}.get(architecture, _attention_shapes)()
    if experts:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(2)
        dense = {
            name: blocks.pop(name)
            for name in [name for name in blocks if name.startswith("ffn_") and "norm" not in name]
        }
        blocks |= {name.replace(".weight", "_exps.weight"): (experts, *shape) for name, shape in dense.items()}
        blocks["ffn_gate_inp.weight"] = (experts, WIDTH)
    shapes = {"token_embd.weight": (size, WIDTH), "output_norm.weight": (WIDTH,)}
    shapes |= {} if architecture == "gemma2" else {"output.weight": (size, WIDTH)}
    shapes |= {f"blk.{layer}.{name}": shape for layer in range(LAYERS) for name, shape in blocks.items()}
    for name, shape in shapes.items():
        writer.add_tensor(name, _weights(name, shape, seed))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def byte_symbols() -> list[str]:
    """The printable stand-in of each byte in a byte-level vocabulary, as GPT-2 maps them."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]


def _add_bpe(writer: gguf.GGUFWriter, marks: tuple[str, ...] = ()) -> int:
    symbols = byte_symbols()
    spelled = ["".join(symbols[byte] for byte in word.encode()) for word in WORDS]
    pieces: list[str] = []
    merges: list[str] = []
    for word in spelled:  # a token for every left part of a word, so that the merges lead to it
        for end in range(2, len(word) + 1):
            if word[:end] not in pieces:
                pieces.append(word[:end])
                merges.append(f"{word[: end - 1]} {word[end - 1]}")
    tokens = [*CONTROLS, *marks, *symbols, *pieces]
    kinds = [gguf.TokenType.CONTROL] * len(CONTROLS) + [gguf.TokenType.USER_DEFINED] * len(marks)
    kinds += [gguf.TokenType.NORMAL] * (256 + len(pieces))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(False)
    return len(tokens)


def _add_spm(writer: gguf.GGUFWriter) -> int:
    words = [word.replace(" ", "▁") for word in WORDS]
    tokens = ["<unk>", "<s>", "</s>", *CONTROLS[2:], *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *words]
    letters = [letter for letter in "abcdefghijklmnopqrstuvwxyz" if letter not in tokens]
    tokens += letters
    kinds = [gguf.TokenType.UNKNOWN] + [gguf.TokenType.CONTROL] * 5 + [gguf.TokenType.BYTE] * 256
    kinds += [gguf.TokenType.NORMAL] * (len(tokens) - len(kinds))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 262 + [-float(rank) for rank in range(len(tokens) - 262)])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    return len(tokens)


def _add_attention(writer: gguf.GGUFWriter, architecture: str) -> None:
    writer.add_feed_forward_length(FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS // 2)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    if architecture == "qwen2vl":
        writer.add_rope_dimension_sections([2, 1, 1, 0])
    if architecture == "gemma2":
        writer.add_key_length(WIDTH // HEADS)
        writer.add_value_length(WIDTH // HEADS)
        writer.add_sliding_window(32)


def _add_state(writer: gguf.GGUFWriter) -> None:
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_ssm_conv_kernel(4)
    writer.add_ssm_inner_size(2 * WIDTH)
    writer.add_ssm_state_size(8)
    writer.add_ssm_time_step_rank(4)


def _attention_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"attn_norm.weight": (WIDTH,), "ffn_norm.weight": (WIDTH,)}
    shapes |= {"attn_q.weight": (WIDTH, WIDTH), "attn_output.weight": (WIDTH, WIDTH)}
    shapes |= {f"attn_{part}.weight": (WIDTH // 2, WIDTH) for part in "kv"}
    shapes |= {f"ffn_{part}.weight": (FORWARD, WIDTH) for part in ("gate", "up")}
    return shapes | {"ffn_down.weight": (WIDTH, FORWARD)}


def _window_shapes() -> dict[str, tuple[int, ...]]:
    return _attention_shapes() | {"post_attention_norm.weight": (WIDTH,), "post_ffw_norm.weight": (WIDTH,)}


def _state_shapes() -> dict[str, tuple[int, ...]]:
    inner, state, rank = 2 * WIDTH, 8, 4
    return {
        "attn_norm.weight": (WIDTH,),
        "ssm_in.weight": (2 * inner, WIDTH),
        "ssm_conv1d.weight": (inner, 4),
        "ssm_conv1d.bias": (inner,),
        "ssm_x.weight": (rank + 2 * state, inner),
        "ssm_dt.weight": (inner, rank),
        "ssm_dt.bias": (inner,),
        "ssm_a": (inner, state),
        "ssm_d": (inner,),
        "ssm_out.weight": (WIDTH, inner),
    }


def _weights(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    if "norm" in name:
        return np.ones(shape, dtype=np.float32)
    if name.endswith("ssm_a"):
        return -np.ones(shape, dtype=np.float32)  # a state must fade
    generator = np.random.default_rng([seed, *name.encode()])
    scale = 3.0 if name == "output.weight" else 1.0
    return (generator.standard_normal(shape) * scale / np.sqrt(shape[-1])).astype(np.float32)


def write_gguf_adapter(
    path: Path, base: Path, seed: int = 7, rank: int = 4, alpha: float = 8.0, changes: Adaptation | None = None
) -> Path:
    """A LoRA on every linear layer of a tiny model. changes: what is done to its tensors before they are written."""
    reader = gguf.GGUFReader(base)
    architecture = reader.get_field("general.architecture").contents()  # type: ignore[union-attr]
    tensors: dict[str, np.ndarray] = {}
    for tensor in reader.tensors:
        if tensor.name.startswith("blk.") and len(tensor.shape) == 2:
            outputs, inputs = tensor.data.shape
            for part, shape in (("a", (rank, inputs)), ("b", (outputs, rank))):
                generator = np.random.default_rng([seed, *f"{tensor.name}.{part}".encode()])
                tensors[f"{tensor.name}.lora_{part}"] = (0.2 * generator.standard_normal(shape)).astype(np.float32)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    for name, array in (changes(tensors) if changes else tensors).items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
