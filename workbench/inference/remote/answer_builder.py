"""The chunks of a server's answer: its text with reasoning told apart, its counts, and the times as seen from here."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.inference.remote.dialects.protocol import AnswerPiece, StreamedAnswer
from workbench.inference.thinking import ThinkingFilter
from workbench.inference.types import Chunk, GenerateRequest, ServerReport, StopReason, TokenLogprob

UNCOUNTED = "The server did not tell how many tokens it read and wrote: speed and cost are not known."

REPEATED = "The server failed or was busy at first: the request was repeated until it answered."


class AnswerBuilder:
    """Times are in seconds on the caller's clock; `sent` is when the request that is answered was sent.

    queue_seconds, retries: as in a ServerReport.
    """

    def __init__(self, request: GenerateRequest, address: str, sent: float, queue_seconds: float, retries: int) -> None:
        self.request = request
        self._address = address
        self._queue_seconds, self._retries = queue_seconds, retries
        self._sent = self._last = sent
        self._first: float | None = None
        self._first_answer: float | None = None
        self._thought = self._separated = False
        self._thinking = ThinkingFilter() if request.mode == "chat" else None

    def add(self, piece: AnswerPiece, now: float) -> Iterator[Chunk]:
        """The chunks that are certain now."""
        if not (piece.text or piece.tokens):
            return
        self._last = now
        self._first = now if self._first is None else self._first
        if piece.thinking:
            self._separated = True
            yield self._chunk(piece.text, True)
            return
        parts = self._thinking.feed(piece.text) if self._thinking and not self._separated else None
        if parts is None:
            yield from self._answer(piece.text, piece, now)
            return
        for index, part in enumerate(parts):
            if part.thinking:
                yield self._chunk(part.text, True)
            else:
                yield from self._answer(part.text, piece if index == len(parts) - 1 else AnswerPiece(), now)
        if not parts and piece.tokens:
            yield Chunk(self.request.id, tokens=piece.tokens)

    def _answer(self, text: str, piece: AnswerPiece, now: float) -> Iterator[Chunk]:
        if text.strip() and self._first_answer is None:
            self._first_answer = now
        if text or piece.tokens:
            yield self._chunk(text, False, piece.tokens)

    def _chunk(self, text: str, thinking: bool, tokens: tuple[TokenLogprob, ...] = ()) -> Chunk:
        self._thought |= thinking
        return Chunk(self.request.id, text, thinking, tokens=tokens)

    def end(self, answer: StreamedAnswer, context_tokens: int, notes: tuple[str, ...]) -> Iterator[Chunk]:
        """The last chunks: what was held back, then the figures."""
        reason = self._reason(answer, context_tokens)
        unclosed = reason == "eos" and self._thinking is not None and self._thinking.open
        for part in self._thinking.flush() if self._thinking else ():
            yield self._chunk(part.text, part.thinking)
        if answer.calls is not None and (calls := answer.calls.text):
            yield self._chunk(calls, False)
        counted = answer.prompt_tokens is not None and answer.output_tokens is not None
        output, spent = answer.output_tokens or 0, self._last - (self._first or self._last)
        first = (self._first if self._first is not None else self._last) - self._sent
        first_answer = self._first_answer
        if unclosed or (first_answer is None and not self._thought):
            first_answer = self._first
        yield Chunk(
            self.request.id,
            prompt_tokens=answer.prompt_tokens or 0,
            cached_tokens=answer.cached_tokens or 0,
            output_tokens=output,
            thinking_tokens=0 if unclosed else answer.thinking_tokens or 0,
            seconds_to_first_token=first if self._first is not None else 0.0,
            seconds_to_first_answer_token=first_answer - self._sent if first_answer is not None else 0.0,
            tokens_per_second=(output - 1) / spent if output > 1 and spent > 0 else 0.0,
            elapsed_seconds=self._last - self._sent,
            stop_reason=reason,
            notes=(*notes, *answer.notes, *(() if counted else (UNCOUNTED,)), *((REPEATED,) if self._retries else ())),
            unclosed=unclosed,
            server=ServerReport(
                self._address,
                answer.model,
                answer.fingerprint,
                self._queue_seconds,
                self._retries,
                counted,
                answer.prompt_seconds,
                answer.decode_seconds,
                answer.load_seconds,
            ),
        )

    def _reason(self, answer: StreamedAnswer, context_tokens: int) -> StopReason:
        """A limit below max_tokens is that of the context, as far as the counts tell."""
        reason = answer.stop_reason or "eos"
        if reason == "length" and context_tokens and answer.prompt_tokens is not None and answer.output_tokens:
            full = answer.prompt_tokens + answer.output_tokens >= context_tokens
            if full and answer.output_tokens < self.request.sampling.max_tokens:
                return "context"
        return reason

    def finish_time(self, now: float) -> None:
        """Note when the stream ended, for an answer without any text."""
        if self._first is None:
            self._last = now
