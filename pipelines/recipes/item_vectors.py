"""w_i, the vectors of the items that train: an own part of each, and what its metadata adds.

w_i = own_i + weighted sum of the vectors of the item's values (genre, year, words of a description, ...); the last of
its numbers is the item's bias. In training some items lose their own part for a step and stand on their metadata
alone (Volkovs et al., DropoutNet: Addressing Cold Start in Recommender Systems, 2017): so the values' vectors learn
to stand for an item that has no events, and `average` what its bias is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipelines.serving.vocabulary import Bags

ID_DROPOUT = 0.1
"""Share of the described items that lose their own part in a step."""


class ItemVectors(nn.Module):
    """Own parts, values' vectors, and the bias of an item that has no own part."""

    nameless: Tensor
    offsets: Tensor
    codes: Tensor
    weights: Tensor

    def __init__(self, start: Tensor, popularity: Tensor, bags: Bags, values: int, nameless: Tensor) -> None:
        """`start` (items, d) and `popularity` (items,): what own parts and biases start from; `bags` one row an item,
        codes below `values`; `nameless` (items,) bool: never has an own part."""
        super().__init__()
        self.own = nn.Parameter(torch.cat([start, popularity[:, None]], dim=1))
        self.values = nn.Parameter(torch.zeros(values, self.own.shape[1]))
        self.average = nn.Parameter(popularity.exp().mean().log())
        self.described = len(bags.codes) > 0
        self.register_buffer("nameless", nameless, persistent=False)
        self.register_buffer("offsets", torch.from_numpy(bags.offsets), persistent=False)
        self.register_buffer("codes", torch.from_numpy(bags.codes), persistent=False)
        self.register_buffer("weights", torch.from_numpy(bags.weights), persistent=False)

    def forward(self) -> Tensor:
        """(items, d + 1); in training with some items' own parts left out."""
        if not self.described and not self.nameless.any():
            return self.own
        without = self.nameless
        if self.training and self.described:
            filled = self.offsets.diff() > 0
            without = without | (filled & (torch.rand(len(filled), device=filled.device) < ID_DROPOUT))
        alone = functional.pad(self.average.view(1, 1), (self.own.shape[1] - 1, 0))  # (1, d + 1)
        own = torch.where(without[:, None], alone, self.own)
        if not self.described:
            return own
        return own + weighted_sums(self.values, self.codes, self.offsets, self.weights)


def weighted_sums(vectors: Tensor, codes: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """(values, n), bags of codes with weights, offsets (bags + 1) -> (bags, n)."""
    sums: Tensor = functional.embedding_bag(
        codes, vectors, offsets.to(codes.dtype), mode="sum", per_sample_weights=weights, include_last_offset=True
    )
    return sums
