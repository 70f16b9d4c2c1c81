"""A Hugging Face tokenizer as a vocabulary: text to token ids, token ids to bytes, which tokens end an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from workbench.inference.reasoning import AnswerFormat
from workbench.inference.vocabulary import Vocabulary

TURN_ENDS = frozenset(
    ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<end_of_turn>", "<turn|>", "<|endoftext|>", "<|return|>")
)
"""Control tokens that end a turn, where neither a folder's settings nor its chat template show one."""

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class TransformersVocabulary(Vocabulary):
    """The vocabulary of a tokenizer. size: how many tokens the model has numbers for.

    ends: the tokens that the model's own configuration names as ends.
    """

    def __init__(self, tokenizer: Any, size: int, ends: Iterable[int]) -> None:
        self._tokenizer = tokenizer
        self._backend = getattr(tokenizer, "backend_tokenizer", None)
        self._added = {token: str(added) for token, added in tokenizer.added_tokens_decoder.items()}
        controls = {token: str(added) for token, added in tokenizer.added_tokens_decoder.items() if added.special}
        self._decoders = set(_decoder_types(self._backend))
        self._ends = set(ends)
        bos: int | None = tokenizer.bos_token_id
        eos: int | None = tokenizer.eos_token_id
        if eos is not None:
            self._ends.add(eos)
        if self._backend is not None:
            self._backend.no_truncation()
            self._backend.no_padding()
        adds_bos = bos is not None and tokenizer.encode("a")[:1] == [bos]
        super().__init__(size, bos, eos, controls, adds_bos, dict(tokenizer.special_tokens_map))

    def tokenize(self, text: str, special: bool) -> list[int]:
        """Token ids, without a beginning-of-text token. special: control tokens spelled out become themselves."""
        text = text.encode("utf-8", "replace").decode()
        if self._backend is None:
            return list(self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=not special))
        self._backend.encode_special_tokens = not special
        return list(self._backend.encode(text, add_special_tokens=False).ids)

    def token_to_bytes(self, token: int) -> bytes:
        """A token's bytes, control tokens spelled out; none for an id that the tokenizer does not know."""
        if token in self._added:
            return self._added[token].encode()
        text = self._tokenizer.convert_ids_to_tokens(token)
        if text is None:
            return b""
        if "ByteLevel" in self._decoders:
            return _from_byte_level(text)
        if self._decoders & {"ByteFallback", "Metaspace"} or "▁" in text:
            found = _BYTE.fullmatch(text)
            return bytes((int(found[1], 16),)) if found else text.replace("▁", " ").encode("utf-8", "replace")
        return self._decode_in_context(token)

    def ends(self, token: int) -> bool:
        """Whether the token ends an answer."""
        return token in self._ends or token in self._turn_ends

    @property
    def has_end(self) -> bool:
        return bool(self._ends or self._turn_ends)

    def adopt(self, form: AnswerFormat) -> None:
        super().adopt(form)
        if not self._turn_ends:
            self._turn_ends = frozenset(token for token, text in self._controls.items() if text in TURN_ENDS)

    def _decode_in_context(self, token: int) -> bytes:
        """What a token adds to a text, for tokenizers that join words by rules of their own."""
        before = self.tokenize("a", special=False)
        short = self._tokenizer.decode(before, clean_up_tokenization_spaces=False)
        long = self._tokenizer.decode([*before, token], clean_up_tokenization_spaces=False)
        return str(long)[len(short) :].encode("utf-8", "replace")


def _decoder_types(backend: Any) -> Iterator[str]:
    """The names of the steps by which a tokenizer turns tokens into text."""
    if backend is None or backend.decoder is None:
        return
    step = json.loads(backend.decoder.__getstate__())
    yield step["type"]
    for inner in step.get("decoders", ()):
        yield inner["type"]


def _make_byte_table() -> dict[str, int]:
    """The characters by which byte-level tokenizers write bytes: printable ones stand for themselves."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + index): byte for index, byte in enumerate(rest)}


_BYTES = _make_byte_table()


def _from_byte_level(text: str) -> bytes:
    if all(character in _BYTES for character in text):
        return bytes(_BYTES[character] for character in text)
    return text.encode("utf-8", "replace")
