"""The stages that make data sets: settings and a folder in, a data set with its card out.

Each is one call of r1.curation with what that call needs: an engine of the checkpoint named, the
problems, a pool that verifies. All of them carry on where they stopped (r1.curation.store). With a
cluster the engine is replicas on it; what is written is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from r1.cluster.settings import ClusterSettings
from r1.config import dump
from r1.curation import prompted, refined, rejection, review_export, review_import
from r1.curation.card import CARD_JSON, CARD_MD, CardFile, write_card
from r1.curation.cold_start import General
from r1.curation.generate import endpoint_generate, engine_generate
from r1.curation.job import run_job
from r1.curation.journal import Record
from r1.curation.mixture import SCHEMA, mix
from r1.curation.progress import Progress
from r1.curation.prompts import EXAMPLES, Example
from r1.curation.rejection import Line
from r1.curation.settings import (
    CallSettings,
    ColdStartSettings,
    MixtureSettings,
    RejectionSettings,
    ReviewSettings,
)
from r1.curation.store import Store, read_rows
from r1.data.load import load_data
from r1.data.settings import DataSettings, SourceSettings
from r1.data.thinking import response_of
from r1.errors import UserError
from r1.evaluate.source import open_engine, resolve_model
from r1.files.shapes import read_json
from r1.judge.endpoint import Endpoint
from r1.pipeline.r1_zero import find_model
from r1.pipeline.stage_settings import (
    ExamplesStage,
    GeneralSettings,
    MixtureStage,
    PromptedStage,
    RefinedStage,
    RejectionStage,
    ReviewStage,
    part,
)
from r1.rewards.accuracy import check_reference
from r1.rewards.pool import RewardPool
from r1.rewards.registry import PromptForm
from r1.rewards.settings import RewardSettings
from r1.rollout.engine_pool import capacity
from r1.rollout.make import tell_of_room
from r1.run_dir import describe_source
from r1.sft.read import conversations
from r1.template import PromptRenderer
from r1.types import Problem

EXPORT = "export"


def counts_of(folder: Path) -> dict[str, float]:
    """What a data set's card counts: rows, and where samples were drawn prompts and samples."""
    total = read_json(folder / CARD_JSON, shape=CardFile)["total"]
    counts = {"rows": total["samples"], "prompts": total["prompts"], "sampled": total["sampled"]}
    return {name: number for name, number in counts.items() if number or name == "rows"}


def nothing_kept(folder: Path) -> str:
    """What a user is told of a data set that came out empty: the counts by reason, the remedy."""
    total = read_json(folder / CARD_JSON)["total"]
    reasons = [(name, number) for name, number in total.get("dropped", {}).items() if number]
    reasons += [("overlapping held-out", total.get("contaminated") or 0)]
    told = ", ".join(f"{name} {number:,}" for name, number in reasons if number)
    return (
        f"not one row was kept: {total['prompts']:,} prompts, {total['sampled']:,} samples"
        f"{f' ({told})' if told else ''}. There would be nothing to learn from; {folder / CARD_MD} "
        "has the counts by domain. Change the stage's filters, sampling, problems or model, and "
        "give the same command again."
    )


def load_problem_lists(
    train: tuple[SourceSettings, ...],
    heldout: tuple[SourceSettings, ...],
    rewards: RewardSettings,
    base_folder: Path,
) -> tuple[list[Problem], list[Problem]]:
    """The problems of a stage, checked; overlaps are counted where they are left out, later."""
    settings = DataSettings(train=train, heldout=heldout, decontaminate=False)
    data = load_data(settings, base_folder, partial(check_reference, settings=rewards))
    return [problem for pool in data.pools for problem in pool], data.heldout


def run_rejection(
    stage: RejectionStage,
    base_folder: Path,
    folder: Path,
    progress: Progress,
    cluster: ClusterSettings | None = None,
) -> None:
    """Sample a checkpoint and keep what is correct and readable."""
    problems, heldout = load_problem_lists(
        stage.problems, stage.heldout, stage.rewards, base_folder
    )
    model = resolve_model(find_model(stage.model, base_folder))
    with ExitStack() as stack:
        engine = stack.enter_context(open_engine(model, stage.engine, cluster))
        renderer = PromptRenderer(engine.tokenizer, stage.template)
        limit = stage.sampling.max_new_tokens
        tell_of_room(problems, renderer.encode, limit, model.path, stage.engine)
        form = PromptForm(opened=renderer.opens_think, stop=stage.sampling.stop)
        pool = stack.enter_context(RewardPool(stage.rewards, form))
        rejection.rejection_sample(
            folder,
            problems,
            Line(engine, pool, renderer),
            part(stage, RejectionSettings),
            source=identity_of(model.path),
            heldout=heldout,
            progress=progress,
            total=len(problems),
            origin=stage.origin,
        )


def run_prompted(
    stage: PromptedStage,
    base_folder: Path,
    folder: Path,
    progress: Progress,
    cluster: ClusterSettings | None = None,
) -> None:
    """Have the general model write traces for problems."""
    problems, heldout = load_problem_lists(
        stage.problems, stage.heldout, stage.rewards, base_folder
    )
    examples: tuple[Example, ...] = EXAMPLES
    if stage.examples is not None:
        rows = read_rows(Path(stage.examples))
        keys = ("language", "prompt", "thinking", "summary")
        examples = tuple(Example(*(row[key] for key in keys)) for row in rows)
    with (
        RewardPool(stage.rewards) as pool,
        open_general(stage.general, base_folder, cluster) as general,
    ):
        prompted.prompted_traces(
            folder,
            problems,
            general,
            pool,
            part(stage, ColdStartSettings),
            kind=stage.how,
            examples=examples,
            heldout=heldout,
            progress=progress,
            total=len(problems),
        )


def run_refined(
    stage: RefinedStage,
    base_folder: Path,
    folder: Path,
    progress: Progress,
    cluster: ClusterSettings | None = None,
) -> None:
    """Have the general model rewrite a data set's traces."""
    problems, _ = load_problem_lists(stage.problems, (), stage.rewards, base_folder)
    with (
        RewardPool(stage.rewards) as pool,
        open_general(stage.general, base_folder, cluster) as general,
    ):
        refined.refined_traces(
            folder,
            Path(stage.samples),
            {problem.id: problem for problem in problems},
            general,
            pool,
            part(stage, ColdStartSettings),
            progress=progress,
        )


def run_review(
    stage: ReviewStage,
    base_folder: Path,
    folder: Path,
    progress: Progress,
    cluster: ClusterSettings | None = None,
) -> None:
    """Export traces for people; import them once edited. UserError says what to edit."""
    export = folder / EXPORT
    if not (export / review_export.EXPORT).exists():
        review_export.export_review(Path(stage.samples), export)
    hashes = review_export.exported_hashes(export)
    names = (review_export.REVIEW_MD, review_export.REVIEW_JSONL)
    now = {name: describe_source(export / name).get("sha256") for name in names}
    if stage.wait and all(now[name] == hashes[name] for name in names):
        raise UserError(
            f"the traces are in {export / names[0]} (or {names[1]}) and wait for people: edit one "
            "of the two and give the same command again, or set wait = false to take them as they "
            "are."
        )
    problems, _ = load_problem_lists(stage.problems, (), stage.rewards, base_folder)
    with RewardPool(stage.rewards) as pool:
        review_import.import_review(
            folder,
            export,
            {problem.id: problem for problem in problems},
            pool,
            part(stage, ReviewSettings),
            stage.pattern,
            count_tokens=lambda text: len(text.split()),
        )


def run_mixture(
    stage: MixtureStage,
    base_folder: Path,
    folder: Path,
    progress: Progress,
    cluster: ClusterSettings | None = None,
) -> None:
    """Join data sets."""
    opened: AbstractContextManager[General | None] = nullcontext()
    if stage.general:
        opened = open_general(stage.general, base_folder, cluster)
    with opened as general:
        mix(folder, part(stage, MixtureSettings), base_folder, general, progress=progress)


def run_examples(
    stage: ExamplesStage,
    base_folder: Path,
    folder: Path,
    progress: Progress,
    cluster: ClusterSettings | None = None,
) -> None:
    """Write examples as a data set."""
    job = {"kind": "examples", "settings": dump(stage)}
    found = (c for source in stage.sources for c in conversations(source, base_folder))
    numbered = list(enumerate(found))

    def records(call: list) -> Iterator[Record]:
        for entry in call:
            number, conversation = entry.item
            turns = [
                {"role": turn["role"], "content": response_of(turn)} for turn in conversation.turns
            ]
            row = {
                "id": conversation.id or f"{folder.name}-{number}",
                "messages": turns,
                "family": stage.family,
                "language": "zh" if _is_chinese(turns[0]["content"]) else "en",
                "source": folder.name,
                "thought": "as it was",
                "num_tokens": None,
            }
            yield Record(entry.number, entry.key, stage.family, {"rows": 1}, [row])

    with Store(folder, job, SCHEMA, stage.shards) as store:
        run_job(
            store,
            numbered,
            lambda item: str(item[0]),
            records,
            CallSettings(),
            progress,
            len(numbered),
        )
        write_card(folder, store.totals, {}, "Examples")


@contextmanager
def open_general(
    settings: GeneralSettings, base_folder: Path, cluster: ClusterSettings | None = None
) -> Iterator[General]:
    """The general model of a recipe, loaded or connected."""
    if settings.endpoint is not None:
        endpoint = settings.endpoint
        generate = endpoint_generate(lambda: Endpoint(endpoint), endpoint.limits)
        yield General(generate, str(endpoint.model), lambda text: len(text.split()))
        return
    assert settings.model is not None
    model = resolve_model(find_model(settings.model, base_folder))
    with open_engine(model, settings.engine, cluster) as engine:
        renderer = PromptRenderer(engine.tokenizer, settings.template)
        yield General(
            engine_generate(engine, renderer, settings.sampling),
            identity_of(model.path),
            lambda text: len(engine.tokenizer(text).input_ids),
            capacity(engine),
        )


def identity_of(model: str) -> str:
    """A checkpoint's name and hash, the same wherever the run's folder lies."""
    described = describe_source(model)
    return f"{Path(model).name} sha256:{described.get('sha256', 'unknown')[:16]}"


def _is_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)
