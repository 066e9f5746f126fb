"""A task of SWE-bench, and its repository's files at the base commit.

A repository is a clone beside the rows: repos/OWNER__NAME, bare or not. Files come out of it by
`git archive`, so that no run sees its history, in which the fix stands.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1.data.rows import RowError, shown
from r1.errors import UserError
from r1.files.json_text import FormatError, parse_json

_TIMEOUT_S = 300.0
_MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True)
class SweInstance:
    """One row. fail_to_pass, pass_to_pass: test ids; both empty where the row lacks them, and then
    the official harness alone can judge. clone: of its repository."""

    id: str
    repo: str
    base_commit: str
    issue: str
    gold_patch: str
    test_patch: str
    fail_to_pass: tuple[str, ...]
    pass_to_pass: tuple[str, ...]
    clone: Path

    @property
    def is_judged_here(self) -> bool:
        return bool(self.fail_to_pass and self.test_patch)


def read_instance(row: Mapping[str, Any], folder: Path) -> SweInstance:
    """A row's task. folder: what holds repos/. Raises RowError for an odd row."""
    texts = {}
    for column in ("instance_id", "repo", "base_commit", "problem_statement", "patch"):
        value = row.get(column)
        if not isinstance(value, str) or not value.strip():
            raise RowError(f"{column} is {shown(value)}; it must be a text that is not empty")
        texts[column] = value
    name = texts["repo"].replace("/", "__")
    if not all(
        part.replace("-", "").replace("_", "").replace(".", "").isalnum()
        for part in (name, texts["instance_id"])
    ):
        raise RowError("repo and instance_id must be plain names")
    if not texts["base_commit"].isalnum():
        raise RowError(f"base_commit is {shown(texts['base_commit'])}, and no commit")
    return SweInstance(
        id=texts["instance_id"],
        repo=texts["repo"],
        base_commit=texts["base_commit"],
        issue=texts["problem_statement"],
        gold_patch=texts["patch"],
        test_patch=str(row.get("test_patch") or ""),
        fail_to_pass=_ids(row, "FAIL_TO_PASS"),
        pass_to_pass=_ids(row, "PASS_TO_PASS"),
        clone=folder / "repos" / name,
    )


def _ids(row: Mapping[str, Any], column: str) -> tuple[str, ...]:
    """A list of test ids, in the original a JSON list as text."""
    value = row.get(column) or []
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except FormatError as fault:
            raise RowError(f"{column}: {fault}") from None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise RowError(f"{column} must be a list of test ids")
    return tuple(value)


def files_at_base(instance: SweInstance) -> dict[str, str]:
    """The repository's text files at the base commit: path -> text.

    Raises UserError where there is no clone or it lacks the commit.
    """
    if not instance.clone.is_dir():
        raise UserError(
            f"{instance.id} needs a clone of {instance.repo} in {instance.clone}: "
            f"git clone --bare https://github.com/{instance.repo} {instance.clone}"
        )
    command = ["git", "-C", str(instance.clone), "archive", "--format=tar", instance.base_commit]
    done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()[:200]
        raise UserError(
            f"{instance.clone} does not give commit {instance.base_commit[:12]} ({said}); fetch it."
        )
    files: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            if content is None or member.size > _MAX_FILE_BYTES:
                continue
            try:
                files[member.name] = content.read().decode("utf-8")
            except UnicodeDecodeError:
                continue
    return files
