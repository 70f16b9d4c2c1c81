"""Multiple choice: the choices of a question weighed by the engine, by a loop of `Llama.eval` that keeps all logits,
and by `create_completion(echo=True, logprobs=...)`; and how far the log-probabilities are apart."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.contest import THREADS, Row, Tokens, draw, models, ratio, take_turns
from tests.benchmarks.own import Own
from tests.benchmarks.shapes import ModelShape, write_shape

CHOICES, QUESTION, CHOICE = 4, 138, 6


def measure() -> list[Row]:
    """Rows for the table: what, figure, aim."""
    return [row for shape, kind, name in models() for row in _measure(shape, write_shape(shape, kind), name)]


def _measure(shape: ModelShape, path: Path, name: str) -> list[Row]:
    ours, theirs = Own(path), _Loop(path)
    apart: list[float] = []

    def draw_all(turn: int) -> tuple[Tokens, list[Tokens]]:
        seed = 1000 * turn
        return draw(shape, seed, QUESTION), [draw(shape, seed + 1 + place, CHOICE) for place in range(CHOICES)]

    def loglikelihood(turn: int) -> float:
        seconds, found = ours.loglikelihood(*draw_all(turn))
        expected = theirs.loglikelihood(*draw_all(turn))[1]
        apart.extend(abs(one.logprob - other) for one, other in zip(found, expected, strict=True))
        return seconds

    ours.loglikelihood(*draw_all(99))
    times = take_turns({"ours": loglikelihood, "eval": lambda turn: theirs.loglikelihood(*draw_all(turn))[0]})
    echo = theirs.echo(QUESTION + CHOICE) * CHOICES
    own_way = theirs.loglikelihood(*draw_all(0))[1]
    ours.close()
    theirs.close()
    flash = _Loop(path, flash=True)
    itself = max(abs(one - other) for one, other in zip(own_way, flash.loglikelihood(*draw_all(0))[1], strict=True))
    flash.close()
    far = f"{max(apart):.3f}  (median {statistics.median(apart):.3f}, sums of {CHOICE} tokens; "
    far += f"Llama.eval with flash attention from itself without: {itself:.3f})"
    return [
        ratio(f"{name}: {CHOICES} choices / Llama.eval with all logits", times["ours"], times["eval"], "at most 0.12"),
        ratio(f"{name}: {CHOICES} choices / create_completion with echo", times["ours"], echo, "at most 0.01"),
        (f"{name}: {CHOICES} choices, largest difference of log-probabilities", far, "at most 0.01"),
    ]


class _Loop:
    """llama-cpp-python's own ways."""

    def __init__(self, path: Path, flash: bool = False) -> None:
        from llama_cpp import Llama

        settings = {"n_ctx": 256, "n_threads": THREADS, "n_threads_batch": THREADS, "verbose": False}
        settings["flash_attn"] = flash
        self._llama: Any = Llama(str(path), logits_all=True, **settings)

    def loglikelihood(self, question: Tokens, choices: list[Tokens]) -> tuple[float, list[float]]:
        started, found = time.perf_counter(), []
        for choice in choices:
            self._llama.reset()
            self._llama.eval([*question, *choice])
            rows = self._llama.scores[len(question) - 1 : len(question) + len(choice) - 1].astype(np.float64)
            found.append(float((rows[range(len(choice)), choice] - np.log(np.exp(rows).sum(axis=1))).sum()))
        return time.perf_counter() - started, found

    def echo(self, count: int) -> float:
        """Seconds for one choice of so many tokens with its question; all take as long."""
        text = ("the quick brown fox " * count)[:count]  # a token for each letter
        assert len(self._llama.tokenize(text.encode(), add_bos=False)) == count
        self._llama.reset()
        started = time.perf_counter()
        self._llama.create_completion(text, max_tokens=1, echo=True, logprobs=5, temperature=0.0)
        return time.perf_counter() - started

    def close(self) -> None:
        self._llama.close()
