"""The paper's four sources of cold-start data as stages of one run, with a general model behind an
endpoint: few-shot, direct, refined, and what people edited; a model is tuned on the result."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fake_endpoint import KEY, MODEL, FakeEndpoint
from r1.curation.store import read_rows
from r1.errors import UserError
from r1.pipeline.recipe import load_any_recipe
from r1.pipeline.run import run_recipe
from r1.progress import TerminalProgress
from small_models import save_small_model
from small_recipe import write_jsonl

RECIPE = """
kind = "r1"

[stages.direct]
kind = "prompted"
how = "direct"
problems = [{{ path = "data.jsonl" }}]
direct = {{ num_samples = 1 }}
[stages.direct.general.endpoint]
base_url = "{url}"
model = "{model}"
api_key_env = "TEST_KEY"

[stages.few]
like = "direct"
how = "few-shot"
few_shot = {{ num_samples = 1 }}

[stages.refined]
kind = "refined"
samples = "@direct"
problems = [{{ path = "data.jsonl" }}]
[stages.refined.general.endpoint]
base_url = "{url}"
model = "{model}"
api_key_env = "TEST_KEY"

[stages.review]
kind = "review"
samples = "@refined"
problems = [{{ path = "data.jsonl" }}]

[stages.cold_start]
kind = "mixture"
sources = [{{ path = "@few" }}, {{ path = "@review" }}]

[stages.dev1]
kind = "sft"
model = "model"
data = {{ train = [{{ kind = "parquet", path = "@cold_start" }}] }}
template = {{ kind = "plain" }}
batch = {{ size = 4, epochs = 1, max_steps = 1 }}
"""
THOUGHT = "First add one to the number. Then check it again by counting up from the number once."


def write_answer(prompt: str) -> str:
    """The general model: right, tidy, and with words by which its way of asking can be told."""
    number = int(re.findall(r"What is (\d+) plus 1\?", prompt)[-1]) + 1
    if "Draft:" in prompt:
        return THOUGHT + " That is the refined result."
    if "Use only" in prompt:
        return f"Adding one gives \\boxed{{{number}}}."
    how = "by example" if "in the same form" in prompt else "directly"
    return f"<think>\n{THOUGHT}\n</think>\n\nWorked {how}, it gives \\boxed{{{number}}}."


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_KEY", KEY)
    save_small_model(tmp_path / "model")
    rows = [
        {"id": f"p{i}", "prompt": f"What is {i} plus 1?", "reference": str(i + 1)} for i in range(4)
    ]
    write_jsonl(tmp_path / "data.jsonl", [{**row, "verifier": "math"} for row in rows])
    with FakeEndpoint(brain=write_answer) as endpoint:
        path = tmp_path / "r1.toml"
        path.write_text(RECIPE.format(url=endpoint.base_url, model=MODEL))
        yield path, endpoint


def run(path: Path, out: Path) -> None:
    with TerminalProgress() as progress:
        run_recipe(load_any_recipe(path), path.parent, out, progress)


def responses(folder: Path) -> list[str]:
    return [row["response"] for row in read_rows(folder)]


def test_from_four_sources_to_a_tuned_model_with_people_in_between(recipe, tmp_path) -> None:
    path, endpoint = recipe
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r"review\.md .* wait for people"):
        run(path, out)
    assert all("directly" in text for text in responses(out / "direct"))
    assert all("by example" in text for text in responses(out / "few"))
    assert all("the refined result" in text for text in responses(out / "refined"))
    assert not (out / "cold_start").exists()
    asked = endpoint.num_requests
    assert asked == 4 + 4 + 4 + 4  # direct, few-shot, refined: reasoning and summary

    edited = out / "review" / "export" / "review.jsonl"
    first, *others = edited.read_text().splitlines()
    trace = json.loads(first)
    trace["reasoning"] += " A person looked at it."
    edited.write_text("\n".join([json.dumps(trace), *others]) + "\n")
    run(path, out)
    assert endpoint.num_requests == asked  # what was written before is not asked again

    reviewed = responses(out / "review")
    assert [text for text in reviewed if "A person looked at it." in text] == reviewed[:1]
    assert len(reviewed) == 4
    mixed = [row["messages"][-1]["content"] for row in read_rows(out / "cold_start")]
    assert len(mixed) == 8
    assert sum("A person looked at it." in text for text in mixed) == 1
    marker = json.loads((out / "dev1" / "STAGE.json").read_text())
    assert marker["parents"]["data.train.0.path"]["stage"] == "cold_start"
    assert (out / "dev1" / marker["outputs"]["checkpoint"]["path"] / "config.json").is_file()


@pytest.mark.slow
def test_a_wrong_edit_stops_the_run_and_names_the_line(recipe, tmp_path) -> None:
    path, _ = recipe
    out = tmp_path / "out"
    with pytest.raises(UserError, match="wait for people"):
        run(path, out)
    edited = out / "review" / "export" / "review.jsonl"
    trace, *others = edited.read_text().splitlines()
    spoilt = trace.replace("\\\\boxed{1}", "\\\\boxed{7}")
    assert spoilt != trace
    edited.write_text("\n".join([spoilt, *others]) + "\n")
    with pytest.raises(UserError, match="review") as found:
        run(path, out)
    assert "line 1: p0/0: the answer is not verified: wrong (7 is not" in str(found.value)
    assert not (out / "review" / "STAGE.json").exists()
    edited.write_text("\n".join([trace.replace("First add", "First, add"), *others]) + "\n")
    run(path, out)
    assert (out / "dev1" / "STAGE.json").exists()
