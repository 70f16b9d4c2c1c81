"""A device without a model: what its steps take follows from a few figures, on a clock that only they move."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class SimulatedDevice:
    """See step_probe.StepTarget. Seconds: `token` for each token, at least `weights` for the pass over them, `launch`
    for each step, `cell` for each token in the KV cache, `row` to copy a row of logits and look at it, `pick` for a row
    whose token the device picks, `save` for each token that is saved and loaded. picks: whether it does."""

    weights: float = 0.001
    token: float = 0.000_001
    launch: float = 0.0001
    cell: float = 0.0
    row: float = 0.0
    pick: float = 0.0
    save: float = 0.0
    picks: bool = True
    now: float = 0.0
    steps: list[tuple[str, int]] = field(default_factory=list)
    prompt: int = 0

    def clock(self) -> float:
        return self.now

    def prefill(self, tokens: int) -> None:
        self.steps.append(("prefill", tokens))
        self.prompt = tokens
        self.now += self.launch + max(self.weights, tokens * self.token)

    def take_logits(self) -> None:
        self.picks = False

    def decode(self, rows: int) -> None:
        self.steps.append(("decode", rows))
        self.now += self.launch + max(self.weights, rows * self.token) + self.prompt * self.cell
        self.now += rows * (self.pick if self.picks else self.row)

    def free_rows(self) -> None:
        pass

    def free_prompt(self) -> None:
        self.prompt = 0

    def save_and_load(self) -> None:
        self.steps.append(("save", self.prompt))
        self.now += self.prompt * self.save

    def close(self) -> None:
        self.steps.append(("close", 0))
