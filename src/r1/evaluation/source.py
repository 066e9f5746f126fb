"""Resolve the model that a user names: a run, a stage of a whole recipe, a model, an endpoint.

A run contains its resolved recipe: by default it is evaluated, and chats, with the template, the
limits and the held-out problems of its training.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from r1.cluster.settings import ClusterSettings
from r1.config import Settings, validate
from r1.data.tiny import MODELS
from r1.endpoint.settings import SampledEndpointSettings, endpoint_settings, is_endpoint
from r1.errors import UserError
from r1.evaluation.settings import EvaluationSettings
from r1.files.shapes import read_json
from r1.models.catalogue import refuse_missing
from r1.models.folder import refuse_reward_model
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.run_dir import find_checkpoint, is_run, training_run
from r1.template import PromptRenderer, Renderer, TemplateSettings

if TYPE_CHECKING:
    from r1.rollout.protocol import Engine, LoadedEngine

S = TypeVar("S", bound=Settings)


class OpenedModel(NamedTuple):
    """A model that is ready to be sampled, with the form of its prompts."""

    engine: Engine
    renderer: Renderer


class ModelSource(NamedTuple):
    """A model to load. path: a folder in the Hugging Face layout, a hub id, or URL#model.

    step: the updates behind it, 0 where unknown; recipe: that of its run, {} without a run;
    endpoint: where it is sampled, if it is not loaded.
    """

    path: str
    step: int = 0
    recipe: dict[str, Any] = {}  # noqa: RUF012 (never changed)
    endpoint: SampledEndpointSettings | None = None

    def settings(self, section: str, schema: type[S], given: S | None = None) -> S:
        """Return `given`, else the run's own section, else the defaults."""
        if given is not None:
            return given
        return validate(self.recipe.get(section, {}), schema, f"{section} of the run's recipe")


def find_model(name: str, base_folder: Path) -> str:
    """Resolve a recipe's `model`: a shipped base ("tiny"), a folder, or a hub id.

    A relative path is looked for from the working folder, then from the recipe's.
    """
    if name in MODELS:
        return str(MODELS[name])
    for path in (Path(name).expanduser(), base_folder / name):
        if path.exists():
            return str(path)
    return name


def find_weights(name: str, base_folder: Path) -> str:
    """Resolve a recipe's `model` to what is loaded: of a run it is its newest checkpoint.

    Raises UserError as `resolve_model` does.
    """
    return resolve_model(find_model(name, base_folder)).path


def name_of(model: str) -> str:
    """Return a folder's name for a model: the last part of a path, an endpoint's model."""
    if is_endpoint(model):
        return re.sub(r"[^\w.-]+", "-", model.partition("#")[2]).strip("-.") or "endpoint"
    return Path(model).resolve().name


def resolve_model(name: str, step: int | None = None, overrides: Sequence[str] = ()) -> ModelSource:
    """Resolve `name`: "tiny", a run (its newest checkpoint), a folder, a hub id, URL#model.

    A run of the whole recipe means its stage r1; RUN/NAME any other. step: the checkpoint of a run
    to take instead of the newest. overrides: `endpoint.KEY=VALUE`, of an endpoint. Raises UserError
    where there is none, or where a step is asked of something that is not a run.
    """
    if step is None and is_endpoint(name):
        return ModelSource(name, endpoint=endpoint_settings(name, overrides))
    if overrides:
        raise UserError(f"{name} is no endpoint, so {overrides[0]} changes nothing; leave it out.")
    folder = training_run(Path(name))
    if is_run(folder):
        checkpoint = find_checkpoint(folder, step)
        return ModelSource(str(checkpoint), _step_of(checkpoint), _recipe(folder))
    if step is not None:
        raise UserError(f"{name} is not a run, so it has no step {step}; leave the step out.")
    if name in MODELS and not folder.exists():
        return ModelSource(str(MODELS[name]))
    if folder.parent.name == "checkpoints" and is_run(folder.parent.parent):
        checkpoint = find_checkpoint(folder.parent.parent, _step_of(folder))
        return ModelSource(str(checkpoint), _step_of(checkpoint), _recipe(folder.parent.parent))
    refuse_missing(name)
    return ModelSource(name)


def choose_template(source: ModelSource, given: TemplateSettings | None = None) -> TemplateSettings:
    """Return the given template, else the run's, else the chat template if the model has one.

    A model without a chat template is a base: it gets the paper's Table 1. Raises UserError for one
    that an endpoint cannot apply, and for a reward model, which no prompt can ask.
    """
    if source.endpoint is not None:
        given = given or TemplateSettings(kind="chat")
        renderer_of(source, given)
        return given
    refuse_reward_model(source.path)
    if given is not None or "template" in source.recipe:
        return source.settings("template", TemplateSettings, given)
    from r1.models.load import check_model_folder, load_tokenizer

    check_model_folder(source.path)
    has_template = getattr(load_tokenizer(source.path), "chat_template", None)
    return TemplateSettings(kind="chat" if has_template else "r1_zero")


def sampling_of(source: ModelSource) -> SamplingSettings:
    """Return how a model is sampled where nothing else is said: the evaluation's T = 0.6 and
    top-p 0.95, with the limit of its training."""
    evaluation = source.settings("evaluation", EvaluationSettings)
    return evaluation.sampling(source.settings("sampling", SamplingSettings))


def load_engine(source: ModelSource, settings: EngineSettings) -> LoadedEngine:
    """Load the model and its tokenizer into an engine. Raises UserError if they cannot be loaded.

    Close it when done.
    """
    from r1.rollout.make import make_engine

    if source.endpoint is not None:
        raise UserError(f"{source.path} is an endpoint; name a model that can be loaded here.")
    return make_engine(source.path, settings)


@contextmanager
def open_engine(
    source: ModelSource, settings: EngineSettings, cluster: ClusterSettings | None = None
) -> Iterator[LoadedEngine]:
    """The model's engine, in this process or as replicas on a cluster; closed at the end.

    Without a cluster nothing of Ray is imported. Raises UserError for what cannot be loaded or
    placed.
    """
    if cluster is None:
        with closing(load_engine(source, settings)) as engine:
            yield engine
        return
    from r1.cluster.offline import open_replicas

    with open_replicas(source.path, settings, cluster) as replicas:
        yield replicas


@contextmanager
def open_sampler(
    source: ModelSource,
    template: TemplateSettings,
    settings: EngineSettings,
    cluster: ClusterSettings | None = None,
    kept: Path | None = None,
) -> Iterator[OpenedModel]:
    """The model ready to be sampled, loaded or behind its endpoint; closed at the end.

    kept: the file that keeps an endpoint's samples. Raises UserError as `open_engine` does, and
    where an endpoint, its key or its model cannot work.
    """
    if source.endpoint is not None:
        from r1.endpoint.engine import EndpointEngine, EndpointRenderer

        renderer = EndpointRenderer(template)
        with closing(EndpointEngine(source.endpoint, kept, template.system)) as endpoint:
            yield OpenedModel(endpoint, renderer)
        return
    with open_engine(source, settings, cluster) as engine:
        yield OpenedModel(engine, PromptRenderer(engine.tokenizer, template))


def renderer_of(source: ModelSource, template: TemplateSettings) -> Renderer:
    """Return how a model's prompts are written, without loading the model. Raises UserError."""
    if source.endpoint is not None:
        from r1.endpoint.engine import EndpointRenderer

        return EndpointRenderer(template)
    from r1.models.load import load_tokenizer

    return PromptRenderer(load_tokenizer(source.path), template)


def context_of_source(source: ModelSource, settings: EngineSettings) -> int | None:
    """Return the token limit of prompt and response together; None where an endpoint has it."""
    from r1.rollout.make import engine_context

    return None if source.endpoint is not None else engine_context(source.path, settings)


def check_replicas(source: ModelSource, settings: EngineSettings, cluster: ClusterSettings) -> None:
    """Compare the needs of a model's replicas with the cluster before importing heavy libraries.

    Raises UserError.
    """
    from r1.cluster.needs import Demand, engine_needs
    from r1.cluster.ray_placement import check_early

    check_early([Demand("", cluster.replicas_alone(), engine_needs(settings, source.path))])


def _recipe(run: Path) -> dict[str, Any]:
    return read_json(run / "recipe.json", {})


def _step_of(checkpoint: Path) -> int:
    number = checkpoint.name.removeprefix("step-")
    if not number.isdigit():
        raise UserError(f"{checkpoint} is not a checkpoint: its name is not step-NNNNNN.")
    return int(number)
