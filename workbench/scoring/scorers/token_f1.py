"""Token F1: the overlap of the answer's words with those of the expected one."""

from __future__ import annotations

from collections import Counter

from workbench.scoring.registry import register
from workbench.scoring.scorer import ReferenceScorer, Score, truncate
from workbench.scoring.text.words import split_squad_tokens


@register(
    "token_f1",
    group="overlap",
    help="F1 over the words shared with the expected answer, as in SQuAD",
    notes=(
        "In scripts without spaces each character is a word, as in MLQA. Numbers keep their sign and decimal point;"
        " signs and a lone article count where there is nothing else."
    ),
    example="token_f1",
)
class TokenF1(ReferenceScorer, frozen=True, kw_only=True):
    name: str = "token_f1"

    def compare(self, text: str, expected: str) -> Score:
        found, wanted = split_squad_tokens(text), split_squad_tokens(expected)
        shared = (Counter(found) & Counter(wanted)).total()
        if not found:
            return Score(self.name, 0.0, "", "The answer has no words.")
        precision, recall = shared / len(found), shared / len(wanted)
        value = 2 * precision * recall / (precision + recall) if shared else 0.0
        explanation = f"{shared} shared words; precision {precision:.2f}, recall {recall:.2f}."
        return Score(self.name, value, truncate(" ".join(found)), explanation)
