"""Peers: the same cells through lm-evaluation-harness and through promptfoo, in turns with `workbench eval`.

Both peers are optional and no part of the project. What is not installed is left out, with a row that says so:

    python -m venv peers && peers/bin/pip install 'lm-eval[hf]' 'llama-cpp-python[server]'
    npm install --prefix node promptfoo
    WORKBENCH_PEERS=peers WORKBENCH_NODE_PEERS=node python -m tests.benchmarks peers

lm-evaluation-harness answers the queues' messages from the Hugging Face folder; promptfoo asks llama-cpp-python's
server, which runs already, for the GGUF's answers. The same messages, greedy, as many tokens. Every program runs whole,
with all cases and with a single one: the difference of the medians is what the cells take, without imports and loading.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from workbench import paths
from workbench.datasets.cases import load_cases
from workbench.datasets.spec import Dataset
from workbench.library.library import Library
from workbench.prompting.render import render

ROUNDS, TOKENS, AT_ONCE = 3, 12, 32
BUSY = 0.3
SPLITS = ("test", "validation", "train")
"""More than the test split: its 200 cells take less time than the programs' starts vary by."""
PATIENCE = 600.0
PYTHON, NODE = "WORKBENCH_PEERS", "WORKBENCH_NODE_PEERS"
AIM = "at least 1.0"


class Done(NamedTuple):
    """A whole command: how long it took, and the share of answers that it found right."""

    seconds: float
    right: float


class PeerTask(NamedTuple):
    """The cells that both programs get: what the model reads first, and a file of messages with their answers."""

    system: str
    path: Path
    cases: tuple[tuple[str, str], ...]


Program = Callable[[int], Done]
"""So many cases, from the first on."""


def measure() -> list[tuple[str, str, str]]:
    """Rows for the table: what, figure, aim."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_meet_harness(Path(folder)), *_meet_promptfoo(Path(folder))]


def _meet_harness(folder: Path) -> list[tuple[str, str, str]]:
    python = _find(PYTHON, "bin/python")
    if python is None or not _imports(python, "lm_eval.models.huggingface"):
        return [("peers: lm-evaluation-harness", f"left out: {PYTHON} names no venv with lm-eval[hf]", "see peers.py")]
    task = _write_task(folder / "harness", *SPLITS)
    _write_harness(task)
    own = _own(task, paths.find_shipped("assets/desk"))
    return _compare("lm-eval (hf)", len(task.cases), own, lambda count: _run_harness(python, task, count))


def _meet_promptfoo(folder: Path) -> list[tuple[str, str, str]]:
    python, program = _find(PYTHON, "bin/python"), _find(NODE, "node_modules/.bin/promptfoo")
    if program is None:
        return [("peers: promptfoo", f"left out: {NODE} names no folder with promptfoo", "see peers.py")]
    if python is None or not _imports(python, "llama_cpp.server.app"):
        return [("peers: promptfoo", f"left out: {PYTHON} names no venv with llama-cpp-python[server]", "see peers.py")]
    gguf = paths.find_shipped("assets/desk-q8_0.gguf")
    task = _write_task(folder / "promptfoo", *SPLITS)
    own = _own(task, gguf)
    with _serve(python, gguf) as address:
        config = _write_config(task, address)
        every = len(task.cases)
        return _compare("promptfoo + server", every, own, lambda count: _run_promptfoo(program, config, count))


def _compare(peer: str, every: int, own: Program, other: Program) -> list[tuple[str, str, str]]:
    """Two rows; each round holds all four commands, so that other load meets both programs."""
    programs = {"own": own, "peer": other}
    whole: dict[str, list[float]] = {name: [] for name in programs}
    start: dict[str, list[float]] = {name: [] for name in programs}
    right: dict[str, float] = {}
    load = os.getloadavg()[0]
    for program in programs.values():
        program(1)  # the first start compiles and fills the disk's cache
    for _ in range(ROUNDS):
        for name, program in programs.items():
            start[name].append(program(1).seconds)
            done = program(every)
            whole[name].append(done.seconds)
            right[name] = done.right
    busy = "" if load <= BUSY else f"; load {load:.1f}"
    full, bare = (tuple(statistics.median(found[name]) for name in programs) for found in (whole, start))
    cells = (full[0] - bare[0], full[1] - bare[1])
    same = f"right {right['own']:.1%} / {right['peer']:.1%}{busy}"
    return [
        (f"cells/s: workbench / {peer}", f"{_tell(every - 1, *cells)}; {same}", AIM),
        ("    with start and end of the command", _tell(every, *full), AIM),
    ]


def _tell(cells: int, own: float, peer: float) -> str:
    """The ratio of the rates and both rates, by the seconds that each took."""
    if min(own, peer) <= 0:
        return "no figure: other load hides the cells' time"
    return f"{peer / own:.1f}  ({cells / own:.1f} / {cells / peer:.1f})"


def _write_task(folder: Path, *splits: str) -> PeerTask:
    """The workbench's plain prompt, taken apart into what each peer can be told."""
    folder.mkdir()
    prompt = Library(paths.find_shipped("prompts")).open("queues/plain").prompt
    cases: list[tuple[str, str]] = []
    system = ""
    for split in splits:
        for case in load_cases(Dataset(str(paths.find_shipped(f"assets/data/queues/{split}.jsonl"))), folder):
            first, last = render(prompt, case.variables)
            system = first.content
            cases.append((last.content, case.expected or ""))
    path = folder / "cases.jsonl"
    path.write_text("".join(json.dumps({"message": said, "expected": answer}) + "\n" for said, answer in cases))
    return PeerTask(system, path, tuple(cases))


def _own(task: PeerTask, model: Path) -> Program:
    """`workbench eval` on one variant, everything asked anew."""
    bench = task.path.with_name("peers.bench.yaml")
    variant = {"name": "plain", "prompt": "queues/plain", "model": str(model), "sampling": {"max_tokens": TOKENS}}
    dataset = {"path": str(task.path)}
    bench.write_text(json.dumps({"dataset": dataset, "scorers": ["exact_match"], "variants": [variant]}))

    def run(count: int) -> Done:
        command = [sys.executable, "-m", "workbench", "eval", str(bench), "--no-cache", "--json", "--limit", str(count)]
        command += ["--concurrency", str(AT_ONCE)]
        printed, seconds = _time(command, os.environ | {"WORKBENCH_HOME": str(task.path.with_name("home"))})
        (found,) = json.loads(printed)["variants"]
        return Done(seconds, found["scores"]["exact_match"]["value"])

    return run


def _write_harness(task: PeerTask) -> None:
    wanted = {
        "task": "queues_test",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(task.path)}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{message}}",
        "doc_to_target": "{{expected}}",
        "generation_kwargs": {"until": [], "do_sample": False, "max_gen_toks": TOKENS},
        "filter_list": [{"name": "bare", "filter": [{"function": "remove_whitespace"}, {"function": "take_first"}]}],
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }
    task.path.with_name("queues_test.yaml").write_text(json.dumps(wanted))


def _run_harness(python: Path, task: PeerTask, count: int) -> Done:
    with tempfile.TemporaryDirectory() as folder:
        command = [str(python), "-m", "lm_eval", "run", "--model", "hf", "--tasks", "queues_test"]
        command += ["--model_args", f"pretrained={paths.find_shipped('assets/desk')}", "--device", "cpu"]
        command += ["--include_path", str(task.path.parent), "--batch_size", str(AT_ONCE), "--limit", str(count)]
        command += ["--apply_chat_template", "--system_instruction", task.system, "--output_path", folder]
        away = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(task.path.with_name("cache"))}
        _, seconds = _time(command, os.environ | away)
        (results,) = Path(folder).rglob("results*.json")
        found = json.loads(results.read_text())["results"]["queues_test"]
    return Done(seconds, next(value for name, value in found.items() if name.startswith("exact_match,")))


def _write_config(task: PeerTask, address: str) -> Path:
    chat = [{"role": "system", "content": task.system}, {"role": "user", "content": "{{message}}"}]
    task.path.with_name("prompt.json").write_text(json.dumps(chat))
    sampling = {"temperature": 0, "max_tokens": TOKENS}
    config = {
        "prompts": ["file://prompt.json"],
        "providers": [{"id": "openai:chat:desk", "config": {"apiBaseUrl": address, "apiKey": "none", **sampling}}],
        "defaultTest": {"options": {"transform": "output.trim()"}},
        "tests": [
            {"vars": {"message": said}, "assert": [{"type": "equals", "value": answer}]} for said, answer in task.cases
        ],
    }
    path = task.path.with_name("promptfooconfig.json")
    path.write_text(json.dumps(config))
    return path


def _run_promptfoo(program: Path, config: Path, count: int) -> Done:
    quiet = {"PROMPTFOO_DISABLE_TELEMETRY": "1", "PROMPTFOO_DISABLE_UPDATE": "1", "CI": "1"}
    results = config.with_name("results.json")
    results.unlink(missing_ok=True)
    command = [str(program), "eval", "-c", str(config), "--no-cache", "--no-table", "--no-progress-bar", "--no-write"]
    command += ["-o", str(results), "-j", str(AT_ONCE), "--filter-first-n", str(count)]
    wrong_answers = 100  # its exit code when it worked and some answers are wrong
    home = {"PROMPTFOO_CONFIG_DIR": str(config.with_name("home"))}
    _, seconds = _time(command, os.environ | quiet | home, (0, wrong_answers))
    stats = json.loads(results.read_text())["results"]["stats"]
    if stats["errors"]:
        raise RuntimeError(f"promptfoo had {stats['errors']} errors: see {results}")
    return Done(seconds, stats["successes"] / (stats["successes"] + stats["failures"]))


@contextlib.contextmanager
def _serve(python: Path, gguf: Path) -> Iterator[str]:
    """llama-cpp-python's server on a free port of this machine, until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(python), "-m", "llama_cpp.server", "--model", str(gguf), "--n_ctx", "1024"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            _await(server, f"http://127.0.0.1:{port}/v1/models")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _await(server: subprocess.Popen[bytes], address: str) -> None:
    end = time.monotonic() + PATIENCE / 5
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.2)
    raise RuntimeError(f"llama-cpp-python's server does not answer at {address}.")


def _find(variable: str, place: str) -> Path | None:
    """A program in the folder that a variable of the environment names; links stay, a venv is found by its own."""
    folder = os.environ.get(variable, "")
    path = Path(folder).absolute() / place
    return path if folder and path.exists() else None


def _imports(python: Path, module: str) -> bool:
    return subprocess.run([str(python), "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


def _time(command: list[str], environment: dict[str, str], fine: tuple[int, ...] = (0,)) -> tuple[str, float]:
    begun = time.perf_counter()
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=Path.cwd()
    )
    seconds = time.perf_counter() - begun
    if done.returncode not in fine:
        raise RuntimeError(f"{command[:4]} ended with {done.returncode}: {done.stderr[-2000:]}{done.stdout[-1000:]}")
    return done.stdout, seconds
