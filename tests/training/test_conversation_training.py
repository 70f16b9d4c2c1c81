"""Conversations, documents and cases with turns are trained as such, and what of them is not is counted and said."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch  # noqa: TID253
from hf_fixture import write_hf
from lesson import job_dir_of, open_lesson, read

from workbench.datasets.turns import ToolResult
from workbench.errors import TrainingError
from workbench.training.events import JobEnded, JobEvaluated, read_events
from workbench.training.recipe import Recipe
from workbench.training.rows import render_training

pytestmark = pytest.mark.filterwarnings("ignore")
BARE = "prompt: ''\nvalidation: {path: held.jsonl}"
"""A recipe whose rows have no prompt."""

ONE_STEP = "training: {max_steps: 1, batch_size: 2, device: cpu}\nevaluation: {cases: 2, max_tokens: 4}"


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def talk(number: int, turns: int = 2, role: str = "role", text: str = "content") -> list[dict[str, Any]]:
    names = ("human", "gpt") if role == "from" else ("user", "assistant")
    words = ("parcel", "kettle", "house", "here")
    said = [f"Where is my {words[number % 4]} {number}?", words[number % 4]]
    return [{role: names[at % 2], text: said[at % 2]} for at in range(2 * turns)]


def write(folder: Path, rows: list[dict[str, Any]], name: str = "train") -> None:
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_talks(folder: Path, column: str = "messages", **shape: Any) -> None:
    shape = {"role": "from", "text": "value", **shape} if column == "conversations" else shape
    write(folder, [{column: talk(at, **shape)} for at in range(6)])
    write(folder, [{column: talk(at, **shape)} for at in range(50, 53)], "held")


def look(folder: Path, changes: str) -> Any:
    from workbench.training.child.preview import preview_training

    return preview_training(job_dir_of(folder, changes))


def carry_out(folder: Path, changes: str) -> tuple[JobEnded, list[JobEvaluated]]:
    from workbench.training.child.run import run_job

    job_dir = job_dir_of(folder, changes)
    ended = run_job(job_dir)
    events = read_events(job_dir.events).events
    return ended, [event for event in events if isinstance(event, JobEvaluated)]


def learned_text(found: Any, row: int = 0) -> str:
    return "".join(piece.text for piece in found.previews[row].pieces if piece.learned)


@pytest.mark.parametrize("column", ["messages", "conversations"])
def test_conversations_without_a_prompt_are_trained_on_every_turn(lesson: Path, column: str) -> None:
    write_talks(lesson, column)
    layout = "OpenAI" if column == "messages" else "ShareGPT"
    found = look(lesson, f"{BARE}\n{ONE_STEP}")
    assert found.notes[0] == (
        f"The rows are read as conversation ({layout}: {column}): the loss is on every turn of the assistant."
    )
    assert (found.rows, found.validation_rows) == (6, 3)
    assert learned_text(found).count("parcel") == 2
    last = look(lesson, f"{BARE}\n{ONE_STEP.replace('{max', '{assistant_turns: last, max')}")
    assert learned_text(last).count("parcel") == 1
    assert last.tokens == found.tokens
    assert last.learned_tokens < found.learned_tokens


def test_a_training_on_conversations_is_evaluated_on_their_last_answers(lesson: Path) -> None:
    write_talks(lesson)
    ended, evaluated = carry_out(lesson, f"{BARE}\n{ONE_STEP}")
    assert (ended.outcome, ended.details) == ("done", "")
    assert [sample.expected for sample in evaluated[-1].samples] == ["house", "here"]
    assert evaluated[-1].scores.keys() == {"exact_match"}


def test_our_turns_are_the_same_tokens_as_the_conversation_that_a_run_has(lesson: Path) -> None:
    """The prompt's system message stands before the first turn, and a later turn is its user message alone."""
    turns = [
        {"message": "Where?", "expected": "here"},
        {"message": "And?", "assistant": "there"},
        {"message": "So?", "expected": "house"},
    ]
    write(lesson, [{"turns": turns}] * 2)
    ours = look(lesson, ONE_STEP)
    said = ["Be kind.", "Where?", "here", "And?", "there", "So?", "house"]
    roles = ["system", *["user", "assistant"] * 3]
    row = [{"role": role, "content": text} for role, text in zip(roles, said, strict=True)]
    row[4]["weight"] = 0
    write(lesson, [{"messages": row}] * 2)
    write_held(lesson)
    theirs = look(lesson, f"{BARE}\n{ONE_STEP}")
    assert ours.previews[0].pieces == theirs.previews[0].pieces
    assert ("here" in learned_text(ours), "there" in learned_text(ours)) == (True, False)


def write_held(folder: Path) -> None:
    write(folder, [{"messages": talk(at)} for at in range(50, 53)], "held")


def test_a_turn_without_an_answer_ends_a_conversation_and_is_counted(lesson: Path) -> None:
    rows = [
        {
            "turns": [
                {"message": "Where?", "expected": "here"},
                {"message": "And?"},
                {"message": "So?", "expected": "x"},
            ]
        },
        {"turns": [{"message": "Where?"}, {"message": "So?", "expected": "x"}]},
    ]
    write(lesson, rows)
    rendered = render_training(open_lesson(lesson))
    assert [(row.answer, row.learned) for row in rendered.rows] == [("here", ())]
    assert rendered.unlabelled == (2,)
    assert rendered.remarks == (("Turns from the first one without an expected answer on are left out", 1),)


def test_expected_calls_of_a_prompt_with_tools_are_learned_with_their_results(lesson: Path) -> None:
    (lesson / "ask.prompty").write_text(
        "---\nname: ask\ntools: [{name: weather, parameters: {properties: {city: {type: string}}}}]\n---\n"
        "user:\n{{ message }}\n"
    )
    row = {
        "message": "Cold in Oslo?",
        "expected": "Yes.",
        "expected_calls": [{"tool": "weather", "arguments": {"city": "Oslo"}}],
        "tool_results": [{"tool": "weather", "result": "-3"}],
    }
    write(lesson, [row, {**row, "tool_results": []}])
    rendered = render_training(open_lesson(lesson))
    whole, cut = rendered.rows
    assert [message.role for message in whole.messages] == ["user", "assistant", "tool"]
    assert (whole.messages[2].content, whole.answer, whole.learned) == ("-3", "Yes.", (1,))
    assert ([call.text for call in cut.calls], cut.learned) == (['weather(city="Oslo")'], ())
    assert rendered.remarks == (("What follows a tool call without a prepared result is left out", 1),)
    assert whole.tools[0].name == "weather"
    (lesson / "tiny").unlink()
    write_hf(lesson / "tiny", context_tokens=600)
    write(lesson, [{**row, "tool_results": []}], "validation")
    (told,) = [note for note in look(lesson, ONE_STEP).notes if "is answered by a tool call" in note]
    assert told.startswith("1 validation row is answered by a tool call, which is not scored while training")


def test_results_of_the_bench_answer_calls_too_and_sampling_needs_prompts(lesson: Path) -> None:
    from workbench.runs.tool_setup import ToolSetup

    (lesson / "ask.prompty").write_text("---\nname: ask\ntools: [{name: weather}]\n---\nuser:\n{{ message }}\n")
    write(lesson, [{"message": "Cold?", "expected": "Yes.", "expected_calls": [{"tool": "weather"}]}])
    task = open_lesson(lesson)._replace(tools=ToolSetup((ToolResult("weather", None, "-3"),)))
    (row,) = render_training(task).rows
    assert [message.content for message in row.messages] == ["Cold?", "", "-3"]
    write(lesson, [{"text": "x"}])
    with pytest.raises(TrainingError, match="grpo samples answers to prompts"):
        open_lesson(lesson, "prompt: ''\nobjective: grpo\ntraining: {batch_size: 8}")


def test_conversations_in_a_prompt_that_shows_the_last_question_alone_are_told(lesson: Path) -> None:
    (lesson / "ask.prompty").write_text("---\nname: ask\n---\nuser:\n{{ input }}\n")
    write_talks(lesson)
    validation = "validation: {path: held.jsonl}"
    found = look(lesson, f"{validation}\n{ONE_STEP}")
    assert found.notes[0].startswith("Of 6 training rows with several turns the prompt shows the last question alone")
    (lesson / "ask.prompty").write_text("---\nname: ask\n---\nuser:\n{{ history }}\n{{ input }}\n")
    assert not [note for note in look(lesson, f"{validation}\n{ONE_STEP}").notes if "several turns" in note]


def test_long_conversations_lose_whole_turns_and_say_so(lesson: Path) -> None:
    write_talks(lesson, turns=6)
    found = look(lesson, f"{BARE}\ntraining: {{max_steps: 1, max_length: 80, device: cpu}}")
    (told,) = [note for note in found.notes if "training rows are longer" in note]
    assert told == (
        "5 training rows are longer than 80 tokens: the last 7 answers are left out, whole (cases 1, 2, 3, 5, 6)."
    )
    assert not [note for note in found.notes if "truncated" in note]
    assert learned_text(found).rstrip().endswith("<|end|>")
    assert found.longest <= 80


def test_conversations_that_a_template_refuses_are_left_out_with_its_reason(lesson: Path) -> None:
    (lesson / "tiny").unlink()
    alternating = (
        "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Roles must alternate') }}{% endif %}<{{ m.role }}>{{ m.content }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    write_hf(lesson / "tiny", chat_template=alternating)
    twice = [{"role": "user", "content": "Where?"}, *talk(0)]
    write(lesson, [{"messages": talk(0)}, {"messages": twice}, {"messages": talk(2)}])
    write_held(lesson)
    found = look(lesson, f"{BARE}\n{ONE_STEP}")
    assert found.rows == 2
    (told,) = [note for note in found.notes if "refuses" in note]
    assert told.startswith("1 training row is left out, as the chat template refuses the turns (case 2): ")
    assert "Roles must alternate" in told


def test_what_a_template_moves_and_reasoning_that_it_drops_are_counted(lesson: Path) -> None:
    (lesson / "tiny").unlink()
    template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('No system') }}{% endif %}"
        "<{{ m.role }}>{{ m.content.split('</think>')[-1] if not loop.last else m.content }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    write_hf(lesson / "tiny", chat_template=template)
    thought = [dict(turn) for turn in talk(1)]
    thought[1]["content"] = "<think>Hm.</think>kettle"
    write(lesson, [{"messages": [{"role": "system", "content": "Be kind."}, *talk(0)]}, {"messages": thought}])
    write_held(lesson)
    found = look(lesson, f"{BARE}\n{ONE_STEP}")
    notes = "\n".join(found.notes)
    assert "takes no system message: it is put before the first user message (1 training row)." in notes
    assert "Reasoning in earlier answers is left out, as chat templates do (1 training row)." in notes
    assert "1 training row is trained as 2 sequences" in notes
    assert found.rows == 3
    assert learned_text(found, 2).startswith("<think>Hm.</think>kettle")


def test_documents_are_learned_whole_and_measured_by_perplexity(lesson: Path) -> None:
    write(lesson, [{"text": "the parcel in the house, " * at} for at in (1, 40, 2)] + [{"text": " "}])
    write(lesson, [{"text": "the kettle is here"}, {"text": "the parcel in the house, and the kettle is here"}], "held")
    found = look(lesson, f"{BARE}\n{ONE_STEP}")
    assert found.notes[0] == (
        "The rows are read as text (plain text: text): the loss is on every token, <|end|> ends each document."
    )
    assert "1 training row empty, left out." in found.notes
    assert found.tokens == found.learned_tokens
    assert found.longest == 200
    ended, evaluated = carry_out(lesson, f"{BARE}\ntraining: {{max_steps: 4, learning_rate: 0.01, device: cpu}}")
    assert ended.outcome == "done", ended
    assert [event.metric for event in evaluated] == ["loss"] * len(evaluated)
    for event in evaluated:
        assert event.validation_loss is not None
        assert event.scores == {"perplexity": pytest.approx(math.exp(event.validation_loss))}
    assert evaluated[-1].scores["perplexity"] < evaluated[0].scores["perplexity"]


def test_documents_are_those_of_trl_and_packing_loses_nothing(lesson: Path) -> None:
    import datasets
    from trl import SFTConfig, SFTTrainer

    from workbench.training.child.tokenized_dataset import encode_rows
    from workbench.training.child.training_data import make_dataset
    from workbench.training.child.training_model import load_training_model

    texts = ["the parcel in the house", "Where is my parcel? " * 30, "and the kettle"]
    write(lesson, [{"text": text} for text in texts])
    task = open_lesson(lesson, "prompt: ''")
    loaded = load_training_model(task, torch.device("cpu"))
    rows = render_training(task).rows
    ours = encode_rows(loaded, task.recipe, rows)
    made = make_dataset(ours, completion_only=True)
    theirs = datasets.Dataset.from_list([{"text": text} for text in texts])
    arguments = SFTConfig(output_dir=str(lesson / "out"), use_cpu=True, bf16=False, report_to="none", max_length=None)
    trainer = SFTTrainer(model=loaded.model, args=arguments, train_dataset=theirs, processing_class=loaded.tokenizer)
    whole = [list(ids) for ids in trainer.train_dataset["input_ids"]]
    long = list(made["input_ids"])[1:-1]
    assert [made["input_ids"][0], [token for part in long for token in part], made["input_ids"][-1]] == whole
    assert made["labels"] == made["input_ids"]
    packed = encode_rows(loaded, read("prompt: ''\ntraining: {packing: true, max_length: 64}"), rows)
    assert [len(one.ids) for one in packed.encoded[:-1]] == [64] * (len(packed.encoded) - 1)
    assert [token for one in packed.encoded for token in one.ids] == [token for ids in whole for token in ids]
    assert [row.case for row in packed.rows] == sorted(row.case for row in packed.rows)


@pytest.mark.parametrize(
    ("row", "changes", "problem"),
    [
        ({"messages": talk(0), "text": "x"}, "", "can be read in 2 ways: conversation (OpenAI: messages); text"),
        ({"messages": talk(0), "conversations": talk(0)}, "", "`layout` of the dataset: messages or sharegpt"),
        ({"question": "x"}, "", "neither conversations nor text, and the recipe names no prompt"),
        ({"question": "x"}, "dataset_type: text", "cannot be read as text: its columns are question"),
        ({"prompt": "x", "chosen": "a", "rejected": "b"}, "", "supervised training does not learn from"),
        ({"prompt": "x", "completion": "a", "label": True}, "", "with the objective kto"),
    ],
)
def test_what_cannot_be_trained_or_is_ambiguous_is_asked_for(
    lesson: Path, row: dict[str, Any], changes: str, problem: str
) -> None:
    write(lesson, [row])
    with pytest.raises(TrainingError) as caught:
        open_lesson(lesson, f"prompt: ''\n{changes}".strip())
    assert problem in f"{caught.value.message} {caught.value.hint}"


def test_an_ambiguous_file_is_read_as_the_recipe_says(lesson: Path) -> None:
    write(lesson, [{"messages": talk(0), "conversations": talk(1, role="from", text="value"), "text": "x"}])
    by_layout = open_lesson(
        lesson, "prompt: ''\ntrain: {path: train.jsonl, layout: sharegpt}\ndataset_type: conversation"
    )
    assert render_training(by_layout).rows[0].answer == "kettle"
    assert render_training(open_lesson(lesson, "prompt: ''\ndataset_type: text")).rows[0].answer == "x"


def test_a_row_that_is_no_conversation_is_named(lesson: Path) -> None:
    write(lesson, [{"messages": talk(0)}, {"messages": [talk(0)[0], {"role": "assistant", "tool_calls": [{}]}]}])
    with pytest.raises(TrainingError, match="row 2: messages: turn 2 has a call without the name of a function"):
        render_training(open_lesson(lesson, "prompt: ''"))


def test_the_new_fields_are_kept_in_a_recipe() -> None:
    recipe = read("dataset_type: conversation\ntraining: {assistant_turns: last}")
    assert isinstance(recipe, Recipe)
    assert (recipe.dataset_type, recipe.training.assistant_turns) == ("conversation", "last")


def test_packed_conversations_keep_what_is_learned(lesson: Path) -> None:
    import transformers

    from workbench.training.child.trainers import make_trainer
    from workbench.training.child.training_data import load_data, make_columns
    from workbench.training.child.training_model import load_training_model

    write_talks(lesson)
    task = open_lesson(lesson, f"{BARE}\ntraining: {{packing: true, device: cpu}}")
    loaded = load_training_model(task, torch.device("cpu"))
    train, validation = make_columns(load_data(task, loaded), task, loaded)
    callback = transformers.TrainerCallback()
    trainer = make_trainer(task.recipe, loaded, lesson / "out", train, validation, callback)
    packed = [
        (token, label)
        for row in trainer.train_dataset
        for token, label in zip(row["input_ids"], row["labels"], strict=True)
    ]
    plain = [(token, label) for row in train for token, label in zip(row["input_ids"], row["labels"], strict=True)]
    assert sorted(packed) == sorted(plain)
    assert len(trainer.train_dataset) < len(train)
