"""How well the passages were found that a variant retrieved: recall@k, MRR and nDCG@k, whatever the answer says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar

from workbench.datasets import Case
from workbench.retrieval.relevance import find_gains, ndcg, recall, reciprocal_rank
from workbench.scoring.registry import option, register
from workbench.scoring.scorer import Score, Scorer, ScorerSpec

_SHOWN = 5
_NOTES = (
    "Needs a variant that retrieves and a dataset whose `relevant` says what is to be found; does not apply to"
    " `retrieve: none`, nor to a case for which nothing is relevant."
)
_K = "Only the first so many passages count; 0: all that the variant retrieved"


class RetrievalScorer(Scorer, frozen=True, kw_only=True):
    """What the three have in common."""

    spec: ClassVar[ScorerSpec] = ScorerSpec(needs_answer=False)
    k: Annotated[int, option(_K, ge=0)] = 0

    def rate(self, case: Case, value: Callable[[list[int], int, int], float]) -> Score:
        """The score of a value of the gains, the number of references and k."""
        relevant = tuple(dict.fromkeys(case.relevant))
        if case.retrieved_by in ("", "none"):
            return self._skip("The variant retrieves nothing.")
        if not relevant:
            return self._skip("The case does not say what is relevant.")
        gains = find_gains(case.passages, relevant)
        k = self.k or max(len(case.passages), len(relevant))
        return self._score(case, value(gains, len(relevant), k), gains[:k])

    def _score(self, case: Case, value: float, gains: list[int]) -> Score:
        found = sum(gains)
        ranks = ", ".join(str(rank) for rank, gain in enumerate(gains, 1) if gain)
        at = f" at rank {ranks}" if ranks else ""
        total = len(set(case.relevant))
        names = ", ".join(passage.id for passage in case.passages[:_SHOWN])
        wanted = ", ".join(str(reference) for reference in case.relevant[:_SHOWN])
        explanation = f"{found} of {total} relevant found{at}.\nRetrieved: {names or 'nothing'}.\nRelevant: {wanted}."
        return Score(self.name, value, names, explanation)

    def _skip(self, why: str) -> Score:
        return Score(self.name, 0.0, "", why, applies=False)


@register(
    "recall_at_k",
    group="retrieval",
    help="The share of the relevant documents or spans that the first k retrieved passages hold",
    notes=_NOTES,
    example="recall_at_k: {k: 3}",
)
class RecallAtK(RetrievalScorer, frozen=True, kw_only=True):
    name: str = "recall_at_k"

    def score(self, text: str, case: Case) -> Score:
        return self.rate(case, recall)


@register(
    "mrr",
    group="retrieval",
    help="1 over the rank of the first relevant passage; its mean is the mean reciprocal rank",
    notes=_NOTES,
    example="mrr",
)
class Mrr(RetrievalScorer, frozen=True, kw_only=True):
    name: str = "mrr"

    def score(self, text: str, case: Case) -> Score:
        return self.rate(case, lambda gains, _, k: reciprocal_rank(gains, k))


@register(
    "ndcg",
    group="retrieval",
    help="nDCG@k: relevant passages count less the further down they stand, over the best possible order",
    notes=_NOTES,
    example="ndcg: {k: 10}",
)
class Ndcg(RetrievalScorer, frozen=True, kw_only=True):
    name: str = "ndcg"

    def score(self, text: str, case: Case) -> Score:
        return self.rate(case, ndcg)
