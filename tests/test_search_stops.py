"""Stop strings in a search end a response as they end a whole sample, wherever its steps end."""

from __future__ import annotations

import random

import pytest

from r1.evaluation.search_data import JudgedCandidates, state_rows
from r1.rollout.protocol import FinishedGroup
from r1.rollout.seeds import sample_seed
from r1.rollout.settings import SamplingSettings
from r1.rollout.text import cut_at
from r1.search.engine import ConstantScorer, SearchEngine, read_records
from r1.search.settings import SearchSettings
from r1.types import Completion, GroupRequest
from test_search import END, CharTokenizer

TEXTS = ("3+1\nQ: who\nis it?\n", "so 4\nQ\nQ: is\nit", "4 <", "\n\nQ: x")
STOPS = (("\n",), ("\nQ:",), ("\nQ: is\ni", "who"), ("Q", "\nQ:"), (" <<",), ("it?\n",))
SEARCHES = {
    "vote": SearchSettings(method="vote"),
    "beam": SearchSettings(method="beam", scorer="constant", beams=4, expansions=4, step_tokens=3),
    "mcts": SearchSettings(
        method="mcts", scorer="constant", budget=3000, expansions=8, step_tokens=3
    ),
}


class TextEngine:
    """Goes on with one of the texts, the first token chosen by the seed, as an engine samples."""

    tokenizer = CharTokenizer()

    def generate(self, requests, sampling):
        for request in requests:
            done = self.tokenizer.decode(request.prompt_ids[1:])
            drawn = [self.draw(seed, done, sampling) for seed in request.seeds]
            yield FinishedGroup(request, drawn)

    def draw(self, seed, done, sampling):
        fitting = [text for text in TEXTS if text.startswith(done)]
        text = random.Random(seed).choice(fitting)[len(done) :]
        ids = [ord(char) for char in text] + [END]
        for num in range(1, min(sampling.max_new_tokens, len(ids)) + 1):
            logprobs = [-1.0] * num
            if ids[num - 1] == END:
                return Completion(ids[:num], logprobs, text, "stop")
            cut = cut_at(text[:num], sampling.stop)
            if cut is not None:
                return Completion(ids[:num], logprobs, cut, "stop")
        return Completion(ids[:num], logprobs, text[:num], "length")


def searched(settings, stop, folder):
    engine = SearchEngine(TextEngine(), ConstantScorer(), settings, {"p": "q"}, folder)
    seeds = tuple(sample_seed(0, n) for n in range(40))
    sampling = SamplingSettings(max_new_tokens=40, stop=stop)
    [group] = engine.generate([GroupRequest("p", (63,), seeds)], sampling)
    return group.completions


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("method", ["beam", "mcts"])
def test_a_search_stops_where_whole_samples_do(method, stop, tmp_path):
    """Text, tokens and ending of what has ended are those of a whole sample."""
    whole = searched(SEARCHES["vote"], stop, tmp_path / "whole")
    wanted = {(tuple(c.token_ids), c.text, c.finish_reason) for c in whole}
    found = searched(SEARCHES[method], stop, tmp_path / "search")
    assert {(tuple(c.token_ids), c.text, c.finish_reason) for c in found} <= wanted
    assert not [c.text for c in found if any(each in c.text for each in stop)]
    assert all(len(c.logprobs) == len(c.token_ids) for c in found)


def test_the_tree_of_a_stop_string_across_steps_is_learnt_from(tmp_path):
    """The node that completes it adds no text, and the steps end with the response."""
    found = searched(SEARCHES["mcts"], ("\nQ:",), tmp_path)
    record = read_records(tmp_path)["p"]
    assert max(len(node["text"]) for node in record["tree"]) <= 3
    common = {"problem_id": "p", "prompt": "q", "family": "f", "language": "en", "num_tokens": 3}
    rows = [{**common, "text": c.text, "outcome/accuracy": "correct"} for c in found]
    counts, states = state_rows(JudgedCandidates(rows, record), False, "\n")
    assert {"".join(state["steps"]) for state in states} == {"3+1", "so 4\nQ", "4 <"}
    assert counts == {"sampled": len(rows), "dropped/empty": 1, "tokens": 9, "counted": 3}
