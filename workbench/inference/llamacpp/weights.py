"""A GGUF file's weights in memory.

Several contexts may share one set of weights.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.errors import ModelError, OutOfMemoryError
from workbench.inference.llamacpp.devices import has_own_gpu
from workbench.inference.llamacpp.native import LOG, native, start


class LoadedWeights:
    """Loaded weights; `model` is the native handle, valid until `close`."""

    def __init__(
        self,
        path: Path,
        advance: Callable[[float | None], bool],
        configure: Callable[[Any], object] = lambda parameters: None,
    ) -> None:
        """Load a file. Raises ModelError that says why it cannot be loaded; OutOfMemoryError where that is why.

        advance: told how far the load is, from 0 to 1; False gives the load up. configure: sets in llama_model_params
        where the layers go; what it returns lives as long as the load.
        """
        start()
        parameters = native.llama_model_default_params()
        kept = configure(parameters)
        stopped = False

        def report(fraction: float, _: object) -> bool:
            nonlocal stopped
            stopped = not advance(min(1.0, fraction))
            return not stopped

        callback = native.llama_progress_callback(report)  # must live as long as the call
        parameters.progress_callback = callback
        LOG.lines.clear()
        self.model = native.llama_model_load_from_file(os.fsencode(path), parameters)
        del kept
        if not self.model:
            raise give_up(path) if stopped else _explain(path)

    @property
    def layers(self) -> int:
        return int(native.llama_model_n_layer(self.model))

    @property
    def bytes(self) -> int:
        return int(native.llama_model_size(self.model))

    @property
    def vocabulary_size(self) -> int:
        return int(native.llama_vocab_n_tokens(native.llama_model_get_vocab(self.model)))

    @property
    def input_width(self) -> int:
        """Numbers of an embedding that goes in."""
        return int(native.llama_model_n_embd_inp(self.model))

    @property
    def on_gpu(self) -> bool:
        """Whether llama.cpp finds a GPU of this machine."""
        return has_own_gpu()

    @property
    def can_generate(self) -> bool:
        """Whether the model writes text token by token, rather than giving embeddings or translating."""
        return bool(native.llama_model_has_decoder(self.model)) and not native.llama_model_has_encoder(self.model)

    def read_text(self, key: str) -> str | None:
        """A text of the file's metadata; None when it is not there."""
        needed = native.llama_model_meta_val_str(self.model, key.encode(), None, 0)
        if needed < 0:
            return None
        buffer = ctypes.create_string_buffer(needed + 1)
        native.llama_model_meta_val_str(self.model, key.encode(), buffer, needed + 1)
        return buffer.value.decode("utf-8", "replace")

    def close(self) -> None:
        if self.model:
            native.llama_model_free(self.model)
            self.model = None


def give_up(path: Path) -> ModelError:
    """The error of a load that somebody ended."""
    return ModelError(f"Loading {path} was given up.", "Run again to load it.")


def _explain(path: Path) -> ModelError:
    """The error for a file that llama.cpp refused, from what it wrote into its log."""
    words = "\n".join(LOG.lines)
    if "unknown model architecture" in words:
        name = words.split("unknown model architecture:")[1].split("\n")[0].strip(" '\"")
        return ModelError(
            f"{path} has the architecture {name!r}, which this version of llama.cpp cannot run.",
            "Choose another model, or update llama-cpp-python when it learns this architecture.",
            words,
        )
    if "pre-tokenizer" in words or ("tokenizer" in words and "unknown" in words):
        return ModelError(
            f"{path} has a tokenizer that this version of llama.cpp does not know.",
            "Choose another model, or convert this one again with a current converter.",
            words,
        )
    if "alloc" in words:
        return OutOfMemoryError(
            f"There was not enough memory to load {path}.",
            "Choose a smaller quantisation, or unload another model.",
            words,
        )
    reason = next((line for line in reversed(LOG.lines) if "error loading model" in line), "")
    return ModelError(
        f"llama.cpp could not load {path}{': ' + reason.split('error loading model:')[-1].strip() if reason else ''}.",
        "The file may be damaged or made for another program; fetch or convert it again.",
        words,
    )
