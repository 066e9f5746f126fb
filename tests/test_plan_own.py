"""The layout that a recipe asks for: whether it fits, and the lines that ask for a faster one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from r1.cli import app
from r1.pipeline.recipe import load_any_recipe
from r1.plan.layout import Layout, own_layout
from r1.plan.layouts import plan_layouts
from r1.plan.memory import engine_items, learner_memory
from r1.plan.own import own_mode, plan_own
from r1.plan.recommend import applied, overrides, recommend, recommend_saving, settings_of
from test_plan_layouts import RECIPES, task_of

GSM8K = "gpus/r1_zero_1.5b_1_gpu"
BUDGET = 0.95 * 80e9 - 2e9  # of an 80 GB GPU
SHARED = ("cluster.learner_ranks=8", "cluster.engine_replicas=8")
SEPARATE = (
    "cluster.learner_ranks=4",
    "cluster.engine_replicas=2",
    'cluster.placement="separate"',
    'engine.kind="vllm"',
    "engine.vllm.tensor_parallel_size=2",
    "engine.vllm.max_model_len=1536",
)


def own_of(*overrides: str, gpus: int = 8):
    return plan_own(task_of(GSM8K, "H100", gpus, *overrides, mean=500))


def mode_of(*overrides: str) -> str:
    return own_mode(task_of(GSM8K, "H100", 8, *overrides).recipe.algorithm)


def test_the_recipe_s_own_words_become_a_layout() -> None:
    assert own_layout(task_of(GSM8K, "H100", 8).recipe) == Layout()
    assert own_layout(task_of(GSM8K, "H100", 8, *SHARED).recipe) == Layout(8, 8, 1, True)
    task = task_of(GSM8K, "H100", 8, *SEPARATE)
    assert own_layout(task.recipe) == Layout(4, 2, 2, False)
    assert own_mode(task.recipe.algorithm) == "synchronous"
    ahead = ("grpo.staleness=1", "grpo.importance_cap=2.0")
    assert mode_of(*SEPARATE, *ahead) == "one step off"
    further = (*ahead, "grpo.staleness=3")
    assert mode_of(*further) == "whole batches, 3 ahead"
    assert mode_of(*further, "grpo.partial_rollouts=true") == "partial rollouts, 3 ahead"
    tuned = load_any_recipe(RECIPES / "cluster" / "distill_qwen_7b.toml")
    assert own_layout(tuned) == Layout(1, 0, 1)


def test_partial_rollouts_have_all_batches_in_the_cache() -> None:
    room = ("engine.max_batch=9999", "engine.max_kv_tokens=99999999")
    ahead = ("grpo.staleness=3", "grpo.importance_cap=2.0")
    caches = []
    for how in (ahead, (*ahead, "grpo.partial_rollouts=true")):
        task = task_of(GSM8K, "H200", 8, *SHARED, *room, *how)
        items = engine_items(task.recipe, task.shape, 8)
        caches += [item.bytes for item in items if item.part == "key/value cache"]
    assert caches[1] == 4 * caches[0]


def test_one_process_is_planned_as_its_memory_says() -> None:
    own, task = own_of(gpus=1), task_of(GSM8K, "H100", 1)
    learner, engine = learner_memory(task.recipe, task.shape), engine_items(task.recipe, task.shape)
    assert own.choice.memory.items == (*learner.items, *engine)
    assert own.choice.reason == ""
    assert own.choice.step_s > 0


def test_only_separate_gpus_draw_and_learn_at_once() -> None:
    ahead = ("grpo.staleness=1", "grpo.importance_cap=2.0")
    for words, both in ((SEPARATE, sum), ((*SEPARATE, *ahead), max), ((*SHARED, *ahead), sum)):
        choice = own_of(*words).choice
        assert choice.reason == ""
        assert choice.step_s == both((choice.draw_s, choice.update_s)) + choice.sync_s


def test_an_engine_of_vllm_takes_its_share_of_a_gpu() -> None:
    own = own_of(*SEPARATE)
    assert own.choice.reason == ""
    assert own.engine.peak == pytest.approx(0.9 * 80e9)
    assert own.choice.memory.peak == own.learner.peak < BUDGET
    less = own_of(*SEPARATE, "engine.vllm.gpu_memory_utilization=0.5")
    assert less.engine.peak == pytest.approx(0.5 * 80e9)
    given = own_of(*SEPARATE, "engine.vllm.kv_cache_gib=3.0")
    parts = given.engine.at_peak()
    assert parts["key/value cache"] == 3 * 2**30
    assert parts["engine's weights"] == pytest.approx(2 * 1_543_714_304 / 2)


def test_a_shared_gpu_holds_both_unless_the_engine_sleeps() -> None:
    """22.2 GB of a learner beside 64 of vLLM; asleep, it stands beside what the learner keeps."""
    vllm = (*SHARED, 'engine.kind="vllm"', "engine.vllm.max_model_len=1536")
    awake = own_of(*vllm, "engine.vllm.gpu_memory_utilization=0.8")
    total = awake.learner.peak + 0.8 * 80e9
    assert awake.choice.memory.peak == pytest.approx(total)
    assert awake.choice.reason.startswith(
        f"the GPU that learner and engine share needs {total / 1e9:.1f} GB of 74.0: key/value"
    )
    assert awake.choice.step_s == 0
    asleep = own_of(*vllm, "engine.vllm.gpu_memory_utilization=0.8", "engine.vllm.sleep=true")
    kept = asleep.learner.of("resident")
    assert asleep.choice.memory.peak == pytest.approx(kept + 0.8 * 80e9)
    assert asleep.choice.reason == ""
    embedded = own_of(*SHARED)
    assert embedded.choice.memory.peak < embedded.learner.peak + embedded.engine.peak
    assert embedded.choice.memory.peak > embedded.learner.peak


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (
            ("cluster.learner_ranks=9",),
            "it asks for 13 GPUs of 8: 9 to learn, 4 to sample, each its own",
        ),
        (
            ('cluster.placement="shared"',),
            'an engine over 2 GPUs needs GPUs of its own: cluster.placement = "separate"',
        ),
        (
            ("engine.vllm.max_model_len=1000",),
            "engine.vllm.max_model_len = 1,000 leaves no room for responses of 1,024",
        ),
        (
            ("engine.vllm.tensor_parallel_size=4", "cluster.learner_ranks=1"),
            "it asks for 9 GPUs of 8: 1 to learn, 8 to sample, each its own",
        ),
        (
            ("learner.tokens_per_microbatch=200000", "learner.gradient_checkpointing=false"),
            "a learner's GPU needs ",
        ),
    ],
)
def test_what_cannot_be_is_said_with_numbers(overrides: tuple[str, ...], reason: str) -> None:
    own = own_of(*SEPARATE, *overrides)
    assert own.choice.reason.startswith(reason)
    assert own.choice.step_s == 0


def test_heads_that_cannot_be_dealt_out() -> None:
    eight = ("engine.vllm.tensor_parallel_size=8", "cluster.engine_replicas=1")
    own = own_of(*SEPARATE, *eight, gpus=16)
    assert own.choice.reason == "12 attention heads cannot be dealt out to 8"


def test_the_cache_must_hold_a_sequence_of_max_model_len() -> None:
    """28 layers, 1 of 2 key/value heads a GPU, 2 x 128 numbers in bf16: 14,336 bytes a token."""
    small = ("engine.vllm.kv_cache_gib=0.02", "engine.vllm.max_model_len=1600")
    own = own_of(*SEPARATE, *small)
    room = 0.02 * 2**30 / (28 * 2 * 128 * 2)
    assert own.choice.reason == (
        f"an engine's cache has room for {room:,.0f} tokens, but engine.vllm.max_model_len needs "
        "1,600"
    )
    unsaid = (
        *SHARED,
        'engine.kind="vllm"',
        "engine.vllm.kv_cache_gib=1.0",
    )
    reason = own_of(*unsaid).choice.reason
    assert reason.endswith("engine.vllm.max_model_len, the model's context, needs 131,072")


def test_the_recommended_settings_do_what_is_promised() -> None:
    """Given to the command they lead to that layout, that step, and nothing faster."""
    task = task_of(GSM8K, "H100", 8, mean=500)
    own = plan_own(task)
    found = recommend(task, plan_layouts(task), own)
    assert found is not None
    assert found.own.choice.step_s < 0.5 * own.choice.step_s
    changed = task_of(GSM8K, "H100", 8, *overrides(found.settings), mean=500)
    again = plan_own(changed)
    assert again == found.own
    assert again.choice.layout == Layout(4, 4, 1, False)
    assert own_mode(changed.recipe.algorithm) == "one step off"
    assert recommend(changed, plan_layouts(changed), again) is None


@pytest.mark.parametrize(
    ("recipe", "hardware", "gpus"),
    [
        ("cluster/r1_zero_qwen_32b", "H800", 64),
        ("cluster/r1_zero_qwen_32b", "H200", 64),
        (GSM8K, "H100", 2),
    ],
)
def test_a_layout_has_one_step_in_the_table_and_below_it(
    recipe: str, hardware: str, gpus: int
) -> None:
    """vLLM's share is a whole hundredth: a row less in the cache of an engine of 32B."""
    task = task_of(recipe, hardware, gpus, mean=16_000 if gpus == 64 else 500)
    choices = plan_layouts(task)
    found = recommend(task, choices, plan_own(task))
    assert found is not None
    best, again = choices[0], found.own.choice
    assert (again.layout, again.slots) == (best.layout, best.slots)
    assert again.step_s == best.step_s
    share = found.settings["engine.vllm.gpu_memory_utilization"]
    assert best.engine_bytes <= share * task.machine.hardware.memory_bytes


def test_a_recipe_of_partial_rollouts_can_be_told_to_do_without() -> None:
    partial = ("grpo.staleness=2", "grpo.importance_cap=3.0", "grpo.partial_rollouts=true")
    task = task_of(GSM8K, "H100", 8, *SEPARATE, *partial, mean=500)
    choice = plan_own(task).choice
    for ahead, mode in ((False, "synchronous"), (True, "one step off")):
        settings = settings_of(task, choice._replace(ahead=ahead))
        assert settings["grpo.staleness"] == int(ahead)
        assert settings.get("grpo.importance_cap") == (3.0 if ahead else None)
        assert own_mode(applied(task.recipe, settings).algorithm) == mode


def test_settings_are_words_for_the_command() -> None:
    settings = {"cluster.placement": "separate", "engine.vllm.sleep": True, "grpo.staleness": 1}
    assert overrides(settings) == [
        "cluster.placement=separate",
        "engine.vllm.sleep=true",
        "grpo.staleness=1",
    ]


def test_applied_leaves_the_rest_alone() -> None:
    recipe = task_of(GSM8K, "H100", 8).recipe
    changed = applied(recipe, {"cluster.learner_ranks": 2, "engine.kind": "vllm"})
    assert changed.cluster.learner_ranks == 2
    assert changed.engine == recipe.engine.model_copy(update={"kind": "vllm"})
    assert (changed.algorithm, changed.learner) == (recipe.algorithm, recipe.learner)


def test_processes_on_cpus_share_memory_and_cores() -> None:
    alone = plan_own(task_of("tiny/r1_zero", "CPU", 1, mean=60))
    many = ("cluster.learner_ranks=2", "cluster.engine_replicas=2")
    own = plan_own(task_of("tiny/r1_zero", "CPU", 1, *many, mean=60))
    assert own.choice.reason == ""
    assert own.choice.step_s == pytest.approx(alone.choice.step_s)
    crowd = ("cluster.learner_ranks=60", "cluster.engine_replicas=60")
    reason = plan_own(task_of("tiny/r1_zero", "CPU", 1, *crowd, mean=60)).choice.reason
    assert reason.startswith("this machine has 8.0 GB of the ")
    assert ": 60 x 0." in reason


def run_cli(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["plan", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_the_command_shows_the_recipe_s_own_first(tmp_path: Path) -> None:
    recipe = str(RECIPES / f"{GSM8K}.toml")
    more = [word for setting in SEPARATE for word in ("--set", setting)]
    text = run_cli(recipe, "--hardware", "H100", *more)
    assert "the recipe asks for 4 ranks, 2 x TP 2, separate, synchronous" in text
    assert "on 8 x NVIDIA H100" in text  # as many as the recipe asks for
    assert text.index("the recipe asks for") < text.index("GB learner")
    assert "fits yes: learner 16.2 GB (backward) and engine 72.0 GB of 74.0" in text
    assert r"with --set cluster.learner_ranks=4 \ --set cluster.engine_replicas=4 \ --set" in text
    values = json.loads(run_cli(recipe, "--hardware", "H100", "--gpus", "4", "--json", *more))
    assert values["own"]["reason"].startswith("it asks for 8 GPUs of 4")
    assert (values["own"]["fits"], values["own"]["step_s"]) == (False, None)
    assert values["recommended"]["settings"]["cluster.learner_ranks"] <= 3
    large = str(RECIPES / "cluster" / "r1_zero_qwen_32b.toml")
    text = run_cli(large, "--gpus", "16")
    assert "fits no: an engine's GPU needs" in text
    assert "with adapters in place of all weights a layout fits" in text
    assert "--set learner.lora.rank=32" in text
    text = run_cli(large, "--gpus", "24")
    assert "with settings that take less memory a layout fits" in text
    assert "--set learner.gradient_checkpointing=offload" in text
    text = run_cli(large, "--gpus", "2")
    assert "no layout that [cluster] can ask for fits, with adapters" in text


def test_savings_are_as_few_as_let_a_layout_fit() -> None:
    plain = ("model=Qwen/Qwen2.5-7B", "learner.gradient_checkpointing=false")
    task = task_of(GSM8K, "H100", 8, *plain, "sampling.max_new_tokens=4096", mean=2048)
    assert recommend(task, plan_layouts(task), plan_own(task)) is None
    found = recommend_saving(task)
    assert found is not None
    assert found.saves
    assert not found.own.choice.reason
    saved = {name: value for name, value in found.settings.items() if name.startswith("learner.")}
    assert saved == {"learner.gradient_checkpointing": True}
    assert not plan_own(task._replace(recipe=found.recipe)).choice.reason
    small = task._replace(recipe=applied(task.recipe, {"learner.tokens_per_microbatch": 2048}))
    assert "learner.tokens_per_microbatch" not in (recommend_saving(small) or found).settings
