"""CallText: the text of an answer that took one call or several."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.runs.cell_step import CellStep, describe_step
from workbench.tui.call_stream import CallBegan, CallEnded
from workbench.tui.conversation_text import list_calls, show_message
from workbench.tui.widgets.stream_text import StreamText


class CallText(StreamText):
    """A streamed text that also shows what stands between the calls of a chain or of a conversation."""

    def begin_call(self, event: CallBegan) -> None:
        """What was said before a call; its text streams behind it."""
        gap = "\n\n" if self.text else ""
        lines = [f"── {event.label}", *map(show_message, event.messages)]
        if gap or event.messages or event.label != "answer":
            self.append(gap + "\n".join(lines) + "\n", "note")

    def end_call(self, event: CallEnded) -> None:
        """What came of a call."""
        step = event.step
        if not event.streamed and step.completion.text:
            self.append(step.completion.text, "answer")
        lines = [*list_calls(step), describe_step(step)]
        self.append(("\n" if step.completion.text else "") + "\n".join(lines), "note")

    def fold_calls(self, steps: Sequence[CellStep], answer: str, unfolded: bool) -> None:
        """A line for each call of a chain, or its text, and the answer; a conversation stays as it is."""
        if any(step.turn for step in steps):
            return
        self.clear()
        for step in steps:
            self.append(f"{'▾' if unfolded else '▸'} {step.label}  {describe_step(step)}\n", "note")
            if unfolded and step.completion.text:
                self.append("".join(f"{show_message(message)}\n" for message in step.before), "note")
                self.append(f"{step.completion.text}\n", "answer")
                self.append("".join(f"{line}\n" for line in list_calls(step)) + "\n", "note")
        if not unfolded:
            self.append(f"\n{answer}", "answer")
