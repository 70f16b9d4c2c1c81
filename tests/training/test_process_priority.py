"""A training computes each pass with the cores that it is granted then."""

from __future__ import annotations

from pathlib import Path


class FakeCpuBudget:
    """Grants what it is told to."""

    def __init__(self) -> None:
        self.granted, self.begun = 1, 0

    def begin(self) -> None:
        self.begun += 1

    def threads(self) -> int:
        return self.granted


def test_threads_follow_the_grant_at_every_pass(tiny_hf: Path):
    import torch
    import transformers

    from workbench.training.child.environment import follow_cpu_budget

    model, cpu_budget = transformers.AutoModelForCausalLM.from_pretrained(tiny_hf), FakeCpuBudget()
    before = torch.get_num_threads()
    follow_cpu_budget(cpu_budget, model)  # type: ignore[arg-type]
    try:
        for granted in (1, 2, 1):
            cpu_budget.granted = granted
            model(input_ids=torch.tensor([[5, 6, 7]]))
            assert torch.get_num_threads() == granted
    finally:
        torch.set_num_threads(before)
    assert cpu_budget.begun == 3
    model.to("meta")(input_ids=torch.tensor([[5, 6, 7]], device="meta"))
    assert cpu_budget.begun == 3, "a model on a device reserves no cores"
