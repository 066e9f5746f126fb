"""Read a model's shape from its config.json, without its weights (torch-free).

Parameters are counted from the dimensions (matrices, biases, norms), for dense decoders (Qwen2,
Qwen3, Llama) and for DeepSeek-V3's: multi-head latent attention and routed experts (DeepSeek-V3
technical report, arXiv 2412.19437, section 2.1). The models of recipes/ are known by name; their
dimensions are those of the config.json published with each.

Left out on purpose: DeepSeek-V3's multi-token-prediction module (not part of the 671B, and not
trained here), and architectures of other kinds, which are refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from r1.data.tiny import MODELS
from r1.errors import UserError
from r1.files.json_text import FormatError
from r1.files.shapes import fitted, read_json
from r1.run_dir import find_checkpoint, is_run, training_run

DENSE = ("qwen2", "qwen3", "llama", "mistral")
KINDS = (*DENSE, "deepseek_v3")


class UnknownModelError(UserError):
    """A model's dimensions are unknown; the message names what is missing."""


@dataclass(frozen=True)
class Experts:
    """A mixture of experts: each token passes the shared ones and `chosen` of the routed ones."""

    routed: int
    chosen: int
    shared: int
    ffn: int
    first_layer: int


@dataclass(frozen=True)
class ModelShape:
    """The dimensions that determine arithmetic and memory.

    parameters: all of them. matmul_parameters: those that multiply each token, i.e. without the
    input embedding (a look-up) and without the experts a token does not visit, but with the output
    head, tied or not; the N of 2ND and 6ND. active_parameters: what model cards call active, the
    embedding included. key_width, value_width: of one head. kv_per_token: numbers that the cache
    keeps for one token, all layers together. largest_layer: parameters of the largest layer.
    qk_norms: queries and keys have norms of their own (Qwen3). latent: keys and values are
    cached as one latent (DeepSeek-V3).
    """

    name: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    key_width: int
    value_width: int
    ffn: int
    vocab: int
    tied: bool
    experts: Experts | None
    context: int
    parameters: int
    active_parameters: int
    matmul_parameters: int
    kv_per_token: int
    largest_layer: int
    qk_norms: bool = False
    latent: bool = False


def routed_parameters(shape: ModelShape) -> float:
    """Return the number of parameters of all routed experts."""
    if shape.experts is None:
        return 0.0
    layers = shape.layers - shape.experts.first_layer
    return 3.0 * shape.width * shape.experts.ffn * shape.experts.routed * layers


def is_tiny(shape: ModelShape) -> bool:
    """Whether it is a shipped base of the tiny world."""
    return shape.name in MODELS


def shape_of(name: str, base_folder: Path = Path()) -> ModelShape:
    """Return the shape of a recipe's `model`: a shipped base ("tiny"), a folder, a run, a name.

    A folder, of a model or a run, is looked for from the working folder, then from base_folder. A
    hub id is known where it is one of PUBLISHED or its config.json lies in the local hub cache.

    Raises UnknownModelError for a name that none of these know, and for a config it cannot count.
    """
    if name in MODELS:
        return read_shape(MODELS[name], name)
    for path in (Path(name).expanduser(), base_folder / name):
        if path.is_dir():
            run = training_run(path)
            return read_shape(find_checkpoint(run) if is_run(run) else path, name)
    if (config := published(name)) is not None:
        return shape_from_config(config, name)
    if (cached := _in_hub_cache(name)) is not None:
        return read_shape(cached, name)
    known = ", ".join(PUBLISHED)
    raise UnknownModelError(
        f"model {name}: its dimensions are not known here; give a folder that holds its "
        f"config.json, or one of {known}."
    )


def published(name: str) -> dict[str, Any] | None:
    """Return the published config of one of PUBLISHED, named with or without its owner."""
    wanted = name.rsplit("/", 1)[-1].lower()
    return next((c for n, c in PUBLISHED.items() if n.rsplit("/", 1)[-1].lower() == wanted), None)


_SIZES = ("_size", "_heads", "_layers", "_dim", "_rank", "_experts", "_replace", "_per_tok")
_Size = Annotated[int, Field(ge=0, le=1 << 40)]


def read_shape(folder: Path, name: str) -> ModelShape:
    """Return the shape of a model in a folder of the Hugging Face layout. Raises
    UnknownModelError."""
    file = folder / "config.json"
    try:
        values = read_json(file, finite=False)
    except UserError as error:
        raise UnknownModelError(str(error)) from None
    if values is None:
        raise UnknownModelError(f"{folder} has no config.json; give a model's folder.")
    return shape_from_config(values, name)


def shape_from_config(config: Mapping[str, Any], name: str) -> ModelShape:
    """Count a model from the values of its config.json. Raises UnknownModelError."""
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in KINDS:
        raise UnknownModelError(
            f"model {name}: models of type {kind!r} are not counted (only {', '.join(KINDS)}). "
            "It can train all the same; to plan, name a model of its size that is counted, such as "
            "--set model=Qwen/Qwen2.5-1.5B."
        )
    try:
        numbers = {k: v for k, v in config.items() if k.endswith(_SIZES) and v is not None}
        fitted(numbers, dict[str, _Size])
        return _count(config, name, kind)
    except FormatError as fault:
        raise UnknownModelError(f"model {name}: its config.json: {fault}.") from None
    except KeyError as error:
        raise UnknownModelError(f"model {name}: its config.json has no {error}.") from None


def _count(config: Mapping[str, Any], name: str, kind: str) -> ModelShape:
    layers, width = config["num_hidden_layers"], config["hidden_size"]
    heads, vocab = config["num_attention_heads"], config["vocab_size"]
    latent = kind == "deepseek_v3"
    kv_heads = heads if latent else config.get("num_key_value_heads") or heads
    if latent:
        key_width = config["qk_nope_head_dim"] + config["qk_rope_head_dim"]
        value_width = config["v_head_dim"]
        attention = _latent_attention(config, heads, width)
        kv_per_token = layers * (config["kv_lora_rank"] + config["qk_rope_head_dim"])
    else:
        key_width = value_width = config.get("head_dim") or width // heads
        attention = _grouped_attention(config, kind, heads, kv_heads, width, key_width)
        kv_per_token = layers * kv_heads * (key_width + value_width)
    experts = _experts(config) if latent else None
    dense_ffn = 3 * width * config["intermediate_size"]
    if config.get("mlp_bias"):
        dense_ffn += 2 * config["intermediate_size"] + width
    dense_layers = experts.first_layer if experts else layers
    own = layers * (attention + 2 * width) + dense_layers * dense_ffn + width
    total = active = own
    moe = 0
    if experts:
        one = 3 * width * experts.ffn
        router = width * experts.routed
        moe = (experts.routed + experts.shared) * one + router
        total += (layers - dense_layers) * moe
        active += (layers - dense_layers) * ((experts.chosen + experts.shared) * one + router)
    tied = bool(config.get("tie_word_embeddings", False))
    table = vocab * width
    return ModelShape(
        name=name,
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=kv_heads,
        key_width=key_width,
        value_width=value_width,
        ffn=config["intermediate_size"],
        vocab=vocab,
        tied=tied,
        experts=experts,
        context=config.get("max_position_embeddings", 0),
        parameters=total + (1 if tied else 2) * table,
        active_parameters=active + (1 if tied else 2) * table,
        matmul_parameters=active + table,
        kv_per_token=kv_per_token,
        largest_layer=attention + 2 * width + max(dense_ffn, moe),
        qk_norms=kind == "qwen3",
        latent=latent,
    )


def _grouped_attention(
    config: Mapping[str, Any], kind: str, heads: int, kv_heads: int, width: int, head: int
) -> int:
    """Count query, key, value and output matrices; Qwen2 has biases on the first three."""
    count = 2 * width * heads * head + 2 * width * kv_heads * head
    if kind == "qwen2" or config.get("attention_bias"):
        count += (heads + 2 * kv_heads) * head
    if kind != "qwen2" and config.get("attention_bias"):
        count += width
    return count + (2 * head if kind == "qwen3" else 0)


def _latent_attention(config: Mapping[str, Any], heads: int, width: int) -> int:
    """Count DeepSeek-V3's attention: low-rank queries and keys/values with norms."""
    nope, rope, value = (config[f"{n}_head_dim"] for n in ("qk_nope", "qk_rope", "v"))
    query_rank, kv_rank = config.get("q_lora_rank"), config["kv_lora_rank"]
    if query_rank:
        count = query_rank * (width + 1 + heads * (nope + rope))
    else:
        count = width * heads * (nope + rope)
    count += width * (kv_rank + rope) + kv_rank + kv_rank * heads * (nope + value)
    return count + heads * value * width


def _experts(config: Mapping[str, Any]) -> Experts:
    return Experts(
        routed=config["n_routed_experts"],
        chosen=config["num_experts_per_tok"],
        shared=config.get("n_shared_experts") or 0,
        ffn=config["moe_intermediate_size"],
        first_layer=config.get("first_k_dense_replace", 0),
    )


def _in_hub_cache(name: str) -> Path | None:
    if name.count("/") != 1:
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json")
    return Path(found).parent if isinstance(found, str) else None


def _dense(kind: str, sizes: str, tied: bool, context: int) -> dict[str, Any]:
    """Return the shape of a dense model. sizes: layers, width, heads, key/value heads, feed-forward
    width, vocabulary."""
    layers, width, heads, kv_heads, ffn, vocab = (int(size) for size in sizes.split())
    return {
        "model_type": kind,
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": ffn,
        "vocab_size": vocab,
        "tie_word_embeddings": tied,
        "max_position_embeddings": context,
    }


_DEEPSEEK_V3: dict[str, Any] = {
    **_dense("deepseek_v3", "61 7168 128 128 18432 129280", False, 163_840),
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "n_routed_experts": 256,
    "num_experts_per_tok": 8,
    "n_shared_experts": 1,
    "moe_intermediate_size": 2048,
    "first_k_dense_replace": 3,
}

PUBLISHED: dict[str, dict[str, Any]] = {
    "Qwen/Qwen2.5-1.5B": _dense("qwen2", "28 1536 12 2 8960 151936", True, 131_072),
    "Qwen/Qwen2.5-Math-1.5B": _dense("qwen2", "28 1536 12 2 8960 151936", True, 4096),
    "Qwen/Qwen2.5-Math-7B": _dense("qwen2", "28 3584 28 4 18944 152064", False, 4096),
    "Qwen/Qwen2.5-7B": _dense("qwen2", "28 3584 28 4 18944 152064", False, 131_072),
    "Qwen/Qwen2.5-14B": _dense("qwen2", "48 5120 40 8 13824 152064", False, 131_072),
    "Qwen/Qwen2.5-32B": _dense("qwen2", "64 5120 40 8 27648 152064", False, 131_072),
    "meta-llama/Llama-3.1-8B": _dense("llama", "32 4096 32 8 14336 128256", False, 131_072),
    "meta-llama/Llama-3.3-70B-Instruct": _dense(
        "llama", "80 8192 64 8 28672 128256", False, 131_072
    ),
    "deepseek-ai/DeepSeek-V3-Base": _DEEPSEEK_V3,
    "deepseek-ai/DeepSeek-V3": _DEEPSEEK_V3,
}
"""The models of the paper and of recipes/, with the dimensions of each one's config.json."""
