"""How a node of a cluster is divided among parts of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from workbench.units import format_bytes


class NodeShare(NamedTuple):
    """What a part of the run takes of a node, in Ray's terms. memory: bytes."""

    cpus: float
    gpus: float
    memory: int


def divide_node(resources: Mapping[str, float], memory: int, computes: bool) -> list[NodeShare] | str:
    """The parts of the run on a node: one for each graphics card, or one with all processors where it has none; else
    why it has none.

    resources: of the node, as Ray has them. memory: bytes that the models take, by their estimate; parts on cards are
    each asked for as much of the node's, through which a model is loaded. computes: whether the engines compute
    anything.
    """
    cpus, gpus = resources.get("CPU", 0.0), int(resources.get("GPU", 0.0))
    if cpus < 1:
        return "it offers no processors"
    parts = min(gpus, int(cpus)) if gpus and computes else 1
    offered = int(resources.get("memory", 0))
    if memory * parts > offered:
        return f"it offers {format_bytes(offered)} of memory, and {format_bytes(memory * parts)} are needed"
    share = max(1.0, cpus // parts) if computes else 1.0
    return [NodeShare(share, 1.0 if gpus and computes else 0.0, memory)] * parts
