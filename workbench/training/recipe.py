"""A `*.recipe.yaml`: what is trained on what and how, for the screen, the command line and `accelerate launch`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from workbench.datasets.spec import AutoSplit, Dataset
from workbench.scoring.trust import Spec
from workbench.training.loss_args import LossArgs, Preference, Rollouts
from workbench.training.method import Method
from workbench.training.objectives import OBJECTIVES, Objective, ObjectiveName
from workbench.training.optimizer_args import OptimizerArgs, Tracker
from workbench.training.recipe_data import WeightedDataset

LrScheduler = Literal["cosine", "linear", "constant"]
Precision = Literal["", "float32", "bfloat16", "float16"]
Device = Literal["", "cpu", "cuda", "mps"]
AssistantTurns = Literal["all", "last"]
TrainedType = Literal["", "prompt", "conversation", "text"]


def _help(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


_OBJECTIVE_HELP = "; ".join(f"{one.name}: {one.summary}" for one in OBJECTIVES.values())


class TrainingArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """duration, batch size, optimizer and precision"""

    RENAMED: ClassVar[dict[str, str]] = {
        "steps": "max_steps",
        "batch": "batch_size",
        "accumulation": "gradient_accumulation_steps",
        "schedule": "lr_scheduler",
        "warmup": "warmup_ratio",
        "clip": "max_grad_norm",
        "completion_only": "completion_only_loss",
    }

    epochs: Annotated[float, _help("passes over the training rows")] = 8.0
    max_steps: Annotated[int | None, _help("number of updates, instead of epochs; empty: by epochs")] = None
    learning_rate: Annotated[
        float | None, _help("peak learning rate; empty: by objective, method and size of the base")
    ] = None
    batch_size: Annotated[int, _help("rows per batch and device; a smaller batch needs less memory")] = 16
    gradient_accumulation_steps: Annotated[int, _help("batches per update")] = 1
    lr_scheduler: Annotated[LrScheduler, _help("how the learning rate decays")] = "cosine"
    warmup_ratio: Annotated[float, _help("share of the updates in which the learning rate warms up, 0 to 1")] = 0.1
    weight_decay: Annotated[float, _help("weight decay of AdamW")] = 0.0
    max_grad_norm: Annotated[float, _help("max gradient norm; longer gradients are clipped")] = 1.0
    max_length: Annotated[
        int | None,
        _help("max tokens of a row, prompt and answer; longer rows are truncated; empty: the base's context"),
    ] = None
    packing: Annotated[bool, _help("pack several short rows into one sequence instead of padding them")] = False
    completion_only_loss: Annotated[bool, _help("compute the loss on the answers only, not on the prompts")] = True
    assistant_turns: Annotated[
        AssistantTurns, _help("conversations: compute the loss on all of the assistant's turns, or on the last alone")
    ] = "all"
    seed: Annotated[int, _help("seed of the row order and of the adapter's initial weights")] = 7
    dtype: Annotated[Precision, _help("precision of the base; empty: what is fastest on the device")] = ""
    gradient_checkpointing: Annotated[
        bool, _help("recompute activations in the backward pass: about a third slower, much less memory")
    ] = False
    device: Annotated[Device, _help("device to train on; empty: the fastest available")] = ""


class EvalArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """evaluation on the validation split during training"""

    RENAMED: ClassVar[dict[str, str]] = {"every": "eval_steps", "patience": "early_stopping_patience"}

    eval_steps: Annotated[
        int | None, _help("updates between two evaluations; empty: ten evaluations over the whole training")
    ] = None
    cases: Annotated[int, _help("validation cases that are answered and scored; 0: validation loss only")] = 100
    samples: Annotated[int, _help("sample answers that are shown next to the base's")] = 5
    early_stopping_patience: Annotated[
        int, _help("early-stopping patience: evaluations without improvement before training stops; 0: never")
    ] = 4
    max_tokens: Annotated[
        int | None, _help("max tokens of an answer; empty: the variant's, else by the longest expected answer")
    ] = None


class TrainingBudget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """limits"""

    minutes: Annotated[
        float | None, _help("training time after which it stops and keeps the best; empty: no limit")
    ] = None


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A training, as a person writes it down. Paths are looked up like a bench's."""

    base: Annotated[str, _help("the model to train: a Hugging Face folder, by name or path")]
    name: Annotated[str, _help("name of the adapter; empty: as the recipe's file")] = ""
    bench: Annotated[str, _help("bench that provides prompt, data and scorers; empty: they are named here")] = ""
    variant: Annotated[str, _help("variant of the bench whose prompt is trained; empty: the first")] = ""
    prompt: Annotated[str, _help("prompt of the library, without a bench or instead of its own")] = ""
    library: Annotated[str, _help("folder of the prompts; empty: the bench's")] = ""
    dataset_type: Annotated[
        TrainedType,
        _help(
            "what a row is: prompt: variables of the prompt; conversation: turns (OpenAI, ShareGPT, Alpaca), trained"
            " without a prompt; text: documents for continued pre-training; empty: prompt where one is named, else told"
            " by the columns"
        ),
    ] = ""
    train: Dataset | None = None
    validation: Dataset | None = None
    datasets: Annotated[
        tuple[WeightedDataset, ...],
        _help(
            "several datasets instead of `train`, each with a weight: how often its rows are drawn; in a form"
            " FILE or FILE=WEIGHT, with commas between"
        ),
    ] = ()
    auto_split: AutoSplit | None = None
    scorers: Annotated[tuple[Spec, ...], _help("scorers of the answers; empty: the bench's, else exact_match")] = ()
    parent: Annotated[str, _help("adapter to continue training, by name or path; empty: a new one")] = ""
    objective: Annotated[
        ObjectiveName | None,
        _help(f"training objective; empty: dpo with preference pairs, grpo with rollouts, else sft. {_OBJECTIVE_HELP}"),
    ] = None
    method: Method = Method()
    training: TrainingArgs = TrainingArgs()
    optimizer: OptimizerArgs = OptimizerArgs()
    evaluation: EvalArgs = EvalArgs()
    budget: TrainingBudget = TrainingBudget()
    report_to: Annotated[
        tuple[Tracker, ...],
        _help("experiment trackers that get the curves too: tensorboard, mlflow, wandb; each an extra of that name"),
    ] = ()
    preference: Preference | None = None
    rollouts: Rollouts | None = None


def find_objective(recipe: Recipe) -> Objective:
    """The recipe's objective; without one dpo where it has preference pairs, grpo where it has rollouts, else sft."""
    return OBJECTIVES[recipe.objective or ("dpo" if recipe.preference else "grpo" if recipe.rollouts else "sft")]


def find_rollouts(recipe: Recipe) -> Rollouts:
    """The recipe's rollouts, those of the defaults without any."""
    return recipe.rollouts or Rollouts()


def find_loss_args(recipe: Recipe) -> LossArgs:
    """What the recipe says to its objective."""
    training = recipe.training
    return LossArgs(
        training.batch_size,
        training.packing,
        training.completion_only_loss,
        recipe.preference or Preference(),
        find_rollouts(recipe),
    )


def count_batches(recipe: Recipe, rows: int, processes: int = 1) -> int:
    """Batches of an epoch: of rows, or of the answers that are sampled for each."""
    if find_objective(recipe).data == "prompts":
        wanted = find_rollouts(recipe)
        batch = recipe.training.batch_size * recipe.training.gradient_accumulation_steps * processes
        rounds = rows // max(1, batch // wanted.num_generations)  # a round without enough prompts is left out
        return rounds * recipe.training.gradient_accumulation_steps * wanted.num_iterations
    return -(-rows // (recipe.training.batch_size * processes))


def default_eval_steps(steps: int) -> int:
    """Updates between two evaluations where the recipe leaves it open: ten evaluations over the whole training."""
    return max(1, round(steps / 10))
