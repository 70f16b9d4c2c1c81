"""Palette: every action on the bench by its id, which keys use too, with the title and help that the palette shows."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Literal, NamedTuple

from workbench.runs.session import Session
from workbench.tui.actions import (
    answers,
    bench,
    benches,
    cases,
    history,
    library,
    measurement,
    models,
    optimize,
    pairwise,
    panes,
    passages,
    prompt,
    prompt_history,
    synthesis,
)
from workbench.tui.bench_controller import BenchController
from workbench.tui.ui import Ui

Start = Callable[[BenchController, Ui], Coroutine[Any, Any, None]]


Group = Literal["Pane", "Prompt", "Cases", "Run", "Train", "View", "Bench"]


class Action(NamedTuple):
    """An action as the palette shows it."""

    title: str
    help: str
    start: Start
    group: Group = "Bench"


ACTIONS: dict[str, Action] = {
    "new_bench": Action("New bench…", "From a file of cases: task, panes and scorers are guessed", benches.new_bench),
    "import": Action("Import…", "From promptfoo, Prompty, Dotprompt, llm, OpenAI, Ollama", benches.import_file),
    "open_bench": Action("Open bench…", "A recent one, one nearby, or any file", benches.open_bench),
    "save": Action("Save everything", "Every edited prompt and the bench", bench.save, "Prompt"),
    "save_prompt_as": Action("Save prompt as…", "Under another name in the library", library.save_prompt_as, "Prompt"),
    "save_bench_as": Action("Save bench as…", "Under another file name", bench.save_bench_as),
    "discard_restored": Action(
        "Discard restored changes", "Unsaved changes of an earlier session", bench.discard_restored
    ),
    "undo": Action("Undo", "The last change of panes, prompts, examples, settings, adapters or cases", history.undo),
    "redo": Action("Redo", "What was undone last", history.redo),
    "revert_prompt": Action("Revert prompt", "Discard its unsaved changes", library.revert_prompt, "Prompt"),
    "prompt_history": Action(
        "History of the prompt…",
        "Its versions, what each scored, and what was better",
        prompt_history.show_history,
        "Prompt",
    ),
    "open_prompt": Action("Open prompt…", "Another prompt for the chosen pane", library.open_prompt, "Prompt"),
    "edit_outside": Action(
        "Edit prompt in $EDITOR", "The text comes back when the editor closes", prompt.edit_outside, "Prompt"
    ),
    "next_step": Action("Next step of the chain", "In the editor", prompt.next_step, "Prompt"),
    "edit_role": Action("Role of the section…", "Change or remove it, begin another", prompt.edit_role, "Prompt"),
    "edit_header": Action("Front matter…", "Description, defaults and options", prompt.edit_header, "Prompt"),
    "find": Action("Find and replace…", "In the prompt", prompt.find, "Prompt"),
    "select_all": Action("Select all of the prompt", "To copy or to replace it", prompt.select_all, "Prompt"),
    "set_placement": Action("Place examples…", "As turns, inline, or none", prompt.set_placement, "Prompt"),
    "set_retrieval": Action(
        "Retrieval of the pane…", "None, by words, by embeddings, or the oracle", passages.set_retrieval, "Pane"
    ),
    "set_mode": Action("Chat or completion…", "Whether the chat template is applied", prompt.set_mode, "Prompt"),
    "restore_prompt": Action("Restore deleted prompt…", "From the trash", library.restore_prompt, "Prompt"),
    "add": Action("Add pane…", "A new variant with a prompt of the library", panes.add, "Pane"),
    "duplicate": Action("Duplicate pane", "A copy with a prompt of its own", panes.duplicate, "Pane"),
    "close": Action("Close pane", "Its prompt stays in the library", panes.close, "Pane"),
    "rename": Action("Rename pane…", "The name on its border and in reports", panes.rename, "Pane"),
    "zoom": Action("Zoom pane", "The whole screen for it, or back", panes.zoom, "Pane"),
    "move_left": Action("Move pane left", "Before its neighbour", panes.move_left, "Pane"),
    "move_right": Action("Move pane right", "After its neighbour", panes.move_right, "Pane"),
    "settings": Action("Pane settings…", "Sampling parameters of the chosen pane", panes.settings, "Pane"),
    "browse_models": Action(
        "Models and adapters", "Everything on this machine, in detail", models.browse_models, "View"
    ),
    "engines": Action("Engines", "Speed, KV cache and memory of every engine", models.engines, "View"),
    "doctor": Action(
        "Doctor", "Checks what works on this machine, with a command for each problem", models.doctor, "View"
    ),
    "model": Action("Model of the pane…", "One that was found, or any file", models.model, "Pane"),
    "adapters": Action("Adapters of the pane…", "Which are applied, and their scales", models.adapters, "Pane"),
    "scale_up": Action("Raise adapter scale", "Of the pane's first adapter", models.scale_up, "Pane"),
    "scale_down": Action("Lower adapter scale", "Of the pane's first adapter", models.scale_down, "Pane"),
    "without_adapters": Action(
        "Duplicate without adapters", "In a pane beside this one", models.without_adapters, "Pane"
    ),
    "difference": Action("Diff answers", "Two answers, word by word", answers.difference, "Run"),
    "explain": Action("Explain score", "What was extracted, and why it counts", answers.explain, "Run"),
    "scorers": Action("Scorers…", "Which score the answers, their order and options", answers.choose_scorers, "Cases"),
    "tokens": Action("Tokens of the answer", "With the top logprobs at each", answers.tokens, "Run"),
    "expected": Action(
        "Log-likelihood of the expected answer", "Show or hide it in every pane", answers.toggle_expected, "Run"
    ),
    "view": Action("View answer", "Full screen", answers.view, "Run"),
    "copy": Action("Copy answer", "To the clipboard, over SSH too", answers.copy, "Run"),
    "final_prompt": Action("Show final prompt", "Exactly what is sent, token by token", answers.final_prompt, "Prompt"),
    "evaluate": Action("Evaluate", "Every case of the dataset against every variant", bench.evaluate, "Run"),
    "effects": Action(
        "Effect of each example", "What leaving it out costs, on the dataset", measurement.effects, "Run"
    ),
    "scales": Action("Score by adapter scale", "On the dataset, at several scales", measurement.scales, "Run"),
    "robustness": Action(
        "Robustness to wording", "The score under small changes of the prompt", measurement.robustness, "Run"
    ),
    "drift": Action("Scores over runs", "Which changed against the baseline", measurement.drift, "Run"),
    "judge_pairs": Action(
        "Judge answers pairwise…", "A model compares the variants' answers of the newest run", pairwise.judge, "Run"
    ),
    "thresholds": Action(
        "Thresholds", "Whether the newest run reaches those of the bench", measurement.thresholds, "Run"
    ),
    "repeats": Action("Repeats…", "How often each case is answered in a run", measurement.repeats, "Run"),
    "train": Action("Train an adapter…", "On this bench's data, with the chosen pane's prompt", bench.train, "Train"),
    "judge": Action("Verdict…", "Was the adapter worth its training, or is a prompt enough", bench.judge, "Train"),
    "optimize": Action(
        "Optimize prompt…", "Search for better examples or instructions, tested once", optimize.optimize, "Train"
    ),
    "registry": Action(
        "Trained adapters", "Lineage, notes, comparison, regression check, trash", bench.registry, "Train"
    ),
    "choose_dataset": Action("Dataset…", "Which file of cases, and how it is read", cases.choose_dataset, "Cases"),
    "write_split": Action(
        "Write the automatic split into the bench…",
        "Train, validation and test rows; the bench then runs on test rows",
        cases.write_split,
        "Cases",
    ),
    "keep_case": Action("Add input as a case", "As a new row of the dataset", cases.keep_case, "Cases"),
    "write_case": Action("Write edits to the case", "Into its row of the dataset", cases.write_case, "Cases"),
    "expect_answer": Action(
        "Make this the expected answer", "Of the case, in the dataset", cases.expect_answer, "Cases"
    ),
    "synthetic_rows": Action(
        "Synthetic rows…", "Accept, edit or reject what a model wrote", synthesis.review_rows, "Cases"
    ),
    "go_to_case": Action("Go to case…", "By its number", bench.go_to_case, "Cases"),
    "toggle_strategy": Action(
        "Context overflow: refuse or drop examples", "Switch between them", bench.toggle_strategy, "Prompt"
    ),
    "leave": Action("Quit", "Asks if something is unsaved", bench.leave),
}


def make_title(id: str, session: Session) -> str:
    """The title of an action; undo and redo name what they would change."""
    title = ACTIONS[id].title
    step = session.history.peek(back=id == "undo") if id in ("undo", "redo") else None
    return f"{title}: {step.change.text}" if step else title
