"""The settings of a reinforcement-learning recipe (torch-free)."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, ClassVar, Literal, Self, TypeVar, cast

from pydantic import Field, create_model, model_validator

from r1.algorithms import registry
from r1.algorithms.protocol import Algorithm
from r1.algorithms.settings import AlgorithmSettings
from r1.cluster.settings import ClusterSettings
from r1.config import Settings
from r1.data.settings import DataSettings
from r1.evaluation.settings import EvaluationSettings
from r1.learner.settings import MAY_CHANGE_ON_RESUME as LEARNERS_MAY_CHANGE
from r1.learner.settings import LearnerSettings, OptimizerSettings, check_evaluation
from r1.plugins import import_plugins
from r1.reward_model.settings import RewardModelUse
from r1.rewards.settings import RewardSettings
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.run_dir import CheckpointSettings
from r1.template import TemplateSettings
from r1.track.settings import TrackSettings

MAY_CHANGE_ON_RESUME = (
    *LEARNERS_MAY_CHANGE,
    "engine.device",
    "engine.max_batch",
    "engine.max_kv_tokens",
    "engine.vllm.gpu_memory_utilization",
    "rewards.num_workers",
    "rewards.judge.base_url",
    "rewards.judge.api_key_env",
    "rewards.judge.cache",
    "rewards.judge.limits",
    "rewards.judge.budget",
    "stop_when_hopeless",
)
"""Settings that move no number of a run, but for rounding: it may be carried on with others."""
MAY_GROW = ("num_steps",)
"""Settings whose number may be larger on resuming: the run is made longer."""


class R1ZeroRecipe(Settings):
    """R1-Zero: reinforcement learning from a base model, nothing else (paper, section 2.2).

    A recipe names its algorithm by its section, [grpo] where there is none. The class of a recipe
    is made for its algorithm, with a field of that name; `for_values` gives it.
    """

    algorithm_name: ClassVar[str] = registry.DEFAULT

    kind: Literal["r1_zero"] = Field("r1_zero", description="reinforcement learning")
    plugins: tuple[str, ...] = Field(
        (), description="modules of your own that register an algorithm when imported"
    )
    seed: int = Field(0, ge=0, description="decides the order of the problems and every sample")
    num_steps: int = Field(
        ge=1, description="steps of training: in each, a batch is sampled and learned from"
    )
    model: str = Field(
        description='model to start from: "tiny" (the shipped base), a folder, a run or a Hub id'
    )
    data: DataSettings
    template: TemplateSettings = TemplateSettings()
    sampling: SamplingSettings = SamplingSettings()
    rewards: RewardSettings = RewardSettings()
    reward_models: dict[str, RewardModelUse] = Field(
        default_factory=dict, description="reward models that add to the reward, by your names"
    )
    optimizer: OptimizerSettings = OptimizerSettings()
    learner: LearnerSettings = LearnerSettings()
    engine: EngineSettings = EngineSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()
    stop_when_hopeless: bool = Field(
        False,
        description="end a run in which nothing can be learnt any more (`r1 diagnose` says why)",
    )
    cluster: ClusterSettings | None = None
    track: TrackSettings | None = None

    @model_validator(mode="after")
    def _consistent(self) -> R1ZeroRecipe:
        if self.sampling.temperature == 0.0:
            raise ValueError(
                "sampling.temperature = 0 gives G equal samples and nothing to learn from; use 1.0"
            )
        name = self.algorithm_name
        if self.algorithm.overlong_buffer >= self.sampling.max_new_tokens:
            raise ValueError(
                f"{name}.overlong_buffer = {self.algorithm.overlong_buffer} must be below "
                f"sampling.max_new_tokens = {self.sampling.max_new_tokens}"
            )
        if (reason := self.algorithm.teaches_nothing(self.num_steps)) is not None:
            raise ValueError(f"{name}.{reason}")
        for model, use in self.reward_models.items():
            if use.from_step >= self.num_steps:
                raise ValueError(
                    f"reward_models.{model}.from_step = {use.from_step}: the model judges nothing "
                    f"in the first {use.from_step} steps, and num_steps = {self.num_steps}. Set "
                    "from_step below num_steps, or leave the model out."
                )
        needed = self.algorithm.needed_reward_model
        if needed is not None and needed not in self.reward_models:
            raise ValueError(
                f"{name} needs [reward_models.{needed}], a process reward model: give its path "
                "there, or name another one in step_model"
            )
        if self.algorithm.teacher_model == "":
            raise ValueError(f"{name}.teacher is required: name the model to learn from")
        if self.engine.vllm.sleep and self.algorithm.partial_rollouts:
            raise ValueError(
                "engine.vllm.sleep gives the GPU back between two batches, and with "
                f"{name}.partial_rollouts there is nothing between them; leave one of them false"
            )
        check_evaluation(self.evaluation.every, self.data.heldout, "problems")
        if self.data.heldout and "accuracy" not in self.rewards.weights:
            near = get_close_matches("accuracy", self.rewards.weights, n=1)
            meant = f" (is it meant by {near[0]!r}?)" if near else ""
            raise ValueError(
                f"evaluation on data.heldout needs the accuracy reward{meant}; add accuracy to "
                "rewards.weights (with weight 0 it is computed and pays nothing)"
            )
        return self

    @classmethod
    def for_values(cls, values: Mapping[str, Any]) -> type[Self]:
        """Return the recipe's class for the algorithm whose section the table has."""
        plugins = values.get("plugins", ())
        if isinstance(plugins, list | tuple) and all(isinstance(name, str) for name in plugins):
            import_plugins(plugins, "plugins")
        named = [name for name in registry.algorithms() if name in values]
        if len(named) > 1:
            sections = " and ".join(f"[{name}]" for name in named)
            raise ValueError(f"a recipe has one algorithm, and {sections} are two; leave one out.")
        return _with_algorithm(cls, named[0] if named else registry.DEFAULT)

    @classmethod
    def for_reference(cls) -> type[Self]:
        """Return the class with the sections of all algorithms; a recipe has one."""
        sections: Any = {
            name: (found.settings, Field(default_factory=found.settings, description=_told(found)))
            for name, found in registry.algorithms().items()
        }
        made = cast(type[Self], create_model(cls.__name__, __base__=cls, **sections))
        made.__doc__ = cls.__doc__
        return made

    @classmethod
    def hint_for_unknown(cls, key: str) -> str | None:
        """Name the algorithms' sections, for an unknown one."""
        if key not in OTHER_ALGORITHMS:
            return None
        names = ", ".join(f"[{name}]" for name in registry.algorithms())
        return f"an algorithm is named by its section, one of {names}."

    @property
    def algorithm(self) -> AlgorithmSettings:
        """Return the settings in the algorithm's section."""
        settings = getattr(self, self.algorithm_name)
        assert isinstance(settings, AlgorithmSettings)
        return settings

    def make_algorithm(self) -> Algorithm:
        """Return the algorithm with its settings."""
        return registry.make_algorithm(self.algorithm_name, self.algorithm)


R = TypeVar("R", bound=R1ZeroRecipe)
OTHER_ALGORITHMS = ("algorithm", "algo", "dpo", "reinforce", "dapo", "gspo", "dr_grpo")


def _told(found: registry.Registered) -> str:
    """Describe an algorithm's section, for the reference of settings."""
    summary = " ".join((found.settings.__doc__ or "").split("\n\n")[0].split()).rstrip(".")
    return f"{summary}; a recipe has the section of one algorithm, [{registry.DEFAULT}] by default"


@cache
def _with_algorithm(cls: type[R], name: str) -> type[R]:
    """Return the recipe's class for one algorithm; cls may be that for another."""
    if name in cls.model_fields:
        return cls
    general = cls.__bases__[0] if cls.algorithm_name in cls.model_fields else cls
    settings = registry.algorithms()[name].settings
    field = Field(default_factory=settings, description=f"settings of {name}")
    section: Any = {name: (settings, field)}
    made = cast(type[R], create_model(cls.__name__, __base__=general, **section))
    made.algorithm_name = name
    made.__doc__ = cls.__doc__
    return made
