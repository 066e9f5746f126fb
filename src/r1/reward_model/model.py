"""A causal language model with a scalar head: a score at the end of a response or step.

    r(x, y) = w · h_t(x, y)           w: [D], no bias; h: the last hidden state after the final norm
                                      t: the last token of the response, or of a step

Where transformers has a sequence classification class for the architecture (Llama, Qwen, DeepSeek
and dozens more), the model is that class with num_labels = 1 and saves as such: it loads with
AutoModelForSequenceClassification anywhere. Elsewhere the causal model is saved as it is, with the
head beside it in score_head.safetensors, which only this project reads.

transformers scores the rightmost token that is not the padding token. Since every scored text ends
with the end token, that one must not be the padding token; see `padding_token_id`.

Left out on purpose: several labels, a bias (a difference of scores has none), dropout.

Shapes: N tokens of a packed row, R responses, S scores (R, or the steps of all), D width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import (
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from r1.errors import UserError
from r1.files.tensors import read_header
from r1.learner.modes import TORCH_SEEDS, autocast
from r1.learner.packing import PackedRow, pack_groups
from r1.learner.ranks import OneRank, Ranks
from r1.learner.self_check import TOLERANCE, probe, window_of
from r1.learner.shared_prefix import packed_hidden_states, use_shared_prefix
from r1.models.load import (
    DTYPES,
    check_model_folder,
    library_faults,
    load_model,
    meta_only,
    read_config,
    save_model,
    trusts_model_code,
)
from r1.types import TrainGroup, TrainResponse

HEAD_FILE = "score_head.safetensors"


@dataclass(frozen=True, eq=False)
class RewardModel:
    """body: transformers' model; head: [D] -> [1], which is body.score where `native`."""

    body: PreTrainedModel
    head: nn.Linear
    native: bool

    def scores(self, row: PackedRow, ranks: Ranks | None = None) -> Tensor:
        """The scores of a row made by `score_row`, fp32, [S], with gradient.

        ranks: who holds the model, where it was placed on several.
        """
        ranks = ranks or OneRank()
        hidden_SD = ranks.run(self.body, packed_hidden_states, row)
        return ranks.run(self.head, _head_scores, hidden_SD)

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Everything that is learnt, the head as score.weight."""
        yield from self.body.named_parameters()
        if not self.native:
            for name, parameter in self.head.named_parameters():
                yield f"score.{name}", parameter

    def save(self, folder: Path, tokenizer: PreTrainedTokenizerFast | None = None) -> None:
        """Write config, weights and tokenizer into `folder`."""
        save_model(self.body, folder, tokenizer)
        if not self.native:
            save_head(self.head.weight.detach(), folder)


def _head_scores(head: nn.Module, hidden_SD: Tensor) -> Tensor:
    with torch.autocast(hidden_SD.device.type, enabled=False):
        weight_1D = cast(nn.Linear, head).weight
        return nn.functional.linear(hidden_SD.float(), weight_1D.float())[:, 0]


def load_reward_model(
    path: str | Path,
    dtype: str | torch.dtype = "auto",
    device: torch.device | str = "cpu",
    seed: int | None = None,
) -> RewardModel:
    """Load a reward model, or put a fresh head on a causal language model.

    seed: decides the fresh head (standard deviation 1 / sqrt(D + 1), as in arXiv 2009.01325); with
    None a model without a head is refused: it was never trained as a reward model.
    Raises UserError for a broken folder, an architecture of no use, or a missing head.
    """
    check_model_folder(path, scores=True)
    wanted = dtype if isinstance(dtype, torch.dtype) or dtype == "auto" else DTYPES[dtype]
    # Read in host memory, or not at all.
    place = torch.device("meta" if torch.device(device).type == "meta" else "cpu")
    head_file = Path(path) / HEAD_FILE
    config = read_config(path)
    if type(config) in AutoModelForSequenceClassification._model_mapping and not head_file.exists():
        body, trained = _load_classifier(str(path), wanted, place)
        head = getattr(body, "score", None)
        if isinstance(head, nn.Linear) and head.bias is None:
            model = RewardModel(body, head, native=True)
        else:
            model, trained = _with_own_head(path, wanted, place), False
    else:
        model, trained = _with_own_head(path, wanted, place), head_file.exists()
        if trained:
            _read_head(model.head, head_file)
    if not trained:
        if seed is None:
            raise UserError(
                f"{path} has no scalar head, so it is no reward model; train one from it with a "
                'recipe of kind = "reward_model".'
            )
        _fresh_head(model.head, seed)
    model.body.to(device).eval()  # type: ignore[arg-type]
    model.head.to(device)
    return model


def save_head(weight_1D: Tensor, folder: Path) -> None:
    """Write a head that transformers has no place for beside its model."""
    save_file({"score.weight": weight_1D.cpu().contiguous()}, folder / HEAD_FILE)


def score_row(
    groups: Sequence[TrainGroup],
    device: torch.device | str,
    at_R: Sequence[Sequence[int]] | None = None,
) -> PackedRow:
    """Pack scored texts in one row whose S predicting positions are the tokens that are scored.

    at_R: those of each response, in rising order; by default the last one. The packer leaves the
    last token of a response out (it predicts nothing); `scored` has therefore repeated it.
    """
    row = pack_groups(groups, device)
    lengths_R = [len(response.token_ids) for group in groups for response in group.responses]
    at_R = at_R or [(length - 2,) for length in lengths_R]
    starts_R = [0, *accumulate(lengths_R)]
    # A position predicts the token after it: entry t + 1 of a response is that of its token t.
    wanted = [start + at + 1 for start, ats in zip(starts_R, at_R, strict=False) for at in ats]
    wanted_S = torch.tensor(wanted, device=device)
    return replace(
        row,
        source_M=row.source_M[wanted_S],
        targets_M=row.targets_M[wanted_S],
        response_M=row.response_M[wanted_S],
    )


def scored(token_ids: Sequence[int]) -> TrainResponse:
    """A text to be scored, for a TrainGroup."""
    return TrainResponse([*token_ids, token_ids[-1]], [], [])


@torch.no_grad()
def check_packed_scores(model: RewardModel) -> Tensor | None:
    """Compare packed scores with the model's own, and leave it ready for packed rows.

    Returns the model's own scores. A model on "meta" is only made ready: whoever has its weights
    compares. Raises UserError naming the architecture where they differ.
    """
    body, name = model.body, type(model.body).__name__
    device = next(body.parameters()).device
    if device.type == "meta":
        use_shared_prefix(body)
        return None
    prompt, answers = _probe_of(body)
    plain = []
    for answer in answers:
        ids = torch.tensor([[*prompt, *answer]], device=device)
        hidden_TD = body.base_model(input_ids=ids, use_cache=False).last_hidden_state[0]
        plain.append(nn.functional.linear(hidden_TD[-1].float(), model.head.weight.float()))
    use_shared_prefix(body)
    try:
        packed_R = model.scores(_probe_row(body, device))
    except TypeError as error:
        raise UserError(f"{name} cannot run on packed rows: {error}") from error
    expected_R = torch.cat(plain)
    gap = (packed_R - expected_R).abs().max().item()
    if not gap <= TOLERANCE[body.dtype] * max(1.0, expected_R.abs().max().item()):
        raise UserError(
            f"{name}: scores of packed rows differ from the model's own by {gap:.2g}; its "
            "attention does something the learner does not know, so this architecture cannot be "
            "used yet."
        )
    return expected_R


@torch.no_grad()
def check_used_scores(
    model: RewardModel, plain_R: Tensor | None, ranks: Ranks, device: torch.device, half: bool
) -> None:
    """As `learner.self_check.check_used_path`, of scores."""
    if not ranks.sharded and not half:
        return
    row = _probe_row(model.body, device)
    expected_R = torch.zeros(len(row.targets_M), device=device)
    if plain_R is not None:
        expected_R += plain_R.to(device)
    expected_R = ranks.sum(expected_R)
    with autocast(half, device):
        gap = (model.scores(row, ranks) - expected_R).abs().mean().item()
    bound = TOLERANCE[torch.bfloat16 if half else model.body.dtype]
    if not gap <= bound * max(1.0, expected_R.abs().max().item()):
        raise UserError(
            f"{type(model.body).__name__}: on {device}, scores differ from the loaded model's by "
            f"{gap:.2g} on average: PyTorch's kernels there do not compute this model. Set "
            "learner.autocast = false, or train on another device."
        )


def _probe_of(body: PreTrainedModel) -> tuple[tuple[int, ...], list[list[int]]]:
    embeddings: Any = body.get_input_embeddings()
    return probe(int(embeddings.weight.shape[0]), window_of(body))


def _probe_row(body: PreTrainedModel, device: torch.device) -> PackedRow:
    prompt, answers = _probe_of(body)
    return score_row([TrainGroup(prompt, [scored(answer) for answer in answers])], device)


def padding_token_id(tokenizer: Any) -> int | None:
    """A token to pad with that is not the end token, or None where the tokenizer has none.

    A name with "pad" is preferred; else any special token serves, since only the last token of a
    text, which is the end token, must not be mistaken for padding.
    """
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    if pad is not None and pad != end:
        return int(pad)
    special = {i: t.content for i, t in tokenizer.added_tokens_decoder.items() if t.special}
    others = [number for number in sorted(special) if number != end]
    named = [number for number in others if "pad" in special[number].lower()]
    return next(iter([*named, *others]), None)


def set_padding(model: RewardModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Let model and tokenizer agree on that padding token.

    Without any, the model has none, and transformers scores one text at a time.
    """
    pad = padding_token_id(tokenizer)
    model.body.config.pad_token_id = pad
    if pad is not None and pad != tokenizer.pad_token_id:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(pad)


def _load_classifier(name: str, dtype: Any, place: torch.device) -> tuple[PreTrainedModel, bool]:
    """The classification model, and whether its head was in the checkpoint."""
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # a fresh head and no output head are as meant
    try:
        with library_faults(f"cannot load a model with a scalar head from {name}"):
            loaded: Any = AutoModelForSequenceClassification.from_pretrained(
                name,
                num_labels=1,
                dtype=dtype,
                attn_implementation="sdpa",
                output_loading_info=True,
                use_safetensors=True,
                trust_remote_code=trusts_model_code(),
                **meta_only(place),
            )
    finally:
        transformers_logging.set_verbosity(level)
    body, info = loaded
    missing = sorted(set(info["missing_keys"]))
    others = [key for key in missing if not key.startswith("score.")]
    if others:
        raise UserError(
            f"{name}: the weights lack {len(others)} tensors the architecture needs "
            f"(first: {others[0]}); the checkpoint is incomplete or of another architecture."
        )
    return body, not missing


def _with_own_head(path: str | Path, dtype: Any, place: torch.device) -> RewardModel:
    body = load_model(path, dtype, place, scores=True)
    width = body.config.get_text_config().hidden_size
    return RewardModel(body, nn.Linear(width, 1, bias=False, dtype=body.dtype), native=False)


def _read_head(head: nn.Linear, file: Path) -> None:
    read_header(file)
    try:
        weight = load_file(file)["score.weight"]
    except (SafetensorError, KeyError) as error:
        raise UserError(f"{file} is damaged ({error}); copy it again.") from None
    if weight.shape != head.weight.shape:
        raise UserError(f"{file} belongs to a model of another width; copy the right one.")
    with torch.no_grad():
        head.weight.copy_(weight)


def _fresh_head(head: nn.Linear, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed % TORCH_SEEDS)
    weight = torch.randn(head.weight.shape, generator=generator) / (head.in_features + 1) ** 0.5
    with torch.no_grad():
        head.weight.copy_(weight)
