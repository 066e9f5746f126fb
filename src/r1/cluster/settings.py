"""Settings of a run over several processes (torch-free, ray-free)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from r1.config import Settings, merged
from r1.errors import install_extra

NO_RAY = f"[cluster] needs Ray: {install_extra('cluster')}."


class TimeoutSettings(Settings):
    """The longest waits, in seconds; a process that takes longer is killed and restarted."""

    start_s: float = Field(
        600.0, gt=0.0, description="for a process to start and load its model, in seconds"
    )
    generate_s: float = Field(
        1800.0,
        gt=0.0,
        description="for an engine's next finished group, or a reward model's scores of one, in "
        "seconds",
    )
    update_s: float = Field(
        3600.0,
        gt=0.0,
        description="for one update of the policy, or a checkpoint written or read, in seconds",
    )
    sync_s: float = Field(
        600.0, gt=0.0, description="for weights to be gathered, or taken by an engine, in seconds"
    )


class ClusterSettings(Settings):
    """Learner ranks (FSDP2), engine replicas and reward models' servers, placed by Ray.

    Left out, everything runs in one process. An engine has engine.vllm.tensor_parallel_size GPUs
    where there are GPUs and engine.device is not "cpu". None of these settings changes what a
    synchronous run computes, but for rounding.
    """

    settled: ClassVar = {"gpus_per_engine": None, "groups_per_call": 0}

    address: str = Field(
        "auto",
        description='"auto" (a cluster that runs here, else this machine alone), "local" (this '
        "machine) or HOST:PORT",
    )
    learner_ranks: int = Field(1, ge=1, description="processes that the policy is sharded over")
    engine_replicas: int = Field(1, ge=1, description="engines, each with a whole model")
    reward_servers: int = Field(
        0, ge=0, description="processes for each of [reward_models]; 0: the driver scores itself"
    )
    placement: Literal["shared", "separate"] = Field(
        "shared",
        description="whether rank i and replica i share CPUs and GPUs, or each has its own",
    )
    cpus_per_process: float = Field(1.0, gt=0.0, description="CPUs reserved for each process")
    max_restarts: int = Field(
        3, ge=0, description="restarts of a process without any progress before the run ends"
    )
    timeouts: TimeoutSettings = TimeoutSettings()

    def laid_over(self, under: ClusterSettings) -> ClusterSettings:
        """Merge with `under`; these settings win where they are given."""
        given = merged(under.model_dump(exclude_unset=True), self.model_dump(exclude_unset=True))
        return ClusterSettings(**given)

    def ranks_alone(self) -> ClusterSettings:
        """Return the same cluster with learner ranks only, each in its own bundle."""
        none = {"engine_replicas": 0, "reward_servers": 0}
        return self.model_copy(update={**none, "placement": "separate"})

    def replicas_alone(self) -> ClusterSettings:
        """Return the same cluster with engine replicas only, each in its own bundle."""
        none = {"learner_ranks": 0, "reward_servers": 0}
        return self.model_copy(update={**none, "placement": "separate"})
