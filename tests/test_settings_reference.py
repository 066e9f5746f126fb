"""Every setting says what it is, and `r1 settings` shows it as the code has it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from r1 import cli
from r1.algorithms.registry import algorithms
from r1.errors import UserError
from r1.setting_hints import classes_of, setting_paths, settings_classes
from r1.settings_page import markdown, shown
from r1.settings_reference import LEFT_OUT, REQUIRED, find, leaves, schemas, tree_of, type_name

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
CLASSES = list(
    dict.fromkeys(inner for schema in schemas().values() for inner in classes_of(schema))
)
UNITS = {
    "_s": "second", "_mb": "MB", "_gib": "GiB", "_tokens": "token", "_steps": "step",
    "_words": "word", "_chars": "character", "timeout_s": "in seconds",
}  # fmt: skip
OWN_WORDS = frozenset({"of", "the", "a", "in", "is"})


def described(schema: type[BaseModel]) -> list[tuple[str, str]]:
    """Name and description of each setting; sections have the words of their class."""
    return [
        (name, field.description or "")
        for name, field in schema.model_fields.items()
        if not settings_classes(field.annotation)
    ]


@pytest.mark.parametrize("schema", CLASSES, ids=lambda schema: schema.__name__)
def test_every_setting_says_what_it_is_and_its_unit(schema) -> None:
    assert schema.__doc__, f"{schema.__name__} has no docstring"
    for name, text in described(schema):
        where = f"{schema.__name__}.{name}: {text!r}"
        assert text, f"{schema.__name__}.{name} has no description"
        words = set(re.findall(r"\w+", text.lower()))
        assert len(words - set(name.split("_")) - OWN_WORDS) >= 1, f"{where} repeats the name"
        assert not text.endswith("."), where
        assert len(text) <= 320, f"{where} is no line or two"
        for ending, unit in UNITS.items():
            if name.endswith(ending):
                assert unit in text, f"{where} does not say its unit, {unit}"


def test_the_page_is_what_the_command_gives() -> None:
    told = "run: r1 settings --markdown > docs/settings.md"
    assert PAGE.read_text() == markdown(), told
    assert CliRunner().invoke(cli.app, ["settings", "--markdown"]).output == markdown()


def test_the_page_has_every_setting_and_its_links_lead_somewhere() -> None:
    page = PAGE.read_text()
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9_-]", "", heading.lower()) for heading in headings}
    assert len(anchors) == len(headings)
    assert set(re.findall(r"\]\(#(.*?)\)", page)) <= anchors
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert rows == {name for schema in CLASSES for name, _ in described(schema)}


@pytest.mark.parametrize("kind", schemas())
def test_a_kind_has_all_its_settings_with_their_defaults(kind) -> None:
    schema, found = schemas()[kind], dict(leaves(tree_of(kind)))
    sections = {
        path for path in setting_paths(schema) if any(p.startswith(f"{path}.") for p in found)
    }
    assert found.keys() == set(setting_paths(schema)) - sections
    for name, _ in described(schema):
        default, field = found[name].default, schema.model_fields[name]
        value = field.get_default(call_default_factory=True)
        if field.is_required() or value is None:
            assert default == (REQUIRED if field.is_required() else LEFT_OUT)
        else:
            assert written(default) == json.loads(json.dumps(value))
    assert all(written(setting.default) is not None for setting in found.values())


def written(default: str) -> object:
    """What a default means in a recipe."""
    return default if default in (REQUIRED, LEFT_OUT) else tomllib.loads(f"_ = {default}")["_"]


def test_defaults_are_those_of_the_place() -> None:
    assert found("checkpoints.every") == {"r1_zero": "10", "dpo": "50"}
    assert found("template.kind") == {"r1_zero": '"r1_zero"', "dpo": '"chat"'}
    assert found("prompted.keep.cap") == {"prompted": "1"}
    assert found("rejection.keep.cap") == {"rejection": "4"}


def found(section: str) -> dict[str, str]:
    """The default of a setting by the first kind of each variant."""
    return {one.kinds[0]: one.node.settings[0].default for one in find(section)}


def test_a_section_of_several_kinds_is_shown_once_for_all_that_have_it_so() -> None:
    [sampling] = find("sampling")
    assert sampling.kinds[:3] == ("r1_zero", "preferences", "rejection")
    assert [one.kinds[0] for one in find("optimizer")] == ["r1_zero", "dpo", "reward_model", "sft"]
    assert find("r1_zero.sampling")[0].node == sampling.node


def test_what_comes_again_is_referred_to_with_what_differs() -> None:
    parts = {part.node.path: part for part in shown(tree_of("prompted"), {})}
    assert parts["direct"].same_as == "[few_shot]"
    assert parts["direct"].changes == ()
    seen: dict = {}
    list(shown(tree_of("r1_zero"), seen, "r1_zero"))
    again = {part.node.path: part for part in shown(tree_of("sft"), seen, "sft")}
    assert again["checkpoints"].same_as == "r1_zero.checkpoints"
    assert again["checkpoints"].changes == ("every = 50",)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("engin", "'engine'"), ("learning_rate", "optimizer.lr"), ("sft.bacth", "'batch'"),
        ("vllm", "engine.vllm"), ("r1zero.sampling", "'r1_zero.sampling'"), ("stf", "'sft'"),
        ("batch.unt", "'batch.unit'"), ("output_dir", "--out"), ("dance", "kinds: r1_zero, dpo"),
        ("", "kinds:"), ("r1_zero.", "'r1_zero'"), ("sampling.", "'sampling'"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_refused_with_the_nearest(wrong, hint) -> None:
    with pytest.raises(UserError, match="no kind of recipe, section or setting is called") as told:
        find(wrong)
    assert hint in str(told.value)


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("section", [None, "r1_zero", "prompted", "evaluation", "optimizer.lr"])
def test_a_narrow_terminal_shows_every_word(section, columns, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    words = ["settings"] if section is None else ["settings", section]
    done = CliRunner().invoke(cli.app, words)
    assert done.exit_code == 0
    lines = done.output.splitlines()
    longest = max(lines, key=len)
    assert len(longest) <= columns or " " not in longest.strip(), longest
    assert not any(line != line.rstrip() for line in lines)
    assert "\x1b" not in done.output
    flat = " ".join(done.output.split())
    for one in find(section) if section else []:
        for setting in one.node.settings:
            assert " ".join(setting.description.split()) in flat
            assert f"{setting.name} " in flat


def test_types_are_named_in_words() -> None:
    names = [type_name(of) for of in (int, tuple[str, ...], dict[str, float], float | None)]
    assert names == ["whole number", "list of texts", "table of numbers", "number"]
    assert dict(leaves(tree_of("r1_zero")))["optimizer.betas"].type == "list of 2 numbers ≥ 0, < 1"
    temperature = dict(leaves(tree_of("r1_zero")))["rewards.judge.temperature"]
    assert temperature.type == 'number ≥ 0 | "endpoint"'


def test_an_rl_recipe_has_few_settings() -> None:
    """Each counts once, wherever it stands; of the algorithms, GRPO's."""
    others = {found.settings for name, found in algorithms().items() if name != "grpo"}
    found = {
        (
            next(c for c in reversed(schema.__mro__) if name in vars(c).get("__annotations__", ())),
            name,
        )
        for schema in set(classes_of(schemas()["r1_zero"])) - others
        for name, _ in described(schema)
    }
    assert len(found) <= 165, "make a constant of another, or derive it"


def test_the_page_takes_no_section() -> None:
    done = CliRunner().invoke(cli.app, ["settings", "sft", "--markdown"])
    assert isinstance(done.exception, UserError)
