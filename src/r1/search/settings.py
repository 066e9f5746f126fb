"""Settings of search at test time (torch-free)."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

from pydantic import Field, model_validator

from r1.config import Settings
from r1.steps.aggregate import Rule
from r1.steps.scorers import BUILT_IN
from r1.steps.split import LINE

Method = Literal["best_of_n", "vote", "beam", "mcts"]
METHODS: tuple[str, ...] = get_args(Method)


class SearchSettings(Settings):
    """How many branches are grown, and who says which are good."""

    c_init: ClassVar[float] = 1.25
    c_base: ClassVar[float] = 19_652.0
    """PUCT's constants (AlphaZero)."""
    only_with: ClassVar = {
        "beams": ("method", ("beam",)),
        "subtrees": ("method", ("beam",)),
        "expansions": ("method", ("beam", "mcts")),
        "step_tokens": ("method", ("beam", "mcts")),
        "ends": ("method", ("mcts",)),
    }

    method: Method = Field(
        description='"best_of_n" and "vote" draw whole responses; "beam" keeps the best branches '
        'step by step; "mcts" grows a tree'
    )
    scorer: str | None = Field(
        None,
        description='a process or outcome reward model; "constant": every branch is worth 0.5; '
        '"oracle": the tiny world\'s truth of steps, which has seen the answer',
    )
    aggregate: Rule = Field(
        "last", description="value of a branch, out of the probabilities that its steps are right"
    )
    ends: Literal["scorer", "rule"] = Field(
        "scorer",
        description='who values a tree\'s finished responses: the scorer, or "rule": the verifier '
        "of the problem, which has seen the answer (the scorer, without a verdict). For problems "
        "that are learnt from: no figure of such a search is a model's accuracy",
    )
    budget: int | None = Field(
        None,
        ge=1,
        description="generated tokens a problem, branches thrown away included; beam and mcts "
        "begin no further step above it",
    )
    beams: int = Field(4, ge=1, description="branches that a beam search keeps")
    subtrees: int = Field(
        1, ge=1, description="independent parts that the beams are divided into; beams: DVTS"
    )
    expansions: int = Field(
        4, ge=1, description="next steps drawn at a branch or node; equal ones are merged"
    )
    step_tokens: int = Field(
        32, ge=1, description="a step without its separator is cut after so many tokens"
    )
    separator: str = Field(
        LINE, min_length=1, description='what ends a step: "line", "blank_line", or a text'
    )

    @model_validator(mode="after")
    def _consistent(self) -> SearchSettings:
        if self.method in ("best_of_n", "beam") and self.scorer is None:
            raise ValueError(
                f'method = "{self.method}" needs a scorer: give a reward model in search.scorer '
                "(--scorer)"
            )
        if self.method == "mcts" and (self.scorer is None or self.budget is None):
            raise ValueError(
                'method = "mcts" needs a scorer (or "constant") and a budget: give search.scorer '
                "(--scorer) and search.budget (--budget)"
            )
        if self.budget is not None and self.method in ("best_of_n", "vote"):
            raise ValueError(
                f'budget = {self.budget} has no effect with method = "{self.method}", which draws '
                "whole responses: the number of samples decides. Leave search.budget (--budget) out"
            )
        if self.beams % self.subtrees:
            fitting = [str(n) for n in range(1, self.beams + 1) if self.beams % n == 0]
            raise ValueError(
                f"beams = {self.beams} cannot be divided into {self.subtrees} subtrees; set "
                f"search.subtrees to {' or '.join(fitting)}, or change search.beams"
            )
        return self

    @property
    def scored_by_model(self) -> bool:
        """Whether the scorer is a reward model, which reads what it scores."""
        return self.scorer not in (None, *BUILT_IN)
