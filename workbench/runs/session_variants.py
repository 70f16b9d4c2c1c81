"""SessionVariants: the variants of an open bench, changed one by one."""

from __future__ import annotations

from workbench import paths
from workbench.errors import WorkbenchError
from workbench.runs import variant_edits
from workbench.runs.base_variant import find_pair, make_base
from workbench.runs.bench import Variant
from workbench.runs.session_state import SessionState


class SessionVariants(SessionState):
    """The changes that keys make to a pane. Positions count from 0."""

    def add_variant(self, variant: Variant, at: int | None = None) -> int:
        """Put a variant in (last, or before position `at`); its position. Raises BenchError beyond eight."""
        position = len(self.variants) if at is None else at
        self._apply(variant_edits.insert_variant(self.bench, variant, position))
        return position

    def close_variant(self, index: int) -> None:
        """Take a variant out. Raises BenchError for the last one."""
        self._apply(variant_edits.close_variant(self.bench, index))

    def move_variant(self, index: int, to: int) -> None:
        """Put a variant at another position of the row."""
        self._apply(variant_edits.move_variant(self.bench, index, to))

    def change_variant(self, index: int, **changes: object) -> Variant:
        """Replace fields of a variant; the new value. Raises BenchError for a name that is taken or empty."""
        self._apply(variant_edits.change_variant(self.bench, index, **changes))
        return self.variants[index]

    def add_adapter(self, index: int, name: str) -> None:
        """Lay a further adapter over a variant's model. Raises BenchError when it is there already."""
        named = paths.write_relative(name, self.path.parent)
        self.change_variant(index, adapters=variant_edits.add_adapter(self.variants[index], named))

    def remove_adapter(self, index: int, position: int) -> None:
        self.change_variant(index, adapters=variant_edits.remove_adapter(self.variants[index], position))

    def step_scale(self, index: int, position: int, steps: int) -> float:
        """Move an adapter's scale by tenths, between 0 and 2, and switch it on; the new scale."""
        changed = self.change_variant(index, adapters=variant_edits.step_scale(self.variants[index], position, steps))
        return changed.adapters[position].scale

    def toggle_adapter(self, index: int, position: int) -> bool:
        """Switch an adapter of a variant on or off; whether it is on now."""
        changed = self.change_variant(index, adapters=variant_edits.toggle_adapter(self.variants[index], position))
        return changed.adapters[position].on

    def add_without_adapters(self, index: int) -> int:
        """A pane beside the variant that is the same without its adapters, and follows it; its position."""
        return self.add_variant(make_base(self.variants[index]), at=index + 1)

    def find_pair(self, index: int) -> int | None:
        """The position of the variant that is the same without the adapters, or with them; None where there is none."""
        return find_pair(self.variants, index)

    def toggle_example(self, index: int, example: str) -> bool:
        """Switch an example on or off for one variant; whether it is on now."""
        changed = self.change_variant(index, examples_off=variant_edits.toggle_example(self.variants[index], example))
        return example not in changed.examples_off

    def duplicate_variant(self, index: int) -> int:
        """A copy beside the original, with a prompt of its own, so that the two can be edited apart."""
        source = self.variants[index]
        name = source.prompt
        position = self.add_variant(source, at=index + 1)
        try:
            fork = self._free_prompt(name)
            self.prompts.create(fork, self.prompts.copy_of(name))
        except WorkbenchError:
            return position  # the original cannot be read either; the pane says why
        self.change_variant(position, prompt=fork)
        return position

    def _free_prompt(self, name: str) -> str:
        taken = {entry.name for entry in self.library.entries()} | set(self.prompts.edited)
        return variant_edits.find_free(name, taken, "-")
