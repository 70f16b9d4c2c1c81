"""A folder with a bench whose scripted model copies the answer of the example that begins with the same word."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from workbench.inference.pool import Pool
from workbench.runs.view import RunView
from workbench.search.budget import SearchBudget
from workbench.search.journal import SearchEvent
from workbench.search.prompt_search import PromptSearch
from workbench.search.request import SearchRequest
from workbench.search.search_dir import SearchDir
from workbench.settings import Settings
from workbench.store.runs import list_runs
from workbench.store.store import Store

TOPICS = {"parcel": "Lantern", "bill": "Abacus", "glass": "Harbour", "code": "Compass", "refund": "Orchard"}
COPIES = {
    "regex": r"(?s)user: (\w+)[^\n]*\nassistant: (?P<label>\w+)\n(?:.*\n)?user: \1[^\n]*\n\Z",
    "where": "prompt",
    "reply": "{label}",
}
PROMPT = """\
---
name: ask
metadata:
  workbench:
    placement: turns
    examples: examples.jsonl
---
system:
Name the queue.

user:
{{ message }}
"""
BENCH = """\
variants:
  - {name: few-shot, prompt: ask, model: desk.script.json}
dataset: {path: test.jsonl}
scorers: [exact_match]
"""


def write_rows(path: Path, count: int, label: Callable[[int, str], str], offset: int = 0) -> None:
    topics = list(TOPICS)
    rows = [
        {"message": f"{topics[n % len(topics)]} number {offset + n}", "expected": label(n, topics[n % len(topics)])}
        for n in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


class SearchFolder:
    """The folder, the user's store, and the searches in it. watch: is called with each event.
    unknown: the model's word where no example fits."""

    def __init__(self, folder: Path, sizes: tuple[int, int, int] = (40, 30, 60), unknown: str = "none") -> None:
        self.folder = folder
        self.store = Store(folder / "workbench.sqlite")
        self.pool = Pool()
        self.events: list[SearchEvent] = []
        self.watch: Callable[[SearchEvent], object] = lambda event: None
        for number, (name, count) in enumerate(zip(("train", "validation", "test"), sizes, strict=True)):
            write_rows(folder / f"{name}.jsonl", count, lambda n, topic: TOPICS[topic], 1000 * number)
        self.script(COPIES, {"reply": unknown})
        (folder / "ask.prompty").write_text(PROMPT)
        (folder / "examples.jsonl").write_text(
            json.dumps({"id": "e1", "message": "parcel by hand", "answer": "Lantern"}) + "\n"
        )
        (folder / "demo.bench.yaml").write_text(BENCH)

    def script(self, *rules: dict[str, object], **fields: object) -> None:
        script = {"rules": rules, "context_tokens": 100_000, **fields}
        (self.folder / "desk.script.json").write_text(json.dumps(script))

    def request(self, calls: int | None = 2000, **fields: object) -> SearchRequest:
        bench = str(self.folder / "demo.bench.yaml")
        return SearchRequest(**{"bench": bench, "variant": "few-shot", "budget": SearchBudget(calls), **fields})

    def search(self, request: SearchRequest | None = None, search_dir: SearchDir | None = None) -> PromptSearch:
        wanted = request or self.request()
        return PromptSearch(wanted, Settings(), self.pool, self.store, self._note, search_dir)

    def _note(self, event: SearchEvent) -> None:
        self.events.append(event)
        self.watch(event)

    def count_asked(self, search: PromptSearch) -> int:
        """Answers that the model gave, by the stores: the search's own and, for the test, the user's."""
        with_store = Store(search.search_dir.answers)
        try:
            own = [RunView(with_store, run.id) for run in list_runs(with_store)]
            views = [*own, *(RunView(self.store, run.id) for run in list_runs(self.store) if search.id in run.note)]
            return sum(not one.cached for view in views for one in view.readings())
        finally:
            with_store.close()

    def close(self) -> None:
        self.pool.close()
        self.store.close()


def shuffle_labels(folder: Path, seed: int) -> None:
    """Labels that have nothing to do with the messages."""
    drawn = random.Random(seed)
    labels = list(TOPICS.values())
    for name in ("train", "validation", "test"):
        path = folder / f"{name}.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps({**row, "expected": drawn.choice(labels)}) + "\n" for row in rows))
