"""Whether a search can use the reflector that it names: it is there, and its price is known where money is limited."""

from __future__ import annotations

from workbench.errors import SearchError
from workbench.models.reference import Model
from workbench.runs.bench import Bench
from workbench.runs.cost import Price, find_price
from workbench.runs.price_table import find_list_price, is_paid
from workbench.runs.sources import Sources
from workbench.search.request import SearchRequest


def check_reflector(request: SearchRequest, bench: Bench, sources: Sources) -> None:
    """Raise ModelError for a reflector that is not there, SearchError for one of unknown price under a money budget."""
    if not request.reflector:
        return
    model = sources.find_model(request.reflector)
    if (
        request.budget.money is not None
        and is_paid(model)
        and find_reflector_price(bench, model, request.reflector) is None
    ):
        raise SearchError(
            f"--max-cost needs prices, and none is known for {request.reflector}.",
            "Add it to the bench: prices: {MODEL: {input: 0.50, output: 1.50}}, for a million tokens.",
        )


def find_reflector_price(bench: Bench, model: Model, name: str) -> Price | None:
    """The bench's price of a reflector, else its provider's list price. name: the model's in the bench."""
    return find_price(bench.prices, name, model.name) or find_list_price(model)
