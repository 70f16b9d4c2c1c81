"""Pictures through a Hugging Face processor: their tokens, and the embeddings that stand for them in the text model.

The processor says which tokens a picture is written with; the model's own forward pass, left where its text model
begins, says which embeddings stand at their positions. From there on a picture is evaluated like text, but for two
things that a trial finds out: that its positions see each other in both directions (Gemma 3), and that they are counted
in two dimensions (Qwen2-VL). A model for which that is not all is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import torch
from PIL import Image

from workbench.errors import EngineError, ModelError
from workbench.inference.picture_decoding import decode_picture
from workbench.inference.picture_tokens import EmbeddingCache, EncodedPicture, PictureChunk, PictureNumbers
from workbench.inference.transformers.kv_cache import BatchedKVCache, SlotInput
from workbench.models.reference import Model
from workbench.models.vision import check_sees
from workbench.prompting.pictures import Picture

_REMEMBERED = 16
"""Pictures whose prepared pixels are kept."""

_TOLERANCE = {torch.float32: 1e-3}
_COARSE = 0.05
"""By how much the trial's logits may differ, of the largest: in half precision more."""


@dataclass(frozen=True, eq=False)
class _PictureRange:
    """The inputs of a picture's forward pass, and which of its positions a chunk has. grid: as in PictureInput."""

    digest: str
    inputs: dict[str, torch.Tensor]
    start: int
    end: int
    grid: torch.Tensor | None


class PictureInput(NamedTuple):
    """What a model is given for a picture. embeddings: [positions, width]. grid, both_ways: as in SlotInput."""

    embeddings: torch.Tensor
    grid: torch.Tensor | None
    both_ways: bool


class _Reached(Exception):
    """The forward pass has come to the text model."""


class ProcessorPictures:
    """Encodes pictures for a loaded model; the processor is loaded with the first one."""

    def __init__(self, named: Model, model: Any, cache: Any, load: Callable[[], Any]) -> None:
        """cache: the model's KV cache, a batched one for a model that can be shown pictures. load: the processor."""
        self._named, self._model, self._cache, self._load = named, model, cache, load
        self._processor: Any = None
        self._numbers = PictureNumbers()
        self._encoded: dict[str, EncodedPicture] = {}
        self._embeddings = EmbeddingCache()
        self._both_ways = False

    @property
    def placeholder(self) -> str:
        """What chat templates write for a picture. Raises ModelError where the processor cannot be loaded."""
        return str(self._open().image_token)

    def encode(self, picture: Picture) -> EncodedPicture:
        """Raises ModelError for a model that cannot be shown pictures, EngineError for one that cannot be decoded."""
        self._open()
        digest = picture.digest
        if digest not in self._encoded:
            image = decode_picture(picture)
            while len(self._encoded) >= _REMEMBERED:
                del self._encoded[next(iter(self._encoded))]
            try:
                self._encoded[digest] = self._read(digest, self._prepare(image))
            except Exception as error:  # whatever a library raises over a picture of odd proportions
                raise EngineError(
                    f"The model's processor cannot prepare the picture {picture.name or picture.media_type}.",
                    "Try one of other proportions.",
                    f"{type(error).__name__}: {error}",
                ) from error
        return self._encoded[digest]

    @torch.inference_mode()
    def read(self, chunk: PictureChunk) -> PictureInput:
        """What stands at a chunk's positions."""
        content: _PictureRange = chunk.content
        # how many threads add up moves the last bits
        key = content.digest, torch.get_num_threads()
        found: torch.Tensor = self._embeddings.get(key, lambda: self._reach_text_model(content.inputs))
        return PictureInput(found[content.start : content.end], content.grid, self._both_ways)

    def _reach_text_model(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """What the text model is given for a picture's tokens, [tokens, width]. Raises StepAborted."""
        found: list[torch.Tensor] = []

        def keep(_: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            found.append(named["inputs_embeds"][0])
            raise _Reached

        lists = (module for module in self._model.modules() if isinstance(module, torch.nn.ModuleList))
        hooks = [layer.register_forward_pre_hook(self._check) for layers in lists for layer in layers]
        hooks.append(self._model.get_decoder().register_forward_pre_hook(keep, with_kwargs=True))
        try:
            self._model(**self._move(inputs), use_cache=False)
        except _Reached:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        return found[0]

    def _check(self, *_: Any) -> None:
        """Called before each layer of the encoder. Raises StepAborted."""
        self._cache.preemption.check()

    def _move(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        device, dtype = self._model.device, self._model.dtype
        return {
            name: value.to(device, dtype) if value.is_floating_point() else value.to(device)
            for name, value in inputs.items()
        }

    def _prepare(self, image: Image.Image) -> dict[str, torch.Tensor]:
        """What the processor makes of a picture alone."""
        processor = self._processor
        made = processor(images=[image], text=[processor.image_token], add_special_tokens=False, return_tensors="pt")
        return {name: value for name, value in made.items() if isinstance(value, torch.Tensor)}

    def _read(self, digest: str, inputs: dict[str, torch.Tensor]) -> EncodedPicture:
        ids: list[int] = inputs["input_ids"][0].tolist()
        positions = self._find_grid(inputs)
        parts: list[list[int] | PictureChunk] = []
        at = 0
        for own, group in groupby(ids, lambda token: token == self._image_id):
            run = list(group)
            if own:
                numbers = self._numbers.number(digest, at, len(run))
                end = at + len(run)
                grid = None if positions is None else positions[:, at:end] - positions[:, at:end].min()
                moved = len(run) if grid is None else int(grid.max()) + 1
                parts.append(PictureChunk(numbers, moved, _PictureRange(digest, inputs, at, end, grid)))
            else:
                parts.append(run)
            at += len(run)
        return EncodedPicture(tuple(parts))

    def _find_grid(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor | None:
        """The positions of a picture's tokens, [dimensions, tokens], where the model counts them in several."""
        find = getattr(getattr(self._model, "model", None), "get_rope_index", None)
        if find is None:
            return None
        known = inspect.signature(find).parameters
        found: torch.Tensor = find(**{name: value for name, value in inputs.items() if name in known})[0]
        return found[-3:, 0]  # some have the plain positions in front

    @property
    def _image_id(self) -> int:
        """The token at a picture's positions: of the model, since some processors mean the one in front."""
        config = self._model.config
        known = getattr(config, "image_token_id", None) or getattr(config, "image_token_index", None)
        return int(self._processor.image_token_id if known is None else known)

    def _open(self) -> Any:
        """The processor, loaded and tried. Raises ModelError."""
        if self._processor is None:
            check_sees(self._named)
            try:
                self._processor = self._load()
                if not isinstance(getattr(self._processor, "image_token", None), str):
                    raise ModelError(
                        f"{self._named.name} cannot be shown pictures: its processor names no token for them.",
                        "Use its GGUF form with a projector.",
                    )
                self._try()
            except BaseException:
                self._processor = None
                raise
        return self._processor

    @torch.inference_mode()
    def _try(self) -> None:
        """Raise ModelError for a model that answers otherwise by its embeddings than by itself."""
        image = Image.effect_noise((48, 40), 90).convert("RGB")
        try:
            inputs = self._prepare(image)
            known = self._model.config.get_text_config().vocab_size
            behind = torch.tensor([[(7 * index + 3) % known for index in range(4)]])
            whole = {**inputs, "input_ids": torch.cat([inputs["input_ids"], behind], dim=1)}
            for name in ("attention_mask", "token_type_ids", "mm_token_type_ids"):
                if name in whole:
                    fill = torch.full_like(behind, 1 if name == "attention_mask" else 0)
                    whole[name] = torch.cat([whole[name], fill], dim=1)
            expected = self._model(**self._move(whole), use_cache=False).logits[0, -1].float()
            parts = self._read("", inputs).parts
            self._embeddings = EmbeddingCache()  # of an earlier trial, with another picture
            allowed = _TOLERANCE.get(self._model.dtype, _COARSE) * float(expected.abs().max())
            for both_ways in (False, True):
                self._both_ways = both_ways
                found = self._evaluate([*parts, behind[0].tolist()])
                if float((found - expected).abs().max()) <= allowed:
                    return
            reason = "its logits differ"
        except ModelError:
            raise
        except Exception as error:  # noqa: BLE001  however foreign code fails, such a model is not shown pictures
            reason = f"{type(error).__name__}: {error}"
        raise ModelError(
            f"{self._named.name} cannot be shown pictures by transformers here: models of the type"
            f" {self._model.config.model_type} read them in a way of their own.",
            "Use its GGUF form with a projector, or a server.",
            reason,
        )

    def _evaluate(self, parts: Sequence[Sequence[int] | PictureChunk]) -> torch.Tensor:
        """The logits behind the last of these, in a cache of their own."""
        count = sum(len(part.ids) if isinstance(part, PictureChunk) else len(part) for part in parts)
        cache = BatchedKVCache(self._model, 1, count, self._cache.preemption)
        logits = torch.empty(0)
        at = saved = 0
        for part in parts:
            if isinstance(part, PictureChunk):
                shown = self.read(part)
                cache.evaluate(self._model, [SlotInput(0, at, (), shown.embeddings, (), saved, *shown[1:])])
                at, saved = at + len(part.ids), saved + len(part.ids) - part.positions
            elif part:
                logits = cache.evaluate(self._model, [SlotInput(0, at, part, saved=saved)])[0, -1].float()
                at += len(part)
        return logits
