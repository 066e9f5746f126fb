"""The recipe of a whole pipeline (kind "r1"): stages, each a recipe of its own kind (torch-free).

    kind = "r1"

    [stages.r1_zero]
    kind = "r1_zero"
    model = "tiny"
    ...

    [stages.dev1]
    kind = "sft"
    model = "tiny"
    data.train = [{ kind = "parquet", path = "@cold_start" }]

    [stages.dev2_plain]
    like = "dev2"                       # dev2's table with these changes
    rewards.weights.language = 0.0

    [stages.dev2_ppo]
    like = "dev2"
    without = ["grpo"]                  # and without these settings or sections of it
    ppo = { lambda_policy = 0.95 }

A reference (references.py) is an edge of the graph (graph.py). Stages run in the order that the
references ask for, and where they leave a choice in the recipe's.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pydantic import Field

from r1.cluster.settings import ClusterSettings
from r1.config import Settings, merged, validate
from r1.errors import UserError
from r1.pipeline import references
from r1.pipeline.graph import InputSource
from r1.setting_hints import kind_hint
from r1.stages import registry
from r1.stages.protocol import ArtifactType, StageKind
from r1.track.settings import TrackSettings

LIKE, WITHOUT, TRACK = "like", "without", "track"


class R1Recipe(Settings):
    """DeepSeek-R1 as one run (paper, section 2.3), or any other graph of stages."""

    kind: Literal["r1"] = Field("r1", description="several stages in one run")
    seed: int = Field(0, ge=0, description="seed of every stage that does not name its own")
    without_sandbox: Literal["refuse", "leave_out"] = Field(
        "refuse",
        description="what to do on a machine that cannot isolate programs: refuse the run, or "
        "leave the tiny world's functions out of every stage and say so",
    )
    cluster: ClusterSettings | None = None
    track: TrackSettings | None = None
    plugins: tuple[str, ...] = Field(
        (), description="modules of your own that register stage kinds or algorithms when imported"
    )
    stages: dict[str, dict[str, Any]] = Field(
        min_length=1, description="the stages by name; each is a recipe of its own kind"
    )


class StageSpec(NamedTuple):
    """A stage with checked settings, which still contain references such as "@stage".

    inputs: by the place of the reference. title: for people.
    """

    name: str
    kind: str
    title: str
    recipe: Settings
    inputs: dict[str, InputSource]
    input_types: dict[str, ArtifactType]


def specs_of(recipe: R1Recipe, origin: str) -> list[StageSpec]:
    """Return a recipe's stages in a possible order of running.

    Raises UserError for an unknown kind, a setting that its kind refuses (named as
    "stages.dev2.num_steps"), a `like` or a reference that leads nowhere, and a circle.
    """
    registry.import_plugins(recipe.plugins)
    kinds = registry.kinds()
    tables = {name: _table(name, recipe, origin) for name in recipe.stages}
    found = {}
    for name, table in tables.items():
        if not name.replace("_", "").replace("-", "").isalnum():
            raise UserError(f"{origin}: stages.{name}: a name has letters, digits, _ and - only.")
        found[name] = _spec(name, table, recipe.seed, kinds, f"{origin}, stages.{name}")
    return _in_order(_with_outputs(found, kinds, origin), origin)


def _table(name: str, recipe: R1Recipe, origin: str, below: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a stage's table, merged over the one that it is like."""
    table = dict(recipe.stages[name])
    model, dropped = table.pop(LIKE, None), table.pop(WITHOUT, [])
    if not isinstance(model, str | None):
        raise UserError(f'{origin}: stages.{name}.like = {model!r}; name one stage: like = "NAME".')
    if not isinstance(dropped, list) or not all(isinstance(key, str) for key in dropped):
        raise UserError(
            f'{origin}: stages.{name}.without = {dropped!r}; list names: without = ["grpo"].'
        )
    if model is None:
        if dropped:
            raise UserError(f"{origin}: stages.{name}.without needs `like`; remove it.")
        return table
    if model in (*below, name):
        circle = " -> ".join((*below, name, model))
        raise UserError(
            f"{origin}: stages.{name}.like = {model!r} goes round in a circle ({circle}); write "
            "one of them out."
        )
    if model not in recipe.stages:
        near = difflib.get_close_matches(str(model), list(recipe.stages), n=1)
        hint = f" Did you mean {near[0]!r}?" if near and near[0] != name else ""
        raise UserError(f"{origin}: stages.{name}.like = {model!r} leads nowhere.{hint}")
    under = _table(model, recipe, origin, (*below, name))
    for key in dropped:
        if key not in under:
            raise UserError(
                f"{origin}: stages.{name}.without names {key!r}, which {model} does not have; "
                f"it has {', '.join(under)}."
            )
        del under[key]
    return merged(under, table)


def _spec(
    name: str, table: dict[str, Any], seed: int, kinds: Mapping[str, StageKind], origin: str
) -> StageSpec:
    if "kind" not in table:
        raise UserError(f"{origin}: kind: this setting is required; {kind_hint('', kinds, {})}")
    kind = str(table["kind"])
    if kind not in kinds:
        hint = kind_hint(kind, kinds, registry.other_names())
        raise UserError(f"{origin}: kind = {kind!r} is no kind of stage; {hint}")
    if TRACK in table:
        raise UserError(
            f"{origin}: {TRACK}: trackers are given every stage; write one [{TRACK}] for the whole "
            "recipe."
        )
    known = kinds[kind].settings.model_fields
    ours = {"kind", "title"} - set(known)  # ours, where the kind's own settings have no such thing
    values = {key: value for key, value in table.items() if key not in ours}
    if "seed" in known:
        values = {"seed": seed, **values}
    settings = validate(values, kinds[kind].settings, origin)
    return StageSpec(name, kind, str(table.get("title", name)), settings, _edges(values), {})


def _edges(values: Mapping[str, Any]) -> dict[str, InputSource]:
    return {ref.field: InputSource(ref.stage, ref.output) for ref in references.find(values)}


def _with_outputs(
    specs: Mapping[str, StageSpec], kinds: Mapping[str, StageKind], origin: str
) -> dict[str, StageSpec]:
    """Return settings with the outputs' names added to references without one."""
    whole = {}
    for name, spec in specs.items():
        inputs = {}
        for field, (stage, output) in spec.inputs.items():
            if stage not in specs:
                near = difflib.get_close_matches(stage, list(specs), n=1)
                hint = f"did you mean @{near[0]}?" if near else f"stages: {', '.join(specs)}."
                raise UserError(f"{origin}: stages.{name}.{field}: no stage {stage!r}; {hint}")
            inputs[field] = InputSource(
                stage, output or next(iter(kinds[specs[stage].kind].outputs))
            )
        types = {field: references.wanted_type(field) for field in inputs}
        whole[name] = spec._replace(inputs=inputs, input_types=types)
    return whole


def _in_order(specs: Mapping[str, StageSpec], origin: str) -> list[StageSpec]:
    """Order stages so that inputs come first; ties in the recipe's order."""
    ordered: dict[str, StageSpec] = {}
    waiting = dict(specs)
    while waiting:
        ready = next(
            (s for s in waiting.values() if all(i.stage in ordered for i in s.inputs.values())),
            None,
        )
        if ready is None:
            raise UserError(f"{origin}: stages {', '.join(waiting)} wait for each other; cut one.")
        ordered[ready.name] = waiting.pop(ready.name)
    return list(ordered.values())
