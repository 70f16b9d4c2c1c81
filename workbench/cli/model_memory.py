"""The memory that a listed model will take, in RAM and on each device."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.units import format_bytes, format_plural

if TYPE_CHECKING:
    from workbench.models.device_share import DeviceShare
    from workbench.models.reference import Model
    from workbench.settings import Settings


def make_estimator(settings: Settings) -> Callable[[Model], dict[str, Any] | None]:
    """Estimates models opened as the settings say; None for one that cannot be read. The devices are asked for once."""
    from workbench.inference.device_inventory import DeviceInventory
    from workbench.inference.sizes import context_size
    from workbench.models.memory_estimate import expect_in_memory
    from workbench.models.placement_estimate import estimate_pane
    from workbench.models.reference import with_defaults

    inventory, found = DeviceInventory(), None

    def estimate(model: Model) -> dict[str, Any] | None:
        nonlocal found
        placed = with_defaults(model, settings.offload)
        if found is None and model.format == "gguf":
            found = inventory.find(placed.offload)
        try:
            tokens = context_size(placed, expect_in_memory(placed), settings.max_context_tokens)
            memory = estimate_pane(placed, (), tokens, devices=found.devices if found else ())
        except WorkbenchError:
            return None
        figures = {"ram_bytes": memory.total, "free_bytes": memory.free, "fits": memory.fits}
        return {**figures, "context_tokens": tokens, "devices": [describe_share(share) for share in memory.shares]}

    return estimate


def describe_share(share: DeviceShare) -> dict[str, Any]:
    """What is on a device, with the device's own figures."""
    import msgspec

    figures = {**msgspec.structs.asdict(share.device), **msgspec.structs.asdict(share), "device": share.device.name}
    return {**figures, "bytes": share.bytes, "fits": share.fits}


def describe_fit(memory: dict[str, Any] | None) -> str:
    """A line for what goes on devices, or does not fit; "" where RAM alone has it and room for it."""
    if memory is None or (memory["fits"] and not memory["devices"]):
        return ""
    parts = [
        f"{format_plural(share['layers'], 'layer')} on {share['device']} ({format_bytes(share['bytes'])})"
        for share in memory["devices"]
        if share["layers"]
    ]
    parts.append(f"{format_bytes(memory['ram_bytes'])} of RAM")
    return f"{'takes' if memory['fits'] else 'does not fit:'} {', '.join(parts)}"
