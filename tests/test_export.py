"""A run's checkpoint leaves as a plain folder that others load, with a card of its origin."""

from __future__ import annotations

import inspect
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
from typer.testing import CliRunner

import r1
from fake_pipeline import write_pipeline
from r1 import cli
from r1.data.tiny import BASE_FOLDER
from r1.models.load import load_model, load_tokenizer
from r1.publish import export as exporting
from r1.publish.card import CardForm, model_card
from r1.publish.origin import origin_of_checkpoint
from r1.run_dir import find_checkpoint
from r1.template import PromptRenderer, TemplateSettings
from small_models import CHATML
from small_recipe import with_plain_heldout, write_recipe

TEXTS = ("What is 12 + 30?", "  中文 α ²\t\n", "<think>\n2\n</think> <answer>2</answer>")
SECTIONS = """
[grpo]
num_problems = 2
group_size = 2
[optimizer]
lr = 5e-2
[evaluation]
num_samples = 2
[checkpoints]
every = 1
keep = 0
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> dict[str, Path]:
    """A run of all weights, and one of adapters."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", str(folder))
        path = with_plain_heldout(write_recipe(folder, "llama", 2, SECTIONS))
        own = r1.load_recipe(path, data={"train": [{"path": folder / "data.jsonl"}]})
        r1.train(own, folder / "run", show=False)
        lora = {"rank": 4, "alpha": 16.0}
        adapters = r1.load_recipe(path, learner={"lora": lora}, evaluation={"num_samples": 1})
        r1.train(adapters, folder / "lora", show=False)
    return {"folder": folder, "run": folder / "run", "lora": folder / "lora"}


def logits(model: Any, tokenizer: Any) -> torch.Tensor:
    ids = torch.tensor([tokenizer(TEXTS[0])["input_ids"]])
    with torch.no_grad():
        return model(ids).logits


def test_an_exported_run_is_a_plain_model(trained, tmp_path) -> None:
    made = r1.export(trained["run"], tmp_path / "out")
    names = {path.name for path in made.folder.iterdir()}
    assert names == {
        "README.md", "chat_template.jinja", "config.json", "generation_config.json",
        "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    checkpoint = find_checkpoint(trained["run"])
    ours, plain = load_tokenizer(checkpoint), AutoTokenizer.from_pretrained(made)
    for text in TEXTS:
        assert plain(text)["input_ids"] == ours(text)["input_ids"]
    model = AutoModelForCausalLM.from_pretrained(made)
    assert torch.equal(logits(model, plain), logits(load_model(checkpoint), ours))
    # What a server asks is what the training asked.
    renderer = PromptRenderer(ours, TemplateSettings(kind="plain"))
    turns = [{"role": "user", "content": TEXTS[0]}]
    text = plain.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert tuple(plain(text, add_special_tokens=False)["input_ids"]) == renderer.encode(TEXTS[0])


def test_any_kept_checkpoint_may_be_exported(trained, tmp_path) -> None:
    first = r1.export(trained["run"], tmp_path / "one", step=1)
    last = r1.export(trained["run"], tmp_path / "two")
    weights = [(made.folder / "model.safetensors").read_bytes() for made in (first, last)]
    assert weights[0] != weights[1]
    assert "The weights after 1 updates" in (first.folder / "README.md").read_text()
    with pytest.raises(r1.UserError, match="no checkpoint of step 9"):
        r1.export(trained["run"], tmp_path / "three", step=9)


def test_the_card_tells_origin_figures_and_settings(trained, tmp_path) -> None:
    card = (r1.export(trained["run"], tmp_path / "out").folder / "README.md").read_text()
    run = r1.load_run(trained["run"])
    figure = run.evaluations[-1]["pass_at_1"]
    assert f"{figure['value']:.1%}".replace("%", " %") in card
    assert "4 held-out problems, 2 samples each" in card
    data = next(each for each in run.lineage["inputs"] if each["role"].startswith("data.train"))
    [content] = data["files"].values()
    assert f"data.train.0.path: `data.jsonl`, SHA-256 `{content['sha256'][:16]}`" in card
    assert "* **run** (r1_zero, 2 updates; seeds: run 0, evaluation 0)" in card
    assert "optimizer.lr = 0.05" in card
    assert "sampling.max_new_tokens = 12" in card
    assert 'data.train.0.path = "data.jsonl"' in card
    assert "No licence has been chosen" in card
    assert str(trained["folder"]) not in card
    assert card.startswith("---\nlibrary_name: transformers\n")


def test_the_cards_own_code_runs(trained, tmp_path, monkeypatch) -> None:
    made = r1.export(trained["run"], tmp_path / "out", licence="apache-2.0")
    card = (made.folder / "README.md").read_text()
    assert 'license: "apache-2.0"' in card
    assert not any("licence" in notice for notice in made.notices)
    code = card.split("```python\n")[1].split("```")[0]
    assert "max_new_tokens=12," in code
    monkeypatch.chdir(tmp_path)
    exec(code, {})


def test_a_base_in_a_folder_is_no_model_of_the_hub(trained, tmp_path) -> None:
    """ "models/base" looks like owner/name: the card would link to a stranger's model."""
    shutil.copytree(trained["run"], tmp_path / "run")
    shutil.copytree(trained["folder"] / "model", tmp_path / "models" / "base")
    record = tmp_path / "run" / "recipe.json"
    recipe = json.loads(record.read_text())
    for base_folder, linked in ((tmp_path, False), (tmp_path / "elsewhere", True)):
        changed = {**recipe, "model": "models/base", "base_folder": str(base_folder)}
        record.write_text(json.dumps(changed))
        card = (
            r1.export(tmp_path / "run", tmp_path / f"out{linked}").folder / "README.md"
        ).read_text()
        assert ('base_model: "models/base"' in card) is linked
        assert "from `models/base`" in card


def test_the_cards_code_asks_with_the_system_prompt_of_the_training(trained, tmp_path) -> None:
    origin = origin_of_checkpoint(trained["run"], 2)
    system = 'Think in """steps""",\nthen answer in \\boxed{}.'
    asked = {**origin.recipe, "template": {"kind": "chat", "system": system}}
    form = CardForm("out", None, False, "prompt", "AutoTokenizer")
    card = model_card(replace(origin, recipe=asked), form)
    code = card.split("```python\n")[1].split("```")[0]
    found: dict[str, Any] = {}
    exec(code[code.index("messages = [") : code.index("prompt = ")], found)
    assert found["messages"] == [
        {"role": "system", "content": system},
        {"role": "user", "content": "What is 12 + 30?"},
    ]
    assert '"system"' not in model_card(origin, form).split("```python")[1].split("```")[0]


def test_adapters_leave_apart_from_their_base_or_merged(trained, tmp_path) -> None:
    peft = pytest.importorskip("peft")
    made = r1.export(trained["lora"], tmp_path / "adapter", adapter=True)
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {
        path.name for path in made.folder.iterdir()
    }
    assert not (made.folder / "model.safetensors").exists()
    assert any("base_model_name_or_path" in notice for notice in made.notices)
    merged = r1.export(trained["lora"], tmp_path / "merged")
    tokenizer = AutoTokenizer.from_pretrained(merged)
    base = AutoModelForCausalLM.from_pretrained(trained["folder"] / "model")
    before = logits(base, tokenizer)
    apart = logits(peft.PeftModel.from_pretrained(base, str(made.folder)), tokenizer)
    whole = logits(AutoModelForCausalLM.from_pretrained(merged), tokenizer)
    assert torch.allclose(apart, whole, atol=1e-4)
    assert not torch.allclose(apart, before, atol=1e-3)
    auto = peft.AutoPeftModelForCausalLM.from_pretrained(str(made.folder))
    assert torch.allclose(logits(auto, tokenizer), apart, atol=1e-4)
    assert "AutoPeftModelForCausalLM" in (made.folder / "README.md").read_text()
    with pytest.raises(r1.UserError, match=r"without \[learner.lora\]"):
        r1.export(trained["run"], tmp_path / "none", adapter=True)


def test_what_cannot_be_exported_is_refused_and_nothing_is_written(trained, tmp_path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    with pytest.raises(r1.UserError, match="not empty; nothing was written"):
        r1.export(trained["run"], full)
    with pytest.raises(r1.UserError, match="is no run"):
        r1.export("tiny", tmp_path / "a")
    shutil.copytree(trained["run"], tmp_path / "damaged")
    weights = find_checkpoint(tmp_path / "damaged") / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(r1.UserError, match="SHA-256 differs"):
        r1.export(tmp_path / "damaged", tmp_path / "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged", "full"]
    assert [path.name for path in full.iterdir()] == ["mine.txt"]


def test_a_folder_that_cannot_be_replaced_is_refused_first(trained, tmp_path, monkeypatch) -> None:
    def copied(*_: object, **__: object) -> None:
        raise AssertionError("the work has begun")

    monkeypatch.setattr(exporting, "_copy", copied)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    for dest in (".", "", tmp_path, "missing/..", "link", "missing/deeper/.."):
        with pytest.raises(r1.UserError, match="give the name of a new folder"):
            r1.export(trained["run"], dest)
    (tmp_path / "link").unlink()
    (tmp_path / "mounted").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "mounted")
    with pytest.raises(r1.UserError, match="is a mount point; give a new folder in it"):
        r1.export(trained["run"], "mounted")
    assert [path.name for path in tmp_path.iterdir()] == ["mounted"]


def test_a_folder_may_be_named_through_others_and_links(trained, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    for dest in ("link", "empty/../other", "missing/../third"):
        made = r1.export(trained["run"], dest)
        assert (made.folder / "model.safetensors").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "link", "other", "third"]


def test_a_failure_on_the_way_leaves_nothing(trained, tmp_path, monkeypatch) -> None:
    def fail(*_: object) -> str:
        assert (tmp_path / ".tmp-out" / "model.safetensors").exists()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "model_card", fail)
    with pytest.raises(r1.UserError, match="the disk is full"):
        r1.export(trained["run"], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


class FakeHub:
    """The part of huggingface_hub.HfApi that is used; its signatures are compared below."""

    def __init__(self, known: bool = True, refuses: bool = False) -> None:
        self.known, self.refuses, self.calls = known, refuses, []

    def whoami(self, token: Any = None) -> dict[str, Any]:
        if not self.known:
            raise OSError("401 Unauthorized\nlong text")
        return {"name": "somebody"}

    def create_repo(self, repo_id: str, *, private: bool | None = None, exist_ok=False) -> str:
        self.calls.append(("create", repo_id, private))
        return f"https://hub.example/{repo_id}"

    def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> None:
        if self.refuses:
            raise RuntimeError("403 Forbidden")
        self.calls.append(("upload", repo_id, sorted(p.name for p in Path(folder_path).iterdir())))


@pytest.mark.parametrize("name", ["whoami", "create_repo", "upload_folder"])
def test_the_fake_hub_has_the_clients_signatures(name) -> None:
    from huggingface_hub import HfApi

    real = inspect.signature(getattr(HfApi, name)).parameters
    assert set(inspect.signature(getattr(FakeHub, name)).parameters) <= set(real)


def test_pushing_says_first_what_goes_where(trained, tmp_path, monkeypatch) -> None:
    hub, said = FakeHub(), []
    monkeypatch.setattr(exporting, "hub_client", lambda: hub)

    def tell(text: str) -> None:
        assert hub.calls == []
        said.append(text)

    made = r1.export(trained["run"], tmp_path / "out", push_to="me/mine", tell=tell)
    assert made.address == "https://hub.example/me/mine"
    assert "as somebody to me/mine (private)" in said[0]
    assert "model.safetensors" in said[0]
    assert [call[0] for call in hub.calls] == ["create", "upload"]
    assert hub.calls[0][2] is True
    assert "README.md" in hub.calls[1][2]
    assert 'folder = "me/mine"' in (tmp_path / "out" / "README.md").read_text()


def test_a_hub_that_refuses(trained, tmp_path, monkeypatch) -> None:
    for hub, text, written in (
        (FakeHub(known=False), r"does not know you here \(401 Unauthorized\)", False),
        (FakeHub(refuses=True), r"`hf upload me/mine .*out`", True),
    ):
        monkeypatch.setattr(exporting, "hub_client", lambda hub=hub: hub)
        with pytest.raises(r1.UserError, match=text):
            r1.export(trained["run"], tmp_path / "out", push_to="me/mine", tell=lambda _: None)
        assert (tmp_path / "out").exists() is written
    with pytest.raises(r1.UserError, match="write OWNER/NAME"):
        r1.export(trained["run"], tmp_path / "other", push_to="mine", tell=lambda _: None)


def test_the_command_says_what_is_left_to_the_user(trained, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.app, ["export", str(trained["run"]), "out"])
    assert done.exit_code == 0, done.output
    assert "No licence: choose one" in done.output
    assert "chat_template.jinja holds the prompt of the training" in done.output
    assert "Wrote out." in done.output
    refused = CliRunner().invoke(cli.app, ["export", str(trained["run"]), "b", "--public"])
    assert isinstance(refused.exception, r1.UserError)


@pytest.fixture
def from_chat_base(trained, tmp_path) -> Path:
    """A run under Table 1 whose base brought chat templates of its own."""
    run = tmp_path / "chat_base"
    shutil.copytree(trained["run"], run)
    checkpoint = find_checkpoint(run)
    (checkpoint / "chat_template.jinja").write_text(CHATML)
    (checkpoint / "additional_chat_templates").mkdir()
    (checkpoint / "additional_chat_templates" / "tool_use.jinja").write_text(CHATML)
    recipe = json.loads((run / "recipe.json").read_text())
    (run / "recipe.json").write_text(json.dumps({**recipe, "template": {"kind": "r1_zero"}}))
    return run


def asked_by_training(run: Path) -> tuple[int, ...]:
    settings = TemplateSettings(kind="r1_zero")
    return PromptRenderer(load_tokenizer(find_checkpoint(run)), settings).encode(TEXTS[0])


def ids_of_card(made: Any) -> tuple[int, ...]:
    code = (made.folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    found: dict[str, Any] = {}
    exec(code, found)
    return tuple(found["ids"]["input_ids"][0].tolist())


def test_the_trainings_prompt_takes_the_place_of_the_bases(
    from_chat_base, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = r1.export(from_chat_base, "out")
    assert not (made.folder / "additional_chat_templates").exists()
    assert any("no longer by the tokenizer's own" in notice for notice in made.notices)
    assert ids_of_card(made) == asked_by_training(from_chat_base)


def test_a_chat_template_is_exported_with_the_opened_thinking(
    from_chat_base, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    template = {"kind": "chat", "force_think": True}
    recipe = json.loads((from_chat_base / "recipe.json").read_text()) | {"template": template}
    (from_chat_base / "recipe.json").write_text(json.dumps(recipe))
    made = r1.export(from_chat_base, "out")
    assert any("added to the chat template: force_think" in notice for notice in made.notices)
    settings = TemplateSettings.model_validate(template)
    asked = PromptRenderer(load_tokenizer(find_checkpoint(from_chat_base)), settings)
    assert ids_of_card(made) == asked.encode(TEXTS[0])
    again = PromptRenderer(load_tokenizer(made.folder), settings)  # r1 itself reads it so, too
    assert again.encode(TEXTS[0]) == asked.encode(TEXTS[0])


@pytest.mark.parametrize("closes", [False, True])
def test_a_prompt_that_no_template_gives_is_sent_as_it_is(
    from_chat_base, tmp_path, monkeypatch, closes
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exporting, "served_template", lambda *_: None)
    made = r1.export(from_chat_base, "out")
    assert any("send it the prompt itself" in notice for notice in made.notices)
    assert (made.folder / "chat_template.jinja").read_text() == CHATML
    if closes:  # every text, as some tokenizers do
        file = made.folder / "tokenizer.json"
        tokenizer = PreTrainedTokenizerFast.from_pretrained(made.folder)
        special = [(tokenizer.eos_token, tokenizer.eos_token_id)]
        single = f"$A {tokenizer.eos_token}"
        processor = TemplateProcessing(single=single, special_tokens=special)
        tokenizer.backend_tokenizer.post_processor = processor
        tokenizer.backend_tokenizer.save(str(file))
    assert ids_of_card(made) == asked_by_training(from_chat_base)


def test_a_tokenizer_that_transformers_reads_otherwise_is_told_of(
    trained, tmp_path, monkeypatch
) -> None:
    """For some types of models it takes its own class, whatever tokenizer.json says."""
    other = load_tokenizer(BASE_FOLDER)
    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", lambda *_, **__: other)
    made = r1.export(trained["run"], tmp_path / "out")
    assert any(note.startswith("AutoTokenizer takes transformers' own") for note in made.notices)
    card = (made.folder / "README.md").read_text()
    assert "PreTrainedTokenizerFast.from_pretrained(folder)" in card
    assert "AutoTokenizer" not in card


@pytest.mark.parametrize(
    "stages",
    [
        {"r1": {"model": "@dev3"}, "dev3": {"model": "@r1"}},
        {"r1": {"like": "dev3"}, "dev3": {"like": "r1"}},
        {"r1": {"like": "gone"}},
    ],
)
def test_stages_that_lead_in_circles_have_no_base(tmp_path, stages) -> None:
    """A pipeline got from somebody else; following them took for ever."""
    write_pipeline(tmp_path / "pipeline")
    file = tmp_path / "pipeline" / "pipeline.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, "recipe": {"stages": stages}}))
    run = tmp_path / "pipeline" / "r1" / "run"
    recipe = json.loads((run / "recipe.json").read_text())
    (run / "recipe.json").write_text(json.dumps({**recipe, "model": "mine"}))
    assert origin_of_checkpoint(run, 8).base == "mine"
