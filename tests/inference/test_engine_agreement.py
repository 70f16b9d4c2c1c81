"""The embedded model answers the same through both engines, with and without its adapter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench import paths
from workbench.inference.types import Chunk, Engine, GenerateRequest, Sampling, fold
from workbench.library.library import Library
from workbench.models.reference import Adapter, Applied, Model
from workbench.prompting.render import render

CASES = 60


def answer_all(engine: Engine, adapters: tuple[Applied, ...]) -> list[str]:
    prompt = Library(paths.find_shipped("prompts")).open("queues/plain").prompt
    lines = paths.find_shipped("assets/data/queues/test.jsonl").read_text().splitlines()[:CASES]
    for number, line in enumerate(lines):
        messages = render(prompt, {"message": json.loads(line)["message"]}, ())
        engine.submit(GenerateRequest(number, messages, Sampling(max_tokens=16), "chat", adapters))
    found: dict[int, list[Chunk]] = {number: [] for number in range(len(lines))}
    while engine.busy:
        for event in engine.step():
            if isinstance(event, Chunk):
                found[event.request].append(event)
    return [fold(chunks).text for chunks in found.values()]


@pytest.mark.model
@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0])
def test_the_embedded_model_answers_the_same_through_both_engines(desk_hf: Path, scale: float) -> None:
    from workbench.inference.llamacpp.engine import LlamaEngine
    from workbench.inference.transformers.engine import TransformersEngine

    folder, gguf = paths.find_shipped("assets/queues-lora"), paths.find_shipped("assets/queues-lora.gguf")
    exact = Model("desk", paths.find_shipped("assets/desk-f16.gguf"))
    hf = TransformersEngine.open(Model("desk", desk_hf, "hf"), 1, 1024, lambda _: True)
    llama = LlamaEngine.open(exact, 1, 1024, lambda _: True)
    ours = answer_all(hf, (Applied(Adapter("queues", folder), scale),))
    theirs = answer_all(llama, (Applied(Adapter("queues", gguf, "gguf"), scale),))
    hf.close()
    llama.close()
    same = sum(one == other for one, other in zip(ours, theirs, strict=True))
    assert same >= 0.98 * CASES
    assert len(set(ours)) > 1
