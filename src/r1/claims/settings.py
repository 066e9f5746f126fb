"""A claim as a TOML file: what is said, the arms that test it, and the rule of the verdict
(torch-free).

    title = "PPO needs lambda = 1 to come near GRPO"
    says = "..."                                   # the claim, in a sentence or two
    numbers = "..."                                # the paper's figures
    source = "DeepSeek-R1 (v2), appendix A.3"
    minutes = 5                                    # budget of one seed on two quiet cores
    recipes = { zero = "tiny/zero.toml" }          # arms begin as one of these; paths from here

    [arms.grpo]
    title = "GRPO"
    like = "zero"

    [arms.ppo_095]
    title = "PPO, lambda 0.95"
    like = "zero"
    without = ["grpo"]                             # sections of `zero` that it does not take
    ppo = { lambda_policy = 0.95 }

    [[compare]]
    says = "GRPO solves more than PPO with the common lambda"
    arm = "grpo"
    than = "ppo_095"
    expect = "more"

An arm is a stage of a pipeline (`r1.pipeline.r1`): its table is that of a recipe, "@arm" is what
another arm gives. A recipe of stages (kind = "r1") brings all of its stages by name.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field, model_validator

from r1.config import Settings, load_recipe, read_toml
from r1.errors import UserError

Expectation = Literal["more", "less", "no_less", "no_more", "equal"]
Measure = Literal[
    "pass_at_1",
    "area",
    "mean_length",
    "format",
    "language",
    "helpful",
    "rule_helpful",
    "harmless",
    "rule_harmless",
    "mean",
    "any",
    "majority",
    "best",
    "weighted",
    "followed",
    "value_error",
    "constant_error",
    "state_bytes",
    "explained_variance",
    "generated_tokens",
    "trained_tokens",
    "proxy_gain",
]
GENERATED = "generated_tokens"
OF_RUNS = (
    "state_bytes",
    "explained_variance",
    GENERATED,
    "trained_tokens",
    "proxy_gain",
)
"""Measures with one value a run; the others have one a problem."""
COSTS = ("state_bytes", GENERATED, "trained_tokens")
"""What a run cost: a fact of that run, where the other measures are one draw of many."""
OF_SEARCHES = ("mean", "any", "majority", "best", "weighted", "followed")
"""A search's rules of choice (r1.search.choose)."""

SHARES = ("pass_at_1", "area", "format", "language", "helpful", "harmless", "rule_helpful",
          "rule_harmless", *OF_SEARCHES)  # fmt: skip
"""Measures from 0 to 1, shown in points of a hundred."""
_UNITS = {
    **dict.fromkeys(SHARES, "shares"),
    **dict.fromkeys(("mean_length", GENERATED, "trained_tokens"), "tokens"),
    **dict.fromkeys(("value_error", "constant_error"), "squared errors"),
}
TINY = "tiny"
"""The scale that every claim has."""


class ComparisonSettings(Settings):
    """One comparison of two arms; the verdict follows from the interval of arm - than."""

    says: str = Field(min_length=1, description="what is expected, in a sentence")
    arm: str = Field(description="an arm, or a stage of one of the recipes")
    than: str = Field(description="the arm that it is compared with")
    measure: Measure = Field(
        "pass_at_1",
        description="what is compared: of held-out problems at the end (area: pass@1 averaged over "
        "the whole training; value_error, constant_error: of a critic, and of a constant in its "
        f"place), by a search's rule of choice ({', '.join(OF_SEARCHES)}), or of the "
        f"run ({', '.join(OF_RUNS)}; proxy_gain: by how much the reward model's score rose)",
    )
    than_measure: Measure | None = Field(
        None, description="what the other arm is compared by, where that is not the same"
    )
    expect: Expectation = Field(
        "more",
        description='arm - than is above margin ("more"), below -margin ("less"), above -margin '
        '("no_less"), below margin ("no_more"), or within it ("equal")',
    )
    margin: float = Field(
        0.0, ge=0.0, description="in units of the measure; of shares 0.05 is five points of 100"
    )
    decides: bool = Field(
        True, description="false: shown beside the claim, and no part of the claim's verdict"
    )

    @model_validator(mode="after")
    def _consistent(self) -> ComparisonSettings:
        if self.arm == self.than and self.than_measure in (None, self.measure):
            raise ValueError(f"arm and than are both {self.arm!r}; name two arms, or than_measure")
        if self.than_measure and (self.than_measure in OF_RUNS) != (self.measure in OF_RUNS):
            raise ValueError("than_measure is of runs and measure is not, or the other way round")
        units = {_unit(self.measure), _unit(self.than_measure or self.measure)}
        if len(units) > 1:
            raise ValueError(
                f"{self.measure} and than_measure = {self.than_measure!r} have different units "
                f"({' and '.join(sorted(units))}); compare what has the same"
            )
        if self.measure in SHARES and self.margin >= 1.0:
            raise ValueError(
                f"margin = {self.margin:g} of {self.measure}, which is a share from 0 to 1; "
                f"{self.margin:g} points of 100 are {self.margin / 100:g}"
            )
        if self.expect == "equal" and self.margin == 0.0:
            raise ValueError('expect = "equal" needs a margin above 0')
        return self


def _unit(measure: str) -> str:
    """The unit of a measure; its name where no other has it."""
    return _UNITS.get(measure, measure)


class ClaimSettings(Settings):
    """A claim of the paper, or your own, with the experiment that tests it."""

    title: str = Field(min_length=1, description="the claim in a line")
    says: str = Field(min_length=1, description="what the paper says, in a sentence or two")
    numbers: str = Field("", description="the paper's figures")
    source: str = Field(min_length=1, description="paper and section")
    differs: str = Field("", description="how the experiment differs from the paper's")
    at_size: str = Field("", description="how to run it at the paper's size")
    minutes: float = Field(gt=0.0, description="budget of one seed, on two quiet cores")
    recipes: dict[str, str] = Field(
        default_factory=dict,
        description="recipes that arms are like, by name; paths from this file",
    )
    scales: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="by the scale's name: other recipes of the same names"
    )
    arms: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="by name, each a stage's table; `title` is for people"
    )
    compare: tuple[ComparisonSettings, ...] = Field(min_length=1, description="the comparisons")

    @model_validator(mode="after")
    def _consistent(self) -> ClaimSettings:
        if not any(each.decides for each in self.compare):
            raise ValueError("no comparison decides; leave decides = false out of one")
        for name in self.arms.keys() & self.recipes.keys():
            raise ValueError(f"{name!r} is an arm and a recipe; give one another name")
        for scale, recipes in self.scales.items():
            if odd := sorted(recipes.keys() - self.recipes.keys()):
                raise ValueError(f"scales.{scale}.{odd[0]}: no recipe of that name is replaced")
        return self


class LoadedClaim(NamedTuple):
    """A claim's settings, its name (the file's) and its file."""

    name: str
    path: Path
    settings: ClaimSettings


def load_claim(path: Path) -> LoadedClaim:
    """Read a claim. Raises UserError that names file and field."""
    values = read_toml(path)
    if values.keys() & {"model", "stages", "num_steps"}:
        raise UserError(f"{path} is a recipe and no claim; r1 run {path} runs it. {_OWN}")
    if isinstance(values.get("data"), str) and "prompt" in values:
        raise UserError(f"{path} is a benchmark and no claim; r1 bench run MODEL {path} runs it.")
    return LoadedClaim(path.stem, path, load_recipe(path, ClaimSettings))


def find_claims(names: list[str], folder: Path, optional: bool = False) -> list[LoadedClaim]:
    """Return the claims by name or by path, all of the folder where none is named.

    optional: there may be none. Raises UserError for a name that is none, and for two claims of one
    name.
    """
    known = {path.stem: path for path in sorted(folder.glob("*.toml"))}
    if not names and not known and not optional:
        raise UserError(
            f"{folder} holds no claims; start from the project's folder, or name files."
        )
    claims: dict[str, LoadedClaim] = {}
    for name in names or list(known):
        path = Path(name) if name.endswith(".toml") else known.get(name)
        if path is None:
            raise UserError(_no_claim(name, known, folder))
        claim = load_claim(path)
        if claim.name in claims and claims[claim.name].path.resolve() != path.resolve():
            raise UserError(f"two claims are called {claim.name!r}; rename one of the files.")
        claims[claim.name] = claim
    return list(claims.values())


def _no_claim(name: str, known: Mapping[str, Path], folder: Path) -> str:
    if Path(name).exists():
        return f"{name} is no claim: a claim is a file whose name ends in .toml."
    files = [path.name for path in Path().glob("*.toml")]
    if near := difflib.get_close_matches(name, [*known, *files], n=1):
        return f"no claim {name!r}; did you mean {near[0]!r}?"
    there = f"claims: {', '.join(known)}" if known else f"no {folder} here; {_FROM}"
    return f"no claim {name!r}; {there}. {_OWN}"


_FROM = "r1's own are run from its project's folder"
_OWN = "Name a claim of your own by its file, such as my_claim.toml."
