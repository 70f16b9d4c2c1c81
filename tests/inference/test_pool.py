"""The pool over real threads and real processes."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from tests.inference.listener import PATIENCE, Listener, loglikelihood, submit, tokenize
from workbench.errors import EngineError, ModelError
from workbench.inference.pool import Pool
from workbench.inference.types import Completion, Failure, Sampling
from workbench.models.reference import Model
from workbench.prompting.prompt import Message

HELLO = (Message("user", "Hello"),)
ENDLESS = (Message("user", "go on and on"),)
GREEDY = Sampling(max_tokens=12)
RULES = [
    {"contains": "go on", "reply": "and on ", "endless": True, "tokens_per_second": 500},
    {"contains": "crash", "reply": "one two three", "crash_after": 2},
    {"contains": "fail", "reply": "one two three", "fail_after": 1},
    {"contains": "hold", "reply": "never", "hold": "queued"},
    {"reply": "Good day to you, stranger."},
]


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Model]:
    def write(name: str = "script", **fields: object) -> Model:
        path = tmp_path / f"{name}.json"
        whole = path.with_suffix(".whole")
        whole.write_text(json.dumps({"rules": RULES, **fields}), "utf-8")
        whole.replace(path)  # an engine may be reading it
        return Model(name, path, "scripted")

    return write


@pytest.fixture(params=["thread", "process"])
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    made = Pool(isolate=request.param == "process")
    yield made
    made.close()


@pytest.fixture
def processes() -> Iterator[Pool]:
    made = Pool(isolate=True)
    yield made
    made.close()


def ask(pool: Pool, model: Model, text: str = "Hello", **sampling: object) -> Listener:
    listener = Listener()
    submit(pool, model, (Message("user", text),), Sampling(**{"max_tokens": 12, **sampling}), "chat", listener)
    return listener


def test_an_answer_streams_and_ends_once(pool: Pool, script: Callable[..., Model]) -> None:
    listener = ask(pool, script())
    completion = listener.wait()
    assert isinstance(completion, Completion)
    assert (completion.text, completion.stop_reason) == ("Good day to you, stranger.", "eos")
    assert listener.silent


def test_states_come_in_order(pool: Pool, script: Callable[..., Model]) -> None:
    listener = ask(pool, script())
    for state in ("loading", "queued", "running"):
        listener.wait_for_state(state)
    listener.wait()


def test_cancel_keeps_the_text_so_far(pool: Pool, script: Callable[..., Model]) -> None:
    listener = Listener()
    handle = submit(pool, script(), ENDLESS, Sampling(max_tokens=10**6), "chat", listener)
    listener.wait_for_text()
    handle.cancel()
    completion = listener.wait()
    assert isinstance(completion, Completion)
    assert completion.stop_reason == "cancelled"
    assert completion.text.startswith("and")


def test_cancelling_twice_or_late_does_no_harm(pool: Pool, script: Callable[..., Model]) -> None:
    listener = Listener()
    handle = submit(pool, script(), HELLO, GREEDY, "chat", listener)
    listener.wait()
    handle.cancel()
    handle.cancel()
    assert isinstance(ask(pool, script()).wait(), Completion)
    assert listener.silent


def test_a_request_can_be_cancelled_while_its_model_loads(pool: Pool, script: Callable[..., Model]) -> None:
    listener = Listener()
    handle = submit(pool, script("slow", load="holds"), HELLO, GREEDY, "chat", listener)
    while listener.wait_for_state("loading").fraction != 0.4:
        pass
    handle.cancel()
    completion = listener.wait()
    assert isinstance(completion, Completion)
    assert completion.stop_reason == "cancelled"


def test_a_model_that_cannot_be_loaded_fails_each_request_and_can_be_tried_again(
    pool: Pool, script: Callable[..., Model]
) -> None:
    broken = script("broken", load="fails")
    for _ in range(2):
        failure = ask(pool, broken).wait()
        assert isinstance(failure, Failure)
        assert "loading fails" in failure.message
    with pytest.raises(ModelError, match="loading fails"):
        pool.load(broken).result(PATIENCE)
    with pytest.raises(ModelError, match="loading fails"):
        tokenize(pool, broken, HELLO).result(PATIENCE)
    assert isinstance(ask(pool, script("broken")).wait(), Completion)


def test_a_failure_ends_its_own_request_only(pool: Pool, script: Callable[..., Model]) -> None:
    model = script()
    failing, fine = ask(pool, model, "please fail"), ask(pool, model)
    assert isinstance(failing.wait(), Failure)
    assert isinstance(fine.wait(), Completion)


def test_a_request_that_is_refused_says_why(pool: Pool, script: Callable[..., Model]) -> None:
    failure = ask(pool, script(), top_p=3.0).wait()
    assert isinstance(failure, Failure)
    assert "top_p is 3.0" in failure.message


@pytest.mark.parametrize("harm", [{"text": "half a character \ud800"}, {"seed": 2**70}])
def test_what_cannot_be_sent_is_answered_and_harms_nobody(
    processes: Pool, script: Callable[..., Model], harm: dict[str, object]
) -> None:
    model = script()
    failure = ask(processes, model, **harm).wait()  # type: ignore[arg-type]
    assert isinstance(failure, Failure)
    assert "cannot be sent" in failure.message
    with pytest.raises(EngineError, match="cannot be sent"):
        tokenize(processes, model, (Message("user", "\ud800"),)).result(PATIENCE)
    assert isinstance(ask(processes, model).wait(), Completion)


def test_tokenizing_answers_through_a_future(pool: Pool, script: Callable[..., Model]) -> None:
    shown = tokenize(pool, script(), ENDLESS, "chat").result(PATIENCE)
    assert len(shown.ids) == len(shown.pieces)
    assert "".join(shown.pieces) == shown.text


def test_two_models_answer_at_the_same_time(pool: Pool, script: Callable[..., Model]) -> None:
    endless = Listener()
    handle = submit(pool, script("one"), ENDLESS, Sampling(max_tokens=10**6), "chat", endless)
    endless.wait_for_text()
    assert isinstance(ask(pool, script("two")).wait(), Completion)
    assert [resident.model.name for resident in pool.loaded_models()] == ["one", "two"]
    assert {resident.state for resident in pool.loaded_models()} == {"ready"}
    handle.cancel()
    endless.wait()


def test_two_names_for_a_file_share_an_engine(pool: Pool, script: Callable[..., Model]) -> None:
    model = script()
    ask(pool, model).wait()
    ask(pool, Model("other name", model.path, "scripted")).wait()
    assert len(pool.loaded_models()) == 1


def test_unloading_tells_those_at_work_and_the_next_request_loads_again(
    pool: Pool, script: Callable[..., Model]
) -> None:
    model, listener = script(), Listener()
    submit(pool, model, ENDLESS, Sampling(max_tokens=10**6), "chat", listener)
    listener.wait_for_text()
    pool.unload(model)
    failure = listener.wait()
    assert isinstance(failure, Failure)
    assert "unloaded" in failure.message
    assert pool.loaded_models() == ()
    assert isinstance(ask(pool, model).wait(), Completion)


def test_closing_ends_everything_at_once(pool: Pool, script: Callable[..., Model]) -> None:
    listeners = [ask(pool, script(), "go on", max_tokens=10**6), ask(pool, script("slow", load="holds"))]
    listeners[0].wait_for_text()
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 30  # an engine that hangs is left to the system after two seconds
    assert all(isinstance(listener.wait(), Failure) for listener in listeners)
    with pytest.raises(EngineError, match="closed"):
        ask(pool, script())


def test_a_sink_that_fails_silences_nobody_else(
    pool: Pool, script: Callable[..., Model], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("a defect in a sink")

    submit(pool, script(), HELLO, GREEDY, "chat", fail)
    assert isinstance(ask(pool, script()).wait(), Completion)
    assert "a defect in a sink" in caplog.text


def test_sinks_hear_their_events_from_one_thread(pool: Pool, script: Callable[..., Model]) -> None:
    threads: set[int] = set()
    listeners = [Listener() for _ in range(4)]
    for listener in listeners:

        def sink(event: object, listener: Listener = listener) -> None:
            threads.add(threading.get_ident())
            listener(event)  # type: ignore[arg-type]

        submit(pool, script(), HELLO, GREEDY, "chat", sink)
    for listener in listeners:
        listener.wait()
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_a_killed_process_is_told_to_all_and_the_next_request_starts_it_anew(
    processes: Pool, script: Callable[..., Model]
) -> None:
    model = script()
    listeners = [ask(processes, model, "go on", max_tokens=10**6) for _ in range(3)]
    for listener in listeners:
        listener.wait_for_text()
    pid = processes.loaded_models()[0].pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    for listener in listeners:
        failure = listener.wait()
        assert isinstance(failure, Failure)
        assert "SIGKILL" in failure.message
        assert "memory" in failure.hint
    assert processes.loaded_models()[0].state == "failed"
    assert isinstance(ask(processes, model).wait(), Completion)
    assert processes.loaded_models()[0].pid not in (pid, None)


def test_a_crash_leaves_its_last_words(processes: Pool, script: Callable[..., Model]) -> None:
    failure = ask(processes, script(), "crash").wait()
    assert isinstance(failure, Failure)
    assert "SIGABRT" in failure.message
    assert "Fatal Python error" in failure.details


def test_the_process_is_gone_when_its_model_is_unloaded(processes: Pool, script: Callable[..., Model]) -> None:
    model = script()
    ask(processes, model).wait()
    (resident,) = processes.loaded_models()
    assert resident.pid
    assert resident.memory_bytes > 1_000_000
    process = psutil.Process(resident.pid)
    processes.unload(model)
    process.wait(PATIENCE)
    assert not process.is_running()


def test_the_process_stands_apart_from_the_terminal(processes: Pool, script: Callable[..., Model]) -> None:
    ask(processes, script()).wait()
    pid = processes.loaded_models()[0].pid
    assert pid
    assert os.getsid(pid) == pid
    os.kill(pid, signal.SIGINT)
    assert isinstance(ask(processes, script()).wait(), Completion)
    assert processes.loaded_models()[0].pid == pid


@pytest.mark.parametrize("low", [False, True])
def test_the_system_prefers_a_screen_to_its_engines(script: Callable[..., Model], low: bool) -> None:
    pool, model = Pool(isolate=True, low_priority=low), script()
    try:
        pool.load(model).result(PATIENCE)
        pid = pool.loaded_models()[0].pid
        assert (psutil.Process(pid).nice() > psutil.Process().nice()) is low
    finally:
        pool.close()


def test_a_process_that_hangs_is_ended_by_closing(script: Callable[..., Model]) -> None:
    pool = Pool(isolate=True)
    listener = ask(pool, script(), "go on", max_tokens=10**6)
    listener.wait_for_text()
    pid = pool.loaded_models()[0].pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    pool.close()
    assert isinstance(listener.wait(), Failure)
    assert not psutil.pid_exists(pid)


def test_the_engine_ends_with_its_parent(tmp_path: Path, script: Callable[..., Model]) -> None:
    import subprocess
    import sys

    program = (
        "import sys, queue; from pathlib import Path\n"
        "from workbench.inference.pool import Pool; from workbench.models.reference import Model\n"
        "pool = Pool(isolate=True); model = Model('s', Path(sys.argv[1]), 'scripted')\n"
        "pool.load(model).result(120); print(pool.loaded_models()[0].pid, flush=True); sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(script().path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert parent.stdout and parent.stdin
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    psutil.wait_procs([child], timeout=PATIENCE)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    parent.stdout.close()
    parent.stdin.close()


def test_answers_are_weighed_through_a_future(pool: Pool, script: Callable[..., Model]) -> None:
    expected, other = loglikelihood(
        pool, script(), HELLO, ("Good day to you", "Go away"), "chat", priority=1
    ).likelihoods.result(PATIENCE)
    assert expected.greedy and not other.greedy
    assert expected.logprob > other.logprob
    assert expected.bytes == len("Good day to you")


def test_a_weighing_that_fails_says_why_and_harms_nobody(pool: Pool, script: Callable[..., Model]) -> None:
    model = script()
    with pytest.raises(EngineError, match="holds 1,024"):
        loglikelihood(pool, model, HELLO, ("yes " * 2000,), "chat").likelihoods.result(PATIENCE)
    with pytest.raises(ModelError, match="loading fails"):
        loglikelihood(pool, script("broken", load="fails"), HELLO, ("yes",), "chat").likelihoods.result(PATIENCE)
    assert isinstance(ask(pool, model).wait(), Completion)


def test_a_weighing_ends_when_its_model_is_unloaded(pool: Pool, script: Callable[..., Model]) -> None:
    model = script("slow", load="holds")
    under_way = loglikelihood(pool, model, HELLO, ("yes",), "chat")
    pool.unload(model)
    with pytest.raises((EngineError, ModelError), match=r"unloaded|given up"):
        under_way.likelihoods.result(PATIENCE)


def test_a_weighing_can_be_called_off_and_harms_nobody(pool: Pool, script: Callable[..., Model]) -> None:
    under_way = loglikelihood(pool, script("slow", load="holds"), HELLO, ("yes",), "chat")
    under_way.handle.cancel()
    with pytest.raises(EngineError, match="cancelled"):
        under_way.likelihoods.result(PATIENCE)
    model = script()
    done = loglikelihood(pool, model, HELLO, ("yes",), "chat")
    assert len(done.likelihoods.result(PATIENCE)) == 1
    done.handle.cancel()
    assert isinstance(ask(pool, model).wait(), Completion)


def test_requests_with_other_template_variables_share_an_engine(pool: Pool, script: Callable[..., Model]) -> None:
    model = script()
    for kwargs in ("", '{"enable_thinking":false}', '{"enable_thinking":true}'):
        varied = msgspec.structs.replace(model, chat_template_kwargs=kwargs)
        assert tokenize(pool, varied, HELLO).result(PATIENCE)
        assert pool.info(varied) is not None
    assert len(pool.loaded_models()) == 1
