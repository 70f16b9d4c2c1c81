"""Real models in real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.inference.listener import PATIENCE, Listener, submit, tokenize
from workbench.errors import ModelError
from workbench.inference.pool import Pool
from workbench.inference.types import Chunk, Completion, Failure, Sampling
from workbench.models.reference import Adapter, Applied, Model
from workbench.prompting.prompt import Message

HELLO = (Message("user", "Hello"),)
LONG = Sampling(max_tokens=400, logit_bias={"id:1": -1000.0})


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool()
    yield made
    made.close()


@pytest.fixture
def tiny(tiny_gguf: Callable[..., Path]) -> Model:
    return Model("tiny", tiny_gguf("tiny"))


def ask(pool: Pool, model: Model, sampling: Sampling = LONG) -> Listener:
    listener = Listener()
    submit(pool, model, HELLO, sampling, "chat", listener)
    return listener


def test_the_terminals_process_never_loads_an_engine() -> None:
    program = "import sys, workbench.inference.pool; print([m for m in sys.modules if m.split('.')[0] in sys.argv[1:]])"
    heavy = ["llama_cpp", "torch", "transformers", "numpy", "textual"]
    found = subprocess.run([sys.executable, "-c", program, *heavy], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_four_panes_on_one_model_stream_at_the_same_time(pool: Pool, tiny: Model) -> None:
    order: list[int] = []
    listeners = [Listener() for _ in range(4)]
    for number, listener in enumerate(listeners):

        def sink(event: object, number: int = number, listener: Listener = listener) -> None:
            if isinstance(event, Chunk):
                order.append(number)
            listener(event)  # type: ignore[arg-type]

        submit(pool, tiny, HELLO, LONG, "chat", sink)
    for listener in listeners:
        assert isinstance(listener.wait(), Completion)
    first_end = min(len(order) - order[::-1].index(number) for number in range(4))
    assert set(order[: first_end // 2]) == {0, 1, 2, 3}
    assert len(pool.loaded_models()) == 1


def test_a_killed_model_says_so_and_answers_again(pool: Pool, tiny: Model) -> None:
    pool.load(tiny).result(PATIENCE)
    pid = pool.loaded_models()[0].pid
    assert pid
    os.kill(pid, signal.SIGSTOP)  # so that it cannot end before it is killed
    listener = ask(pool, tiny)
    os.kill(pid, signal.SIGKILL)
    failure = listener.wait()
    assert isinstance(failure, Failure)
    assert "tiny was killed (SIGKILL) while it worked" in failure.message
    assert isinstance(ask(pool, tiny).wait(), Completion)


def test_loading_says_how_far_it_is(pool: Pool, tiny: Model) -> None:
    listener = ask(pool, tiny)
    assert listener.wait_for_state("loading").fraction == 0.0
    assert 0 < (listener.wait_for_state("loading").fraction or 0) < 1
    listener.wait()


def test_what_is_known_of_a_loaded_model(pool: Pool, tiny: Model) -> None:
    assert pool.info(tiny) is None
    info = pool.load(tiny).result(PATIENCE)
    assert pool.info(tiny) == info
    assert (info.context_tokens, info.engine) == (512, "llama.cpp")
    pool.unload(tiny)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a GGUF file"),
        (b"PK\x03\x04" + bytes(200), "not a GGUF file"),
        ("half", "truncated"),
        ("vocabulary only", "could not load"),
        (None, "No such model file"),
    ],
)
def test_each_way_a_file_can_be_wrong_has_its_own_message(
    pool: Pool, tiny: Model, tmp_path: Path, content: bytes | str | None, words: str
) -> None:
    path = tmp_path / "model.gguf"
    if content == "half":
        path.write_bytes(tiny.path.read_bytes()[:70_000])
    elif content == "vocabulary only":
        path.write_bytes(tiny.path.read_bytes().replace(b"blk.1.ffn_down", b"blk.7.ffn_down"))
    elif isinstance(content, bytes):
        path.write_bytes(content)
    failure = ask(pool, Model("broken", path)).wait()
    assert isinstance(failure, Failure)
    assert words in failure.message
    assert str(path) in failure.message
    assert failure.hint
    assert isinstance(ask(pool, tiny).wait(), Completion)


def test_an_engine_tells_what_it_has_done(pool: Pool, tiny: Model) -> None:
    for number in range(2):
        listener = Listener()
        sampling = Sampling(max_tokens=5, logit_bias={"id:1": -1000.0})
        submit(pool, tiny, (Message("user", "in the thing"),), sampling, "chat", listener)
        completion = listener.wait()
        assert isinstance(completion, Completion)
        assert completion.cached_tokens == (completion.prompt_tokens if number else 0)
    expected = (completion.prompt_tokens,) * 2
    for _ in range(1000):  # it tells when it has come to rest, a little after the last word
        tokenize(pool, tiny, (Message("user", "in"),)).result(PATIENCE)
        status = pool.status(tiny)
        if status and (status.prefill_tokens, status.cached_tokens) == expected:
            break
    assert status is not None
    assert (status.prefill_tokens, status.cached_tokens) == expected
    assert status.cached_share == 0.5
    assert (status.running, status.waiting) == (0, 0)


def test_a_hugging_face_folder_answers_in_a_process_of_its_own(pool: Pool, tiny_hf: Path) -> None:
    completion = ask(pool, Model("folder", tiny_hf, "hf"), Sampling(max_tokens=4)).wait()
    assert isinstance(completion, Completion)
    assert completion.prompt_tokens > 0


def test_the_base_and_an_adapter_of_a_folder_answer_side_by_side(pool: Pool, tiny_hf: Path, tmp_path: Path) -> None:
    from hf_fixture import LINEAR, write_adapter
    from peft import LoraConfig

    adapter = Adapter("own", write_adapter(tiny_hf, tmp_path / "own", LoraConfig(target_modules=LINEAR)))
    texts = set()
    listeners = [Listener(), Listener(), Listener()]
    for listener, applied in zip(listeners, ((), (Applied(adapter),), (Applied(adapter, 0.5),)), strict=True):
        submit(pool, Model("folder", tiny_hf, "hf"), HELLO, Sampling(max_tokens=12), "chat", listener, applied)
    for listener in listeners:
        completion = listener.wait()
        assert isinstance(completion, Completion)
        texts.add(completion.text)
    assert len(texts) == 3


def test_a_folder_without_a_model_is_refused(pool: Pool, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        pool.load(Model("folder", tmp_path, "hf")).result(PATIENCE)


def test_two_chat_templates_for_a_file_do_not_mix(pool: Pool, tiny: Model) -> None:
    other = Model("tiny", tiny.path, chat_template="{{ messages[0].content }}")
    assert tokenize(pool, tiny, HELLO, "chat").result(PATIENCE).text == "<|user|>Hello<|end|><|assistant|>"
    assert tokenize(pool, other, HELLO, "chat").result(PATIENCE).text == "Hello"


@pytest.mark.model
def test_the_embedded_model_answers_within_moments(pool: Pool, desk_gguf: Path) -> None:
    desk = Model("desk", desk_gguf)
    pool.load(desk).result(PATIENCE)
    started = time.monotonic()
    completion = ask(pool, desk, Sampling(max_tokens=16)).wait()
    assert isinstance(completion, Completion)
    assert completion.output_tokens > 0
    assert time.monotonic() - started < 60
