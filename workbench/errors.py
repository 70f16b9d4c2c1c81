"""The error tree: every error that is shown to a user.

    WorkbenchError
    ├── SettingsError          the settings file holds something that is not a setting
    ├── OutputError            standard output cannot be written
    ├── FileError              a file could not be read or written
    │   └── FileChangedError   another program changed the file since it was opened
    ├── PromptError            a prompt file or template cannot be used
    │   ├── TemplateError      syntax error in a template, with line and column
    │   └── MissingVariablesError  the template asks for variables that the case lacks
    ├── StepError              a step of a chain failed, so that the steps behind it were not run
    ├── BudgetError            the prompt does not fit the model's context
    ├── DatasetError           a dataset cannot be read, with file and line
    │   └── DatasetChangedError  another program changed its file since it was opened
    ├── BenchError             a bench file does not describe a comparison
    ├── ScorerError            a scorer is unknown or wrongly configured
    ├── StoreError             the store of runs cannot be opened, read or written
    │   └── StoreBlockedError  it takes nothing for now: the disk is full or read-only, or another process keeps it
    ├── TrainingError          a recipe cannot be trained, or its training cannot go on
    ├── SearchError            a prompt search cannot begin, or cannot go on
    ├── SynthesisError         synthetic rows cannot be written, or their review cannot go on
    ├── HarnessError           tasks of lm-eval cannot be run
    ├── ModelError             a model cannot be found, read or loaded
    │   └── OutOfMemoryError   there is no memory for it, on this machine or on a device
    └── EngineError            an engine refused a request, or its process died
        └── ServerMismatchError  a server does not do what it was proved to do, so that no answer of it can be trusted

An error has three parts: what was expected and found, and where (`message`), what to do (`hint`), and what only an
expert wants to read (`details`).
"""

from __future__ import annotations


class WorkbenchError(Exception):
    """Something a person can understand and act on. Half a character (a lone surrogate) in it is spelled `\\ud800`."""

    def __init__(self, message: str, hint: str = "", details: str = "") -> None:
        message, hint, details = (text.encode(errors="backslashreplace").decode() for text in (message, hint, details))
        super().__init__(message, hint, details)
        self.message = message
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class SettingsError(WorkbenchError):
    """The settings file holds something that is not a setting."""


class OutputError(WorkbenchError):
    """Standard output cannot be written: the disk is full, or the pipe is closed."""


class FileError(WorkbenchError):
    """A file could not be read or written."""


class FileChangedError(FileError):
    """Another program changed the file since it was opened; nothing was overwritten."""


class PromptError(WorkbenchError):
    """A prompt file or template cannot be used."""


class TemplateError(PromptError):
    """A template has a syntax error, or fails while it is rendered.

    line and column count from 1 in the prompt's body; None where the template engine does not say.
    """

    def __init__(
        self, message: str, hint: str = "", details: str = "", line: int | None = None, column: int | None = None
    ) -> None:
        super().__init__(message, hint, details)
        self.line = line
        self.column = column


class MissingVariablesError(PromptError):
    """The template asks for variables that the case does not have; names lists every one."""

    def __init__(self, message: str, hint: str = "", details: str = "", names: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint, details)
        self.names = names


class StepError(WorkbenchError):
    """A step of a chain failed, or its answer was not accepted; the steps behind it were not run."""


class BudgetError(WorkbenchError):
    """The prompt and the reserved output do not fit the model's context."""


class DatasetError(WorkbenchError):
    """A dataset cannot be read."""


class DatasetChangedError(DatasetError):
    """Another program changed the dataset's file since it was opened; opened again, it can be read as it is now."""

    def __init__(self, path: object) -> None:
        super().__init__(f"{path} was changed by another program since it was opened.", "Open it again.")


class BenchError(WorkbenchError):
    """A bench file does not describe a comparison."""


class ScorerError(WorkbenchError):
    """A scorer is unknown or wrongly configured."""


class StoreError(WorkbenchError):
    """The store of runs cannot be opened, read or written; what was in it is still there."""


class StoreBlockedError(StoreError):
    """The store takes nothing for now: the disk is full or read-only, or another process keeps it busy. What could not
    be written may be written later."""


class TrainingError(WorkbenchError):
    """A recipe cannot be trained, or its training cannot go on; what was saved of it is still there."""


class SearchError(WorkbenchError):
    """A prompt search cannot begin, or cannot go on."""


class SynthesisError(WorkbenchError):
    """Synthetic rows cannot be written, or their review cannot go on."""


class HarnessError(WorkbenchError):
    """Tasks of lm-eval cannot be run."""


class ModelError(WorkbenchError):
    """A model cannot be found, read or loaded."""


class OutOfMemoryError(ModelError):
    """There is no memory for a model or its KV cache, on this machine or on a device."""


class EngineError(WorkbenchError):
    """An engine refused a request, or its process died."""


class ServerMismatchError(EngineError):
    """A server does otherwise than it says, or than it did when it was probed: it cut the prompt, another model
    answered, an adapter does not act. A run ends with it, since none of its further answers can be trusted."""
