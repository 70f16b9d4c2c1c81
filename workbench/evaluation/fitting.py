"""Fitting: the messages that a question sends, once a model's tokenizer has counted them.

Knows nothing of answers. The same rules as for a live pane (launch.py), with one count instead of one for each example
where that is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from workbench.errors import WorkbenchError
from workbench.evaluation.hearing import PRIORITY
from workbench.evaluation.launch import Draft, FittedPrompt
from workbench.hosting.pool import Pool
from workbench.models.reference import ModelInfo
from workbench.prompting.prompt import Message

Counts = tuple[int, ...]


def fit_messages(pool: Pool, draft: Draft, whole: tuple[Message, ...]) -> Future[FittedPrompt]:
    """The messages to send; loads the model. The future fails with a WorkbenchError where they do not fit.

    whole: the draft with all its examples, rendered.
    """
    fitted: Future[FittedPrompt] = Future()
    fitted.set_running_or_notify_cancel()

    def check(counts: Counts, info: ModelInfo) -> None:
        if counts[0] + draft.sampling.max_tokens <= info.context_tokens:
            fitted.set_result(FittedPrompt(whole))
            return
        measure = draft.measure()

        def drop(counts: Counts, info: ModelInfo) -> None:
            fitted.set_result(draft.fit(measure, counts, info))

        _count(pool, draft, measure.drafts, drop, fitted)

    _count(pool, draft, (whole,), check, fitted)
    return fitted


def _count(
    pool: Pool,
    draft: Draft,
    conversations: tuple[tuple[Message, ...], ...],
    go_on: Callable[[Counts, ModelInfo], None],
    fitted: Future[FittedPrompt],
) -> None:
    """Count, then go on; whatever goes wrong is told to the one who waits."""

    def take(counting: Future[Counts]) -> None:
        try:
            info = pool.info(draft.model)
            counts = counting.result()
            assert info is not None  # counting loaded the model
            go_on(counts, info)
        except WorkbenchError as error:
            fitted.set_exception(error)
        except Exception as error:  # noqa: BLE001 - on a thread of its own nobody else would hear of it
            fitted.set_exception(WorkbenchError(f"The prompt could not be counted: {error!r}.", "Run again."))

    pool.count(draft.model, conversations, draft.prompt.mode, PRIORITY).add_done_callback(take)
