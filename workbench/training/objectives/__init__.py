"""The training objectives, one file each: what it learns from, its trainer of TRL and what is measured meanwhile."""

from __future__ import annotations

from workbench.training.objectives.objective import DataForm, MethodKind, Objective, TrainerSpec
from workbench.training.objectives.registry import OBJECTIVES, ObjectiveName

__all__ = ["OBJECTIVES", "DataForm", "MethodKind", "Objective", "ObjectiveName", "TrainerSpec"]
