from __future__ import annotations

import msgspec
import pytest
from evaluating import CASES, Desk, bench, carry_out

from workbench.analysis.summary import summarize
from workbench.datasets import Case
from workbench.errors import StoreError
from workbench.inference.remote.card import CapabilityCard
from workbench.inference.remote.server_model import ServerModel
from workbench.runs.bench import Variant
from workbench.runs.merge import MergeSource, merge_runs
from workbench.runs.run import Evaluation, RunOptions
from workbench.runs.serialisation import read_config
from workbench.runs.shard import Shard
from workbench.runs.view import RunView
from workbench.store.runs import change_run, find_run, list_runs
from workbench.store.store import Store

MANY = tuple(Case(number, {"message": f"message {number}"}, f"label{number % 7}", number) for number in range(1, 41))
TIMES = {"seconds_to_first_token", "tokens_per_second", "elapsed_seconds", "seconds_to_first_answer_token"}


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.close()


class ShardRuns:
    """Shards of a bench, each in a store of its own."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.stores: list[Store] = []

    def run(self, number: int, count: int, of=None, cases=MANY, **options) -> MergeSource:
        store = Store(self.desk.folder / f"part-{len(self.stores)}.sqlite")
        self.stores.append(store)
        evaluation = Evaluation(
            of or bench(),
            self.desk.folder / "demo.bench.yaml",
            cases,
            self.desk.pool(),
            self.desk.sources,
            store,
            RunOptions(shard=Shard(number, count) if count else None, **options),
        )
        carry_out(evaluation)
        return self.source(store)

    def source(self, store: Store) -> MergeSource:
        return MergeSource(store, list_runs(store)[0], store.path.name)


@pytest.fixture
def shards(desk):
    runs = ShardRuns(desk)
    yield runs
    for store in runs.stores:
        store.close()


def read_results(view: RunView) -> list[tuple]:
    """Every cell without its times."""
    return [
        (cell.variant, cell.case, cell.repeat, cell.completion.text, cell.error, cell.scores) for cell in view.cells()
    ]


def drop_times(value):
    """A summary as plain data, without what two runs never have in common: their ids and times."""
    if isinstance(value, dict):
        return {key: drop_times(held) for key, held in value.items() if not any(word in key for word in WORDS)}
    return [drop_times(held) for held in value] if isinstance(value, list) else value


WORDS = ("second", "speed", "run", "latency", "started", "finished", "throughput", "total_time")


def test_merged_shards_are_the_run_that_one_machine_would_have_made(desk, shards):
    carry_out(desk.evaluation(bench(repeats=2), MANY))
    whole = RunView(desk.store, "last")
    result = merge_runs([shards.run(number, 3, bench(repeats=2)) for number in (3, 1, 2)], desk.store)
    merged = RunView(desk.store, result.run)
    assert (result.cells, result.total, result.failed, result.repeated) == (160, 160, 0, 0)
    assert [part.shard for part in result.parts] == ["3/3", "1/3", "2/3"]
    assert sum(part.cells for part in result.parts) == 160
    assert read_results(merged) == read_results(whole)
    summaries = [drop_times(msgspec.to_builtins(summarize(view))) for view in (merged, whole)]
    assert summaries[0] == summaries[1]
    assert summaries[0]["variants"]
    assert merged.state == "finished"
    assert (merged.run.done, merged.run.total, merged.run.cases) == (160, 160, 40)


def test_a_missing_shard_is_missing_and_the_rest_is_run_when_the_merged_run_is_resumed(desk, shards):
    result = merge_runs([shards.run(1, 3), shards.run(3, 3)], desk.store)
    view = RunView(desk.store, result.run)
    assert (result.cells, result.total) == (53, 80)
    assert view.state == "stopped"
    cells = carry_out(desk.resume(result.run))
    assert len(cells) == 27
    assert (view.state, view.run.done) == ("finished", 80)
    carry_out(desk.evaluation(bench(), MANY))
    assert read_results(view) == read_results(RunView(desk.store, "last"))


def test_a_shard_that_was_stopped_gives_what_it_has(desk, shards):
    first, second = shards.run(1, 2), shards.run(2, 2)
    with second.store.write() as connection:
        connection.execute("DELETE FROM cells WHERE run = ? AND number > 30", (second.run.key,))
        connection.execute("UPDATE runs SET done = 30, state = 'stopped' WHERE key = ?", (second.run.key,))
    result = merge_runs([first, shards.source(second.store)], desk.store)
    assert [(part.cells, part.total) for part in result.parts] == [(40, 40), (30, 40)]
    assert (result.cells, result.total) == (70, 80)


def test_cells_that_two_parts_have_alike_are_kept_once(desk, shards):
    result = merge_runs([shards.run(1, 2), shards.run(0, 0)], desk.store)
    assert (result.cells, result.total, result.repeated) == (80, 80, 40)
    assert len(list(RunView(desk.store, result.run).cells())) == 80


def test_the_same_error_of_a_cell_is_no_contradiction(desk, shards):
    desk.model("desk", rules=[{"contains": "message 4", "reply": "x", "fail_after": 0, "failure": "It fell."}])
    result = merge_runs([shards.run(1, 2), shards.run(0, 0)], desk.store)
    assert result.failed == 4  # message 4 and message 40, of two variants
    assert result.cells == 80


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            "UPDATE completions SET text = 'other' WHERE key = (SELECT completion FROM cells WHERE number = 7)",
            "answers",
        ),
        ("UPDATE scores SET value = 0.25 WHERE number = 7 AND metric = 0", "the scores differ"),
        ("UPDATE cells SET failed = 1, error = 'It fell.' WHERE number = 7", "It fell."),
    ],
)
def test_different_results_of_a_cell_are_refused_with_the_cell_named_and_nothing_is_kept(
    desk, shards, change, complaint
):
    first, second = shards.run(1, 2), shards.run(0, 0, cache=False)
    with second.store.write() as connection:
        connection.execute(change)
    with pytest.raises(StoreError) as refused:
        merge_runs([first, shards.source(second.store)], desk.store)
    assert "A, case 7, repeat 1" in refused.value.message
    assert "part-0.sqlite and part-1.sqlite" in refused.value.message
    assert complaint in refused.value.message
    assert list_runs(desk.store) == []
    assert desk.store.read("SELECT (SELECT count(*) FROM cells) + (SELECT count(*) FROM inputs)") == [(0,)]


def test_another_bench_other_cases_and_another_model_are_refused_by_name(desk, shards):
    first = shards.run(1, 2)
    other = bench(Variant("A", "plain", "desk"), Variant("B", "other", "desk", chat_template_kwargs={"x": 1}))
    with pytest.raises(StoreError, match="`variants` of the bench"):
        merge_runs([first, shards.run(2, 2, other)], desk.store)
    with pytest.raises(StoreError, match="`scorers` of the bench and the scorers differ"):
        merge_runs([first, shards.run(2, 2, bench(scorers=("contains",)))], desk.store)
    changed = tuple(msgspec.structs.replace(case, expected="label0") for case in MANY)
    with pytest.raises(StoreError, match="Case 1 is another one in part-3"):
        merge_runs([first, shards.run(2, 2, cases=changed)], desk.store)
    desk.model("desk", context_tokens=2000)
    with pytest.raises(
        StoreError, match=r"A is not the same in part-4\.sqlite as in part-0\.sqlite: the model differs"
    ):
        merge_runs([first, shards.run(1, 2)], desk.store)
    assert list_runs(desk.store) == []


def test_a_model_at_another_place_with_another_name_is_the_same_model(desk, shards):
    first = shards.run(1, 2)
    moved = desk.folder / "elsewhere.script.json"
    desk.models["desk"].path.rename(moved)
    desk.models["desk"] = msgspec.structs.replace(desk.models["desk"], name="elsewhere", path=moved)
    result = merge_runs([first, shards.run(2, 2)], desk.store)
    assert (result.cells, result.total) == (80, 80)


def test_warnings_of_all_parts_and_their_ids_stay_with_the_merged_run(desk, shards):
    parts = [shards.run(1, 2), shards.run(2, 2)]
    result = merge_runs(parts, desk.store, "all of it")
    view = RunView(desk.store, result.run)
    assert view.run.note == f"all of it (merged: {parts[0].run.id} (1/2), {parts[1].run.id} (2/2))"
    assert set(view.warnings) == {one for part in parts for one in RunView(part.store, part.run.id).warnings}


def test_runs_of_the_same_store_are_merged_too(desk):
    carry_out(desk.evaluation(bench(), CASES[:2]))
    carry_out(desk.evaluation(bench(), CASES[2:]))
    sources = [MergeSource(desk.store, run, run.id) for run in list_runs(desk.store)]
    result = merge_runs(sources, desk.store)
    assert (result.cells, result.total) == (10, 10)
    assert RunView(desk.store, result.run).state == "finished"


def keep_card(source: MergeSource, card: CapabilityCard) -> None:
    """Write a capability card into a run's record, as a run on a server does."""
    config = msgspec.structs.replace(read_config(source.run), cards={"gpu": msgspec.json.encode(card).decode()})
    change_run(source.store, source.run.key, options=msgspec.json.encode(config).decode())


def test_cards_of_servers_are_kept_and_another_server_is_refused(desk, shards):
    first, second = shards.run(1, 2), shards.run(2, 2)
    card = CapabilityCard("http://127.0.0.1:8080", ServerModel("qwen", "llama-server", context_tokens=4096), "qwen")
    keep_card(first, card)
    keep_card(second, card)
    sources = [shards.source(one.store) for one in (first, second)]
    result = merge_runs(sources, desk.store)
    assert set(read_config(find_run(desk.store, result.run)).cards) == {"gpu"}
    keep_card(second, msgspec.structs.replace(card, model=ServerModel("qwen", "llama-server", context_tokens=2048)))
    with pytest.raises(
        StoreError, match=r"gpu is not the same model in part-1\.sqlite as in part-0\.sqlite: .*context"
    ):
        merge_runs([sources[0], shards.source(second.store)], desk.store)


def test_a_merged_run_is_resumed_where_its_files_are_at_other_paths(desk, shards):
    first = shards.run(1, 3)  # a part of A
    moved = desk.folder / "elsewhere.script.json"
    desk.models["desk"].path.rename(moved)
    desk.models["desk"] = msgspec.structs.replace(desk.models["desk"], path=moved)
    result = merge_runs([first], desk.store)
    cells = carry_out(desk.resume(result.run))
    assert [cell.error for cell in cells] == [""] * (80 - 26)
    moved.write_text(moved.read_text().replace("1000", "2000"))
    again = merge_runs([first], desk.store)
    cells = carry_out(desk.resume(again.run))
    assert {cell.variant: bool(cell.error) for cell in cells} == {"A": True, "B": False}  # nothing is known of B


def test_a_bench_folder_of_another_machine_is_the_working_folder_here(desk, shards, monkeypatch):
    first = shards.run(1, 2)
    change_run(first.store, first.run.key, folder="/not/on/this/machine")
    (desk.folder / "demo.bench.yaml").write_text("")
    monkeypatch.chdir(desk.folder)
    result = merge_runs([shards.source(first.store)], desk.store)
    assert find_run(desk.store, result.run).folder == str(desk.folder)
