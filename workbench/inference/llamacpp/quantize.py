"""A GGUF file in a smaller form, by llama.cpp's own quantizer.

It computes for seconds to minutes: run it in a process of its own.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from workbench.errors import ModelError
from workbench.inference.llamacpp.native import LOG, native, start

FILE_TYPES = {
    **{"q8_0": 7, "q6_k": 18, "q5_k_m": 17, "q5_k_s": 16, "q4_k_m": 15, "q4_k_s": 14, "q4_0": 2},
    **{"q3_k_m": 12, "q2_k": 10, "bf16": 32, "f16": 1},
}
"""Name -> llama.cpp's number of the file type."""


def quantize(source: Path, out: Path, kind: str, threads: int = 0) -> str:
    """Write `source` as `kind`, all at once or not at all; threads 0 takes every core.

    What a person should know of the outcome; empty where all went as asked. Raises ModelError.
    """
    if kind not in FILE_TYPES:
        raise ModelError(f"There is no quantization {kind!r}.", f"Choose one of {', '.join(FILE_TYPES)}.")
    start()
    parameters = native.llama_model_quantize_default_params()
    parameters.ftype = FILE_TYPES[kind]
    parameters.nthread = threads
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch:
        written = Path(scratch) / out.name
        LOG.lines.clear()
        LOG.quiet = True  # it warns of every tensor
        if native.llama_model_quantize(os.fsencode(source), os.fsencode(written), parameters) != 0:
            raise ModelError(
                f"llama.cpp could not quantize {source} to {kind}.",
                "Choose another quantization; q8_0 works for every model.",
                "\n".join(LOG.lines),
            )
        written.replace(out)
    return next((note for line in LOG.lines if (note := _find_note(line, kind))), "")


def _find_note(line: str, kind: str) -> str:
    found = re.search(r"(\d+) of (\d+) tensor\(s\) required fallback", line)
    if not found:
        return ""
    return f"{found[1]} of {found[2]} tensors have rows too short for {kind} and were packed in larger blocks."
