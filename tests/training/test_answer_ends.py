"""Adapters trained for real on tiny models learn where an answer ends: they stop by themselves, in both engines."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch  # noqa: TID253
from hf_fixture import write_hf
from lesson import PROMPT, RECIPE, job_dir_of

from workbench.inference.llamacpp.engine import LlamaEngine
from workbench.inference.transformers.engine import TransformersEngine
from workbench.inference.types import Chunk, GenerateRequest, Sampling, fold
from workbench.models.hf_to_gguf import convert_hf_to_gguf
from workbench.models.reference import Adapter, Applied, Model
from workbench.prompting.prompt import Message
from workbench.training.events import JobEnded, JobEvaluated, JobNotice, read_events

pytestmark = pytest.mark.filterwarnings("ignore")

LOOP = "{% for m in messages %}"
OPEN = "{% endfor %}{% if add_generation_prompt %}"
TURN = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
QUIRKS = {
    "qwen3": (
        f"{LOOP}{{% if m.role == 'assistant' %}}<|im_start|>assistant\n<think>\n\n</think>\n\n{{{{ m.content }}}}"
        f"<|im_end|>\n{{% else %}}{TURN}{{% endif %}}{OPEN}<|im_start|>assistant\n{{% endif %}}",
        ("<|im_start|>", "<|im_end|>"),
    ),
    "r1": (
        f"{LOOP}{{% if m.role == 'assistant' %}}<|Assistant|>{{{{ m.content.split('</think>')[-1] }}}}<|end|>"
        f"{{% else %}}<|User|>{{{{ m.content }}}}{{% endif %}}{OPEN}<|Assistant|><think>\n{{% endif %}}",
        ("<|User|>", "<|Assistant|>"),
    ),
    "gpt-oss": (
        f"{LOOP}{{% if m.role == 'assistant' %}}{{% if m.thinking %}}<|start|>assistant<|channel|>analysis<|message|>"
        "{{ m.thinking }}<|end|>{% endif %}<|start|>assistant<|channel|>final<|message|>{{ m.content }}"
        "<|return|>{% else %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|call|>{% endif %}"
        f"{OPEN}<|start|>assistant{{% endif %}}",
        ("<|start|>", "<|channel|>", "<|message|>", "<|return|>", "<|call|>"),
    ),
    "apertus": (  # it closes an answer with nothing
        f"{LOOP}<|{{{{ m.role }}}}|>{{{{ m.content }}}}{OPEN}<|assistant|>{{% endif %}}",
        (),
    ),
    "none": (None, ()),
}
"""A template with the quirk of a family, and its control tokens; `<|end|>` is the end that the tokenizer names."""

NAMES = {
    "Qwen-Qwen3-0.6B": ("<|im_start|>", "<|im_end|>"),
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": ("<｜User｜>", "<｜Assistant｜>"),
    "openai-gpt-oss-120b": ("<|start|>", "<|channel|>", "<|message|>", "<|return|>", "<|call|>"),
    "microsoft-Phi-3.5-mini-instruct": (),
    "mistralai-Mistral-Nemo-Instruct-2407": ("[INST]", "[/INST]"),
    "google-gemma-2-2b-it": ("<start_of_turn>", "<end_of_turn>"),
    "meta-llama-Llama-3.1-8B-Instruct": ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
}
"""Real templates by file, and their control tokens."""

CHANGES = (
    "training: {max_steps: 60, batch_size: 8, learning_rate: 0.02, device: cpu}\n"
    "evaluation: {eval_steps: 60, cases: 0, early_stopping_patience: 0}"
)
WORDS = ("end", "d", "turn", "A")
ROWS = 20
SHARE = 0.95
"""Of the validation rows that must end by themselves."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before, handler = torch.get_num_threads(), signal.getsignal(signal.SIGTERM)
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def training_args(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder whose rows have the answers that stand in templates too."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    work = tmp_path / "work"
    work.mkdir()
    (work / "ask.prompty").write_text(PROMPT.replace("system:\nBe kind.\n\n", ""))
    for name, first in (("train", 0), ("validation", 100)):
        rows = [
            {"message": f"Say {WORDS[at % 4]} {at % 7}", "expected": WORDS[at % 4]}
            for at in range(first, first + (48 if name == "train" else ROWS))
        ]
        (work / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (work / "my.recipe.yaml").write_text(RECIPE)
    monkeypatch.chdir(work)
    return work


def train(work: Path, changes: str = CHANGES) -> tuple[JobEnded, list[Any]]:
    from workbench.training.child.run import run_job

    job_dir = job_dir_of(work, changes)
    ended = run_job(job_dir)
    return ended, list(read_events(job_dir.events).events)


def answer(engine: Any, adapter: Path, count: int = ROWS) -> list[Any]:
    """What an engine answers to the validation rows with an adapter, one completion each."""
    applied = (Applied(Adapter("lesson", adapter)),)
    for number in range(count):
        messages = (Message("user", f"Say {WORDS[number % 4]} {(100 + number) % 7}"),)
        engine.submit(GenerateRequest(number, messages, Sampling(max_tokens=32, temperature=0.0), adapters=applied))
    chunks: list[Chunk] = []
    while engine.busy:
        chunks += [event for event in engine.step() if isinstance(event, Chunk)]
    return [fold([chunk for chunk in chunks if chunk.request == number]) for number in range(count)]


def check_ends(work: Path, ended: JobEnded) -> None:
    folder = work / "tiny"
    out = work / "tiny.gguf"
    convert_hf_to_gguf(folder, out, "f32")
    engines: list[Callable[[], Any]] = [
        lambda: TransformersEngine.open(Model("tiny", folder, "hf"), 1, 4096, lambda _: True),
        lambda: LlamaEngine.open(Model("tiny", out), 1, 4096, lambda _: True),
    ]
    for make in engines:
        engine = make()
        try:
            found = answer(engine, Path(ended.adapter))
        finally:
            engine.close()
        stopped = [one for one in found if one.stop_reason == "eos"]
        assert len(stopped) >= SHARE * ROWS, [(one.text, one.stop_reason) for one in found]
        whole = [one for one in found if one.text.strip() in WORDS]  # which of them is too much for so small a model
        assert len(whole) >= SHARE * ROWS, [one.text for one in found]


@pytest.mark.parametrize("quirk", QUIRKS)
def test_an_adapter_stops_by_itself_in_both_engines(quirk: str, training_args: Path) -> None:
    template, controls = QUIRKS[quirk]
    write_hf(training_args / "tiny", chat_template=template, more_controls=controls)
    ended, events = train(training_args)
    assert ended.outcome == "done", ended
    assert not [event for event in events if isinstance(event, JobNotice) and "not learning to end" in event.text]
    last = [event for event in events if isinstance(event, JobEvaluated)][-1]
    assert last.end_logprob is not None
    assert last.end_logprob > math.log(0.5)
    check_ends(training_args, ended)


def find_real(name: str) -> Path | None:
    folder = Path(os.environ.get("LLAMA_CPP_SDIST", "/nowhere"))
    places = (folder / "vendor/llama.cpp/models/templates", folder)
    return next((path for job_dir in places if (path := job_dir / f"{name}.jinja").is_file()), None)


@pytest.mark.skipif(
    find_real("Qwen-Qwen3-0.6B") is None, reason="LLAMA_CPP_SDIST names no unpacked source distribution"
)
@pytest.mark.parametrize("name", NAMES)
def test_an_adapter_over_a_real_template_stops_by_itself_in_both_engines(name: str, training_args: Path) -> None:
    path = find_real(name)
    assert path is not None
    write_hf(
        training_args / "tiny", chat_template=path.read_text("utf-8"), more_controls=NAMES[name], context_tokens=1024
    )
    ended, _ = train(training_args)
    assert ended.outcome == "done", ended
    check_ends(training_args, ended)


def test_an_end_that_is_not_being_learned_is_told(training_args: Path) -> None:
    """At such a learning rate nothing is."""
    write_hf(training_args / "tiny")
    changes = (
        "training: {max_steps: 4, batch_size: 8, learning_rate: 1.0e-9, device: cpu}\n"
        "evaluation: {eval_steps: 2, cases: 0, early_stopping_patience: 0}"
    )
    ended, events = train(training_args, changes)
    told = [event for event in events if isinstance(event, JobNotice) and "not learning to end" in event.text]
    assert len(told) == 1
    assert "Answers may not end" in ended.hint
