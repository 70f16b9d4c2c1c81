"""A decision that was exported answers on a running llama-server what it answers here."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.inference.remote.queues import needs_llama_server, open_models
from tests.peers.launch import run_script
from workbench import paths
from workbench.datasets import load_cases
from workbench.inference.types import Sampling
from workbench.interop.exported import Exported
from workbench.interop.exporting import export
from workbench.interop.llama_server_flags import FLAGS, SWITCHED
from workbench.models.reference import find_applied
from workbench.runs.bench import load_bench
from workbench.runs.generation import GenerationSpec
from workbench.runs.sources import find_sources
from workbench.settings import Settings

pytestmark = [needs_llama_server, pytest.mark.model]

BENCH = """\
library: {library}
dataset: {{path: {data}}}
variants:
  - {{name: few-shot, prompt: queues/few-shot, model: {model}, sampling: {{max_tokens: 12}}}}
  - name: tuned
    prompt: queues/plain
    model: {model}
    sampling: {{max_tokens: 12}}
    adapters: [{{adapter: {adapter}, scale: 0.7}}]
  - name: odd
    prompt: queues/plain
    model: {model}
    sampling: {{temperature: 0.7, top_p: 0.9, top_k: 17, min_p: 0.02, typical_p: 0.8, top_n_sigma: 1.5, max_tokens: 9,
      seed: 11, repetition_penalty: 1.1, frequency_penalty: 0.2, presence_penalty: 0.3, repeat_last_n: 32,
      dynatemp_range: 0.1, dynatemp_exponent: 1.5, dry_multiplier: 0.4, dry_base: 1.5, dry_allowed_length: 3,
      dry_penalty_last_n: 40, xtc_probability: 0.2, xtc_threshold: 0.3, mirostat: 2, mirostat_tau: 4.0,
      mirostat_eta: 0.2}}
"""
CASES = 8


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> Path:
    """16 bits, so that the size of a batch does not turn a choice between tokens that are about as likely."""
    path = tmp_path_factory.mktemp("decision") / "own.bench.yaml"
    shipped = {"library": "prompts", "data": "assets/data/queues/test.jsonl", "model": "assets/desk-f16.gguf",
               "adapter": "assets/queues-lora.gguf"}  # fmt: skip
    path.write_text(BENCH.format(**{name: paths.find_shipped(where) for name, where in shipped.items()}))
    return path


def write_script(found: Exported, folder: Path) -> Path:
    script = folder / "llama-server.sh"
    script.write_text(found.files["llama-server.sh"])
    return script


def ask(port: int, method: str, path: str, body: str = "") -> dict[str, Any]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=600)) as connection:
        connection.request(method, path, body.encode(), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        text = reply.read()
        assert reply.status == 200, text
        return json.loads(text)


def answer_here(bench: Path, name: str, count: int) -> list[str]:
    """The answers of our own engine to the first cases."""
    held = load_bench(bench)
    variant = next(one for one in held.variants if one.name == name)
    sources = find_sources(held, bench.parent, Settings())
    prompt, model = sources.open_prompt(variant.prompt), sources.find_model(variant.model)
    adapters = find_applied(model, variant.adapters, sources.find_adapters)
    cases = load_cases(held.dataset, bench.parent)[:count]
    specs = [GenerationSpec.of(variant, prompt, case, "refuse", model, adapters) for case in cases]
    with open_models() as pool:
        client = pool.client(model)

        async def gather() -> list[str]:
            done = await asyncio.gather(*(client.complete(one.request(priority=1)) for one in specs))
            return [one.text for one in done]

        return asyncio.run(gather())


@pytest.mark.parametrize("name", ["few-shot", "tuned"])
def test_the_server_answers_the_exported_requests_as_the_engine_here_does(bench, tmp_path, name):
    exported = [export(str(bench), "llama-server", name, case, Settings()) for case in range(1, CASES + 1)]
    assert not exported[0].losses.losses
    snippet = export(str(bench), "python", name, 1, Settings()).files["ask.py"]
    with run_script(write_script(exported[0], tmp_path)) as port:
        replies = [ask(port, "POST", "/v1/chat/completions", one.files["request.json"]) for one in exported]
        (tmp_path / "ask.py").write_text(snippet.replace("127.0.0.1:8080", f"127.0.0.1:{port}"))
        command = [sys.executable, str(tmp_path / "ask.py")]
        printed = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True).stdout
    there = [one["choices"][0]["message"]["content"] for one in replies]
    assert there == answer_here(bench, name, CASES)
    assert len(set(there)) > 1
    assert printed == there[0] + "\n"


def test_the_server_is_started_with_the_sampling_of_the_variant(bench, tmp_path):
    found = export(str(bench), "llama-server", "odd", 1, Settings())
    assert not found.losses.losses
    with run_script(write_script(found, tmp_path)) as port:
        there = ask(port, "GET", "/props")["default_generation_settings"]["params"]
        asked = json.dumps({"messages": [{"role": "user", "content": "a"}], "ignore_eos": True})
        usage = ask(port, "POST", "/v1/chat/completions", asked)["usage"]
    wanted = load_bench(bench).variants[-1].sampling
    fields = {*FLAGS, *(field for own in SWITCHED.values() for field in own)}
    for field in fields - {"max_tokens"}:  # which is not among its settings
        assert getattr(wanted, field) != getattr(Sampling(), field), f"{field} is at its default, which shows nothing"
        found = there["repeat_penalty" if field == "repetition_penalty" else field]
        assert found == pytest.approx(getattr(wanted, field), rel=1e-5), field
    assert usage["completion_tokens"] == wanted.max_tokens
