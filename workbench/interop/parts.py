"""What a file of another tool holds, in our terms: prompts, rows of cases, models, and what is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.interop.loss import LossList
from workbench.prompting.prompt import Mode, Role
from workbench.prompting.values import Kind


@dataclass(frozen=True, slots=True)
class ImportedMessage:
    """One message of a prompt. text: a Jinja template."""

    role: Role
    text: str


@dataclass(slots=True)
class ImportedPrompt:
    """A prompt that was read.

    name: as its file or label has it. source: the whole text of a `.prompty` file, which is copied as it is, and
    attachments the files that it refers to, from its file `origin`. options: sampling fields. schema: JSON schema of
    the answer. tools: as Prompty writes them. kinds: of inputs that are no text.
    """

    name: str
    messages: tuple[ImportedMessage, ...] = ()
    description: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    schema: dict[str, Any] | None = None
    tools: list[Any] = field(default_factory=list)
    mode: Mode = "chat"
    source: str | None = None
    label: str = ""
    model: str = ""
    attachments: dict[str, str] = field(default_factory=dict)
    origin: Path | None = None


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """A model that a file names. choice: how a bench names it under `models`; None: the person chooses one.

    prompts: labels of the prompts that it answers; None: all.
    """

    name: str
    choice: Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    prompts: tuple[str, ...] | None = None
    adapters: tuple[str, ...] = ()


@dataclass(slots=True)
class ImportedCase:
    """A row. checks: as the scorer `checks` takes them; threshold: of their mean. expected: the right answer."""

    variables: dict[str, Any]
    expected: str | None = None
    checks: list[Any] = field(default_factory=list)
    threshold: float | None = None
    description: str = ""


@dataclass(slots=True)
class ImportedParts:
    """All that was read. scorers: for all cases, where the format has such. notes: a sentence each."""

    prompts: list[ImportedPrompt] = field(default_factory=list)
    cases: list[ImportedCase] = field(default_factory=list)
    models: list[ImportedModel] = field(default_factory=list)
    scorers: list[Any] = field(default_factory=list)
    repeats: int = 1
    dataset: dict[str, Any] = field(default_factory=dict)
    losses: LossList = field(default_factory=LossList)
    notes: list[str] = field(default_factory=list)

    def merge(self, other: ImportedParts) -> None:
        self.prompts += other.prompts
        self.cases += other.cases
        self.models += other.models
        self.scorers += [one for one in other.scorers if one not in self.scorers]
        self.repeats = max(self.repeats, other.repeats)
        self.dataset = self.dataset or other.dataset
        self.losses.merge(other.losses)
        self.notes += other.notes
