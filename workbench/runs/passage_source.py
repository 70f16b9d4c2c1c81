"""PassageSource: where a variant's passages come from: the corpus, how it is cut and searched, and with what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from workbench import paths
from workbench.datasets import Case
from workbench.errors import BenchError
from workbench.models.reference import Model
from workbench.prompting.prompt import Prompt
from workbench.prompting.render import find_variables, render
from workbench.retrieval.spec import CorpusSpec, Retrieve
from workbench.runs.bench import Variant

PASSAGES = "passages"
"""the variable of a template that holds what was retrieved"""


class SeenPassage(msgspec.Struct, frozen=True):
    """A test case whose question stands in the corpus. document: where."""

    case: int
    document: str


class PassageSource(msgspec.Struct, frozen=True, omit_defaults=True):
    """See the module.

    path: of the corpus, absolute. variables: of a case, that are searched for where `retrieve` has no query.
    embedder: the embedding model. digest, embedder_fingerprint: of the corpus as it is cut and of the model's files,
    when a run began; empty: as they are now. seen: cases of that run whose question stands in the corpus.
    """

    retrieve: Retrieve
    path: Path
    chunk: int
    overlap: int
    variables: tuple[str, ...] = ()
    embedder: Model | None = None
    digest: str = ""
    embedder_fingerprint: str = ""
    seen: tuple[SeenPassage, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is retrieved for any case, so that no corpus is needed."""
        return self.retrieve.by == "none" and not self.retrieve.pin

    def make_query(self, case: Case) -> str:
        """What is searched for. Raises PromptError where the query's template cannot be rendered."""
        if not self.retrieve.query:
            texts = [case.variables[name] for name in self.variables if name in case.variables]
            return "\n".join(texts or case.variables.values())
        asked = Prompt("the query of `retrieve`", self.retrieve.query, mode="completion")
        return "".join(message.content for message in render(asked, case.variables))

    def without_path(self) -> PassageSource:
        """The same without what may differ from machine to machine."""
        bare = msgspec.structs.replace(self.embedder, name="", path=Path()) if self.embedder else None
        return msgspec.structs.replace(self, path=Path(), embedder=bare)


def find_passage_source(
    variant: Variant, prompt: Prompt, corpus: CorpusSpec | None, folder: Path, find_model: Callable[[str], Model]
) -> PassageSource | None:
    """Where a variant's passages come from; None where it retrieves nothing.

    folder: the bench's. Raises WorkbenchError where there is no such corpus or embedding model, and BenchError where
    the prompt has no place for what is retrieved.
    """
    retrieve = variant.retrieval
    if retrieve is None:
        return None
    asked = find_variables(prompt)
    if PASSAGES not in asked and (retrieve.by != "none" or retrieve.pin):
        raise BenchError(
            f"{variant.name} retrieves passages, and its prompt {prompt.name} does not show them.",
            "Write {{ passages }} into the prompt, behind what is the same for all cases.",
        )
    if corpus is None:
        return PassageSource(retrieve, Path(), 0, 0)
    path = paths.find_input(corpus.path, folder).absolute()
    variables = tuple(name for name in asked if name != PASSAGES)
    embedder = find_model(retrieve.model) if retrieve.embeds else None
    return PassageSource(retrieve, path, corpus.chunk, corpus.overlap, variables, embedder)
