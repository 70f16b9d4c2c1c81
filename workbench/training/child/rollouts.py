"""What GRPO and RLOO need beside TRL's trainer: prompts as inference reads them, and rewards of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.datasets import Case
from workbench.errors import TrainingError
from workbench.inference.transformers.reward_model import RewardModel, load_reward_model
from workbench.training import sampled_answers
from workbench.training.child.generation import read_answer
from workbench.training.child.rewards import RewardedAnswer, Rewards, find_reward_adapter
from workbench.training.child.tokenized_dataset import TokenizedDataset
from workbench.training.child.training_model import TrainingModel
from workbench.training.events import SAMPLED_SCORE
from workbench.training.job_dir import JobDir
from workbench.training.recipe import count_batches, find_objective, find_rollouts
from workbench.training.sampled_answers import SampledAnswer
from workbench.training.task import Task

_MAX_ASKED_CHARACTERS = 500


class RolloutSource:
    """The prompts of a training whose model answers itself, by the key that the trainer's dataset has for each.

    max_tokens: of an answer. keeps: whether this process writes the samples.
    """

    def __init__(
        self, task: Task, loaded: TrainingModel, tokenized: TokenizedDataset, job_dir: JobDir, keeps: bool
    ) -> None:
        assert task.train is not None
        self._loaded, self._job_dir, self._keeps = loaded, job_dir, keeps
        self._rows = tokenized.answered
        self._ids = [list(loaded.encoder.prompts.read(loaded.encoder.ask(row))[1]) for row in self._rows]
        cases = {case.number: case for case in task.train}
        self._cases: list[Case] = [cases[row.case] for row in self._rows]
        wanted = find_rollouts(task.recipe)
        self._samples = wanted.samples
        self.max_tokens = find_answer_limit(task, tokenized)
        self._rewards = Rewards(task, _load_reward_model(task, loaded), loaded.encoder.ask, self._cases)
        self.notes = self._rewards.notes

    def prompt_ids(self, key: str) -> list[int]:
        """The ids of a prompt, by its key."""
        return self._ids[int(key)]

    def reward(
        self,
        prompts: Sequence[str],
        completion_ids: Sequence[Sequence[int]],
        trainer_state: Any,
        log_metric: Any,
        **_: Any,
    ) -> list[float | None]:
        """The reward of each answer, as TRL asks for it; None where nothing could be scored."""
        rows = [self._rows[int(key)] for key in prompts]
        cases = [self._cases[int(key)] for key in prompts]
        texts = [
            read_answer(self._loaded, self._loaded.encoder.ask(row), ids)
            for row, ids in zip(rows, completion_ids, strict=True)
        ]
        found = self._rewards.score(rows, cases, texts)
        names = dict.fromkeys(name for one in found for name in one.scores)
        for name in names:
            values = [one.scores[name] for one in found if name in one.scores]
            log_metric(f"{SAMPLED_SCORE}{name}", sum(values) / len(values))
        unrewarded = sum(one.reward is None for one in found)
        if unrewarded:
            log_metric(f"{SAMPLED_SCORE}answers without a reward", float(unrewarded))
        if self._keeps and self._samples:
            self._keep(int(trainer_state.global_step) + 1, prompts, texts, found)
        return [one.reward for one in found]

    def forget_after(self, step: int) -> None:
        """Drop the samples of updates that will be made again."""
        if self._keeps:
            sampled_answers.forget_after(self._job_dir.folder, step)

    def close(self) -> None:
        self._rewards.close()

    def _keep(self, step: int, prompts: Sequence[str], texts: Sequence[str], found: Sequence[RewardedAnswer]) -> None:
        shown = list(zip(prompts, texts, found, strict=True))[: self._samples]
        sampled_answers.append_answers(
            self._job_dir.folder,
            [
                SampledAnswer(
                    step,
                    self._rows[int(key)].case,
                    self._rows[int(key)].messages[-1].content[:_MAX_ASKED_CHARACTERS],
                    self._rows[int(key)].answer,
                    text,
                    one.reward,
                    one.scores,
                )
                for key, text, one in shown
            ],
        )


def find_answer_limit(task: Task, tokenized: TokenizedDataset) -> int:
    """The most tokens of a sampled answer."""
    own = find_rollouts(task.recipe).max_tokens or task.recipe.evaluation.max_tokens
    longest = max((len(one.ids) - one.prompt for one in tokenized.encoded), default=32) + 8
    return own or (task.sampling.max_tokens if task.target else longest)


def open_rollouts(
    task: Task, loaded: TrainingModel, tokenized: TokenizedDataset, job_dir: JobDir, keeps: bool
) -> RolloutSource | None:
    """What samples need; None for an objective that samples no answers. Raises WorkbenchError."""
    if find_objective(task.recipe).data != "prompts":
        return None
    prompts = len(tokenized.answered)
    if not prompts:
        raise TrainingError("No prompts to sample answers for.", "Name rows with a prompt and an expected answer.")
    if not count_batches(task.recipe, prompts):
        wanted = find_rollouts(task.recipe)
        batch = task.recipe.training.batch_size * task.recipe.training.gradient_accumulation_steps
        raise TrainingError(
            f"{prompts} prompts are too few: an update samples {wanted.num_generations} answers to each of"
            f" {batch // wanted.num_generations} prompts.",
            "Lower training.batch_size, or raise rollouts.num_generations.",
        )
    return RolloutSource(task, loaded, tokenized, job_dir, keeps)


def _load_reward_model(task: Task, loaded: TrainingModel) -> RewardModel | None:
    name = find_rollouts(task.recipe).reward_model
    if not name:
        return None
    adapter = find_reward_adapter(name, task.folder)
    return load_reward_model(adapter, task.base, loaded.dtype, loaded.device, loaded.encoder.prompts)
