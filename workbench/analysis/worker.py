"""Statistics in a worker process, so that whoever asks never waits for the libraries that work them out."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from workbench.analysis.baseline import RunComparison, compare_runs
from workbench.analysis.measurement_words import Measurement, describe_measurement
from workbench.analysis.prompt_history import PromptHistory, read_history
from workbench.analysis.prompt_scores import PromptScore, read_scores
from workbench.analysis.retention import Retention, RetentionQuery, check_retention
from workbench.analysis.summary import Summary, summarize_run
from workbench.analysis.votes import Rating, Votes
from workbench.errors import EngineError, WorkbenchError
from workbench.inference.worker.child import ParentChannel
from workbench.inference.worker.frames import FrameCodec, shorten
from workbench.inference.worker.process import BlockingWorker, WorkerEnded, WorkerSpec
from workbench.library.library import Library
from workbench.prompting.prompt import Prompt
from workbench.runs.opening import library_at
from workbench.runs.view import RunView
from workbench.settings import Settings
from workbench.store.store import Store

T = TypeVar("T")


class HistoryQuery(msgspec.Struct, frozen=True):
    """Whose history is asked for, or of what library the scores. library: its folder. prompt_folders, settings_library:
    of the settings. current: the prompt as it now reads. reference: as for `read_history`."""

    library: str
    prompt_folders: tuple[str, ...]
    settings_library: str
    name: str = ""
    current: Prompt | None = None
    reference: str = ""


class StatisticsRequest(msgspec.Struct, frozen=True):
    """What to work out of which run, or of which prompt. other: an earlier run that it is held against."""

    what: Literal["summary", "ratings", "changes", "history", "scores", "retention", "measurement"]
    store: str
    run: str = ""
    other: str = ""
    metric: str = ""
    history: HistoryQuery | None = None
    task: str = ""
    retention: RetentionQuery | None = None
    measurement: Measurement | None = None
    name: str = ""


class StatisticsReply(msgspec.Struct, frozen=True):
    """The one that was asked for, or what went wrong, in the parts of a WorkbenchError."""

    summary: Summary | None = None
    ratings: tuple[Rating, ...] | None = None
    changes: RunComparison | None = None
    history: PromptHistory | None = None
    scores: dict[str, PromptScore] | None = None
    retention: Retention | None = None
    measured: str | None = None
    message: str = ""
    hint: str = ""


STATISTICS_REPLIES: FrameCodec[StatisticsReply] = FrameCodec(StatisticsReply)


class StatisticsWorker:
    """One worker, started for the first question; every method may be called from any thread."""

    def __init__(self, store: Path) -> None:
        self._store = str(store.absolute())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="statistics")
        self._lock = threading.Lock()
        self._worker: BlockingWorker[StatisticsReply] | None = None
        self._closed = False

    def summarize(self, run: str) -> Future[Summary]:
        """The figures of a run as they stand now; this and every other future may fail with a WorkbenchError."""
        return self._thread.submit(lambda: _given(self._ask(StatisticsRequest("summary", self._store, run)).summary))

    def rate(self, run: str) -> Future[tuple[Rating, ...]]:
        """The ratings that the votes on a run come to."""
        return self._thread.submit(lambda: _given(self._ask(StatisticsRequest("ratings", self._store, run)).ratings))

    def compare(self, run: str, earlier: str, metric: str = "") -> Future[RunComparison]:
        """What changed since an earlier run, by one metric, the first unless named."""
        question = StatisticsRequest("changes", self._store, run, earlier, metric)
        return self._thread.submit(lambda: _given(self._ask(question).changes))

    def read_history(self, query: HistoryQuery) -> Future[PromptHistory]:
        """The versions of a prompt, and what they scored."""
        question = StatisticsRequest("history", self._store, history=query)
        return self._thread.submit(lambda: _given(self._ask(question).history))

    def read_scores(self, query: HistoryQuery) -> Future[dict[str, PromptScore]]:
        """What the prompts of a library scored last, by their names."""
        question = StatisticsRequest("scores", self._store, history=query)
        return self._thread.submit(lambda: _given(self._ask(question).scores))

    def check_retention(self, task: str, query: RetentionQuery) -> Future[Retention]:
        """What an adapter leaves of a task's scores."""
        question = StatisticsRequest("retention", self._store, query.run, task=task, retention=query)
        return self._thread.submit(lambda: _given(self._ask(question).retention))

    def measure(self, what: Measurement, run: str, name: str) -> Future[str]:
        """A measurement in words; name: as for `describe_measurement`."""
        question = StatisticsRequest("measurement", self._store, run, measurement=what, name=name)
        return self._thread.submit(lambda: _given(self._ask(question).measured))

    def close(self) -> None:
        """End the worker; questions that wait are dropped."""
        with self._lock:
            self._closed = True
            worker = self._worker
        if worker is not None:
            worker.kill()
        self._thread.shutdown(wait=True, cancel_futures=True)
        if worker is not None:
            worker.end()

    def _ask(self, request: StatisticsRequest) -> StatisticsReply:
        worker = self._start()
        try:
            reply = worker.ask(request)
        except WorkerEnded as ended:
            self._worker = None
            raise EngineError(
                f"The process that works out the figures {ended.exit.reason}.",
                "It is started again for the next ones.",
                ended.exit.last_words,
            ) from ended
        if reply.message:
            raise WorkbenchError(reply.message, reply.hint)
        return reply

    def _start(self) -> BlockingWorker[StatisticsReply]:
        with self._lock:
            if self._closed:
                raise EngineError("The figures are closed.", "Start the workbench again.")
            if self._worker is None:
                self._worker = BlockingWorker(WorkerSpec(__name__), STATISTICS_REPLIES, "statistics")
            return self._worker


def _given(value: T | None) -> T:
    assert value is not None  # a child that has no answer says so in words
    return value


def main() -> None:
    """The worker: answers until its parent ends."""
    channel: ParentChannel[StatisticsRequest] = ParentChannel(FrameCodec(StatisticsRequest))
    channel.listen()
    while (request := channel.receive()) is not None:
        channel.send(_answer(request))


def _answer(request: StatisticsRequest) -> StatisticsReply:
    try:
        return _work_out(request)
    except WorkbenchError as error:
        return StatisticsReply(message=shorten(error.message), hint=shorten(error.hint))
    except Exception as error:  # noqa: BLE001 - whoever asked must hear of it
        return StatisticsReply(
            message=shorten(f"The figures could not be worked out: {error!r}."), hint="Please report this."
        )


def _work_out(question: StatisticsRequest) -> StatisticsReply:
    if question.what == "summary":
        return StatisticsReply(summary=summarize_run(question.store, question.run))
    store = Store(Path(question.store))
    try:
        if question.history is not None and question.what == "scores":
            return StatisticsReply(scores=_read_scores(store, question.history))
        if question.history is not None:
            return StatisticsReply(history=_read_history(store, question.history))
        if question.measurement is not None:
            measured = describe_measurement(store, question.measurement, question.run, question.name)
            return StatisticsReply(measured=measured)
        view = RunView(store, question.run)
        if question.retention is not None:
            return StatisticsReply(retention=check_retention(view, question.task, question.retention))
        if question.what == "ratings":
            return StatisticsReply(ratings=Votes(store, view).ratings())
        return StatisticsReply(changes=compare_runs(RunView(store, question.other), view, question.metric))
    finally:
        store.close()


def _read_history(store: Store, query: HistoryQuery) -> PromptHistory:
    library, settings = _open_library(query)
    return read_history(store, library, query.name, settings, query.current, query.reference)


def _read_scores(store: Store, query: HistoryQuery) -> dict[str, PromptScore]:
    library, settings = _open_library(query)
    return read_scores(store, library, library.entries(), settings)


def _open_library(query: HistoryQuery) -> tuple[Library, Settings]:
    settings = Settings(library=query.settings_library, prompt_folders=query.prompt_folders)
    return library_at(Path(query.library), settings), settings
