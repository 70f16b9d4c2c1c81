"""Likelihoods of the embedded model against the log-softmax of its logits, computed by transformers in one pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.inference.types import Engine, LoglikelihoodRequest, LoglikelihoodResult
from workbench.models.reference import Model
from workbench.prompting.prompt import Message

QUESTION = (Message("user", "What is the capital of the country? Answer with a name."),)
ANSWERS = ("Lantern", "Abacus", "It is not known to me, sorry.", "7 x 8 is 56")
TOLERANCES = {"hf": 1e-3, "f16": 5e-3}
"""Of a token's log-probability, on the mean: the GGUF file and its cache hold 11 bits of a number."""

pytestmark = pytest.mark.model


def open_engine(kind: str, folder: Path) -> Engine:
    if kind == "hf":
        from workbench.inference.transformers.engine import TransformersEngine

        return TransformersEngine.open(Model("desk", folder, "hf"), 1, 1024, lambda _: True)
    from workbench.inference.llamacpp.engine import LlamaEngine

    return LlamaEngine.open(Model("desk", folder.with_name("desk-f16.gguf")), 1, 1024, lambda _: True)


@pytest.mark.parametrize("kind", TOLERANCES)
def test_likelihoods_are_those_of_one_plain_pass(kind: str, desk_hf: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(desk_hf)
    model = AutoModelForCausalLM.from_pretrained(desk_hf, dtype=torch.float32)
    engine = open_engine(kind, desk_hf)
    prompt = list(engine.tokenize(LoglikelihoodRequest(1, QUESTION, ()).request).ids)
    engine.loglikelihood(LoglikelihoodRequest(1, QUESTION, ANSWERS))
    events = []
    while engine.busy:
        events += engine.step()
    (weighed,) = (event for event in events if isinstance(event, LoglikelihoodResult))
    for answer, found in zip(ANSWERS, weighed.likelihoods, strict=True):
        tokens = tokenizer.encode(answer, add_special_tokens=False)
        with torch.inference_mode():
            rows = model(torch.tensor([prompt + tokens])).logits[0, len(prompt) - 1 : -1].double().log_softmax(-1)
        exact = float(rows[range(len(tokens)), tokens].sum())
        assert found.tokens == len(tokens)
        assert found.logprob == pytest.approx(exact, abs=TOLERANCES[kind] * len(tokens))
    engine.close()
