"""The end of a conversion: the result is compared with its source, and renamed where it is not equivalent."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from workbench.cli import terminal
from workbench.errors import EngineError, ModelError, WorkbenchError

if TYPE_CHECKING:
    from workbench.analysis.agreement import Side
    from workbench.analysis.equivalence import VocabularySample
    from workbench.datasets.case import Case
    from workbench.inference.pool import Pool
    from workbench.models.hf_tokenizer import HfTokenizer
    from workbench.models.reference import Model
    from workbench.prompting.prompt import Prompt
    from workbench.settings import Settings


class CheckPrompts(NamedTuple):
    """What both forms answer for a look at the differences."""

    prompt: Prompt
    cases: Sequence[Case]


class CheckedPair(NamedTuple):
    """Two forms that must be one model. bound: see `compare_forms`; None measures it over the two without adapters.

    vocabulary: None where both have the same tokenizer.
    """

    before: Side
    after: Side
    bound: float | None
    vocabulary: VocabularySample | None = None


class ConversionResult(NamedTuple):
    """What was made, before anybody may use it. changes: what is wrong with the file itself. notes: what to know."""

    path: Path
    comparisons: Sequence[CheckedPair]
    changes: Sequence[str] = ()
    notes: Sequence[str] = ()
    unchecked: str = ""
    """why there is nothing to compare it with"""


@contextlib.contextmanager
def open_staging_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` for what is being made. Folders above it that are made for it go again if it fails."""
    missing = [folder for folder in (out.absolute().parent, *out.absolute().parent.parents) if not folder.exists()]
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=out.absolute().parent, prefix=f".{out.name[:100]}.") as scratch:
            yield Path(scratch)
    except OSError as error:
        raise ModelError(
            f"Cannot write {out}: {error.strerror or error}.", "Make room, or choose another folder."
        ) from error
    finally:
        for folder in missing:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only where it is empty


def check_result(made: ConversionResult, out: Path, asked: CheckPrompts, settings: Settings) -> int:
    """Compare what was made with what it was made from and put it in its place, or aside; the exit code."""
    for note in made.notes:
        terminal.log(f"Note: {note}")
    try:
        found = [*made.changes, *_compare(made, asked, settings)]
    except WorkbenchError as error:
        aside = _rename(made.path, out, "unchecked")
        terminal.log(f"The result could not be checked and is kept as {aside}: {error.message}\n  {error.hint}")
        return terminal.FAILED
    if found:
        aside = _rename(made.path, out, "differs")
        terminal.log(f"The result is not equivalent to its source and is kept as {aside}:")
        for one in found:
            terminal.log(f"  {one}")
        return terminal.FAILED
    made.path.replace(out)
    terminal.log(f"Wrote {out}.")
    if made.unchecked:
        terminal.log(f"Not checked: {made.unchecked}")
    return terminal.OK


def tokenizer_vocabulary(tokenizer: HfTokenizer) -> VocabularySample:
    """What texts should be tried on a tokenizer and its converted form."""
    from workbench.analysis.equivalence import VocabularySample
    from workbench.models.gguf_tokenizer import composes

    tree = tokenizer.tree
    specials = [token["content"] for token in tree.get("added_tokens", [])]
    decoded = _decode(tree, [text for text in tree["model"]["vocab"] if text not in specials])
    return VocabularySample(sorted(decoded), specials[:40], composes(tokenizer))


def _decode(tree: dict[str, object], tokens: Sequence[str]) -> list[str]:
    """Tokens as the text that they stand for, those that are whole characters."""
    import json

    from tokenizers import Tokenizer

    decoder = Tokenizer.from_str(json.dumps(tree)).decoder
    texts = [decoder.decode(["a", token])[1:] if decoder else token for token in tokens]
    return [text for text in texts if text.strip() and "\ufffd" not in text]


def _compare(made: ConversionResult, asked: CheckPrompts, settings: Settings) -> list[str]:
    from workbench.analysis.equivalence import compare_forms
    from workbench.inference.pool import Pool

    differences: list[str] = []
    pool = Pool.configured(settings)
    try:
        for one in made.comparisons:
            bound = one.bound if one.bound is not None else _tolerance(one, pool)
            found = compare_forms(one.before, one.after, pool, bound, one.vocabulary)
            if found.holds:
                terminal.log(found.summary)
            differences += found.differences
        if made.comparisons and asked.cases and not differences:
            _show_answers(made.comparisons[-1], asked, pool)
    finally:
        pool.close()
    return differences


def _tolerance(one: CheckedPair, pool: Pool) -> float:
    """What two forms of a base differ in without an adapter, an adapter over them may differ in three times."""
    from workbench.analysis.equivalence import BOUNDS, measure_rounding

    bare = (one.before._replace(adapters=()), one.after._replace(adapters=()))
    return 3 * measure_rounding(*bare, pool) + BOUNDS["f16"]


def _show_answers(one: CheckedPair, asked: CheckPrompts, pool: Pool) -> None:
    from workbench.analysis.agreement import measure_agreement

    try:
        found = measure_agreement(asked.prompt, asked.cases, one.before, one.after, pool)
    except EngineError as error:
        raise EngineError(f"The cases could not be answered: {error.message}", error.hint, error.details) from error
    same = found.cases - len(found.differences)
    terminal.log(
        f"{same} of {found.cases} answers are identical before and after ({found.share:.0%}); log-probabilities differ"
        f" by {found.logprob:.3g} at most."
    )
    for difference in found.differences[:10]:
        terminal.log(f"  case {difference.case}: {difference.before!r} became {difference.after!r}")


def _rename(made: Path, out: Path, why: str) -> Path:
    """Move it beside its place under a name that says what it is."""
    stem, suffix = (out.stem, out.suffix) if out.suffix == ".gguf" else (out.name, "")
    target = out.with_name(f"{stem}.{why}{suffix}")
    if target.is_dir():
        shutil.rmtree(target)
    made.replace(target)
    return target


def in_32_bits(model: Model) -> Model:
    """A Hugging Face model as it is to be compared: computed in 32 bits."""
    import msgspec

    return msgspec.structs.replace(model, dtype="float32") if model.format == "hf" else model
