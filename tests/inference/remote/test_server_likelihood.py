from __future__ import annotations

import pytest

from tests.inference.remote.server_double import ServerDouble
from workbench.datasets import Case
from workbench.errors import EngineError
from workbench.inference.remote.likelihood import FLOOR, loglikelihood
from workbench.inference.types import Likelihood, LoglikelihoodRequest
from workbench.prompting.prompt import Message
from workbench.scoring.factory import make_scorers
from workbench.scoring.grader_request import GraderReply
from workbench.scoring.scorer import ScoringInput

ASKED = LoglikelihoodRequest(0, (Message("user", "count"),), ("one", "uno", "ab"))


async def test_each_token_is_forced_and_its_own_logprob_is_read():
    double = ServerDouble()
    one, other, longer = await loglikelihood(double, "forced tokens", ASKED)
    assert (one.logprob, one.tokens, one.bytes, one.greedy) == (-0.25, 1, 3, True)
    assert (other.logprob, other.greedy) == (-1.5, False)
    assert (longer.logprob, longer.tokens) == (-4.0, 2)
    forced = [body for path, body in double.bodies if path == "/completion"]
    assert len(forced) == 4
    assert all(body["n_predict"] == 1 and not body["post_sampling_probs"] for body in forced)
    assert all(body["prompt"][:7] == [ord(one) for one in "<count>"] for body in forced)


async def test_prompt_logprobs_are_read_behind_the_conversation():
    one, other, _ = await loglikelihood(ServerDouble("vllm"), "prompt logprobs", ASKED)
    assert one.tokens == 3
    assert one.logprob == pytest.approx(-6.0)
    assert other.greedy


async def test_a_value_at_the_floor_is_a_bound():
    (found,) = await loglikelihood(
        ServerDouble(underflows=True), "forced tokens", LoglikelihoodRequest(0, ASKED.messages, ("one",))
    )
    assert (found.is_bound, found.logprob) == (True, FLOOR)


async def test_a_server_that_cannot_tell_is_refused():
    with pytest.raises(EngineError, match="cannot tell log-likelihoods"):
        await loglikelihood(ServerDouble("ollama"), "none", ASKED)


def _score(spec, likelihoods, **values):
    (scorer,) = make_scorers([spec])
    reply = GraderReply(likelihoods=tuple(likelihoods))
    return scorer.score_input(ScoringInput("", Case(1, values, "a"), (reply,)))


@pytest.mark.parametrize("name", ["log_likelihood", "perplexity"])
def test_a_bound_is_no_score(name):
    score = _score(name, [Likelihood(-87.0, 1, 1, False, is_bound=True)])
    assert (score.applies, score.unscored) == (False, "error")
    assert "below -87.0" in score.explanation


def test_a_choice_is_made_where_the_bounds_are_all_below_it():
    spec = {"multiple_choice": {"choices": ["a", "b"]}}
    bound = Likelihood(-87.0, 1, 1, False, is_bound=True)
    assert _score(spec, [Likelihood(-2.0, 1, 1, True), bound]).value == 1.0
    undecided = _score(spec, [Likelihood(-99.0, 1, 1, False), bound])
    assert (undecided.applies, undecided.unscored) == (False, "error")
