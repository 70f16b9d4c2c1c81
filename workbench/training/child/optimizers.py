"""The optimizer of a training: its arguments for transformers, and LoRA+ by PEFT."""

from __future__ import annotations

from typing import Any

from workbench.training.recipe import Recipe


def optimizer_arguments(recipe: Recipe) -> dict[str, Any]:
    """The arguments of transformers' config; those of an empty recipe are its defaults."""
    optimizer = recipe.optimizer
    wanted: dict[str, Any] = {
        "optim": optimizer.optim,
        "optim_args": optimizer.optim_args,
        "neftune_noise_alpha": optimizer.neftune_noise_alpha,
        "optim_target_modules": "all-linear" if optimizer.optim.startswith(("galore", "apollo")) else None,
    }
    return {name: value for name, value in wanted.items() if value}


def use_lora_plus(trainer: Any, recipe: Recipe) -> None:
    """Let the matrices B of a LoRA learn faster than A, where the recipe says so (PEFT's create_loraplus_optimizer)."""
    ratio = recipe.optimizer.loraplus_lr_ratio
    if ratio is None:
        return
    from peft.optimizers import create_loraplus_optimizer

    def create_optimizer(model: Any = None) -> Any:
        if trainer.optimizer is None:
            trained = trainer.model if model is None else model
            kind, options = trainer.get_optimizer_cls_and_kwargs(trainer.args, trained)
            trainer.optimizer = create_loraplus_optimizer(
                model=trained,
                optimizer_cls=kind,
                loraplus_lr_ratio=ratio,
                loraplus_weight_decay=trainer.args.weight_decay,
                **options,
            )
        return trainer.optimizer

    trainer.create_optimizer = create_optimizer  # late, because FSDP wraps the model first
