"""Documents packed into rows for pretraining, none of them seeing its neighbours.

Legend: B rows, T positions of a row.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import torch

from r1.data.tiny.corpus import draw_document

MISSES_ALLOWED = 16
"""Documents that fit into no row before the rows count as full."""


class Rows(NamedTuple):
    """One step's training data.

    input_ids_BT: token ids, padded with the end token.
    labels_BT: the next token, -100 at padding and at each document's last token.
    positions_BT: positions within each document.
    documents_BT: index of the document in its row, -1 at padding.
    """

    input_ids_BT: torch.Tensor
    labels_BT: torch.Tensor
    positions_BT: torch.Tensor
    documents_BT: torch.Tensor

    def attention_mask(self) -> torch.Tensor:
        """Boolean [B, 1, T, T]: causal, within one document; padding sees itself."""
        length = self.documents_BT.shape[1]
        same = self.documents_BT[:, :, None] == self.documents_BT[:, None, :]
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        return (same & causal)[:, None]


def draw_rows(tokenizer, num_rows: int, row_length: int, seed: int, step: int) -> Rows:
    """Draw documents from the corpus by (seed, step) and pack them first-fit."""
    rng = random.Random(f"corpus/{seed}/{step}")
    rows: list[list[list[int]]] = [[] for _ in range(num_rows)]
    free = [row_length] * num_rows
    misses = 0
    while misses < MISSES_ALLOWED:
        token_ids = [*tokenizer(draw_document(rng).text).input_ids, tokenizer.eos_token_id]
        row = next((r for r in range(num_rows) if free[r] >= len(token_ids)), None)
        if row is None:
            misses += 1
            continue
        rows[row].append(token_ids)
        free[row] -= len(token_ids)
    return _tensors(rows, row_length, tokenizer.eos_token_id)


def _tensors(rows: list[list[list[int]]], row_length: int, pad_id: int) -> Rows:
    shape = (len(rows), row_length)
    batch = Rows(
        torch.full(shape, pad_id),
        torch.full(shape, -100),
        torch.zeros(shape, dtype=torch.long),
        torch.full(shape, -1),
    )
    for r, documents in enumerate(rows):
        start = 0
        for d, token_ids in enumerate(documents):
            end = start + len(token_ids)
            ids = torch.tensor(token_ids)
            batch.input_ids_BT[r, start:end] = ids
            batch.labels_BT[r, start : end - 1] = ids[1:]
            batch.positions_BT[r, start:end] = torch.arange(len(token_ids))
            batch.documents_BT[r, start:end] = d
            start = end
    return batch
