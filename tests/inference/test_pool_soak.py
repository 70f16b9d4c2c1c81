"""A small soak through the pool, its pipes and its process."""

from __future__ import annotations

import contextlib

import pytest
from soak.soak_compare import TOLERANCES, part
from soak.soak_plan import Material, plan, read_messages
from soak.soak_pool import soak_pool

from workbench import paths
from workbench.inference.llamacpp.engine import LlamaEngine
from workbench.inference.pool import Pool
from workbench.models.reference import Adapter, Applied, Model

FILE = "desk-f16.gguf"


@pytest.mark.model
def test_requests_and_weighings_through_the_process_all_end_as_they_should() -> None:
    model = Model("desk", paths.find_shipped(f"assets/{FILE}"), context_tokens=448)
    known = read_messages(paths.find_shipped("assets/data/queues/test.jsonl"))
    lora = Adapter("queues", paths.find_shipped("assets/queues-lora.gguf"), "gguf")
    engine = LlamaEngine.open(model, 1, 8192, lambda _: True, 0)
    ends = [token for token in range(engine.info.vocabulary) if engine._vocabulary.ends(token)]
    asked = plan(150, 1, Material([(), (Applied(lora),), (Applied(lora, 0.5),)], known, ends))
    with contextlib.closing(Pool(threads=1)) as pool:
        account = soak_pool(asked, pool, model)
    biases = {engine._vocabulary.token_to_bytes(token).decode(): -1000.0 for token in ends}
    partings = [part(engine, *one, biases) for one in account.apart]
    engine.close()
    assert not account.odd
    assert len(partings) <= 0.1 * len(asked)
    assert all(parting.margin < TOLERANCES[FILE].near for parting in partings), partings
    assert account.weighed < TOLERANCES[FILE].weighed
    assert account.memory[1] - account.memory[0] < 48 * 2**20
