"""`r1 eval --search`: a search in place of the engine, and the figures of its final choices.

    problems -> SearchEngine (branches, scorer) -> candidates -> judged -> every rule's accuracy

    out/searches/*.jsonl    scores, visits, trees and tokens of each call (r1.search.engine)
    out/search.json         accuracy of each rule with its interval, tokens a problem
    out/search.html         the same as a page, with trees

Blocks, resume and verdicts are the evaluation's own. Candidates without a verdict count as wrong.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from r1.config import apply_overrides, validate
from r1.data.tiny.true_steps import true_steps
from r1.errors import UserError, prefixed
from r1.evaluation.blocks import read_block
from r1.evaluation.search_figures import candidates_of, search_figures
from r1.evaluation.summary import ACCURACY, JudgedProblem
from r1.rewards.registry import PromptForm
from r1.rollout.protocol import Engine
from r1.rollout.scored import GroupScorer
from r1.rollout.settings import SamplingSettings
from r1.run_dir import atomic, describe_source
from r1.run_dir.evaluation import SEARCH_RESULT, SEARCHES, block_files, read_request
from r1.run_dir.lineage import short_identity
from r1.search.choose import FIGURES, WHOLE, rules_of
from r1.search.engine import ConstantScorer, SearchEngine, read_records
from r1.search.growth import TokenizedEngine
from r1.search.protocol import Branch, StepScorer
from r1.search.settings import SearchSettings
from r1.steps.scorers import BUILT_IN, CONSTANT, ORACLE
from r1.steps.split import split_steps
from r1.template import Earlier
from r1.types import Outcome, Problem, RolloutGroup


class OracleScorer:
    """The tiny world's truth of each step, which has seen the answers. It is no ceiling of a value:
    what is wrong so far may still be mended.

    A step that states nothing is worth what the step before it is, the first one 1.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Raises UserError for problems whose steps nobody can check."""
        for problem in problems:
            if problem.family not in ("arithmetic", "cups"):
                raise UserError(
                    f"problem {problem.id}: the oracle knows arithmetic and cups of the tiny world "
                    f"only, not {problem.family}; name a reward model as the scorer."
                )
        self._problems = {problem.prompt: problem for problem in problems}

    def score_steps(
        self, prompts: Sequence[str], responses: Sequence[str], earlier: Sequence[Earlier] = ()
    ) -> list[list[float]]:
        """Implement search.protocol.StepScorer."""
        found = []
        for prompt, response in zip(prompts, responses, strict=True):
            before = 1.0
            values = []
            for label in true_steps(self._problems[prompt], split_steps(response)):
                before = before if label is None else label
                values.append(before)
            found.append(values)
        return found


class RuleOfEnds:
    """Implements search.protocol.EndJudge by the verifiers of problems."""

    def __init__(self, problems: Mapping[str, tuple[Problem, GroupScorer]]) -> None:
        """problems: by id, with what judges them."""
        self._problems = problems

    def judge_ends(self, problems: Sequence[str], ends: Sequence[Branch]) -> list[float | None]:
        """Implement search.protocol.EndJudge."""
        places: dict[str, list[int]] = {}
        for place, name in enumerate(problems):
            places.setdefault(name, []).append(place)
        handles = []
        for name, own in places.items():
            problem, scorer = self._problems[name]
            completions = [ends[place].completion() for place in own]
            handles.append((own, scorer.submit_group(RolloutGroup(problem, (), completions))))
        values: list[float | None] = [None] * len(ends)
        for own, handle in handles:
            for place, reward in zip(own, handle.result().rewards, strict=True):
                score = reward.parts.get(ACCURACY)
                if score is not None and score.outcome.is_verdict:
                    values[place] = float(score.outcome == Outcome.CORRECT)
        return values


def search_settings(
    method: str | None, scorer: str | None, budget: int | None, overrides: Sequence[str]
) -> tuple[SearchSettings | None, list[str]]:
    """Return what the options of `r1 eval` ask for, and the --set's that are not the search's.

    Raises UserError for values that do not fit each other.
    """
    ours = [each for each in overrides if each.strip().startswith("search.")]
    others = [each for each in overrides if each not in ours]
    given = {"method": method, "scorer": scorer, "budget": budget}
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if method is None:
        if values or ours:
            raise UserError("--scorer, --budget and search.… need --search METHOD.")
        return None, others
    values = apply_overrides({"search": values}, ours)["search"]
    return validate(values, SearchSettings, "--search (with --scorer, --budget, --set)"), others


def refuse_samples(settings: SearchSettings, num_samples: int | None) -> None:
    """Raise UserError for a number of samples, where one is given, that the search does not ask
    for."""
    if num_samples is not None and settings.method not in WHOLE:
        raise UserError(
            f"--samples {num_samples} has no effect with --search {settings.method}, which grows "
            "branches: search.… and --budget decide how many responses there are. Leave --samples "
            "out, or search by best_of_n or vote."
        )


def check_search(
    settings: SearchSettings,
    elsewhere: bool,
    base_folder: Path = Path(),
    named: tuple[str, str] = ("--search", "--scorer"),
) -> None:
    """Check the scorer, and that branches can be grown. elsewhere: the model is sampled behind an
    endpoint or on a cluster. base_folder: where a relative scorer's path starts. named: what
    messages call the method and the scorer. Raises UserError."""
    method, scorer = named
    if elsewhere and settings.method not in WHOLE:
        raise UserError(
            f"{method} {settings.method} grows branches token by token, which it can in this "
            "process only; leave --cluster out and name a model that can be loaded here."
        )
    if settings.scored_by_model:
        from r1.reward_model.card import read_card

        try:
            read_card(_folder_of_scorer(settings, base_folder))
        except UserError as refusal:
            near = difflib.get_close_matches(str(settings.scorer), BUILT_IN, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UserError(f"{scorer} {settings.scorer}: {refusal}{hint}") from None


def with_scorer_from(settings: SearchSettings, base_folder: Path) -> SearchSettings:
    """Return the settings with the path of a scorer that is a model, which starts at
    base_folder."""
    if not settings.scored_by_model:
        return settings
    folder = base_folder / Path(str(settings.scorer)).expanduser()
    return settings.model_copy(update={"scorer": str(folder)})


def _folder_of_scorer(settings: SearchSettings, base_folder: Path = Path()) -> Path:
    """The scorer's folder, of a run its newest checkpoint. Raises UserError where there is none."""
    from r1.reward_model.card import find_reward_model

    return find_reward_model(str(settings.scorer), base_folder)


def check_candidates(
    settings: SearchSettings, problems: Sequence[Problem], sampling: SamplingSettings
) -> None:
    """Raise UserError for problems that the scorer cannot judge, and where all candidates would be
    equal."""
    if settings.scorer == ORACLE:
        OracleScorer(problems)
    if sampling.temperature == 0.0:
        raise UserError(
            "temperature = 0 makes all candidates of a search equal; leave it out (0.6), or leave "
            "--search out."
        )


def identity_of_search(settings: SearchSettings) -> dict[str, Any]:
    """Return what decides a search's candidates, as JSON values."""
    identity = settings.model_dump(mode="json")
    if settings.scored_by_model:
        identity["scorer"] = describe_source(str(_folder_of_scorer(settings)))
    return identity


def open_scorer(
    settings: SearchSettings, problems: Sequence[Problem], form: PromptForm
) -> StepScorer:
    """Load the scorer that the settings name.

    Raises UserError for one that is not there, and for problems with earlier turns where its
    template takes none.
    """
    if settings.scorer in (None, CONSTANT):
        return ConstantScorer()
    if settings.scorer == ORACLE:
        return OracleScorer(problems)
    from r1.reward_model.score import RewardModelScorer
    from r1.reward_model.settings import RewardModelUse

    use = RewardModelUse(path=str(settings.scorer), normalise="sigmoid")
    found = RewardModelScorer.load(use, Path(), form)
    for problem in problems:
        if problem.earlier:
            try:
                found.encoder.renderer.encode(problem.prompt, problem.earlier)
            except UserError as refusal:
                raise prefixed(refusal, f"the scorer {use.path}, as it was trained") from None
    return found


def open_search(
    engine: Engine,
    settings: SearchSettings,
    problems: Sequence[Problem],
    form: PromptForm,
    out: Path,
    rules: Mapping[str, tuple[Problem, GroupScorer]],
) -> SearchEngine:
    """Return the engine that searches with `engine`; its records are written below `out`.

    The engine has its model's tokenizer, unless whole responses are all that is asked of it.
    rules: the problems by id, with what judges them.
    """
    scorer = open_scorer(settings, problems, form)
    prompts = {problem.id: problem.prompt for problem in problems}
    earlier = {problem.id: problem.earlier for problem in problems}
    judge = RuleOfEnds(rules) if settings.ends == "rule" else None
    tokenized, folder = cast(TokenizedEngine, engine), out / SEARCHES
    return SearchEngine(tokenized, scorer, settings, prompts, folder, judge, earlier)


def finish_search(out: Path, settings: SearchSettings, name: str) -> dict[str, Any]:
    """Compute a finished evaluation's figures, write search.json and the page; return them."""
    from r1.evaluation.search_page import write_page

    judged, records = _read_searched(out)
    asked = read_request(out).get("search")
    found = asked.get("scorer") if isinstance(asked, Mapping) else None
    # a model by its name and hash, wherever it lies
    scorer = short_identity(found) if isinstance(found, Mapping) else settings.scorer
    figures = search_figures(judged, records, settings, scorer)
    atomic.write_json(out / SEARCH_RESULT, figures)
    write_page(out, figures, judged, records, settings, name)
    return figures


def values_by_problem(out: Path, settings: SearchSettings) -> dict[str, dict[str, float]]:
    """Return what each rule gets right of every problem: rule -> problem id -> 0 to 1."""
    judged, records = _read_searched(out)
    candidates = {p.problem_id: candidates_of(p, records[p.problem_id]) for p in judged}
    return {
        name: {problem: FIGURES[name](each) for problem, each in candidates.items()}
        for name in rules_of(settings)
    }


def _read_searched(out: Path) -> tuple[list[JudgedProblem], dict[str, dict[str, Any]]]:
    """The judged problems of an evaluation and their searches. Raises UserError where one is not
    whole."""
    judged = [problem for path in block_files(out) for problem in read_block(path)]
    records = read_records(out / SEARCHES)
    for problem in judged:
        found = records.get(problem.problem_id)
        if found is None or len(found["candidates"]) != len(problem.samples):
            raise UserError(
                f"{out / SEARCHES}: the search of problem {problem.problem_id!r} is not what was "
                f"judged; restore its file, or remove {out} and give the same command."
            )
    return judged, records
