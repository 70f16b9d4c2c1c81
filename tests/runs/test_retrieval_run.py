"""Retrieval as an axis of a run: what is sent, scored, cached, compared, and refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.runs.evaluating import Desk, bench, carry_out
from workbench.analysis.narrative import narrate
from workbench.analysis.summary import summarize
from workbench.datasets import Case
from workbench.datasets.spec import Dataset
from workbench.errors import BenchError, StoreError, WorkbenchError
from workbench.prompting.prompt import Prompt
from workbench.reports.json import render_json
from workbench.reports.markdown import render_markdown
from workbench.retrieval.passage import Reference
from workbench.retrieval.spec import CorpusSpec, Retrieve
from workbench.runs.bench import Variant, parse_bench
from workbench.runs.passage_finder import PassageFinder
from workbench.runs.passage_source import find_passage_source
from workbench.runs.rerun import rerun_cell
from workbench.runs.run import Evaluation, RunOptions, Sources
from workbench.runs.view import RunView

CITIES = ("Leeds", "York", "Bath", "Dover", "Oxford", "Derby", "Hull", "Kent")
RULES = [
    {"regex": r"in (?P<city>\w+) opens at (?P<hour>\d+).*?When does the shop in (?P=city) open", "reply": "{hour}"},
    {"regex": "When", "reply": "unknown"},
]
CASES = tuple(
    Case(
        number,
        {"question": f"When does the shop in {city} open?"},
        str(number),
        number,
        relevant=(Reference(f"{city}.md"),),
    )
    for number, city in enumerate(CITIES, 1)
)
PROMPT = Prompt("ask", "user:\n{% for p in passages %}{{ p.text }} {% endfor %}{{ question }}\n")


class LibraryDesk(Desk):
    """The desk with a corpus of opening hours; that of Leeds is named in two documents more."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.prompts["ask"] = PROMPT
        self.model("desk", rules=RULES)
        self.corpus = folder / "corpus"
        self.corpus.mkdir()
        for hour, city in enumerate(CITIES, 1):
            (self.corpus / f"{city}.md").write_text(f"The shop in {city} opens at {hour}.")
        for number in (1, 2):
            (self.corpus / f"a{number}.md").write_text("Leeds: they ask in Leeds.")

    def evaluation(self, bench, cases=CASES, options=None, pool=None) -> Evaluation:
        path = self.folder / "demo.bench.yaml"
        sources = self.find(bench)
        return Evaluation(bench, path, cases, pool or self.pool(), sources, self.store, options or RunOptions())

    def find(self, bench) -> Sources:
        return self.sources._replace(
            find_passages=lambda variant, prompt: find_passage_source(
                variant, prompt, bench.documents, self.folder, self._find_model
            )
        )


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LibraryDesk]:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    made = LibraryDesk(tmp_path)
    yield made
    made.close()


def axis(**fields: object):
    return bench(
        Variant("none", "ask", "desk", retrieve="none"),
        Variant("one", "ask", "desk", retrieve=Retrieve("bm25", k=1)),
        Variant("oracle", "ask", "desk", retrieve="oracle"),
        scorers=("exact_match", "recall_at_k", {"mrr": {"k": 3}}, "ndcg"),
        corpus=CorpusSpec("corpus", chunk=200),
        dataset=Dataset("unused.jsonl", relevant="relevant"),
        **fields,
    )


def score(cells, variant: str, case: int, scorer: str):
    cell = next(one for one in cells if (one.variant, one.case) == (variant, case))
    return next(one for one in cell.scores if one.scorer == scorer)


def test_none_retrieved_and_oracle_are_told_apart(desk: LibraryDesk) -> None:
    cells = carry_out(desk.evaluation(axis()))
    assert {cell.error for cell in cells} == {""}
    assert [score(cells, "none", n, "exact_match").value for n in range(1, 9)] == [0] * 8
    assert [score(cells, "oracle", n, "exact_match").value for n in range(1, 9)] == [1] * 8
    assert score(cells, "one", 2, "exact_match").value == 1
    assert score(cells, "one", 1, "exact_match").value == 0  # another document on Leeds came first
    missed = score(cells, "one", 1, "recall_at_k")
    assert (missed.value, missed.applies) == (0, True)
    assert "a1.md:0-" in missed.explanation
    assert "Relevant: Leeds.md" in missed.explanation
    assert not score(cells, "none", 1, "recall_at_k").applies
    assert score(cells, "oracle", 1, "ndcg").value == 1


def test_the_report_prints_what_retrieval_gains_and_loses(desk: LibraryDesk) -> None:
    evaluation = desk.evaluation(axis())
    carry_out(evaluation)
    summary = summarize(RunView(desk.store, evaluation.run))
    effect = next(one for one in summary.retrieval if one.metric == "exact_match")
    assert (effect.variant, effect.none, effect.oracle) == ("one", "none", "oracle")
    assert effect.gain is not None
    assert effect.loss is not None
    assert effect.gain.difference == pytest.approx(7 / 8)
    assert effect.loss.difference == pytest.approx(1 / 8)
    assert effect.gain.low < 7 / 8 < effect.gain.high
    recalled = next(one for one in summary.retrieval if one.metric == "recall_at_k")
    assert recalled.gain is None  # nothing is retrieved without retrieval, which is no recall of 0
    told = narrate(summary)
    assert "Retrieval by one gains +0.88 (95% interval" in told
    assert "to oracle" in told
    decoded = json.loads(render_json(summary))["retrieval"][0]
    assert decoded["gain"]["difference"] == pytest.approx(7 / 8)
    assert decoded["none"] == "none"
    assert "## Retrieval" in render_markdown(summary)
    assert not any("have no recall" in note for note in summary.notes)
    assert summary.variant("none").unscored == {}


def test_the_passages_of_an_answer_decide_whether_it_is_cached(desk: LibraryDesk) -> None:
    carry_out(desk.evaluation(axis()))
    again = carry_out(desk.evaluation(axis()))
    assert all(cell.cached for cell in again)
    (desk.corpus / "York.md").write_text("The shop in York opens at 9.")
    changed = {(cell.variant, cell.case): cell for cell in carry_out(desk.evaluation(axis()))}
    asked = {name for name, cell in changed.items() if not cell.cached}
    # both variants render the same prompt of the changed passage: one may find the answer that the other just made
    assert asked
    assert asked <= {("one", 2), ("oracle", 2)}
    assert {changed[name, 2].completion.text for name in ("one", "oracle")} == {"9"}


def test_a_run_is_not_gone_on_with_on_another_corpus(desk: LibraryDesk) -> None:
    evaluation = desk.evaluation(axis())
    carry_out(evaluation)
    view = RunView(desk.store, evaluation.run)
    assert rerun_cell(view, "oracle", 2, 0, desk.pool()).same
    (desk.corpus / "York.md").write_text("Nothing of use.")
    with pytest.raises(StoreError, match="has changed since"):
        rerun_cell(view, "oracle", 2, 0, desk.pool())
    assert rerun_cell(view, "none", 2, 0, desk.pool()).same  # it needs no corpus


def test_a_corpus_that_holds_the_questions_is_told_and_withholds_the_verdict(desk: LibraryDesk) -> None:
    (desk.corpus / "faq.md").write_text("## When does the shop in York open?\n\nThe shop in York opens at 2.")
    evaluation = desk.evaluation(axis())
    expected = "the corpus holds the question of a test case (case 2 in faq.md)"
    assert any(expected in one for one in evaluation.plan().warnings)
    carry_out(evaluation)
    shutil.rmtree(desk.corpus)  # what was found when the run began is known without the corpus
    summary = summarize(RunView(desk.store, evaluation.run))
    assert summary.variant("one").seen == 1
    assert summary.variant("none").seen == 0
    assert next(one for one in summary.retrieval if one.metric == "exact_match").gain.verdict == "withheld"


def test_what_is_wrong_with_corpus_and_references_is_told_before_the_run(desk: LibraryDesk) -> None:
    shutil.copy(desk.corpus / "York.md", desk.corpus / "York-copy.md")
    (desk.corpus / "broken.pdf").write_bytes(b"%PDF no")
    cases = (*CASES[:2], msgspec.structs.replace(CASES[2], relevant=(Reference("gone.md"),)))
    evaluation = desk.evaluation(axis(), cases)
    told = " ".join(evaluation.plan().warnings)
    assert "York-copy.md and York.md hold the same text" in told
    assert "not read of the corpus: broken.pdf" in told
    assert "gone.md (case 3)" in told
    cells = carry_out(evaluation)
    failed = next(cell for cell in cells if (cell.variant, cell.case) == ("oracle", 3))
    assert "gone.md is relevant, and the corpus has no document of that name" in failed.error


def test_passages_that_cannot_fit_are_told_before_the_run(desk: LibraryDesk) -> None:
    desk.model("desk", rules=RULES, context_tokens=60)
    desk.models["desk"] = msgspec.structs.replace(desk.models["desk"], context_tokens=60)
    (desk.corpus / "long.txt").write_text("word " * 400)
    own = axis()
    wide = msgspec.structs.replace(own.variants[1], retrieve=Retrieve("bm25", k=5))
    evaluation = desk.evaluation(msgspec.structs.replace(own, variants=(wide,)))
    assert any("5 passages of up to" in one and "context holds 60" in one for one in evaluation.plan().warnings)


def test_pinned_passages_come_first_and_dropped_ones_never(desk: LibraryDesk) -> None:
    find = PassageFinder(desk.folder / "cache")

    def passages(retrieve: Retrieve) -> list[str]:
        variant = Variant("v", "ask", "desk", retrieve=retrieve)
        source = find_passage_source(variant, PROMPT, CorpusSpec("corpus", 200), desk.folder, desk._find_model)
        filled = find.fill(source, CASES[0])
        assert filled.retrieved_by == retrieve.by
        return [one.document for one in filled.passages]

    assert passages(Retrieve("bm25", k=2)) == ["a1.md", "a2.md"]
    whole = "a1.md:0-25"
    assert passages(Retrieve("bm25", k=2, drop=(whole,)))[0] == "a2.md"
    pinned = "York.md:0-28"
    assert passages(Retrieve("bm25", k=2, pin=(pinned,))) == ["York.md", "a1.md"]
    assert passages(Retrieve("none", pin=(pinned,))) == ["York.md"]
    assert passages(Retrieve("none")) == []
    with pytest.raises(WorkbenchError, match="is not in the corpus"):
        passages(Retrieve("bm25", pin=("York.md:0-5",)))
    assert passages(Retrieve("bm25", k=1, query="opens at {{ question | length }} Hull")) == ["Hull.md"]


def test_a_bench_says_what_is_wrong_with_its_retrieval() -> None:
    text = """
corpus: {path: docs, chunk: 5, overlap: 9}
variants:
  - {name: a, prompt: p, model: m, retrieve: oracle}
  - {name: b, prompt: p, model: m, retrieve: {by: dense, k: 0}}
  - {name: c, prompt: p, model: m, retrieve: {by: bm25, model: e, query: plain, pin: [x], drop: [x]}}
"""
    with pytest.raises(BenchError) as caught:
        parse_bench(text, "x.bench.yaml")
    told = str(caught.value)
    for expected in (
        "corpus.chunk: expected at least 20",
        "corpus.overlap: expected 0 to 4",
        "variants[0].retrieve: oracle needs to know what is relevant",
        "variants[1].retrieve.k: expected a number from 1",
        "variants[1].retrieve.model: dense needs an embedding model",
        "variants[2].retrieve.model: bm25 uses no embedding model",
        "variants[2].retrieve.query: expected a template",
        "x is pinned and dropped",
    ):
        assert expected in told
    with pytest.raises(BenchError, match="nothing to retrieve from"):
        parse_bench("variants: [{name: a, prompt: p, model: m, retrieve: bm25}]", "y")
    with pytest.raises(BenchError, match="bm52"):
        parse_bench("variants: [{name: a, prompt: p, model: m, retrieve: bm52}]", "y")


def test_a_prompt_that_shows_no_passages_is_refused_by_name(desk: LibraryDesk) -> None:
    variant = Variant("v", "plain", "desk", retrieve="bm25")
    with pytest.raises(BenchError, match="v retrieves passages, and its prompt plain does not show them"):
        find_passage_source(variant, desk.prompts["plain"], CorpusSpec("corpus"), desk.folder, desk._find_model)
    assert find_passage_source(Variant("v", "plain", "desk"), PROMPT, None, desk.folder, desk._find_model) is None


def test_passages_print_with_their_sources(desk: LibraryDesk) -> None:
    variant = Variant("v", "ask", "desk", retrieve=Retrieve("bm25", k=2))
    source = find_passage_source(variant, PROMPT, CorpusSpec("corpus", 200), desk.folder, desk._find_model)
    filled = PassageFinder(desk.folder / "cache").fill(source, CASES[1])
    assert str(filled.values["passages"]).startswith("[1] York.md\nThe shop in York opens at 2.\n\n[2] ")
    lost = msgspec.structs.replace(CASES[1], variables={"question": "Zzz"})
    nothing = PassageFinder(desk.folder / "cache").fill(source, lost)
    assert str(nothing.values["passages"]) == ""  # no list that a model would take for one of its inputs


TALK = [
    {"question": "When does the shop in York open?", "expected": "2", "relevant": "York.md"},
    {"question": "When does the shop in Hull open?", "expected": "7", "relevant": ["Hull.md"]},
]


def talk(*turns: dict[str, object]) -> Case:
    return Case(1, {"turns": json.dumps(turns)})


def test_each_turn_of_a_conversation_retrieves_by_what_it_asks(desk: LibraryDesk) -> None:
    scripted = {"question": "When does the shop in Kent open?", "assistant": "At eight."}
    case = talk(TALK[0], scripted, TALK[1])
    evaluation = desk.evaluation(axis(), cases=(case,))
    cells = carry_out(evaluation)
    assert {cell.error for cell in cells} == {""}
    assert [score(cells, name, 1, "exact_match").value for name in ("none", "one", "oracle")] == [0, 1, 1]
    found = score(cells, "one", 1, "recall_at_k")
    assert found.parts == {"turn 1": 1, "turn 3": 1}
    cell = next(one for one in cells if one.variant == "one")
    said = [message.content for step in cell.steps for message in step.before]
    assert [("Kent opens" in text, "Hull opens" in text) for text in said if "shop" in text] == [
        (True, False),
        (False, True),
    ]
    assert rerun_cell(RunView(desk.store, evaluation.run), "one", 1, 0, desk.pool()).same


def test_scores_of_retrieval_alone_still_go_turn_by_turn(desk: LibraryDesk) -> None:
    missed = {"question": "When does the shop in Leeds open?", "relevant": "Leeds.md"}
    only = msgspec.structs.replace(axis(), scorers=("recall_at_k",))
    cells = carry_out(desk.evaluation(only, cases=(talk(TALK[0], missed),)))
    found = score(cells, "one", 1, "recall_at_k")
    assert (found.value, found.parts) == (0.5, {"turn 1": 1, "turn 2": 0})


def test_a_prompt_that_would_not_show_a_later_turns_passages_is_refused(desk: LibraryDesk) -> None:
    desk.prompts["ask"] = Prompt("ask", "system:\n{{ passages }}\nuser:\n{{ question }}\n")
    cells = carry_out(desk.evaluation(axis(), cases=(talk(*TALK),)))
    refused = {cell.variant: cell.error for cell in cells}
    assert refused["none"] == ""
    assert "does not show passages in its last user message" in refused["one"]
    assert "last `user:` section" in next(cell.hint for cell in cells if cell.variant == "one")


def test_a_turn_whose_references_cannot_be_read_names_the_turn(desk: LibraryDesk) -> None:
    cells = carry_out(desk.evaluation(axis(), cases=(talk(TALK[0], {**TALK[1], "relevant": {"page": 3}}),)))
    assert all(
        "`turns[2]` cannot be read: relevant: Object contains unknown field `page`" in cell.error for cell in cells
    )


def test_a_question_of_a_later_turn_that_stands_in_the_corpus_is_told(desk: LibraryDesk) -> None:
    (desk.corpus / "faq.md").write_text("When does the shop in Hull open? At seven.")
    warnings = desk.evaluation(axis(), cases=(talk(*TALK),)).plan().warnings
    assert any("the corpus holds the question of a test case (case 1 in faq.md)" in one for one in warnings)
    gone = talk(TALK[0], {**TALK[1], "relevant": "gone.md"})
    warnings = desk.evaluation(axis(), cases=(gone,)).plan().warnings
    assert any("the corpus lacks, so that recall cannot reach 1: gone.md (case 1)" in one for one in warnings)


def test_a_prompt_that_prints_passages_prints_nothing_where_none_are_found(desk: LibraryDesk) -> None:
    desk.prompts["ask"] = Prompt("ask", "user:\nPassages: {{ passages }}.\n{{ question }}\n")
    desk.model("desk", rules=[{"contains": "Passages: .", "reply": "unknown"}, {"contains": "[1]", "reply": "2"}])
    cells = carry_out(desk.evaluation(axis(), cases=CASES[1:2]))
    assert {cell.variant: cell.completion.text for cell in cells} == {"none": "unknown", "one": "2", "oracle": "2"}
