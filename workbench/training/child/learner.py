"""Learner: the base in memory, what is laid over it to be trained, and the way from rows to its token ids.

Knows nothing of trainers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import peft
import torch

from workbench.engines.prompts import Prompts
from workbench.engines.transformers.checkpoint import Checkpoint, choose_device, choose_dtype, load_checkpoint
from workbench.engines.transformers.vocabulary import TransformersVocabulary
from workbench.errors import ModelError, TrainingError
from workbench.models.folder import inspect_folder
from workbench.models.reference import Dtype, ModelInfo
from workbench.training.encoding import Encoder
from workbench.training.recipe import Method, Recipe
from workbench.training.task import Task

_FEED_FORWARD = ("down_proj", "fc2", "w2", "dense_4h_to_h", "mlp.c_proj", "output.dense")

_RATES = {"lora": 1.0, "qlora": 1.0, "ia3": 5.0, "prefix": 10.0, "prompt": 50.0, "full": 0.1}
"""How much faster or slower than LoRA a method learns well."""


@dataclass(frozen=True)
class Learner:
    """model: the base, or the base with an adapter over it where one is gone on with. config: what is laid over it yet.

    ends: tokens that end an answer.
    """

    model: Any
    tokenizer: Any
    config: Any
    vocabulary: TransformersVocabulary
    encoder: Encoder
    device: torch.device
    dtype: torch.dtype
    info: ModelInfo
    ends: tuple[int, ...]
    rate: float

    @property
    def autocasts(self) -> bool:
        """Whether the base's numbers are wider than those it is computed in."""
        return self.dtype != torch.float32 and next(self.model.parameters()).dtype == torch.float32


def pick_device(recipe: Recipe) -> torch.device:
    """Where it is computed. Raises TrainingError for a device that is not there."""
    wanted = recipe.training.device
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted and not there.get(wanted, True):
        raise TrainingError(f"training.device is {wanted}, which this machine does not have.", "Leave it out.")
    return torch.device(wanted) if wanted else choose_device()


def load_learner(task: Task, device: torch.device) -> Learner:
    """Load what a task trains. Raises ModelError and TrainingError."""
    recipe = task.recipe
    info = inspect_folder(task.base.path)
    dtype = _choose_dtype(recipe, info, device)
    checkpoint = _load(task, device, dtype)
    size = info.vocabulary
    vocabulary = TransformersVocabulary(checkpoint.tokenizer, size, checkpoint.ends)
    template = (task.target.chat_template if task.target else None) or checkpoint.chat_template
    prompts = Prompts(vocabulary, template, completes_template=False)
    model, config = _lay_over(task, checkpoint)
    return Learner(
        model=model,
        tokenizer=checkpoint.tokenizer,
        config=config,
        vocabulary=vocabulary,
        encoder=Encoder(prompts, task.chat_template_kwargs),
        device=device,
        dtype=dtype,
        info=info,
        ends=tuple(token for token in range(size) if vocabulary.ends(token)),
        rate=choose_rate(recipe, info.parameters),
    )


def choose_rate(recipe: Recipe, parameters: int) -> float:
    """The learning rate of a recipe; one that suits the method and the size of the base where it names none."""
    if recipe.training.learning_rate:
        return recipe.training.learning_rate
    if recipe.preference:
        return 5e-5 if parameters > 100e6 else 5e-4
    usual = 2e-3 if parameters < 20e6 else 5e-4 if parameters < 300e6 else 2e-4
    return usual * _RATES[recipe.method.kind]


def _choose_dtype(recipe: Recipe, info: ModelInfo, device: torch.device) -> torch.dtype:
    wanted: Dtype = recipe.training.dtype
    if wanted:
        return choose_dtype("", device, wanted)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return choose_dtype(info.quantization, device)


def _load(task: Task, device: torch.device, dtype: torch.dtype) -> Checkpoint:
    import msgspec

    method = task.recipe.method.kind
    base = msgspec.structs.replace(task.base, quantization="4bit" if method == "qlora" else "")
    held = torch.float32 if method == "full" else dtype  # weights that are learned need room for small steps
    try:
        checkpoint = load_checkpoint(base, held, device, lambda _: True)
    except ModelError as error:
        if method == "qlora" and "bitsandbytes" in error.message:
            raise ModelError(error.message, f"{error.hint} Or train with method.kind: lora.", error.details) from error
        raise
    if checkpoint.tokenizer.pad_token is None:
        tokenizer = checkpoint.tokenizer  # padding is masked: where there is no end, any token will do
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    checkpoint.model.config.use_cache = False
    checkpoint.model.generation_config = _plain_generation(checkpoint)
    return checkpoint


def _plain_generation(checkpoint: Checkpoint) -> Any:
    """Greedy, whatever the folder suggests: a suggestion that goes with sampling alone is complained of each time."""
    import transformers

    ends = sorted(checkpoint.ends)
    return transformers.GenerationConfig(
        bos_token_id=checkpoint.tokenizer.bos_token_id,
        eos_token_id=ends or None,
        pad_token_id=checkpoint.tokenizer.pad_token_id,
        do_sample=False,
    )


def _lay_over(task: Task, checkpoint: Checkpoint) -> tuple[Any, Any]:
    """The model to train, and the adapter that is still to be laid over it."""
    method = task.recipe.method
    model = checkpoint.model
    if method.kind == "qlora":
        model = peft.prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=task.recipe.training.gradient_checkpointing
        )
    if task.parent:
        return _go_on(task, model), None
    if method.kind == "full":
        return model.requires_grad_(True), None
    config = make_config(method)
    _check_targets(config, model)
    return model, config


def _go_on(task: Task, model: Any) -> Any:
    from workbench.models.compatibility import check_compatible

    assert task.parent
    problems = check_compatible(task.parent, task.base)
    if problems:
        raise ModelError(
            f"{task.parent.name} cannot be trained further: {'; '.join(problems)}.", "Choose its own base."
        )
    return peft.PeftModel.from_pretrained(model, str(task.parent.path), is_trainable=True)


def make_config(method: Method) -> Any:
    """The method as peft has it; None where every weight is trained."""
    task = peft.TaskType.CAUSAL_LM
    targets: Any = list(method.targets) or "all-linear"
    match method.kind:
        case "lora" | "qlora":
            return peft.LoraConfig(
                task_type=task,
                r=method.rank,
                lora_alpha=int(method.alpha) if method.alpha == int(method.alpha) else method.alpha,
                lora_dropout=method.dropout,
                target_modules=targets,
                modules_to_save=list(method.modules_to_save) or None,
                use_rslora=method.rslora,
                use_dora=method.dora,
            )
        case "ia3":
            forward = [name for name in method.targets if name.endswith(_FEED_FORWARD)]
            return peft.IA3Config(
                task_type=task,
                target_modules=list(method.targets) or None,
                feedforward_modules=forward if method.targets else None,
                modules_to_save=list(method.modules_to_save) or None,
            )
        case "prefix":
            return peft.PrefixTuningConfig(task_type=task, num_virtual_tokens=method.virtual_tokens)
        case "prompt":
            return peft.PromptTuningConfig(task_type=task, num_virtual_tokens=method.virtual_tokens)
        case "full":
            return None


def _check_targets(config: Any, model: Any) -> None:
    """Raise TrainingError for modules that the base does not have."""
    saved = getattr(config, "modules_to_save", None) or ()
    modules = {
        name for name, module in model.named_modules() if "weight" in dict(module.named_parameters(recurse=False))
    }
    unknown = [one for one in saved if not any(name == one or name.endswith(f".{one}") for name in modules)]
    if unknown:
        raise TrainingError(
            f"method.modules_to_save: the base has no module with weights called {', '.join(unknown)}.",
            f"It has: {', '.join(sorted({name.rpartition('.')[2] for name in modules}))}.",
        )
    targets = getattr(config, "target_modules", None)
    if not isinstance(targets, (list, set, tuple)):
        return
    linear = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    head = model.get_output_embeddings()
    heads = {name for name, module in model.named_modules() if module is head}
    if taken := [one for one in targets if any(name == one or name.endswith(f".{one}") for name in heads)]:
        raise TrainingError(  # TRL computes the loss from the head's own weights, past what lies over them
            f"method.targets: the output head ({taken[0]}) cannot be trained by small matrices.",
            f"Leave it out, or train it whole: method.modules_to_save: [{taken[0]}].",
        )
    missing = [one for one in targets if not any(name == one or name.endswith(f".{one}") for name in linear)]
    if missing:
        kinds = sorted({name.rpartition(".")[2] for name in linear})
        raise TrainingError(
            f"method.targets: the base has no linear layer called {', '.join(missing)}.", f"It has: {', '.join(kinds)}."
        )
