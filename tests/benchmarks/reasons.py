"""Why a figure misses its aim, as far as it was found out: a pattern of what the row is called, and a sentence.

The first that fits counts, and only where the aim is missed.
"""

from __future__ import annotations

REASONS = (
    (
        "one variant of four edited",
        "A step of 8 rows takes more for each row than one of 32 does (s135 q8_0, by hand: 3.4 ms and 2.4 ms), and the"
        " edited quarter has only 8: its reading costs a quarter of the whole, its writing more than a third.",
    ),
    (
        "choices / Llama.eval",
        "The aim is below what the tokens allow: 138 + 4 x 5 are evaluated here instead of 4 x 144, which is 0.27 of"
        " them; that no logits are computed for the other 552 brings it to about 0.2.",
    ),
    (
        "largest difference of log-probabilities",
        "Where weights are quantized so are the activations, and any other order of summation moves them: Llama.eval"
        " differs from itself by as much once flash attention is switched on. With f16 weights ours was 0.013.",
    ),
)
