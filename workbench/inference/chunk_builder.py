"""One request under way: what was read and written so far, and the text and figures that go out."""

from __future__ import annotations

from workbench.inference.detokenizer import Detokenizer
from workbench.inference.stop_strings import StopFilter
from workbench.inference.thinking import TextPart, ThinkingFilter
from workbench.inference.types import Chunk, GenerateRequest, StopReason, TokenLogprob


class ChunkBuilder:
    """Turns the bytes of tokens into chunks. Times are in seconds on the caller's clock.

    cached_tokens, deterministic, notes: what the chunks say of them.
    """

    def __init__(
        self,
        request: GenerateRequest,
        prompt: list[int],
        started: float,
        stops: tuple[str, ...],
        thinking: ThinkingFilter | None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.request = request
        self.prompt = prompt
        self.output_tokens = 0
        self.thinking_tokens = 0
        self.cached_tokens = 0
        self.deterministic = False
        self._notes = notes
        self._unclosed = False
        self._started = started
        self._first = 0.0
        self._first_answer = 0.0
        self._last = started
        self._budget_left = request.sampling.thinking_budget >= 0
        self._detokenizer = Detokenizer()
        self._thinking = thinking
        self._stops = stops
        self._stop = StopFilter(stops)
        self._tokens: list[TokenLogprob] = []

    @property
    def reasons(self) -> bool:
        """Whether reasoning has begun and not ended."""
        return self._thinking is not None and self._thinking.open

    @property
    def framing(self) -> bool:
        """Whether a tag that frames reasoning may still come."""
        return self._thinking is not None and self._thinking.framing

    def may_open(self, text: str, control: bool) -> bool:
        """Whether reasoning begins with a token of this text, were it to come next."""
        return self._thinking is not None and self._thinking.may_open(text, control)

    def close_reasoning(self) -> None:
        """Take what comes next for the answer."""
        if self._thinking is not None:
            self._thinking.close()

    def take_forced_closing(self) -> str:
        """What closes reasoning that has used up its budget; once, "" at any other time."""
        if not self._budget_left or not self._thinking or not self._thinking.open:
            return ""
        if self.thinking_tokens < self.request.sampling.thinking_budget:
            return ""
        self._budget_left = False
        return self._thinking.closing

    def stops_at(self, control: str) -> bool:
        """Whether a stop string is, or stands in, the text of a control token."""
        return any(stop.strip() in control for stop in self._stops if stop.strip())

    @property
    def stopped(self) -> bool:
        """Whether a stop string was found."""
        return self._stop.stopped

    def note(self, choice: TokenLogprob) -> None:
        """Tell how a token was chosen, with the next chunk."""
        self._tokens.append(choice)

    def add(self, piece: bytes, now: float) -> list[Chunk]:
        """Take one token's bytes; the chunks that are certain now."""
        self._last = now
        if self.output_tokens == 0:
            self._first = now
        self.output_tokens += 1
        reasoned = self.reasons
        parts = self._pass(self._detokenizer.feed(piece))
        self.thinking_tokens += reasoned or self.reasons
        if not self._first_answer and any(part.text.strip() for part in parts if not part.thinking):
            self._first_answer = now
        return self._chunks(parts)

    def end(self, reason: StopReason, now: float) -> list[Chunk]:
        """The last chunks: what was held back, and the reason."""
        self._last = now if self.output_tokens == 0 else self._last
        self._unclosed = reason == "eos" and self.reasons
        if self._unclosed or (not self._first_answer and not self.thinking_tokens):
            self.thinking_tokens, self._first_answer = 0, self._first
        pieces = self._pass(self._detokenizer.flush())
        for piece in self._thinking.flush() if self._thinking else ():
            pieces.append(piece if piece.thinking else TextPart(self._stop.feed(piece.text), False))
        pieces.append(TextPart(self._stop.flush(), False))
        chunks = self._chunks(pieces)
        return [*chunks, self._chunk("", False, "stop" if self.stopped else reason)]

    def _pass(self, text: str) -> list[TextPart]:
        pieces = self._thinking.feed(text) if self._thinking else [TextPart(text, False)]
        return [piece if piece.thinking else TextPart(self._stop.feed(piece.text), False) for piece in pieces]

    def _chunks(self, pieces: list[TextPart]) -> list[Chunk]:
        return [self._chunk(piece.text, piece.thinking) for piece in pieces if piece.text]

    def _chunk(self, text: str, thinking: bool, reason: StopReason | None = None) -> Chunk:
        spent = self._last - self._first
        tokens, self._tokens = tuple(self._tokens), []
        return Chunk(
            self.request.id,
            text,
            thinking,
            prompt_tokens=len(self.prompt),
            cached_tokens=self.cached_tokens,
            output_tokens=self.output_tokens,
            thinking_tokens=self.thinking_tokens,
            seconds_to_first_token=self._first - self._started if self.output_tokens else 0.0,
            seconds_to_first_answer_token=self._first_answer - self._started if self._first_answer else 0.0,
            tokens_per_second=(self.output_tokens - 1) / spent if self.output_tokens > 1 and spent > 0 else 0.0,
            elapsed_seconds=self._last - self._started,
            stop_reason=reason,
            tokens=tokens,
            deterministic=self.deterministic,
            notes=self._notes if reason else (),
            unclosed=bool(reason) and self._unclosed,
        )
