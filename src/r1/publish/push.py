"""`r1 export --push ID`: upload an exported folder to the Hugging Face Hub.

The account is checked before anything is written; a repository is made private unless asked
otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from r1.errors import UserError


def hub_client() -> Any:
    """Return the hub's client."""
    from huggingface_hub import HfApi

    return HfApi()


def check_account(client: Any, repo_id: str) -> str:
    """Return the account that would upload. Raises UserError without one, or for an id that is
    none."""
    owner, _, name = repo_id.partition("/")
    if not owner or not name or "/" in name:
        raise UserError(f"--push {repo_id!r} is no id of a repository; write OWNER/NAME.")
    try:
        return str(client.whoami()["name"])
    except Exception as error:  # the client's own, httpx's, and OSError without a network
        raise UserError(
            f"--push: the hub does not know you here ({_first_line(error)}). Log in with "
            "`hf auth login`, or set HF_TOKEN; or leave --push out and upload the folder later."
        ) from error


def describe_upload(folder: Path, repo_id: str, account: str, private: bool) -> str:
    """Return what would be uploaded, file by file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    total = sum(path.stat().st_size for path in files)
    kind = "private" if private else "public"
    lines = [f"Uploading {len(files)} files, {total:,} bytes, as {account} to {repo_id} ({kind}):"]
    lines += [f"  {path.relative_to(folder)}  {path.stat().st_size:,} bytes" for path in files]
    return "\n".join(lines)


def push(
    client: Any, folder: Path, repo_id: str, private: bool, tell: Callable[[str], None]
) -> str:
    """Upload a folder and return its address; tell is called first with what will be uploaded.

    Raises UserError where the upload fails; the folder stays.
    """
    account = check_account(client, repo_id)
    tell(describe_upload(folder, repo_id, account, private))
    try:
        url = client.create_repo(repo_id, private=private, exist_ok=True)
        client.upload_folder(
            repo_id=repo_id, folder_path=str(folder), commit_message="Exported by r1"
        )
    except Exception as error:
        raise UserError(
            f"the upload to {repo_id} failed ({_first_line(error)}). {folder} is complete: upload "
            f"it again with `hf upload {repo_id} {folder}`."
        ) from error
    return str(url)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "")[:300] or type(error).__name__
