"""`r1.evaluate`: what `r1 eval` does, from a script or a notebook."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from r1.config import as_toml, validate
from r1.data.settings import SourceSettings
from r1.errors import UserError
from r1.evaluation.command import evaluation_sections, run_eval_command
from r1.evaluation.source import name_of
from r1.files.shapes import made_of
from r1.intervals import Interval
from r1.run_dir import lock
from r1.run_dir.evaluation import block_files, is_evaluation, read_result
from r1.run_dir.stored import iterate_completions
from r1.terminal import progress_console


class RecipeLike(Protocol):
    """The part of `r1.Recipe` that is read here."""

    @property
    def settings(self) -> Any: ...

    @property
    def base_folder(self) -> Path: ...


Problems = RecipeLike | str | Path | Sequence[Mapping[str, Any]]
"""A recipe, whose held-out problems, template and rewards are taken; a data file; or rows with
"prompt", "reference" and what else a data file may have ("verifier", "family", ...)."""


@dataclass(frozen=True)
class EvaluationFolder:
    """The figures of an evaluation, and where they are kept."""

    folder: Path

    @property
    def summary(self) -> dict[str, Any]:
        """All figures: pass_at_1, pass_at_k, cons_at_k, by_family, outcomes, ...

        An estimate is {"value", "low", "high"}. Raises UserError while the evaluation is not done.
        """
        found = read_result(self.folder)
        if found is None:
            raise UserError(f"{self.folder} is not done; the same call of r1.evaluate carries on.")
        return found

    @property
    def pass_at_1(self) -> Interval | None:
        """The share of samples that are right, a mean over problems; None without a verdict."""
        found = self.summary["pass_at_1"]
        return None if found["value"] is None else made_of(Interval, found)

    def samples(self) -> Iterator[dict[str, Any]]:
        """Yield the samples with their judgements, problem by problem."""
        for file in block_files(self.folder):
            yield from iterate_completions(file)


def evaluate(
    model: str | os.PathLike[str],
    problems: Problems | None = None,
    *,
    out: str | Path | None = None,
    step: int | None = None,
    num_samples: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    max_new_tokens: int | None = None,
    seed: int | None = None,
    show: bool = True,
) -> EvaluationFolder:
    """Evaluate a run, a model or an endpoint on problems; return the folder of the figures.

    problems: by default those of the run's own recipe. out: where the figures and samples are
    kept, by default runs/eval-MODEL; the same call carries on there, or returns what is done. step:
    the run's checkpoint, by default the newest. The rest is as in `r1 eval`. Raises UserError for
    what the user can put right.
    """
    if not isinstance(model, str | os.PathLike):
        raise UserError(
            f"model is a {type(model).__name__}; give a run, a folder, a hub id, an endpoint or "
            '"tiny" (for an opened model, what it was opened from).'
        )
    name = os.fspath(model)
    folder = Path(out) if out is not None else Path("runs") / f"eval-{name_of(name)}"
    lock.refuse_held(folder)
    given = {
        "num_samples": num_samples,
        "temperature": temperature,
        "top_p": top_p,
        "max_new_tokens": max_new_tokens,
        "seed": seed,
    }
    console = progress_console()
    console.quiet = not show
    try:
        with _sections(problems) as sections:
            run_eval_command(name, folder, console, step=step, overrides=given, **sections)
    except UserError as error:
        raise UserError(str(error).replace("(--out)", "(out=...)")) from None
    return EvaluationFolder(folder)


def load_evaluation(path: str | Path) -> EvaluationFolder:
    """Return the evaluation in a folder of `r1 eval` or `r1.evaluate`. Raises UserError."""
    if not is_evaluation(Path(path)):
        raise UserError(f"{path} is no evaluation; give a folder of r1 eval (it has request.json).")
    return EvaluationFolder(Path(path))


@contextmanager
def _sections(problems: Problems | None) -> Iterator[dict[str, Any]]:
    """Yield what `run_eval_command` needs to know of the problems."""
    if problems is None:
        yield {}
    elif isinstance(problems, str | Path):
        yield {"sources": [_source(problems)]}
    elif isinstance(problems, Sequence):
        if not problems:
            raise UserError("problems holds no row; give at least one.")
        with TemporaryDirectory(prefix="r1-problems-") as folder:
            file = Path(folder) / "problems.jsonl"
            lines = [json.dumps(as_toml(row), ensure_ascii=False) for row in problems]
            file.write_text("\n".join(lines) + "\n", encoding="utf-8")
            try:
                yield {"sources": [_source(file)]}
            except UserError as error:  # the rows were given as a list, not as that file
                raise UserError(str(error).replace(str(file.resolve()), "problems")) from None
    else:
        yield evaluation_sections(problems.settings, problems.base_folder)


def _source(path: str | Path) -> SourceSettings:
    source = {"path": str(Path(path).resolve())}
    return validate(source, SourceSettings, "r1.evaluate(..., problems)")
