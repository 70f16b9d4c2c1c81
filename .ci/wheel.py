"""What a built wheel carries beside the package; an editable install finds it in the checkout and needs no copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ShippedFiles(BuildHookInterface[Any]):
    """Lays `prompts/` and `assets/` into the package as `workbench/shipped/`; the model's recipe stays behind."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard":
            root = Path(self.root)
            shipped = [root / "prompts", *(path for path in (root / "assets").iterdir() if path.name != "recipe")]
            build_data["force_include"] = {
                str(path): f"workbench/shipped/{path.relative_to(root).as_posix()}" for path in shipped
            }
