"""One request under way: what was read and written so far, and the text and figures that go out.

Knows nothing of batches (scheduler.py) or native code.
"""

from __future__ import annotations

from workbench.engines.detokenizer import Detokenizer
from workbench.engines.engine import Chunk, Request, StopReason, TokenChoice
from workbench.engines.stop import StopFilter
from workbench.engines.thinking import Piece, ThinkingFilter


class Answer:
    """Turns the bytes of tokens into chunks. Times are in seconds on the caller's clock.

    cached_tokens, reproducible, notes: what the chunks say of them.
    """

    def __init__(
        self,
        request: Request,
        prompt: list[int],
        started: float,
        stops: tuple[str, ...],
        thinking: ThinkingFilter | None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.request = request
        self.prompt = prompt
        self.output_tokens = 0
        self.cached_tokens = 0
        self.reproducible = False
        self._notes = notes
        self._unclosed = False
        self._started = started
        self._first = 0.0
        self._last = started
        self._detokenizer = Detokenizer()
        self._thinking = thinking
        self._stops = stops
        self._stop = StopFilter(stops)
        self._tokens: list[TokenChoice] = []

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

    def stops_at(self, control: str) -> bool:
        """Whether a stop string is, or stands in, the text of a control token."""
        return any(stop.strip() in control for stop in self._stops if stop.strip())

    @property
    def stopped(self) -> bool:
        """Whether a stop string was found."""
        return self._stop.stopped

    def note(self, choice: TokenChoice) -> None:
        """Tell how a token was chosen, with the next chunk."""
        self._tokens.append(choice)

    def add(self, piece: bytes, now: float) -> list[Chunk]:
        """Take one token's bytes; the chunks that are certain now."""
        self._last = now
        if self.output_tokens == 0:
            self._first = now
        self.output_tokens += 1
        return self._chunks(self._pass(self._detokenizer.feed(piece)))

    def end(self, reason: StopReason, now: float) -> list[Chunk]:
        """The last chunks: what was held back, and the reason."""
        self._last = now if self.output_tokens == 0 else self._last
        self._unclosed = reason == "eos" and self.reasons
        pieces = self._pass(self._detokenizer.flush())
        for piece in self._thinking.flush() if self._thinking else ():
            pieces.append(piece if piece.thinking else Piece(self._stop.feed(piece.text), False))
        pieces.append(Piece(self._stop.flush(), False))
        chunks = self._chunks(pieces)
        return [*chunks, self._chunk("", False, "stop" if self.stopped else reason)]

    def _pass(self, text: str) -> list[Piece]:
        pieces = self._thinking.feed(text) if self._thinking else [Piece(text, False)]
        return [piece if piece.thinking else Piece(self._stop.feed(piece.text), False) for piece in pieces]

    def _chunks(self, pieces: list[Piece]) -> list[Chunk]:
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
            seconds_to_first_token=self._first - self._started if self.output_tokens else 0.0,
            tokens_per_second=(self.output_tokens - 1) / spent if self.output_tokens > 1 and spent > 0 else 0.0,
            elapsed_seconds=self._last - self._started,
            stop_reason=reason,
            tokens=tokens,
            reproducible=self.reproducible,
            notes=self._notes if reason else (),
            unclosed=bool(reason) and self._unclosed,
        )
