"""What of a checkpoint is where, with `meta` as a pretended card: it has sizes, and no numbers."""

from __future__ import annotations

from typing import Any

import torch  # noqa: TID253 - its modules are what is measured

from workbench.inference.transformers.placement import measure_placement, read_device
from workbench.models.device_share import Device

CARD = Device("CUDA0", "A card", "CUDA", 1000, 5000)


class Small(torch.nn.Module):
    """An embedding, three layers, and a head that may be tied to the embedding."""

    def __init__(self, tied: bool = False) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(10, 4)
        self.layers = torch.nn.ModuleList(torch.nn.Linear(4, 4, bias=False) for _ in range(3))
        self.head = torch.nn.Linear(4, 10, bias=False)
        if tied:
            self.head.weight = self.embed.weight

    def get_output_embeddings(self) -> torch.nn.Module:
        return self.head


def describe(device: torch.device) -> Device:
    return CARD if device.type == "meta" else Device("CPU", free_bytes=100, kind="cpu")


def measure(module: torch.nn.Module) -> list[tuple[Any, ...]]:
    found = measure_placement(module, 400, describe)
    return [(one.device.name, one.layers, one.weights_bytes, one.kv_bytes, one.device.free_bytes) for one in found]


def test_what_is_all_in_ram_has_no_placement() -> None:
    assert measure_placement(Small(tied=True), 400) == ()
    assert read_device(torch.device("cpu")).shares_ram


def test_each_device_has_its_layers_weights_and_part_of_the_cache() -> None:
    split = Small()
    split.layers[1:].to("meta")
    split.head.to("meta")
    on_card, in_ram = 2 * 16 * 4 + 160, 160 + 16 * 4
    assert measure(split) == [
        ("CUDA0", 3, on_card, 300, 1000 + on_card),
        ("CPU", 1, in_ram, 100, 100 + in_ram),
    ]
    whole = Small().to("meta")
    assert [(row[0], row[1]) for row in measure(whole)] == [("CUDA0", 4), ("CPU", 0)]
