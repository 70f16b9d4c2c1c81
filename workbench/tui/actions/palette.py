"""Palette: every action by its id, which keys name too, with the title and the explanation that the palette shows."""

from __future__ import annotations

from typing import NamedTuple

from workbench.tui.actions import answers, bench, cases, library, models, panes, prompt
from workbench.tui.actions.flow import Start


class Action(NamedTuple):
    """An action as the palette offers it."""

    title: str
    explanation: str
    start: Start


ACTIONS: dict[str, Action] = {
    "save": Action("Save everything", "Every edited prompt and the bench", bench.save),
    "save_prompt_as": Action("Save prompt as…", "Under another name in the library", library.save_prompt_as),
    "save_bench_as": Action("Save bench as…", "Under another file name", bench.save_bench_as),
    "discard_restored": Action(
        "Discard the restored changes", "What an earlier session left unsaved", bench.discard_restored
    ),
    "revert_prompt": Action("Revert prompt", "Forget its unsaved changes", library.revert_prompt),
    "open_prompt": Action("Open prompt…", "Another prompt for the chosen pane", library.open_prompt),
    "edit_outside": Action("Edit prompt in $EDITOR", "Outside, and back", prompt.edit_outside),
    "place_examples": Action("Place examples…", "As turns, inline, or none", prompt.place_examples),
    "set_mode": Action("Chat or completion…", "How the prompt is sent", prompt.set_mode),
    "restore_prompt": Action("Restore deleted prompt…", "From the trash", library.restore_prompt),
    "add": Action("Add pane…", "A further variant", panes.add),
    "duplicate": Action("Duplicate pane", "A copy with a prompt of its own", panes.duplicate),
    "close": Action("Close pane", "Its prompt stays in the library", panes.close),
    "rename": Action("Rename pane…", "The name on the border and in reports", panes.rename),
    "settings": Action("Pane settings…", "Sampling of the chosen pane", panes.settings),
    "browse_models": Action("Models and adapters", "Everything on this machine, in detail", models.browse_models),
    "engines": Action("Engines", "Speed, caches and memory of every engine", models.engines),
    "model": Action("Model of the pane…", "One that was found, or any file", models.model),
    "adapters": Action("Adapters of the pane…", "What is laid over the model, and how strongly", models.adapters),
    "without_adapters": Action("The same without adapters", "In a pane beside this one", models.without_adapters),
    "difference": Action("Difference", "Two answers, word by word", answers.difference),
    "explain": Action("Explain score", "What was extracted, and why it counts", answers.explain),
    "tokens": Action("Tokens of the answer", "How probable each was, and what else came into question", answers.tokens),
    "expected": Action("Likelihood of the expected answer", "In every pane, or in none", answers.turn_expected),
    "view": Action("View answer", "On the whole screen", answers.view),
    "copy": Action("Copy answer", "To the clipboard, over SSH too", answers.copy),
    "final_prompt": Action("Show the final prompt", "Exactly what is sent, token by token", answers.final_prompt),
    "evaluate": Action("Evaluate", "Every case of the dataset against every variant", bench.evaluate),
    "train": Action("Train an adapter…", "On this bench's data, with the chosen pane's prompt", bench.train),
    "judge": Action("Verdict…", "Was the adapter worth its training, or is a prompt enough", bench.judge),
    "registry": Action("Trained adapters", "Where each comes from, notes, comparison, drift, trash", bench.registry),
    "choose_dataset": Action("Dataset…", "Which file of cases, and how it is read", cases.choose_dataset),
    "keep_case": Action("Keep this input as a case", "As a further row of the dataset", cases.keep_case),
    "write_case": Action("Write what I typed into the case", "Into its row of the dataset", cases.write_case),
    "expect_answer": Action("This answer is the expected one", "Of the case, in the dataset", cases.expect_answer),
    "go_to_case": Action("Go to case…", "By its number", bench.go_to_case),
    "turn_strategy": Action("Too long a prompt: refuse or drop examples", "Turns the strategy", bench.turn_strategy),
    "leave": Action("Quit", "Asks when something is unsaved", bench.leave),
}
