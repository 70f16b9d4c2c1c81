"""Prompt optimisation: the test score that a number of calls buys, medians over seeds, on planted tasks of scripted
models (tests/search/planted_rules.py) and on the embedded model.

`instructions` against `gepa.optimize` bare, with the same model, reflector, cases and number of calls; `both` against
random search over the same candidates. A call is one answer of the model or of the reflector; those of the final test,
which every contender has alike, are not counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from unittest import mock

from tests.search.planted_rules import LABELS, know_rule, write_script, write_task
from workbench import paths
from workbench.inference.pool import Pool
from workbench.inference.types import GenerateRequest, Sampling
from workbench.models.reference import model_at
from workbench.prompting.prompt import Message, Prompt
from workbench.prompting.render import render
from workbench.search.budget import SearchBudget
from workbench.search.evaluator import CandidateEvaluator
from workbench.search.instruction_text import find_instruction, replace_instruction
from workbench.search.joint import make_space
from workbench.search.journal import BestChanged, SearchEvent
from workbench.search.method_context import MethodContext
from workbench.search.prompt_search import PromptSearch
from workbench.search.request import SearchMethod, SearchRequest
from workbench.settings import Settings
from workbench.store.store import Store

CALLS = (300, 1000)
SEEDS = 9
DESK_SEEDS = 3
DESK_CALLS = 1000
_DEV, _TEST, _NOISE = 48, 96, 0.1
RULES = {
    "a rule that only a reflector states": "rule: {word} means {label}",
    "one that a template states": "{label}: {word}",
}
_PATIENCE = 1000

Rows = list[tuple[str, str, str]]


def measure() -> Rows:
    """Rows for the table: what, figure, aim."""
    rows: Rows = []
    for calls in CALLS:
        for name, rule in RULES.items():
            ours = [_search_planted(seed, calls, "instructions", rule) for seed in range(SEEDS)]
            bare = [_run_bare_gepa(seed, calls, rule) for seed in range(SEEDS)]
            rows.append(_compare(f"instructions / bare gepa, {name}, score at {calls:,} calls", ours, bare))
        ours = [_search_planted(seed, calls, "both") for seed in range(SEEDS)]
        drawn = [_search_planted(seed, calls, "both", at_random=True) for seed in range(SEEDS)]
        rows.append(_compare(f"both / random search over the same candidates, score at {calls:,} calls", ours, drawn))
    ours = [_search_desk(seed) for seed in range(DESK_SEEDS)]
    drawn = [_search_desk(seed, at_random=True) for seed in range(DESK_SEEDS)]
    rows.append(_compare(f"desk q8_0, queues: both / random search, score at {DESK_CALLS:,} calls", ours, drawn))
    return rows


class Reached(NamedTuple):
    """The winner's mean on the test part, and the calls after which it was the best."""

    score: float
    calls: int


def _compare(what: str, ours: Sequence[Reached], theirs: Sequence[Reached]) -> tuple[str, str, str]:
    mine, other = median(one.score for one in ours), median(one.score for one in theirs)
    ratio = mine / other if other else float("inf")
    spent = median(one.calls for one in ours), median(one.calls for one in theirs)
    figure = (
        f"{ratio:.2f} ({mine:.3f} / {other:.3f}, medians of {len(ours)} seeds; found after {spent[0]:g} / {spent[1]:g})"
    )
    return what, figure, "at least 1.00"


@contextlib.contextmanager
def _work() -> Iterator[Path]:
    """A folder for a task and a person's data, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="workbench-optimise-"))
    home = os.environ.get("WORKBENCH_HOME")
    os.environ["WORKBENCH_HOME"] = str(folder / "home")
    try:
        yield folder
    finally:
        os.environ.pop("WORKBENCH_HOME")
        if home is not None:
            os.environ["WORKBENCH_HOME"] = home
        shutil.rmtree(folder, ignore_errors=True)


def _search_planted(seed: int, calls: int, method: SearchMethod, rule: str = "", at_random: bool = False) -> Reached:
    with _work() as folder:
        bench = write_task(folder / "task", 8, _DEV, _TEST, _NOISE, seed, rule or "{label}: {word}")
        if not rule:
            _need_both(bench.parent)
        request = SearchRequest(
            str(bench), "ask", method, SearchBudget(calls=calls + 2 * _TEST), "reflector" if rule else "", seed=seed,
            patience=_PATIENCE, max_examples=4,
        )  # fmt: skip
        return _carry_out(request, at_random)


def _need_both(folder: Path) -> None:
    """Half of the labels are known by a rule in the instruction alone, half by an example alone."""
    names = list(LABELS)
    shown = [
        {
            "where": "prompt",
            "regex": rf"(?s)user: [^\n]*\b{LABELS[name]}\b[^\n]*\nassistant: {name}\n.*"
            rf"user: [^\n]*\b{LABELS[name]}\b[^\n]*\n\Z",
            "reply": name,
        }
        for name in names[4:]
    ]
    stated = [know_rule(name, "{label}: {word}") for name in names[:4]]
    write_script(folder / "model.script.json", [*stated, *shown, {"reply": "unsure"}])


def _search_desk(seed: int, at_random: bool = False) -> Reached:
    """The embedded model with the queues of the demo, from the plain prompt."""
    with _work() as folder:
        task = folder / "task"
        (task / "data").mkdir(parents=True)
        for part in ("train", "validation", "test"):
            shutil.copy(paths.find_shipped(f"assets/data/queues/{part}.jsonl"), task / "data")
        shutil.copytree(paths.find_shipped("prompts/queues"), task / "queues")
        model = paths.find_shipped("assets/desk-q8_0.gguf")
        variant = {"name": "ask", "prompt": "queues/few-shot", "model": str(model), "sampling": {"max_tokens": 12}}
        bench = task / "desk.bench.yaml"
        bench.write_text(
            json.dumps({"dataset": {"path": "data/test.jsonl"}, "scorers": ["exact_match"], "variants": [variant]})
        )
        request = SearchRequest(
            str(bench), "ask", "both", SearchBudget(calls=DESK_CALLS + 400), seed=seed, patience=_PATIENCE
        )
        return _carry_out(request, at_random)


def _carry_out(request: SearchRequest, at_random: bool) -> Reached:
    pool, store = Pool(), Store(paths.data_folder() / "workbench.sqlite")
    chosen = mock.patch("workbench.search.prompt_search.find_method", lambda name: search_at_random)
    try:
        found_after = 0

        def note(event: SearchEvent) -> None:
            nonlocal found_after
            if isinstance(event, BestChanged):
                found_after = search.state.spending.calls

        search = PromptSearch(request, Settings(), pool, store, note)
        with chosen if at_random else contextlib.nullcontext():
            result = search.run()
        assert result is not None
        if result.test is not None:
            return Reached(result.test.winner.value, found_after)
        return Reached(_test_seed(search, store), 0)
    finally:
        pool.close()
        store.close()


def _test_seed(search: PromptSearch, store: Store) -> float:
    """The test score of the hand-written prompt, which stays where nothing beat it on dev."""
    evaluator = CandidateEvaluator(search.prepared.task, store)
    found = evaluator.run([search.seed], search.prepared.splits.test, store, lambda progress: True)
    assert found is not None
    values = [one.value or 0.0 for one in found.results[search.seed.id]]
    return sum(values) / len(values)


def search_at_random(search: MethodContext) -> None:
    """Points of the joint space drawn at random, each evaluated on the whole dev part, until the budget is spent."""
    space = make_space(search)
    chance = random.Random(search.request.seed)
    while True:
        drawn = {name: chance.choice(values) for name, values in space.choices.items()}
        point = space.resolve(drawn)
        proposal = search.propose(
            search.seed, body=point.body, examples=point.examples, thinking=point.thinking, origin="trial"
        )
        if proposal.admitted or proposal.same_as:
            known = search.state.candidates[proposal.same_as or proposal.candidate.id]
            search.evaluate([known])


# --- gepa as it comes -------------------------------------------------------------------------------------------------


def _run_bare_gepa(seed: int, calls: int, rule: str) -> Reached:
    from gepa.api import optimize

    with _work() as folder:
        bench = write_task(folder / "task", 8, _DEV, _TEST, _NOISE, seed, rule)
        rows = {part: _read_rows(bench.parent / "data" / f"{part}.jsonl") for part in ("train", "validation", "test")}
        pool = Pool()
        try:
            adapter: Any = BareAdapter(pool, bench.parent)
            optimize(
                seed_candidate={"instruction": find_instruction(adapter.prompt).text},
                trainset=rows["train"],
                valset=rows["validation"],
                adapter=adapter,
                reflection_lm=adapter.reflect,
                stop_callbacks=[lambda state: adapter.calls >= calls],
                callbacks=[adapter],
                logger=_Silent(),
                seed=seed,
            )
            spent, _, best = max((one for one in adapter.reached if one[0] <= calls), key=lambda one: one[1])
            scores = adapter.evaluate(rows["test"], best).scores
        finally:
            pool.close()
    return Reached(sum(scores) / len(scores), spent)


def _read_rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class BareAdapter:
    """gepa's adapter as its documentation has it: scores, and a sentence of feedback for each answer.

    calls: answers of the model and of the reflector. reached: calls until then, mean on dev, candidate: of each that
    answered all of dev, so that what gepa does beyond a number of calls does not count.
    """

    propose_new_texts: Callable[..., Any] | None = None

    def __init__(self, pool: Pool, folder: Path) -> None:
        self._pool, self._folder = pool, folder
        self.prompt = Prompt("ask", (folder / "ask.prompty").read_text().split("---\n", 2)[2])
        self.calls = 0
        self.reached: list[tuple[int, float, dict[str, str]]] = []

    def on_valset_evaluated(self, event: Any) -> None:
        self.reached.append((self.calls, event["average_score"], event["candidate"]))

    def evaluate(self, batch: list[dict[str, str]], candidate: dict[str, str], capture_traces: bool = False) -> Any:
        from gepa.core.adapter import EvaluationBatch

        prompt = replace_instruction(self.prompt, candidate["instruction"])
        asked = [render(prompt, {"message": row["message"]}) for row in batch]
        answers = asyncio.run(self._ask("model", asked))
        scores = [float(answer == row["expected"]) for answer, row in zip(answers, batch, strict=True)]
        traces = list(zip(batch, answers, scores, strict=True)) if capture_traces else None
        return EvaluationBatch(outputs=answers, scores=scores, trajectories=traces)

    def make_reflective_dataset(self, candidate: dict[str, str], eval_batch: Any, components_to_update: Any) -> Any:
        records = [
            {
                "Inputs": row["message"],
                "Generated Outputs": answer,
                "Feedback": "Right." if score else f"Expected {row['expected']!r}, got {answer!r}.",
            }
            for row, answer, score in eval_batch.trajectories
        ]
        return {"instruction": records}

    def reflect(self, prompt: str) -> str:
        return asyncio.run(self._ask("reflector", [(Message("user", prompt),)]))[0]

    async def _ask(self, model: str, asked: Sequence[tuple[Message, ...]]) -> list[str]:
        self.calls += len(asked)
        client = self._pool.client(model_at(self._folder / f"{model}.script.json", model))
        requests = (GenerateRequest(0, messages, Sampling(max_tokens=512)) for messages in asked)
        return [one.text for one in await asyncio.gather(*map(client.complete, requests))]


class _Silent:
    def log(self, message: str) -> None:
        pass
