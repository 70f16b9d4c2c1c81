"""The app in a pseudo-terminal, killed while it opens, while a prompt is typed and saved, or while a matrix runs.

What was kept or saved must be there when the bench is opened again; a run goes on to what an undisturbed one gives.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import psutil

from workbench.errors import WorkbenchError
from workbench.library.autosave import AutosaveStore
from workbench.runs.session import Session
from workbench.settings import Settings
from workbench.training.cleanup import remove_leftovers

from .terminal import PseudoTerminal
from .trial import PATIENCE, Cells, Kill, KillTrial, compare_cells

STAGES = ("opening", "typing", "matrix")
SIGNALS = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGSTOP", "closed")
CASES = 20
MOST_ATTEMPTS = 4
_PROMPT = "user:\n{{ message }}\n"
_MARK = "ж"
"""typed last: once it is drawn, all that was typed before it has been taken"""
_AWAKE = "щ"
"""typed once the app goes on after a SIGSTOP"""
_END, _EVALUATE, _SAVE = "\x1b[1;5F", "\x1b[17~", "\x13"
_WORDS = 8
_SCRIPT = {
    "pace": "real",
    "tokens_per_second": 200,
    "context_tokens": 100_000,
    "rules": [{"regex": r"number (?P<n>\d+)", "reply": "It is number {n}, and nothing else."}, {"reply": "Well."}],
}
_BENCH = """\
variants:
  - {name: plain, prompt: ask, model: desk.script.json}
  - {name: again, prompt: ask, model: desk.script.json, sampling: {max_tokens: 3}}
dataset: {path: cases.jsonl}
scorers: [{contains: {text: "7"}}]
"""


def write_project(folder: Path) -> None:
    """A bench on a scripted model, which answers the same however it is asked."""
    folder.mkdir(parents=True)
    (folder / "desk.script.json").write_text(json.dumps(_SCRIPT))
    (folder / "ask.prompty").write_text(_PROMPT)
    (folder / "cases.jsonl").write_text("".join(f'{{"message": "number {n}"}}\n' for n in range(1, CASES + 1)))
    (folder / "demo.bench.yaml").write_text(_BENCH)


class AppTrial(KillTrial):
    """One session of the app, with a home and a project of its own, for prompts are saved."""

    def __init__(self, project: Path, home: Path) -> None:
        super().__init__(home / "project", home)
        shutil.copytree(project, self.project)

    def run_undisturbed(self) -> Cells:
        code = self.start("eval", "demo.bench.yaml").wait(PATIENCE)
        assert code == 0, f"an undisturbed run ended with {code}"
        return self.read_cells()

    def run_with(self, kill: Kill, expected: Cells) -> Kill:
        """Open the bench, kill at the moment, and look at what there is when it is opened again."""
        terminal = PseudoTerminal(self.command("demo.bench.yaml"), self.project, self.environment)
        try:
            typed = self._reach(terminal, kill)
            self._strike(terminal, kill)
            self.wait(lambda: terminal.process.poll() is not None, "the end of the app")
            faults = [f"torn store: {text}" for text in self.check_store()]
            if kill.signal not in ("SIGKILL", "closed"):
                faults += terminal.find_changes()
        finally:
            self._end(terminal)
        faults += self._check_run(expected) if kill.kind == "app matrix" else self._check_prompt(typed)
        if kill.signal == "SIGKILL":
            with patch.dict(os.environ, self.environment):
                remove_leftovers()  # as each start of the app does
        return replace(kill, faults=(*faults, *self.check()))

    # --- until the kill ------------------------------------------------------------------------------------------

    def _reach(self, terminal: PseudoTerminal, kill: Kill) -> str:
        """Do what is done until the moment comes; what was typed and must be kept."""
        if kill.kind == "app opening":
            self._wait_with(terminal, lambda: len(terminal.seen) >= kill.after, f"{kill.after} bytes on the screen")
            return ""
        self._wait_with(terminal, lambda: b"Well." in terminal.seen or b"number" in terminal.seen, "the bench")
        if kill.kind == "app matrix":
            terminal.type(_EVALUATE)
            self._wait_with(terminal, lambda: self.count_cells() >= kill.after, f"{kill.after} cells")
            return ""
        return self._type(terminal, kill)

    def _type(self, terminal: PseudoTerminal, kill: Kill) -> str:
        """Some words, each kept before the next; then one that may not be, and in every second trial a save."""
        terminal.type(_END)
        text = ""
        for number in range(kill.after // 2):
            terminal.type(f"word{number} ")
            text += f"word{number} "
            self._wait_for_draft(terminal, text.strip())
        terminal.type(f"more{_MARK}")
        self._wait_with(terminal, lambda: _MARK.encode() in terminal.seen, "what was typed on the screen")
        if kill.after % 2:
            terminal.type(_SAVE)
        # what was on the screen alone is lost with the process, unless that was asked to end
        return text.strip() if kill.signal == "SIGKILL" else f"{text}more{_MARK}"

    def _strike(self, terminal: PseudoTerminal, kill: Kill) -> None:
        app = psutil.Process(terminal.process.pid)
        if kill.signal == "closed":
            terminal.hang_up()
            return
        victims = [app] if kill.victim == "app" else self.find(kill.victim)
        self.send(victims, kill)
        if kill.victim != "app" and kill.kind == "app matrix":
            self._wait_with(terminal, lambda: self.count_cells() >= 2 * CASES, "all cells")
        if kill.kind == "app typing" and kill.signal == "SIGSTOP":
            terminal.type(_AWAKE)
            self._wait_with(terminal, lambda: _AWAKE.encode() in terminal.seen, "what was typed after the pause")
        if kill.victim != "app" or kill.signal == "SIGSTOP":
            self.send([app], replace(kill, signal="SIGTERM"))

    def _wait_for_draft(self, terminal: PseudoTerminal, text: str) -> None:
        self._wait_with(terminal, lambda: text in self._read_kept(), f"{text!r} as a draft")

    def _wait_with(self, terminal: PseudoTerminal, condition: Callable[[], bool], what: str) -> None:
        self.wait(lambda: terminal.process.poll() is not None or condition(), what)

    def _end(self, terminal: PseudoTerminal) -> None:
        if terminal.process.poll() is None:
            terminal.process.send_signal(signal.SIGKILL)
            terminal.process.wait()
        terminal.hang_up()

    # --- afterwards ----------------------------------------------------------------------------------------------

    def _check_prompt(self, typed: str) -> Iterator[str]:
        """Opened again, the bench has what was typed; its files are whole, as they were or as they were saved."""
        saved = (self.project / "ask.prompty").read_text()
        if _PROMPT.strip() not in saved:
            yield f"torn prompt: {saved!r}"
        if (self.project / "demo.bench.yaml").read_text() != _BENCH:
            yield "the bench's file has changed"
        with patch.dict(os.environ, self.environment):
            try:
                body = Session(self.project / "demo.bench.yaml", Settings()).prompt("ask").body
            except WorkbenchError as error:
                yield f"it does not open again: {error.message}"
                return
        if typed not in body:
            yield f"typed text is lost: {typed!r} is not in {body!r}"

    def _check_run(self, expected: Cells) -> Iterator[str]:
        early = self.read_cells()
        codes: list[int] = []
        while (not codes or codes[-1] != 0) and len(codes) < MOST_ATTEMPTS:
            arguments = ("--retry-failed", "last") if early else ("demo.bench.yaml",)
            codes.append(self.start("eval", *arguments).wait(PATIENCE))
        if codes[-1] != 0:
            yield f"it never ended well: exit codes {codes}"
        yield from compare_cells(early, self.read_cells(), expected)

    def _read_kept(self) -> str:
        """What is kept as drafts now."""
        try:
            return "\n".join(AutosaveStore(self.home / "data" / "drafts").all().values())
        except (WorkbenchError, OSError):  # while it is written
            return ""


def draw_kill(number: int, seed: int, pause: float = 1.0) -> Kill:
    """The stage goes round; the signal and the moment are drawn. In a matrix the engine is a victim too."""
    chance = random.Random(f"app {seed} {number}")
    stage = STAGES[number % len(STAGES)]
    after = chance.randrange({"opening": 20_000, "typing": 2 * _WORDS, "matrix": 2 * CASES - 6}[stage])
    victim = "engine" if stage == "matrix" and chance.random() < 0.25 else "app"
    signals = SIGNALS[:-1] if victim == "engine" else SIGNALS
    return Kill(f"app {stage}", victim, chance.choice(signals), after, pause)
