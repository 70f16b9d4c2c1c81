"""A model's vocabulary: text to token ids, token ids to bytes, and which tokens mean something.

Knows nothing of chat templates or sampling.
"""

from __future__ import annotations

import numpy as np

from workbench.engines.llamacpp.native import native
from workbench.engines.llamacpp.weights import Weights
from workbench.engines.vocabulary import THINKING, cut_added_space, match_any


class Vocabulary:
    """The vocabulary of loaded weights, which must stay loaded."""

    def __init__(self, weights: Weights) -> None:
        self._vocab = native.llama_model_get_vocab(weights.model)
        self.size = int(native.llama_vocab_n_tokens(self._vocab))
        self._pieces: dict[int, bytes] = {}
        self.bos = self._special(native.llama_vocab_bos(self._vocab))
        self.eos = self._special(native.llama_vocab_eos(self._vocab))
        self._adds_bos = bool(native.llama_vocab_get_add_bos(self._vocab))
        self._adds_space = b"".join(map(self.spell, self.tokenize("a", special=False))) == b" a"
        self._controls = self._find_controls()
        self.control = match_any(text for text in self._controls.values() if text not in THINKING)

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

    def continue_text(self, text: str, special: bool) -> list[int]:
        """Token ids of a text that follows other text: without the space that some vocabularies put in front."""
        if self._adds_space:
            found = cut_added_space(self.tokenize("\n" + text, special), self.spell)
            if found is not None:
                return found
        return self.tokenize(text, special)

    def begin(self, ids: list[int]) -> list[int]:
        """The ids with one beginning-of-text token in front, where the model wants one; none for no ids."""
        if not ids or not self._adds_bos or self.bos is None or ids[0] == self.bos:
            return ids
        return [self.bos, *ids]

    def piece(self, token: int) -> bytes:
        """A token's bytes as part of an answer: control tokens are empty, except those that frame reasoning."""
        if token not in self._pieces:
            text = self._controls.get(token)
            hidden = text is not None and text not in THINKING
            self._pieces[token] = b"" if hidden else self.spell(token)
        return self._pieces[token]

    def spell(self, token: int) -> bytes:
        """A token's bytes, control tokens spelled out."""
        buffer = np.empty(64, dtype=np.int8)
        count = self._spell(token, buffer)
        if count < 0:
            buffer = np.empty(-count, dtype=np.int8)
            count = self._spell(token, buffer)
        return buffer[:count].tobytes()

    def text(self, token: int | None) -> str:
        """A token spelled out as text; empty for None."""
        return "" if token is None else self.spell(token).decode("utf-8", "replace")

    def ends(self, token: int) -> bool:
        """Whether the token ends an answer."""
        return bool(native.llama_vocab_is_eog(self._vocab, token))

    def has(self, *texts: str) -> bool:
        """Whether each of the texts is a control token."""
        return set(texts) <= set(self._controls.values())

    def _tokenize(self, raw: bytes, tokens: np.ndarray[tuple[int], np.dtype[np.int32]], special: bool) -> int:
        pointer = tokens.ctypes.data_as(native.llama_token_p)
        return int(native.llama_tokenize(self._vocab, raw, len(raw), pointer, len(tokens), False, special))

    def _spell(self, token: int, buffer: np.ndarray[tuple[int], np.dtype[np.int8]]) -> int:
        pointer = buffer.ctypes.data_as(native.ctypes.c_char_p)
        return int(native.llama_token_to_piece(self._vocab, token, pointer, len(buffer), 0, True))

    def _special(self, token: int) -> int | None:
        return token if 0 <= token < self.size else None

    def _find_controls(self) -> dict[int, str]:
        wanted = native.LLAMA_TOKEN_ATTR_CONTROL | native.LLAMA_TOKEN_ATTR_UNKNOWN
        controls = (token for token in range(self.size) if native.llama_vocab_get_attr(self._vocab, token) & wanted)
        return {token: text for token in controls if (text := self.text(token))}
