"""Pictures through a Hugging Face processor: their tokens, and the embeddings that stand for them in the text model.

The processor says which tokens a picture is written with; the model's own forward pass, left where its text model
begins, says which embeddings stand at their positions. From there on a picture is evaluated like text. Models for which
that is not all (attention in both directions, positions in two dimensions) are found out by a trial and refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

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
    """The inputs of a picture's forward pass, and which of its positions a chunk has."""

    digest: str
    inputs: dict[str, torch.Tensor]
    start: int
    end: int


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
    def embed(self, chunk: PictureChunk) -> torch.Tensor:
        """A chunk's embeddings, [positions, width]."""
        content: _PictureRange = chunk.content
        # how many threads add up moves the last bits
        key = content.digest, torch.get_num_threads()
        found: torch.Tensor = self._embeddings.get(key, lambda: self._reach_text_model(content.inputs))
        return found[content.start : content.end]

    def _reach_text_model(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """What the text model is given for a picture's tokens, [tokens, width]."""
        found: list[torch.Tensor] = []

        def keep(_: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            found.append(named["inputs_embeds"][0])
            raise _Reached

        hook = self._model.get_decoder().register_forward_pre_hook(keep, with_kwargs=True)
        try:
            self._model(**self._move(inputs), use_cache=False)
        except _Reached:
            pass
        finally:
            hook.remove()
        return found[0]

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
        parts: list[list[int] | PictureChunk] = []
        at = 0
        for own, group in groupby(ids, lambda token: token == self._image_id):
            run = list(group)
            if own:
                numbers = self._numbers.number(digest, at, len(run))
                parts.append(PictureChunk(numbers, len(run), _PictureRange(digest, inputs, at, at + len(run))))
            else:
                parts.append(run)
            at += len(run)
        return EncodedPicture(tuple(parts))

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
            embeddings = self._reach_text_model(inputs)
            cache = BatchedKVCache(self._model, 1, len(embeddings) + 4, self._cache.preemption)
            cache.evaluate(self._model, [SlotInput(0, 0, (), embeddings)])
            found = cache.evaluate(self._model, [SlotInput(0, len(embeddings), behind[0].tolist())])[0, -1].float()
            allowed = _TOLERANCE.get(self._model.dtype, _COARSE)
            same = float((found - expected).abs().max()) <= allowed * float(expected.abs().max())
            reason = "" if same else "its logits differ"
        except ModelError:
            raise
        except Exception as error:  # noqa: BLE001  however foreign code fails, such a model is not shown pictures
            reason = f"{type(error).__name__}: {error}"
        if reason:
            raise ModelError(
                f"{self._named.name} cannot be shown pictures by transformers here: it has attention or positions of"
                f" its own for them ({self._model.config.model_type}).",
                "Use its GGUF form with a projector, or a server.",
                reason,
            )
