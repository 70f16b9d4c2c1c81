"""The vocabulary of a GGUF file, as llama.cpp reads it."""

from __future__ import annotations

import numpy as np

from workbench.inference.llamacpp.native import native
from workbench.inference.llamacpp.weights import LoadedWeights
from workbench.inference.vocabulary import Vocabulary

_SPECIAL = {"bos_token": "bos", "eos_token": "eos", "sep_token": "sep", "pad_token": "pad", "mask_token": "mask"}
"""Names of special tokens in chat templates -> what llama.cpp calls them."""


class LlamaVocabulary(Vocabulary):
    """The vocabulary of loaded weights, which must stay loaded. handle: the native one."""

    def __init__(self, weights: LoadedWeights) -> None:
        self.handle = native.llama_model_get_vocab(weights.model)
        size = int(native.llama_vocab_n_tokens(self.handle))
        bos, eos = native.llama_vocab_bos(self.handle), native.llama_vocab_eos(self.handle)
        controls = self._find_controls(size)
        # where a file names no end, llama.cpp takes the one of the tokenizer that its kind was first seen with
        self._false_end = eos if not weights.read_text("tokenizer.ggml.eos_token_id") and eos not in controls else None
        super().__init__(
            size,
            bos if 0 <= bos < size else None,
            eos if 0 <= eos < size and self._false_end is None else None,
            controls,
            bool(native.llama_vocab_get_add_bos(self.handle)),
        )
        ids = {name: int(getattr(native, f"llama_vocab_{part}")(self.handle)) for name, part in _SPECIAL.items()}
        self.special_tokens = {
            name: self.text(token) for name, token in ids.items() if 0 <= token < size and token != self._false_end
        }

    def tokenize(self, text: str, special: bool) -> list[int]:
        """Token ids, without a beginning-of-text token. special: control tokens spelled out become themselves."""
        raw = text.encode("utf-8", "replace")
        tokens = np.empty(len(raw) + 8, dtype=np.int32)
        count = self._tokenize(raw, tokens, special)
        if count < 0:
            tokens = np.empty(-count, dtype=np.int32)
            count = self._tokenize(raw, tokens, special)
        ids: list[int] = tokens[:count].tolist()
        return ids

    def token_to_bytes(self, token: int) -> bytes:
        """A token's bytes, control tokens spelled out."""
        buffer = np.empty(64, dtype=np.int8)
        count = self._token_to_piece(token, buffer)
        if count < 0:
            buffer = np.empty(-count, dtype=np.int8)
            count = self._token_to_piece(token, buffer)
        return buffer[:count].tobytes()

    def ends(self, token: int) -> bool:
        """Whether the token ends an answer."""
        known = token != self._false_end and bool(native.llama_vocab_is_eog(self.handle, token))
        return known or token in self._turn_ends

    def _tokenize(self, raw: bytes, tokens: np.ndarray[tuple[int], np.dtype[np.int32]], special: bool) -> int:
        pointer = tokens.ctypes.data_as(native.llama_token_p)
        return int(native.llama_tokenize(self.handle, raw, len(raw), pointer, len(tokens), False, special))

    def _token_to_piece(self, token: int, buffer: np.ndarray[tuple[int], np.dtype[np.int8]]) -> int:
        pointer = buffer.ctypes.data_as(native.ctypes.c_char_p)
        return int(native.llama_token_to_piece(self.handle, token, pointer, len(buffer), 0, True))

    def _find_controls(self, size: int) -> dict[int, str]:
        wanted = native.LLAMA_TOKEN_ATTR_CONTROL | native.LLAMA_TOKEN_ATTR_UNKNOWN
        controls = (token for token in range(size) if native.llama_vocab_get_attr(self.handle, token) & wanted)
        return {token: text for token in controls if (text := self.text(token))}
