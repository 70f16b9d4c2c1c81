"""What llama.cpp does differently for some models and builds, as far as it changes how large a model is opened.

Knows nothing of requests.
"""

from __future__ import annotations

from workbench.engines.llamacpp.native import native
from workbench.models.header import read_header
from workbench.models.reference import Model


def adapts_to_length(model: Model) -> bool:
    """Whether the model computes positions differently once its context is opened for long texts.

    llama.cpp decides that by the whole cache's size, so such a model gets a cache of one context only.
    """
    return any(tensor.name.startswith("rope_factors_long") for tensor in read_header(model.path).tensors)


def on_gpu() -> bool:
    """Whether llama.cpp was built for a GPU; the weights then lie in its memory, all of them."""
    return bool(native.llama_supports_gpu_offload())
