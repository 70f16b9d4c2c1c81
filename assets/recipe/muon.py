"""Muon: momentum whose matrices are made orthogonal before they are applied (Jordan et al., 2024).

Knows nothing of the model. Matrices of one shape are handled in one batched product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch


class Muon(torch.optim.Optimizer):
    """For weight matrices only; embeddings and norms belong to another optimizer."""

    def __init__(
        self, parameters: Sequence[torch.nn.Parameter], rate: float, momentum: float = 0.95, decay: float = 0.01
    ) -> None:
        super().__init__(
            [{"params": list(parameters), "base": rate}], {"lr": rate, "momentum": momentum, "decay": decay}
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            shapes: dict[torch.Size, list[torch.nn.Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                shapes[parameter.shape].append(parameter)
            for shape, parameters in shapes.items():
                updates = orthogonalize(
                    torch.stack([self._momentum(parameter, group["momentum"]) for parameter in parameters])
                )
                scale = max(1.0, shape[0] / shape[1]) ** 0.5
                for parameter, update in zip(parameters, updates, strict=True):
                    parameter.mul_(1 - group["lr"] * group["decay"]).add_(update, alpha=-group["lr"] * scale)

    def _momentum(self, parameter: torch.nn.Parameter, momentum: float) -> torch.Tensor:
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(state["momentum"], momentum)


def orthogonalize(matrices: torch.Tensor, rounds: int = 5) -> torch.Tensor:
    """The nearest orthogonal matrix of each, roughly, by a Newton-Schulz iteration in bfloat16."""
    x = matrices.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(rounds):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return (x.mT if tall else x).float()
