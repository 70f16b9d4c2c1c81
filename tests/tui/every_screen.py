"""Every screen and dialog of the app, made with a text in each place where one of somebody else's is shown.

Run as a program it opens them one after the other on the terminal it has: `python every_screen.py FOLDER TEXT`.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import math
import pkgutil
import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from gguf_fixture import write_gguf
from hostile_bench import write_hostile
from stored_run import answer, store_run
from textual.content import Content
from textual.screen import Screen
from textual.theme import Theme

import workbench.tui.dialogs
import workbench.tui.screens
from workbench import yaml_document
from workbench.analysis.prompt_history import HistoryGroup, PromptHistory, PromptVersion, VersionRow
from workbench.analysis.prompt_scores import PromptScore
from workbench.analysis.prompt_uses import VersionResult
from workbench.analysis.summary import Confusion, Estimate
from workbench.analysis.votes import Rating, Votes
from workbench.datasets import Case
from workbench.datasets.spec import Dataset
from workbench.doctor.finding import failed, ok
from workbench.errors import SearchError, TrainingError, WorkbenchError
from workbench.inference.pool import Pool
from workbench.inference.types import EngineStatus, ModelInfo, Tokenized, TokenLogprob, TopLogprob
from workbench.library.git_history import Commit
from workbench.library.library import PromptEntry
from workbench.models.reference import Adapter, Model
from workbench.prompting.prompt import Example, Prompt
from workbench.runs.bench import AdapterChoice, ModelChoice, Variant
from workbench.runs.cell import Cell
from workbench.runs.matrix_rows import Metric
from workbench.runs.new_bench import BenchRequest, NewBench
from workbench.runs.session import Session
from workbench.runs.view import RunView
from workbench.sanitize import reveal, sanitize_line
from workbench.scoring.scorer import Score, ScoringInput
from workbench.search.candidate import Candidate
from workbench.search.journal import (
    BestChanged,
    CandidateDropped,
    CandidateEvaluated,
    CandidateProposed,
    CandidateRefused,
    CaseResult,
    Refusal,
    SearchEnded,
    SearchStarted,
)
from workbench.search.request import SearchRequest
from workbench.search.result import SearchResult
from workbench.settings import Settings
from workbench.store.runs import MetricRecord, change_run
from workbench.synthesis.records import RowDropped, RowProposed, SynthesisPaused, SynthesisStarted
from workbench.synthesis.request import SynthesisRequest
from workbench.synthesis.review import RowReview, create_review
from workbench.training.contenders import VerdictRequest
from workbench.training.events import JobEnded, JobEvaluated, JobNotice, JobStarted, JobStep, Journal, Sample
from workbench.training.job import TrainingJob
from workbench.training.job_dir import create_job_dir
from workbench.training.manifest import DatasetScores, DataTrace, Manifest, write_manifest
from workbench.training.recipe import Recipe
from workbench.training.registry import Registry
from workbench.training.sweep import Ranking, Trial
from workbench.training.verdict import ConditionResult, Recommendation, TrainingCost, Verdict
from workbench.tui.app import WorkbenchApp
from workbench.tui.app_state import AppState
from workbench.tui.cell_text import describe_cell
from workbench.tui.checkup_task import CheckupTask
from workbench.tui.dialogs.adapter_panel import AdapterPanel
from workbench.tui.dialogs.candidate_editor import CandidateEditor
from workbench.tui.dialogs.cell_view import CellPage, CellView
from workbench.tui.dialogs.confirm import ConfirmDialog
from workbench.tui.dialogs.confusion import ConfusionView
from workbench.tui.dialogs.dataset_view import DatasetView
from workbench.tui.dialogs.devices_form import DevicesForm
from workbench.tui.dialogs.difference import DifferenceView, TitledAnswer
from workbench.tui.dialogs.doctor_view import DoctorView
from workbench.tui.dialogs.engines import EnginesView
from workbench.tui.dialogs.example_editor import ExampleEditor
from workbench.tui.dialogs.explanation import Explanation
from workbench.tui.dialogs.file_picker import FilePicker
from workbench.tui.dialogs.final_prompt import FinalPrompt
from workbench.tui.dialogs.front_matter import FrontMatterEditor
from workbench.tui.dialogs.help import Help, KeyRow
from workbench.tui.dialogs.import_form import ImportForm
from workbench.tui.dialogs.measurement_view import MeasurementView
from workbench.tui.dialogs.name_input import NameInput
from workbench.tui.dialogs.new_bench_form import NewBenchForm
from workbench.tui.dialogs.palette import Palette, PaletteEntry
from workbench.tui.dialogs.pane_settings import PaneSettings
from workbench.tui.dialogs.plots import Dot, Plots
from workbench.tui.dialogs.prompt_picker import PromptPicker
from workbench.tui.dialogs.scorers import ScorerChecklist
from workbench.tui.dialogs.text_viewer import TextViewer
from workbench.tui.dialogs.theme_picker import ThemePicker
from workbench.tui.dialogs.token_view import TokenView
from workbench.tui.engine_text import EngineFacts
from workbench.tui.measurements import MeasurementTask
from workbench.tui.prompt_searches import PromptSearchTask
from workbench.tui.screen_ui import ScreenUi
from workbench.tui.screens.adapters import AdaptersScreen
from workbench.tui.screens.bench import BenchScreen
from workbench.tui.screens.history import HistoryScreen
from workbench.tui.screens.matrix import MatrixScreen
from workbench.tui.screens.models import ModelsScreen
from workbench.tui.screens.optimize import OptimizeScreen
from workbench.tui.screens.sweep import SweepScreen
from workbench.tui.screens.synthesis import SynthesisScreen
from workbench.tui.screens.training import TrainingScreen
from workbench.tui.screens.verdict import VerdictScreen
from workbench.tui.screens.votes import VoteScreen
from workbench.tui.sweeps import Sweeps
from workbench.tui.training_jobs import TrainingJobs
from workbench.tui.verdicts import VerdictTask
from workbench.tui.widgets.picker import Picker, PickerRow

Make = Callable[[], Screen[Any]]
SIZE = (200, 60)
METRIC = Metric("exact_match", binary=True, main=True)


def find_screens() -> set[type[Screen[Any]]]:
    """Each class of a screen or dialog that the packages hold."""
    found: set[type[Screen[Any]]] = set()
    for package in (workbench.tui.dialogs, workbench.tui.screens):
        for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(info.name)
            found |= {
                held
                for _, held in inspect.getmembers(module, inspect.isclass)
                if issubclass(held, Screen) and held.__module__ == info.name
            }
    return found | {Picker}  # the dialog that others build on is a widget


def squeeze(text: str) -> str:
    """A text without what wrapping, borders and scroll bars put between its parts."""
    return re.sub(r"[\s\u2500-\u259f▁▎▊▌▔]", "", text)


def spell(name: str) -> set[str]:
    """How a text may stand on the screen."""
    return {squeeze(sanitize_line(name)), squeeze(reveal(name)), squeeze(sanitize_line(name).replace("/", "÷"))}


def read_screen(screen: Screen[Any]) -> str:
    rows = [[segment.text for segment in strip] for strip in screen._compositor.render_strips()]
    return squeeze("".join("".join("".join(part) for part in row) for row in rows))


class EveryScreen:
    """name: what everything bears. folder: a bench is written there."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.folder = name, folder
        self.session = Session(write_hostile(folder, name), Settings(live_delay_ms=1))
        self.pool = Pool()
        safe = name.replace("/", "÷")
        self.model = Model(f"g {name}", write_named_gguf(folder / f"g {safe}.gguf", name), "gguf")
        self.adapter = Adapter(f"l {name}", folder / f"gone {safe}")
        self.variant = Variant(f"v {name}", f"p {name}", f"m {name}")
        self.case = Case(1, {f"column {name}": f"cell {name}", "message": name}, f"x {name}", 1)

    def make_app(self) -> WorkbenchApp:
        state = AppState(self.session, self.pool, (self.model,), (self.adapter,), complete=True)
        return WorkbenchApp(Settings(live_delay_ms=1), lambda: state)

    def dialogs(self) -> dict[type[Screen[Any]], Make]:
        name, variant, case = self.name, self.variant, self.case
        score = Score(f"exact {name}", 0.5, name, name, details=name)
        estimate = (0.5, 0.4, 0.6, 1.0, 2.0)
        token = TokenLogprob(
            name, math.log(0.4), (TopLogprob(name, math.log(0.4)), TopLogprob(f"o {name}", math.log(0.3)))
        )
        cell = Cell(variant.name, 1, scores=(score,), error=name, hint=name)
        page = CellPage(f"cell {name}", describe_cell(case, cell, f"sent {name}"), 1, variant.name)
        info = ModelInfo(f"arch {name}", f"q {name}", 9, 9, 4000, 9, True, engine=name, device=name, dtype=name)
        engine = EngineFacts(f"m {name}", "ready", 1, EngineStatus(), info)
        choice = PickerRow(name, f"c {name}", f"note {name}")
        adapters = (AdapterChoice(f"a {name}"), AdapterChoice(f"b {name}", on=False))
        prompt = Tokenized(f"text {name}", (1,), (name,), (f"note {name}",))
        entry = PromptEntry(name, self.folder / "p.prompty", f"about {name}", False, tags=(f"tag {name}",))
        shot = Example("e1", {"message": name}, name)
        measuring = MeasurementTask(None, "effects", variant.name, None)  # type: ignore
        measuring.result = name
        checks = CheckupTask()
        checks.findings = [failed(f"check {name}", f"found {name}", f"run {name}"), ok(name, name)]
        confusion = Confusion(variant.name, (name, "other label"), ((1, 0), (0, 1)))
        return {
            AdapterPanel: lambda: AdapterPanel(f"Adapters of {name}", adapters, lambda *_: adapters),
            CellView: lambda: CellView(lambda *_: page, 0, 0, 1, 1),
            CandidateEditor: lambda: CandidateEditor(Candidate("c1", "c0", f"user:\nb {name}", (shot,)), name),
            ConfusionView: lambda: ConfusionView([confusion]),
            DatasetView: lambda: DatasetView(Dataset("cases.jsonl", {name: name}, name), self.folder),
            DevicesForm: lambda: DevicesForm(
                f"m {name}",
                "gguf",
                ModelChoice(name),
                {"rpc": name},
                {"kv_type": f"k {name}"},
                lambda choice, show: show(Content(f"memory {name}")),
            ),
            DifferenceView: lambda: DifferenceView(
                TitledAnswer(f"t {name}", name), [TitledAnswer(f"u {name}", f"{name} more")]
            ),
            DoctorView: lambda: DoctorView(checks),
            EnginesView: lambda: EnginesView(lambda: [engine]),
            ExampleEditor: lambda: ExampleEditor(Example(f"e {name}", {name: name}, name), [name], lambda _: None),
            Explanation: lambda: Explanation(f"t {name}", name, name, [score]),
            FilePicker: lambda: FilePicker(self.folder, f"Choose {name}", (".gguf", ".json")),
            FrontMatterEditor: lambda: FrontMatterEditor(f"p {name}", f"# {name}", lambda _: Prompt(name, name, name)),
            FinalPrompt: lambda: FinalPrompt(f"What {name} sends", prompt),
            Help: lambda: Help(name, [KeyRow(name, name, name, name)], name),
            MeasurementView: lambda: MeasurementView(f"t {name}", measuring),
            ImportForm: lambda: ImportForm(self.refuse, self.pick, f"c {name}"),
            NewBenchForm: lambda: NewBenchForm(BenchRequest(Path(f"c {name}")), self.refuse, self.pick),
            NameInput: lambda: NameInput(f"t {name}", f"text {name}", f"value {name}"),
            Palette: lambda: Palette([PaletteEntry(name, name, name, name, name)], [name]),
            PaneSettings: lambda: PaneSettings(variant),
            Picker: lambda: Picker(f"t {name}", [choice], name, ["browse"], name),
            Plots: lambda: Plots(name, [Dot(f"v {name}", *estimate), Dot(f"w {name}", *estimate)]),
            PromptPicker: lambda: PromptPicker(f"t {name}", [entry], self.read_scores(), name),
            ConfirmDialog: lambda: ConfirmDialog(f"t {name}", f"text {name}", [("stay", f"Stay {name}")]),
            ScorerChecklist: lambda: ScorerChecklist(
                [{"contains": {"name": name}}, name], self.folder, ScoringInput(name, Case(1, {name: name}, name, 1))
            ),
            ThemePicker: lambda: ThemePicker([Theme(name, "#335577")], name),
            TextViewer: lambda: TextViewer(f"t {name}", f"text {name}"),
            TokenView: lambda: TokenView(f"t {name}", [token, token]),
        }  # fmt: skip

    def screens(self, bench: BenchScreen) -> dict[type[Screen[Any]], Make]:
        name = self.name
        view = self.store_run(bench.state.runs.path)
        votes = Votes(bench.state.runs.store, view)
        recipe = Recipe(base=f"b {name}", bench=f"k {name}.bench.yaml", variant=f"v {name}", name=f"r {name}")
        sweeps = Sweeps()
        sweeping = sweeps.make_task(recipe, self.folder, {}, 1)
        sweeping.error = TrainingError(f"problem {name}", f"hint {name}")
        sweeping.ranking = Ranking(name, name, (Trial(1, {f"method.{name}": name}, "failed", reason=f"why {name}"),))  # type: ignore
        self.keep_adapter()
        verdicts = bench.state.verdicts
        verdicts.current = VerdictTask(lambda *_: None, VerdictRequest(bench.session.path, f"l {name}"), ())  # type: ignore
        verdicts.current.result = self.judge()
        bench.state.searches.current = self.search()
        jobs = TrainingJobs(self.session)
        jobs.follow(self.write_job(recipe))
        return {
            AdaptersScreen: lambda: AdaptersScreen(bench.state.registry),
            HistoryScreen: lambda: HistoryScreen(f"p {name}", self.read_history),
            MatrixScreen: lambda: MatrixScreen(bench.state.runs, view.id),
            ModelsScreen: lambda: ModelsScreen(self.session, self.pool, self.model, [self.adapter]),
            OptimizeScreen: lambda: OptimizeScreen(bench.state.searches, f"v {name}"),
            SweepScreen: lambda: SweepScreen(sweeps, recipe, self.folder),
            SynthesisScreen: lambda: SynthesisScreen(self.open_row_review),
            TrainingScreen: lambda: TrainingScreen(jobs, recipe),
            VerdictScreen: lambda: VerdictScreen(verdicts, f"l {name}"),
            VoteScreen: lambda: VoteScreen(votes, self.rate),
        }  # fmt: skip

    def open_row_review(self) -> RowReview:
        """A new review, with one row, whose files lie in a folder of their own."""
        folder = self.folder / f"review{len(list(self.folder.glob('review*')))}"
        folder.mkdir()
        name = self.name.replace("/", "÷")
        request = SynthesisRequest(str(folder), f"m {self.name}", 1, str(folder / f"r {name}.jsonl"))
        started = SynthesisStarted(request=request, inputs=(self.name,), answered=True)
        review = create_review(started, lambda variables, _: variables)
        review.append(RowDropped(call=0, reason="failed", detail=self.name))
        review.append(RowProposed(call=1, variables={self.name: self.name}, expected=self.name, label=self.name))
        review.append(SynthesisPaused(reason=self.name))
        return review

    def store_run(self, path: Path) -> RunView:
        variants = [msgspec.structs.replace(self.variant, name=f"{letter} {self.name}") for letter in "vw"]
        cells = [answer(one.name, self.case, f"{one.name} says") for one in variants]
        score = Score(f"exact {self.name}", 1.0, self.name, self.name)
        cells = [msgspec.structs.replace(cell, scores=(score,)) for cell in cells]
        metrics = (MetricRecord(f"exact {self.name}", binary=True, threshold=1.0),)
        view = store_run(path, variants, [self.case], cells, metrics, bench=f"k {self.name}")
        change_run(view.store, view.run.key, note=f"note {self.name}")
        return view

    def rate(self) -> Future[tuple[Rating, ...]]:
        future: Future[tuple[Rating, ...]] = Future()
        future.set_result((Rating(f"v {self.name}", 1500.0, 1400.0, 1600.0, 1, 0, 0),))
        return future

    def read_scores(self) -> Future[dict[str, PromptScore]]:
        future: Future[dict[str, PromptScore]] = Future()
        future.set_result({self.name: PromptScore(self.make_result(), True)})
        return future

    def make_result(self) -> VersionResult:
        name = self.name
        score, metric = Estimate(0.5, 0.4, 0.6, 100), msgspec.structs.replace(METRIC, name=f"exact {name}")
        return VersionResult(
            "d" * 16, f"r {name}", f"k {name}", f"v {name}", 1.7e9, f"m {name}", "s", metric, score, 9, 1, 1, 9
        )

    def read_history(self, reference: str) -> Future[PromptHistory]:
        name = self.name
        row = VersionRow("d" * 16, self.make_result(), reason=f"reason {name}")
        commit = Commit("c" * 40, 1.7e9, f"subject {name}")
        version = PromptVersion("d" * 16, Prompt(f"p {name}", f"body {name}", name), 1.7e9, (commit,), False)
        group = HistoryGroup(f"k {name}", f"v {name}", "e" * 16, (row,))
        future: Future[PromptHistory] = Future()
        future.set_result(
            PromptHistory(f"p {name}", (f"p {name}", f"q {name}"), (version,), (group,), (f"note {name}",))
        )
        return future

    def refuse(self, request: BenchRequest) -> NewBench:
        raise WorkbenchError(f"message {self.name}", f"hint {self.name}")

    async def pick(self, part: str) -> str:
        return self.name

    def keep_adapter(self) -> None:
        name = self.name
        folder = Registry().folder / f"l {name.replace('/', '÷')}"
        if folder.exists():
            return
        folder.mkdir(parents=True)
        (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
        made = Manifest(
            folder.name, 1, 1.7e9, "lora", f"base {name}", "a" * 16, f"name: {name!r}", parent=f"parent {name}",
            prompt=f"p {name}", data=(DataTrace("train", f"data {name}", "d" * 20, 4),), notes=f"note {name}",
            metrics=DatasetScores({f"exact {name}": 0.5}, 100, name, "dv", note=name), tags=(f"tag {name}",),
        )  # fmt: skip
        write_manifest(folder, made)

    def search(self) -> PromptSearchTask:
        name = self.name
        request = SearchRequest(str(self.session.path), f"v {name}", reflector=f"m {name}")
        task = PromptSearchTask(lambda _: None, request)  # type: ignore
        task.error = SearchError(f"problem {name}", f"hint {name}")
        seed = Candidate("c0", "", f"user:\n{name}", (Example("e1", {"message": name}, name),), "turns")
        made = Candidate("c1", "c0", f"system:\n{name}\nuser:\n{name}", origin="reflection", reason=f"why {name}")
        bad = Candidate("c2", "c0", name, origin="template", reason=f"why {name}")
        for record in (
            SearchStarted(request=request, seed=seed, parts={"dev": 1}, metric=f"exact {name}"),
            CandidateEvaluated(
                candidate="c0", part="dev", results=(CaseResult(1, 0.0, f"a {name}", f"because {name}"),)
            ),
            CandidateProposed(candidate=made),
            CandidateRefused(candidate=bad, refusals=(Refusal("variables", f"lacks {name}"),)),
            CandidateEvaluated(candidate="c1", part="dev", results=(CaseResult(1, 1.0, f"b {name}"),)),
            BestChanged(candidate="c1", score=1.0),
            CandidateDropped(candidate="c1", reason=f"dropped {name}"),
            SearchEnded(result=SearchResult(made, seed, False, f"stopped {name}", f"exact {name}", notes=(name,))),
        ):
            task.state.add(record)
        return task

    def judge(self) -> Verdict:
        name, score = self.name, Estimate(0.5, 0.4, 0.6, 100)
        conditions = tuple(
            ConditionResult(
                condition, f"v {name}", f"p {name}", f"m {name}", f"l {name}", {METRIC.name: score}, 60, 2, 1, 2, 0, 9
            )
            for condition in ("zero-shot", "best prompt", "adapter")
        )
        told = Recommendation("adapter", f"headline {name}", (f"reason {name}",), (f"risk {name}",))
        cost = TrainingCost(f"l {name}", 74.0, 68_000, 400, 0.02)
        return Verdict(f"k {name}", "r", f"d {name}", METRIC, 9, conditions, (), cost, (), told, metrics=(METRIC,))

    def write_job(self, recipe: Recipe) -> TrainingJob:
        name = self.name
        job_dir = create_job_dir("job", yaml_document.encode(recipe), self.folder, datetime(2026, 1, 2), "")
        journal = Journal(job_dir.events)
        sample = Sample(3, f"input {name}", f"x {name}", f"before {name}", f"after {name}", 1.0)
        journal.write(JobStarted(1.0, 1, 0, 20, 2.0, 400, 100, 81_920, 1_400_000, "cpu", "float32", 0.002, 10))
        journal.write(JobStep(2.0, 10, 1.0, 0.5, 0.001, 1.0, 4000, 900.0, 700_000_000, 4.0, 5.0))
        metric = f"exact {name}"
        journal.write(JobEvaluated(3.0, 10, 0.4, 0.6, {metric: 0.8}, 100, metric, True, 1.0, (sample,)))
        journal.write(JobNotice(3.0, f"notice {name}"))
        journal.write(JobEnded(4.0, "failed", f"reason {name}", f"hint {name}", f"details {name}"))
        journal.close()
        return TrainingJob(job_dir)

    def make_all(self, bench: BenchScreen) -> dict[type[Screen[Any]], Make]:
        return {**self.dialogs(), **self.screens(bench)}

    def find_missing(self, screen: Screen[Any]) -> list[str]:
        """The spellings of the name, when none of them is on the screen."""
        text = read_screen(screen)
        wanted = spell(self.name)
        return [] if any(one in text for one in wanted) else sorted(wanted)


async def until(condition: Callable[[], bool]) -> None:
    """Let the app work until a condition holds; raises AssertionError when it never does."""
    end = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


async def walk(every: EveryScreen, app: WorkbenchApp) -> dict[str, str]:
    """Open each of them, one at a time; what did not show the name: class -> the text on its screen."""
    await until(lambda: app.bench_screen is not None and bool(app.bench_screen.panes))
    bench = app.bench_screen
    assert bench is not None
    await until(lambda: all(pane.state in ("done", "failed") for pane in bench.panes))
    problems: dict[str, str] = {}
    for kind, make in every.make_all(bench).items():
        screen = make()
        app.push_screen(screen)
        await until(lambda screen=screen: screen.is_mounted and app.screen is screen)
        try:
            await until(lambda screen=screen: not every.find_missing(screen))
        except AssertionError:
            problems[kind.__name__] = read_screen(screen)
        screen.dismiss(None)
        await until(lambda: app.screen is bench)
    ScreenUi(bench).show_error(WorkbenchError(f"message {every.name}", f"hint {every.name}"))
    await until(lambda: not every.find_missing(bench))
    bench.state.runs.close()
    return problems


def write_named_gguf(path: Path, name: str) -> Path:
    """A model whose header bears a name in its texts."""
    from gguf import GGUFReader, GGUFValueType, GGUFWriter

    tiny = write_gguf(path.with_name("tiny.gguf"))
    reader, writer = GGUFReader(tiny), GGUFWriter(path, "llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        value, kind = field.contents(), field.types[0]
        if field.name == "general.name":
            value = f"general {name}"
        elif field.name == "tokenizer.chat_template":
            value = f"{{# template {name.replace('#', '')} #}}{value}"
        writer.add_key_value(field.name, value, kind, field.types[-1] if kind == GGUFValueType.ARRAY else None)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tiny.unlink()
    return path


if __name__ == "__main__":
    every = EveryScreen(Path(sys.argv[1]), sys.argv[2])
    app = every.make_app()
    found: dict[str, str] = {}

    async def drive() -> None:
        found.update(await walk(every, app))
        app.exit()

    app.call_later(lambda: app.run_worker(drive()))
    try:
        app.run()
    finally:
        app.close_engines()
        every.pool.close()
    Path(sys.argv[1], "found.json").write_text(json.dumps(found))
    sys.exit(app.return_code or 0)
