"""TypedInputs: what a person typed over the cases of an open bench. The dataset's file stays as it is."""

from __future__ import annotations

from workbench.runs.bench_autosave import Inputs


class TypedInputs:
    """Number of a case -> variable, or `expected` -> the text typed over it."""

    def __init__(self) -> None:
        self._texts: dict[int, dict[str, str]] = {}

    def of(self, number: int) -> dict[str, str]:
        """What was typed over a case."""
        return dict(self._texts.get(number, {}))

    @property
    def all(self) -> dict[int, dict[str, str]]:
        """What was typed over every case that differs from its row."""
        return {number: dict(texts) for number, texts in self._texts.items() if texts}

    def type(self, number: int, variable: str, text: str, original: str) -> bool:
        """Overwrite a variable whose row has `original`; whether that changed anything."""
        typed = self.of(number)
        if text == original:
            typed.pop(variable, None)
        else:
            typed[variable] = text
        if typed == self.of(number):
            return False
        self._texts[number] = typed
        return True

    def forget(self, number: int) -> None:
        """The case reads as its row again."""
        self._texts.pop(number, None)

    def restore(self, inputs: Inputs) -> None:
        """Everything typed is this and nothing else."""
        self._texts = {number: dict(texts) for number, texts in inputs.items()}

    def restore_with(self, inputs: Inputs, current: int, texts: dict[str, str]) -> None:
        """As `restore`; that of the current case stands in the bench."""
        self.restore(inputs)
        self.forget(current)
        if texts:
            self._texts[current] = dict(texts)

    def has_others(self, current: int) -> bool:
        """Whether anything was typed over another case than the current one."""
        return any(texts for number, texts in self._texts.items() if number != current)
