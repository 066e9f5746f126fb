"""Settings of a run over several processes (torch-free, ray-free)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from r1.config import Settings, merged

NO_RAY = '[cluster] needs Ray: pip install "r1[cluster]".'


class TimeoutSettings(Settings):
    """The longest that one wait may take, in seconds; then whoever is waited for is given up."""

    connect_s: float = Field(5.0, gt=0.0, description="reach the cluster's address")
    start_s: float = Field(600.0, gt=0.0, description="a process starts and loads the model")
    generate_s: float = Field(1800.0, gt=0.0, description="from one finished group to the next")
    update_s: float = Field(3600.0, gt=0.0, description="one update of the policy")
    sync_s: float = Field(600.0, gt=0.0, description="weights gathered, or taken by an engine")
    score_s: float = Field(600.0, gt=0.0, description="a reward model's server scores a group")
    save_s: float = Field(1800.0, gt=0.0, description="a checkpoint written or read")


class ClusterSettings(Settings):
    """Learner ranks (FSDP2), engine replicas and reward models' servers, placed by Ray.

    None of these settings changes what a synchronous run computes, but for rounding.
    """

    address: str = Field(
        "auto", description='"auto" (a running cluster, else this machine), "local", or HOST:PORT'
    )
    learner_ranks: int = Field(1, ge=1, description="processes that hold the policy together")
    engine_replicas: int = Field(1, ge=1, description="engines that sample independently")
    reward_servers: int = Field(
        0, ge=0, description="processes for each of [reward_models]; 0: the driver itself scores"
    )
    placement: Literal["shared", "separate"] = Field(
        "shared", description="rank i and replica i share a bundle of CPUs and GPUs, or have two"
    )
    cpus_per_process: float = Field(1.0, gt=0.0, description="CPUs of a bundle")
    gpus_per_learner: int | None = Field(
        None, ge=0, le=1, description="None: 1 where there are any"
    )
    gpus_per_engine: int | None = Field(None, ge=0, description="None: 1 where there are any")
    gpus_per_reward_server: int | None = Field(
        None, ge=0, le=1, description="None: 1 where there are any"
    )
    groups_per_call: int = Field(
        0, ge=0, description="groups an engine is given at once; 0: what fills its batch"
    )
    bucket_mb: int = Field(256, ge=1, description="weights sent at once")
    max_restarts: int = Field(
        3, ge=0, description="of one process in a row, without any progress in between"
    )
    timeouts: TimeoutSettings = TimeoutSettings()

    def laid_over(self, under: ClusterSettings) -> ClusterSettings:
        """These settings, and those of `under` wherever these say nothing."""
        given = merged(under.model_dump(exclude_unset=True), self.model_dump(exclude_unset=True))
        return ClusterSettings(**given)

    def ranks_alone(self) -> ClusterSettings:
        """The same cluster with learner ranks alone, each in a bundle of its own."""
        none = {"engine_replicas": 0, "reward_servers": 0}
        return self.model_copy(update={**none, "placement": "separate"})

    def replicas_alone(self) -> ClusterSettings:
        """The same cluster with engine replicas alone, each in a bundle of its own."""
        none = {"learner_ranks": 0, "reward_servers": 0}
        return self.model_copy(update={**none, "placement": "separate"})
