"""A grammar that an answer must follow, in llama.cpp's form (GBNF), by llama.cpp's own parser.

Knows nothing of how tokens are chosen.
"""

from __future__ import annotations

import ctypes
import json
from typing import Any

import numpy as np

from workbench.engines.engine import Sampling
from workbench.engines.likelihood import Logits
from workbench.engines.llamacpp.grammar_trial import check_ends
from workbench.engines.llamacpp.native import LOG, native
from workbench.errors import EngineError

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Grammar:
    """The grammar of one answer under way; see Rules. vocabulary: llama.cpp's handle."""

    def __init__(self, text: str, vocabulary: Any, size: int) -> None:
        """Raises EngineError that says what llama.cpp found wrong with the grammar."""
        LOG.lines.clear()
        raw = text.encode("utf-8", "replace")
        whole = b"\0" not in raw  # C would read up to there
        self._sampler = native.llama_sampler_init_grammar(vocabulary, raw, b"root") if whole else None
        if not self._sampler:
            said = "\n".join(LOG.lines)
            raise EngineError(
                "The grammar cannot be used: llama.cpp could not read it, or it has no rule called root.",
                "Correct it; each rule has the form `name ::= ...`, and root is where an answer begins.",
                f"{said}\n{text}".strip(),
            )
        self._size = size

    def allow(self, token: int) -> bool:
        found = np.zeros(1, dtype=_CANDIDATE)
        found["id"] = token
        self._apply(found)
        return bool(np.isfinite(found["logit"][0]))

    def mask(self, logits: Logits) -> Logits:
        found = np.zeros(self._size, dtype=_CANDIDATE)
        found["id"] = np.arange(self._size)
        found["logit"] = logits
        self._apply(found)
        masked: Logits = np.ascontiguousarray(found["logit"])
        return masked

    def accept(self, token: int) -> None:
        native.llama_sampler_accept(self._sampler, token)

    def close(self) -> None:
        if self._sampler:
            native.llama_sampler_free(self._sampler)
            self._sampler = None

    def _apply(self, candidates: np.ndarray[tuple[int], np.dtype[np.void]]) -> None:
        data = candidates.ctypes.data_as(ctypes.POINTER(native.llama_token_data))
        array = native.llama_token_data_array(data=data, size=len(candidates), selected=-1, sorted=False)
        native.llama_sampler_apply(self._sampler, ctypes.byref(array))


def write_grammar(sampling: Sampling) -> str:
    """The grammar that a request asks for, whichever way it asks; empty for none. Raises EngineError."""
    if sampling.json_schema is None:
        if sampling.grammar:
            check_ends(sampling.grammar)
        return sampling.grammar
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    schema = json.dumps(sampling.json_schema)
    try:
        return str(json_schema_to_gbnf(schema))
    except Exception as error:
        raise EngineError(
            f"The JSON schema cannot be made into a grammar: {type(error).__name__}: {error}.",
            "Use plainer words of JSON Schema: type, properties, required, items, enum, const, anyOf.",
            schema,
        ) from error
