"""What a recipe's stages ask of their clusters: settings laid over, models followed, refusals."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from r1.cluster.needs import Demand
from r1.errors import UserError
from r1.pipeline.demands import check_clusters, demand_of, stage_demands
from r1.pipeline.r1 import specs_of
from r1.pipeline.recipe import load_any_recipe

RECIPES = Path(__file__).parents[1] / "recipes" / "tiny"
WHOLE = ["cluster.address=local", "cluster.learner_ranks=2", "cluster.timeouts.sync_s=7"]
"""Of the whole recipe; stages lay theirs over it."""


def demands(*changes: str, names: set[str] | None = None) -> dict[str, Demand]:
    recipe = load_any_recipe(RECIPES / "r1.toml", changes)
    specs = specs_of(recipe, "r1.toml")
    wanted = {spec.name for spec in specs} if names is None else names
    found = stage_demands(specs, wanted, recipe.cluster, RECIPES)
    return {demand.part.removeprefix("stage ").removesuffix(": "): demand for demand in found}


def test_without_a_cluster_nothing_is_asked_for() -> None:
    assert demands() == {}
    own = demands("stages.harmless.cluster.learner_ranks=3")
    assert list(own) == ["harmless"]
    assert own["harmless"].settings.learner_ranks == 3


def test_a_stage_lays_its_own_cluster_over_the_recipes() -> None:
    own = ["stages.dev2.cluster.engine_replicas=3", "stages.dev2.cluster.timeouts.update_s=9"]
    found = demands(*WHOLE, *own)
    dev2, dev1 = found["dev2"].settings, found["dev1"].settings
    assert (dev2.address, dev2.learner_ranks, dev2.engine_replicas) == ("local", 2, 3)
    assert (dev2.timeouts.sync_s, dev2.timeouts.update_s) == (7, 9)
    assert (dev1.address, dev1.learner_ranks, dev1.engine_replicas) == ("local", 2, 0)
    assert dev1.timeouts.update_s != 9


def test_stages_that_sample_ask_for_replicas_and_data_stages_for_nothing() -> None:
    found = demands(*WHOLE)
    rejection = found["rejection"].settings
    assert (rejection.learner_ranks, rejection.engine_replicas) == (0, 1)
    assert not {"supplied", "mixture"} & set(found)
    assert set(demands(*WHOLE, names={"dev3"})) == {"dev3"}


def test_servers_are_asked_for_where_there_are_reward_models() -> None:
    found = demands(*WHOLE, "cluster.reward_servers=2")
    assert found["r1"].settings.reward_servers == 2
    assert found["r1"].needs.reward_devices == ("auto", "auto")
    assert not found["dev2"].needs.reward_devices
    assert found["dev1"].settings.reward_servers == found["rejection"].settings.reward_servers == 0
    assert not demands(*WHOLE)["r1"].needs.reward_devices


def test_models_are_followed_to_where_they_come_from() -> None:
    """Every stage but the students descends from the tiny base: the same bytes everywhere."""
    found = demands(*WHOLE)
    alone = demand_of(load_any_recipe(RECIPES / "r1_zero.toml", WHOLE), RECIPES)
    assert found["r1"].needs.engine_bytes == alone.needs.engine_bytes > 0
    assert found["rejection"].needs.engine_bytes == alone.needs.engine_bytes
    assert found["dev1"].needs.learner_bytes == pytest.approx(16 / 4 * alone.needs.engine_bytes / 2)


def test_adapters_over_several_ranks_need_less() -> None:
    found, whole = demands(*WHOLE, "stages.dev1.learner.lora.rank=4"), demands(*WHOLE)
    assert 0 < found["dev1"].needs.learner_bytes < 0.6 * whole["dev1"].needs.learner_bytes


def test_tensor_parallel_is_compared_with_the_models_heads() -> None:
    changes = ["stages.dev2.engine.kind=vllm", "stages.dev2.engine.vllm.tensor_parallel_size=3"]
    with pytest.raises(UserError, match=r"^stage dev2: .*tensor_parallel_size = 3 does not divide"):
        demands(*WHOLE, *changes)


def test_stages_that_are_done_ask_for_nothing(tmp_path) -> None:
    pytest.importorskip("ray")
    path = RECIPES / "r1.toml"
    asked = [f"stages.harmless.cluster.{what}" for what in ("address=local", "learner_ranks=999")]
    recipe = load_any_recipe(path, asked)
    with pytest.raises(UserError, match=r"^stage harmless: .* asks for 999 CPUs"):
        check_clusters(recipe, path, tmp_path)
    check_clusters(recipe, path, tmp_path, only="dev2")
    (tmp_path / "harmless").mkdir()
    (tmp_path / "harmless" / "STAGE.json").write_text("{}")
    check_clusters(recipe, path, tmp_path)


PROBE = """
    import sys
    from pathlib import Path
    from r1.pipeline.demands import check_clusters
    from r1.pipeline.recipe import load_any_recipe

    path = Path(sys.argv[1])
    check_clusters(load_any_recipe(path), path, Path("nowhere"))
    assert "ray" not in sys.modules
    check_clusters(load_any_recipe(path, ["cluster.address=local"]), path, Path("nowhere"))
    assert "torch" not in sys.modules
    assert "transformers" not in sys.modules
"""


@pytest.mark.parametrize("name", ["r1_zero.toml", "sft.toml", "r1.toml"])
def test_it_is_told_before_anything_heavy_is_imported(name) -> None:
    pytest.importorskip("ray")
    command = [sys.executable, "-c", textwrap.dedent(PROBE), str(RECIPES / name)]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
