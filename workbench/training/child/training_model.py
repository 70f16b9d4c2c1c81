"""The model in training: the base in memory with its adapter, its tokenizer, and the encoder of rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import peft
import torch

from workbench.errors import ModelError, TrainingError
from workbench.inference.answer_encoder import AnswerEncoder
from workbench.inference.transformers.checkpoint import LoadedCheckpoint, choose_device, choose_dtype, load_checkpoint
from workbench.inference.transformers.reward_model import add_head
from workbench.inference.transformers.vocabulary import TransformersVocabulary
from workbench.models.hf_folder import inspect_folder
from workbench.models.reference import Dtype, ModelInfo
from workbench.training.child.adapter_init import check_init
from workbench.training.child.encoder import Encoder
from workbench.training.child.memory import check_full_memory
from workbench.training.method import Method
from workbench.training.recipe import Recipe, find_objective
from workbench.training.task import Task

_PACKED_BLOCK = 64  # weights that share a scale in 4 bits

_FEED_FORWARD = ("down_proj", "fc2", "w2", "dense_4h_to_h", "mlp.c_proj", "output.dense")


@dataclass(frozen=True)
class TrainingModel:
    """model: the base, or the base with the adapter to continue. config: of the adapter that is still to be added.

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


def load_training_model(task: Task, device: torch.device) -> TrainingModel:
    """Load what a task trains. Raises ModelError and TrainingError."""
    recipe = task.recipe
    info = inspect_folder(task.base.path)
    dtype = _choose_dtype(recipe, info, device)
    check_init(task, device)
    check_full_memory(recipe, info, device)
    checkpoint = _load(task, device, dtype)
    size = info.vocabulary
    vocabulary = TransformersVocabulary(checkpoint.tokenizer, size, checkpoint.ends)
    template = (task.target.chat_template if task.target else None) or checkpoint.chat_template
    prompts = AnswerEncoder(vocabulary, template, completes_template=False)
    if find_objective(recipe).scores:
        checkpoint = replace(checkpoint, model=add_head(checkpoint, recipe.training.seed))
    model, config = _add_adapter(task, checkpoint)
    return TrainingModel(
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
    """The learning rate of a recipe; the objective's default for the method and the size of the base without one."""
    return recipe.training.learning_rate or find_objective(recipe).learning_rate(parameters, recipe.method.kind)


def _choose_dtype(recipe: Recipe, info: ModelInfo, device: torch.device) -> torch.dtype:
    wanted: Dtype = recipe.training.dtype
    if wanted:
        return choose_dtype("", device, wanted)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return choose_dtype(info.quantization, device)


def _load(task: Task, device: torch.device, dtype: torch.dtype) -> LoadedCheckpoint:
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
    if method == "qlora" and device.type == "cpu":
        _check_widths(checkpoint.model)
    if checkpoint.tokenizer.pad_token is None:
        tokenizer = checkpoint.tokenizer  # padding is masked: where there is no end, any token will do
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    checkpoint.model.config.use_cache = False
    checkpoint.model.generation_config = _plain_generation(checkpoint)
    return checkpoint


def _check_widths(model: Any) -> None:
    """Raise ModelError for a base that bitsandbytes packs for a CPU with an error: its blocks are of 64 weights."""
    widths = {int(module.in_features) for module in model.modules() if type(module).__name__ == "Linear4bit"}
    if uneven := sorted(width for width in widths if width % _PACKED_BLOCK):
        raise ModelError(
            f"bitsandbytes computes in 4 bits on a CPU where widths are multiples of {_PACKED_BLOCK}; this base has"
            f" {', '.join(map(str, uneven))}.",
            "Train on a graphics card, or with method.kind: lora.",
        )


def _plain_generation(checkpoint: LoadedCheckpoint) -> Any:
    """Greedy, whatever the folder suggests: a suggestion that goes with sampling alone is complained of each time."""
    import transformers

    ends = sorted(checkpoint.ends)
    return transformers.GenerationConfig(
        bos_token_id=checkpoint.tokenizer.bos_token_id,
        eos_token_id=ends or None,
        pad_token_id=checkpoint.tokenizer.pad_token_id,
        do_sample=False,
    )


def _add_adapter(task: Task, checkpoint: LoadedCheckpoint) -> tuple[Any, Any]:
    """The model to train, and the config of the adapter that is still to be added."""
    method = task.recipe.method
    model = checkpoint.model
    if method.kind == "qlora":
        model = peft.prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=task.recipe.training.gradient_checkpointing
        )
    if task.parent:
        return _continue_from_parent(task, model), None
    if method.kind == "full":
        return model.requires_grad_(True), None
    linear = _list_linear(model) if method.layers_to_transform else None
    config = make_config(method, find_objective(task.recipe).scores, linear)
    _check_targets(config, model)
    _check_layers(method, model)
    return model, config


def _continue_from_parent(task: Task, model: Any) -> Any:
    from workbench.models.compatibility import check_compatible

    assert task.parent
    problems = check_compatible(task.parent, task.base)
    if problems:
        raise ModelError(
            f"{task.parent.name} cannot be trained further: {'; '.join(problems)}.", "Choose its own base."
        )
    return peft.PeftModel.from_pretrained(model, str(task.parent.path), is_trainable=True)


def make_config(method: Method, scores: bool = False, linear: Sequence[str] | None = None) -> Any:
    """The method as peft has it; None where every weight is trained.

    scores: of a reward model, whose head is saved. linear: names of the base's linear layers, where some layers alone
    are adapted; peft then takes no `all-linear`.
    """
    task = peft.TaskType.SEQ_CLS if scores else peft.TaskType.CAUSAL_LM
    targets: Any = list(method.target_modules or linear or ()) or "all-linear"
    match method.kind:
        case "lora" | "qlora":
            return peft.LoraConfig(
                task_type=task,
                r=method.rank,
                lora_alpha=int(method.alpha) if method.alpha == int(method.alpha) else method.alpha,
                lora_dropout=method.dropout,
                target_modules=targets,
                modules_to_save=list(method.modules_to_save) or None,
                use_rslora=method.use_rslora,
                use_dora=method.use_dora,
                layers_to_transform=list(method.layers_to_transform) or None,
                init_lora_weights=_initial_weights(method),
            )
        case "ia3":
            forward = [name for name in method.target_modules if name.endswith(_FEED_FORWARD)]
            return peft.IA3Config(
                task_type=task,
                target_modules=list(method.target_modules) or None,
                feedforward_modules=forward if method.target_modules else None,
                modules_to_save=list(method.modules_to_save) or None,
            )
        case "prefix":
            return peft.PrefixTuningConfig(task_type=task, num_virtual_tokens=method.num_virtual_tokens)
        case "prompt":
            return peft.PromptTuningConfig(task_type=task, num_virtual_tokens=method.num_virtual_tokens)
        case "full":
            return None


def _initial_weights(method: Method) -> Any:
    """As peft names them; loftq is computed when the adapter is there."""
    return True if method.init_lora_weights in ("", "loftq") else method.init_lora_weights


def _list_linear(model: Any) -> list[str]:
    """The last parts of the names of the linear layers in a model's numbered layers."""
    linear = (name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear))
    return sorted({name.rpartition(".")[2] for name in linear if re.search(r"\.\d+\.", name)})


def _check_layers(method: Method, model: Any) -> None:
    """Raise TrainingError for layers that the base does not have."""
    count = int(model.config.get_text_config().num_hidden_layers)
    beyond = [layer for layer in method.layers_to_transform if layer >= count]
    if beyond:
        raise TrainingError(
            f"method.layers_to_transform: the base has no layer {', '.join(map(str, beyond))}.",
            f"Its layers are 0 to {count - 1}.",
        )


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
            f"method.target_modules: the output head ({taken[0]}) cannot be a LoRA target.",
            f"Leave it out, or train it whole: method.modules_to_save: [{taken[0]}].",
        )
    missing = [one for one in targets if not any(name == one or name.endswith(f".{one}") for name in linear)]
    if missing:
        kinds = sorted({name.rpartition(".")[2] for name in linear})
        raise TrainingError(
            f"method.target_modules: the base has no linear layer called {', '.join(missing)}.",
            f"It has: {', '.join(kinds)}.",
        )
