"""The tokens that end an answer, as a GGUF file can name them: three by keys, and those that llama.cpp knows by their
text.

Knows nothing of files. Source: llama.cpp's llama-vocab.cpp.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

BY_TEXT = frozenset(
    (
        *("<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>"),
        *("<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>"),
        *("<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~["),
        *("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"),
        *("<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>"),
    )
)
"""Tokens with these texts end an answer in llama.cpp, whatever the file says."""

_KEYS = 3


def choose_ends(ends: Sequence[int], tokens: Sequence[str], unused: Sequence[int]) -> tuple[int, ...]:
    """The tokens to name by keys, the first as the end of a text (eos).

    Without any, an unused one: where the key is missing llama.cpp takes token 11, or 2, for it.
    """
    if not ends:
        return (unused[0],)
    return (ends[0], *_hidden(ends[1:], tokens))


def find_end_problems(ends: Sequence[int], tokens: Sequence[str], has_unused: bool) -> Iterator[str]:
    """What cannot be said about the ends in a GGUF file, as parts of a sentence about the model."""
    if not ends and not has_unused:
        yield "neither its tokenizer nor its settings name a token that ends an answer, and llama.cpp would take one"
    hidden = _hidden(ends[1:], tokens)
    if 1 + len(hidden) > _KEYS:
        named = ", ".join(tokens[token] for token in (ends[0], *hidden))
        yield f"{1 + len(hidden)} tokens end its answers ({named}), and a GGUF file can name {_KEYS}"


def find_lost_ends(ends: Iterable[int], keyed: Iterable[int], texts: Mapping[int, str]) -> list[int]:
    """Of the tokens that should end an answer those that do not in a file with these keys. texts: by token."""
    kept = set(keyed)
    return [token for token in ends if token not in kept and texts.get(token) not in BY_TEXT]


def _hidden(ends: Sequence[int], tokens: Sequence[str]) -> list[int]:
    """Those that llama.cpp does not know by their text."""
    return [token for token in ends if tokens[token] not in BY_TEXT]
