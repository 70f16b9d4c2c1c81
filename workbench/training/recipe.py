"""Recipe: what is trained on what and how, the same file for the screen, the command line and `accelerate launch`.

Knows what a `*.recipe.yaml` holds and how it is read and written; not how training goes (child/) nor where the parts of
a recipe are found (task.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from workbench import files
from workbench.errors import BenchError, TrainingError
from workbench.evaluation import document
from workbench.evaluation.bench import Dataset

SUFFIX = ".recipe.yaml"

Kind = Literal["lora", "qlora", "prefix", "prompt", "ia3", "full"]
Schedule = Literal["cosine", "linear", "constant"]
Precision = Literal["", "float32", "bfloat16", "float16"]
Device = Literal["", "cpu", "cuda", "mps"]

Spec = str | dict[str, dict[str, Any]]


def _explained(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class Method(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """what is trained: a small part laid over the base, or the base itself"""

    kind: Annotated[
        Kind,
        _explained(
            "lora: small matrices beside the linear layers, the usual choice; qlora: the same over a base packed to 4"
            " bits; prefix, prompt: learned tokens in front; ia3: learned scales, the smallest; full: every weight"
        ),
    ] = "lora"
    rank: Annotated[int, _explained("LoRA: the width of its matrices; more can learn more, and forget more")] = 8
    alpha: Annotated[
        float, _explained("LoRA: how strongly it counts, divided by the rank; twice the rank is usual")
    ] = 16.0
    dropout: Annotated[float, _explained("LoRA: the share of its inputs that is left out by chance; against rote")] = (
        0.0
    )
    targets: Annotated[
        tuple[str, ...], _explained("LoRA, IA3: the modules to change, such as q_proj; empty: every linear layer")
    ] = ()
    rslora: Annotated[bool, _explained("LoRA: divide alpha by the root of the rank, steadier for ranks above 32")] = (
        False
    )
    dora: Annotated[bool, _explained("LoRA: learn size and direction apart; slower, cannot become a GGUF adapter")] = (
        False
    )
    modules_to_save: Annotated[
        tuple[str, ...],
        _explained(
            "LoRA, IA3: modules to train whole, such as embed_tokens and lm_head where the base never learned a token"
            " that it needs; much more memory, a large file, no GGUF adapter"
        ),
    ] = ()
    virtual_tokens: Annotated[int, _explained("prefix and prompt: how many learned tokens stand in front")] = 16


class Schooling(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """how long and how hard it learns"""

    epochs: Annotated[float, _explained("how often every row is read")] = 8.0
    steps: Annotated[int | None, _explained("updates to make, instead of epochs; empty: as epochs says")] = None
    learning_rate: Annotated[
        float | None, _explained("how far an update goes; empty: by the size of the base and the method")
    ] = None
    batch: Annotated[int, _explained("rows that are read at once; fewer need less memory")] = 16
    accumulation: Annotated[int, _explained("batches that make one update together")] = 1
    schedule: Annotated[Schedule, _explained("how the learning rate falls towards the end")] = "cosine"
    warmup: Annotated[float, _explained("the share of the updates in which the learning rate rises")] = 0.1
    weight_decay: Annotated[float, _explained("how strongly large weights are pulled back to zero")] = 0.0
    clip: Annotated[float, _explained("the longest gradient that is followed; longer ones are shortened")] = 1.0
    max_length: Annotated[
        int | None, _explained("tokens of a row, prompt and answer; longer rows are cut; empty: the base's context")
    ] = None
    packing: Annotated[bool, _explained("put several short rows into one, instead of padding them")] = False
    completion_only: Annotated[bool, _explained("learn the answers alone, not how to write prompts")] = True
    seed: Annotated[int, _explained("decides the order of the rows and how the adapter begins")] = 7
    dtype: Annotated[Precision, _explained("the numbers the base is computed in; empty: what pays on the device")] = ""
    gradient_checkpointing: Annotated[
        bool, _explained("compute parts twice instead of keeping them: half as fast again, much less memory")
    ] = False
    device: Annotated[Device, _explained("where it is computed; empty: the fastest there is")] = ""


class Watch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """how it is examined on the validation split while it learns"""

    every: Annotated[int | None, _explained("updates between two examinations; empty: ten over the whole training")] = (
        None
    )
    cases: Annotated[int, _explained("validation cases that are answered and scored; 0: only the loss is taken")] = 100
    samples: Annotated[int, _explained("answers that are shown, next to the base's")] = 5
    patience: Annotated[int, _explained("examinations without a better one until it stops; 0: never")] = 4
    max_tokens: Annotated[int | None, _explained("the longest answer; empty: as the variant says, else the data")] = (
        None
    )


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """what it may cost"""

    minutes: Annotated[float | None, _explained("time after which it stops and keeps the best; empty: none")] = None


class Preference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """learning from pairs of a better and a worse answer (DPO) instead of from expected answers"""

    path: Annotated[str, _explained("a JSONL file whose rows have prompt, chosen and rejected")] = ""
    votes: Annotated[str, _explained("a run whose blind votes are used instead of a file")] = ""
    validation: Annotated[
        str, _explained("pairs to examine on, like path; empty: a tenth of the pairs is held out")
    ] = ""
    beta: Annotated[float, _explained("how closely it stays to the base; lower moves further away")] = 0.1


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A training, as a person writes it down. Paths are looked up like a bench's."""

    base: Annotated[str, _explained("the model to train on: a Hugging Face folder, by name or path")]
    name: Annotated[str, _explained("what the adapter will be called; empty: as the recipe's file")] = ""
    bench: Annotated[str, _explained("a bench whose prompt, data and scorers are taken; empty: as said here")] = ""
    variant: Annotated[str, _explained("the bench's variant whose prompt is trained; empty: the first")] = ""
    prompt: Annotated[str, _explained("a prompt of the library, where no bench is named, or instead of its own")] = ""
    library: Annotated[str, _explained("the folder of the prompts; empty: as the bench has it")] = ""
    train: Dataset | None = None
    validation: Dataset | None = None
    scorers: Annotated[tuple[Spec, ...], _explained("judges of the answers; empty: the bench's, else exact_match")] = ()
    parent: Annotated[str, _explained("an adapter to go on from, by name or path; empty: begin anew")] = ""
    method: Method = Method()
    training: Schooling = Schooling()
    evaluation: Watch = Watch()
    budget: Budget = Budget()
    preference: Preference | None = None


def load_recipe(path: Path) -> Recipe:
    """Read a recipe. Raises FileError when it cannot be read, TrainingError with line and key of all that is wrong."""
    return parse_recipe(files.read_text(path), str(path))


def parse_recipe(text: str, where: str) -> Recipe:
    """The recipe that a text describes; `where` names the text in errors."""
    try:
        recipe = document.decode(text, Recipe, where)
    except BenchError as error:
        raise TrainingError(error.message, error.hint, error.details) from error
    check_recipe(recipe, where)
    return recipe


def save_recipe(path: Path, recipe: Recipe, expected_digest: str | None = None) -> str:
    """Write a recipe, keeping the comments and key order of the file that is there; the new digest.

    expected_digest: as in files.write_text, whose errors it raises.
    """
    old = files.read_text(path) if path.exists() else ""
    text = document.encode(recipe, old)
    files.write_text(path, text, expected_digest)
    return files.digest_text(text)


def check_recipe(recipe: Recipe, where: str = "The recipe") -> None:
    """Raise TrainingError with everything in the values that cannot be."""
    problems = list(_find_problems(recipe))
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise TrainingError(f"{where} cannot be trained:\n{lines}", "Correct these values.")


def _find_problems(recipe: Recipe) -> Iterator[str]:
    method, school, watch = recipe.method, recipe.training, recipe.evaluation
    if not recipe.base.strip():
        yield "base: expected the name or path of a model, found nothing"
    if not recipe.bench and not recipe.prompt and not recipe.preference:
        yield "prompt: expected a prompt of the library, or a bench; found neither"
    if not recipe.bench and not recipe.train and not recipe.preference:
        yield "train: expected a dataset, or a bench; found neither"
    counts = {
        "method.rank": method.rank,
        "method.virtual_tokens": method.virtual_tokens,
        "training.batch": school.batch,
        "training.accumulation": school.accumulation,
        "training.steps": school.steps,
        "training.max_length": school.max_length,
        "evaluation.every": watch.every,
        "evaluation.max_tokens": watch.max_tokens,
    }
    yield from (
        f"{name}: expected a number from 1, found {count}"
        for name, count in counts.items()
        if count is not None and count < 1
    )
    for name, count in {"cases": watch.cases, "samples": watch.samples, "patience": watch.patience}.items():
        if count < 0:
            yield f"evaluation.{name}: expected a number from 0, found {count}"
    yield from _find_bad_amounts(recipe)
    if method.dora and method.kind not in ("lora", "qlora"):
        yield f"method.dora: only LoRA has it, not {method.kind}"
    if method.modules_to_save and method.kind not in ("lora", "qlora", "ia3"):
        yield f"method.modules_to_save: only LoRA and IA3 have it, not {method.kind}"
    yield from _find_bad_preference(recipe)


def _find_bad_amounts(recipe: Recipe) -> Iterator[str]:
    method, school = recipe.method, recipe.training
    positive = {
        "method.alpha": method.alpha,
        "training.epochs": school.epochs,
        "training.learning_rate": school.learning_rate,
        "training.clip": school.clip,
        "budget.minutes": recipe.budget.minutes,
        "preference.beta": recipe.preference.beta if recipe.preference else None,
    }
    for name, value in positive.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            yield f"{name}: expected a number above 0, found {value}"
    for name, value in {"method.dropout": method.dropout, "training.warmup": school.warmup}.items():
        if not 0 <= value < 1:
            yield f"{name}: expected a share from 0 to below 1, found {value}"
    if not (math.isfinite(school.weight_decay) and school.weight_decay >= 0):
        yield f"training.weight_decay: expected a number from 0, found {school.weight_decay}"


def _find_bad_preference(recipe: Recipe) -> Iterator[str]:
    preference = recipe.preference
    if preference is None:
        return
    if bool(preference.path) == bool(preference.votes):
        yield "preference: expected either path, a file of pairs, or votes, a run"
    if recipe.training.packing:
        yield "training.packing: pairs of answers cannot be packed"
    if recipe.method.kind in ("prefix", "prompt"):
        yield f"method.kind: pairs of answers are learned by lora, ia3 or full, not by {recipe.method.kind}"
