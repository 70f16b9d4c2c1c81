"""Why a figure misses its aim, as far as it was found out: a pattern of what the row is called, and a sentence.

The first that fits counts, and only where the aim is missed.
"""

from __future__ import annotations

REASONS = (
    (
        "32 cells, 4 slots, cold / all at once",
        "llama-server keeps the prompts of idle slots in host memory by itself (`--cache-ram`), so that in bench order"
        " too it evaluates 2,430 to 2,550 prompt tokens of 7,996, and 1,830 to 2,430 in our order (by hand, with the"
        " embedded model; the tree has 1,540): writing, which order does not change, is most of the time.",
    ),
    (
        "matrix / Llama|matrix / llama-server, cold|matrix cold / llama-server warm",
        "In their best order the peers read no more prompt tokens than the tree has, so that only writing can gain:"
        " here a step of 32 rows takes 12 to 16 times one of a single row (s135 q8_0, by hand: 80 ms for weights and"
        " 40 ms for what 32 rows look back on; 7.6 ms), and reading 1.9 ms a token, or 2.4 beside a thousand cells of"
        " others. What llama-batched-bench does at its best would make it 0.5.",
    ),
    (
        r"LoRA x 8 inputs / (4 Llama|llama-server)",
        "llama.cpp lays one set of adapters over a batch, so that 8 rows write at once and not 32 (4.5 ms a row and"
        " not 3.8), and what the prompts have in common is read once for each adapter, by all contenders.",
    ),
    (
        "4 panes, 4 adapters",
        "Two contexts side by side read the weights twice, and the larger ones do not stay in the processor's cache:"
        " the memory gives no more.",
    ),
    (
        "rows / llama-batched-bench",
        "Python takes 0.1 ms a row in a step, for choosing and spelling its token, which llama-batched-bench does not"
        " do. The rest is this machine, whose pace changes by a third within minutes: figures from one run to the next"
        " lay between 0.81 and 1.11.",
    ),
    (
        "5 likeliest",
        "It takes 0.1 ms a row (vocabulary 49,152) or 0.25 ms (151,936); what is beyond that is the machine, whose pace"
        " changes by a third within minutes.",
    ),
    (
        "the better layout",
        "The layout is chosen by what was measured in half a second when the model was opened, and both contenders are"
        " measured later, on a machine whose pace changes by a third within minutes; and where another program has just"
        " ended, the first steps leave it a core.",
    ),
    (
        "2 rows / always batching",
        "A batch of two costs 2.2 times a single row here, not 2.35 as where the aim was set, and two contexts with a"
        " core each do not get twice the memory bandwidth.",
    ),
    (
        "bytes of weights",
        "llama-batched-bench does not reach more in the same run.",
    ),
    (
        "cancel in a prompt",
        "Native code is asked between two of its matrix products, and the largest of this model takes some"
        " milliseconds.",
    ),
    (
        "reload / another scale",
        "A set with another scale is another set, and gets a context of its own, since what was computed with the old"
        " scale is wrong for it; coming back to one in use takes a hundredth of a reload.",
    ),
    (
        "8 rows, a token each / generate",
        "From run to run it was 0.52 to 0.72, on a machine whose pace changes; what else it could be was not found.",
    ),
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
        "create_completion with echo",
        "What it is held against sorts the vocabulary in Python, which took 23 s in one run and 42 s in another.",
    ),
    (
        "largest difference of log-probabilities",
        "Where weights are quantized so are the activations, and any other order of summation moves them: Llama.eval"
        " differs from itself by as much once flash attention is switched on. With f16 weights ours was 0.013.",
    ),
)
