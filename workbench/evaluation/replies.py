"""Replies: what models said to the scorers' questions, known again when the same is asked.

Knows nothing of how a question is carried out, nor of what its reply means.
"""

from __future__ import annotations

import hashlib

import msgspec

from workbench.errors import ModelError
from workbench.evaluation.provenance import ModelTrace, Provenance, digest_question, name_engine, trace_model
from workbench.evaluation.scorers import Ask, Question, Reply
from workbench.evaluation.sources import Sources
from workbench.hosting.pool import Pool
from workbench.models.reference import Model
from workbench.prompting.prompt import Message
from workbench.store.cells import find_reply
from workbench.store.store import Store


class ReplyLibrary:
    """See the module. For one thread."""

    def __init__(self, sources: Sources, store: Store, pool: Pool) -> None:
        self._sources, self._store, self._pool = sources, store, pool
        self._traces: dict[str, ModelTrace] = {}
        self._broken: dict[str, str] = {}

    def find_model(self, name: str) -> Model:
        """A judge's model. Raises WorkbenchError for one that cannot be found, or could not be loaded before."""
        if name in self._broken:
            raise ModelError(self._broken[name])
        return self._trace(name).model

    def note_failure(self, name: str, message: str) -> None:
        """A judge did not answer; one that could not even be loaded is not tried again."""
        if self._pool.info(self._trace(name).model) is None:
            self._broken[name] = message

    def digest(self, question: Question, own: Provenance, messages: tuple[Message, ...]) -> bytes | None:
        """A fingerprint of all that determines the reply; None where chance does.

        own, messages: of the cell on whose behalf it is asked. Raises WorkbenchError when the judge is not there.
        """
        if isinstance(question, Ask):
            model = self._trace(question.model)
            engine = name_engine(model.model.format)
            return digest_question(model, (), question.messages, question.mode, question.sampling, engine)
        sampling = msgspec.structs.replace(own.variant.sampling, temperature=0.0)
        alone = "reproducible" if own.variant.reproducible else ""
        asked = digest_question(
            own.model, own.adapters, messages, own.prompt.mode, sampling, own.engine, strategy=alone
        )
        assert asked is not None  # nothing is drawn
        return hashlib.blake2b(asked + msgspec.json.encode(question), digest_size=16).digest()

    def find(self, digest: bytes | None) -> Reply | None:
        body = find_reply(self._store, digest) if digest else None
        return msgspec.json.decode(body, type=Reply) if body else None

    def _trace(self, name: str) -> ModelTrace:
        if name not in self._traces:
            self._traces[name] = trace_model(self._sources.find_model(name), self._store)
        return self._traces[name]
