"""A file where a folder is wanted, a dead link, a full disk: told, with the remedy."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from external_suites import make_suites
from fake_run import write_run
from r1 import cli
from r1.data.places import files_below
from r1.errors import UserError
from r1.report import save_figures
from r1.run_dir import atomic

RECIPES = Path(__file__).parents[1] / "recipes"


def test_what_stands_in_a_folders_place_is_told(tmp_path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dead").symlink_to("nowhere")
    for name, said in (
        ("file", "file is a file; give the name of a folder"),
        ("link", "link is a file; give the name of a folder"),
        ("dead", "dead is a link to nowhere, which does not exist"),
        ("file/below", "file/below cannot be written"),
    ):
        with pytest.raises(UserError, match=said):
            atomic.make_folder(tmp_path / name)
    with pytest.raises(UserError, match="is a folder; give the name of a file"):
        atomic.write_text(tmp_path, "x")
    assert (tmp_path / "file").read_text() == "mine"
    assert not list(tmp_path.parent.glob(".tmp-*"))


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("places")
    make_suites(folder)
    write_run(folder / "run", 4, every=2, num_problems=2, num_eval_problems=2).close()
    (folder / "file").write_text("mine")
    return folder


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", RECIPES / "tiny/r1.toml", "--out", "FILE"], "is a file"),
        (["run", RECIPES / "tiny/r1_zero.toml", "--out", "FILE"], "is a file"),
        (["run", RECIPES / "tiny/sft.toml", "--out", "FILE/x"], "file is a file"),
        (["pretrain", RECIPES / "tiny/base.toml", "--out", "FILE"], "is a file"),
        (["reproduce", RECIPES / "claims/few_shot.toml", "--out", "FILE"], "is a file"),
        (["report", "RUN", "--figures", "FILE"], "is a file"),
        (["report", "FILE"], "is a file; give the folder of a run"),
        (["diagnose", "FILE/x"], "does not exist; give the folder of a run"),
        (["bench", "show", "BENCH", "--page", "FILE/x.html"], "is a file"),
        (["bench", "show", "BENCH", "--page", "BENCH"], "is a folder; give the name of a file"),
        (["bench", "show", "BENCH", "--data", "FILE"], "--data"),
        (["data", "/dev/null"], "is no folder and no data file"),
        (["lineage", "FILE"], "neither a pipeline, nor a run"),
    ],
    ids=lambda value: " ".join(map(str, value))[-40:] if isinstance(value, list) else "",
)
def test_a_command_is_given_the_wrong_place(places, monkeypatch, capsys, words, said) -> None:
    here = {"FILE": places / "file", "RUN": places / "run", "BENCH": places / "bench"}
    given = [str(here.get(word, word)).replace("FILE", str(places / "file")) for word in words]
    monkeypatch.setattr(sys, "argv", ["r1", *given])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert (places / "file").read_text() == "mine"


def test_a_full_disk_leaves_no_half_a_picture(places, monkeypatch) -> None:
    from matplotlib.figure import Figure

    def full(self, path, **_) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(UserError, match="the disk is full"):
        save_figures(places / "run", places / "pictures")
    assert list((places / "pictures").iterdir()) == []


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch) -> None:
    def refused(self, pattern) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/secret")

    monkeypatch.setattr(Path, "rglob", refused)
    with pytest.raises(UserError, match="/secret cannot be read"):
        files_below(tmp_path)
