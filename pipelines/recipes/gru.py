"""A GRU over item vectors with a full softmax: the model of the HRNN family.

w_u is the sum of two parts. One is a linear map of two views of the history: the state of a GRU after its events
(Hidasi et al., Session-based recommendations with recurrent neural networks, 2016), which knows their order, and the
sum of their vectors over the root of their number, which forgets none (0.014 of NDCG@25 on MovieLens-100K). The other
is the side: the sum of the vectors of what is known of the user and of the situation of the event that is predicted
(each a value of a column, as in Rendle, Factorization Machines, 2010). The logit of item i is

    w_u . w_i + b_i + r(age of the user's newest event with item i, if there is one)

that is an inner product of an extended user vector [w_u, 1, r at each item of the history] with an extended item
vector [w_i, b_i, one-hot of i]. w_i (item_vectors.py) is also how item i enters the GRU. r, one number per power of
two of the age, is learned and says whether people return to an item (groceries) or not (films): a state of 149 numbers
cannot remember hundreds of items, and without r a film recommender spends its list on films already seen.

Of a user without events the side is all there is, and what is popular takes the place of b_i: side . w_i + popularity.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipelines.recipes import batches
from pipelines.recipes.contract import Queries
from pipelines.recipes.item_vectors import ItemVectors, weighted_sums
from pipelines.serving.parts import HISTORY_LENGTH
from pipelines.serving.vocabulary import Bags

DROPOUT = 0.2


@dataclass(frozen=True)
class Carried:
    """What a chunk leaves to the next: numbers without gradients."""

    state: Tensor
    """(1, B, d) of the GRU."""
    total: Tensor
    """(B, d) sum of the item vectors so far."""
    events: int
    """How many they were."""

    def rows(self, count: int) -> Carried:
        """The first `count` users."""
        return Carried(self.state[:, :count].contiguous(), self.total[:count], self.events)


class HistoryEncoder(nn.Module):
    """GRU, projection, repeat weights: what a user's events make of the user's vector."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.gru = nn.GRU(dimension, dimension, batch_first=True)
        self.projection = nn.Linear(2 * dimension, dimension)
        self.repeat = nn.Parameter(torch.zeros(batches.BUCKETS))

    def forward(self, vectors: Tensor, carried: Carried | None = None) -> tuple[Tensor, Carried]:
        """(B, T, d) item vectors, what was carried from the events before -> (B, T, d) users' vectors, what to carry on.

        Rows of `carried` beyond B belong to users whose history has ended.
        """
        before = carried.rows(len(vectors)) if carried else None
        hidden, state = self.gru(vectors, before.state if before else None)
        total = vectors.cumsum(1) + (before.total[:, None] if before else 0)
        events = torch.arange(1, vectors.shape[1] + 1, device=vectors.device) + (before.events if before else 0)
        both = torch.cat([hidden, total / events.sqrt()[:, None]], dim=2)  # (B, T, 2d)
        user = self.projection(functional.dropout(both, DROPOUT, self.training))
        return user, Carried(state.detach(), total[:, -1].detach(), int(events[-1]))

    def newest(self, vectors: Tensor) -> Tensor:
        """(length, d) vectors of a whole history -> (d,) the user's vector after it: what serving computes."""
        hidden, _ = self.gru(vectors[None, -batches.GRU_LENGTH :])
        user: Tensor = self.projection(torch.cat([hidden[0, -1], vectors.sum(0) / len(vectors) ** 0.5]))
        return user


class SideVectors(nn.Module):
    """What is known of users and situations: a vector a value, (values of users, then of context; d)."""

    starts: Tensor

    def __init__(self, matrix: Tensor, starts: Tensor) -> None:
        """`starts` (columns,): the row of each context column's first value."""
        super().__init__()
        self.matrix = nn.Parameter(matrix)
        self.register_buffer("starts", starts, persistent=False)

    def forward(self, users: Bags, rows: Tensor, context: Tensor) -> Tensor:
        """What is known of B users, which of them each of N queries is of, (N, columns) its situation -> (N, d)."""
        device = self.matrix.device
        parts = [torch.from_numpy(part).to(device) for part in (users.codes, users.offsets, users.weights)]
        of_users = weighted_sums(self.matrix, *parts)
        # A column without a value looks up the row of zeros at the end.
        padded = functional.pad(self.matrix, (0, 0, 0, 1))
        codes = torch.where(context >= 0, context + self.starts, len(self.matrix))
        return functional.embedding(rows, of_users) + functional.embedding(codes, padded).sum(1)


class HrnnModel(nn.Module):
    """The three parts, as they train."""

    def __init__(self, items: ItemVectors, side: SideVectors) -> None:
        super().__init__()
        self.items = items
        self.history = HistoryEncoder(side.matrix.shape[1])
        self.side = side


@dataclass(frozen=True)
class Answering:
    """What it takes to answer: the trained parts, and the vectors of every item of the catalogue."""

    history: HistoryEncoder
    side: SideVectors
    items: Tensor
    """(items, d + 1), biases last."""
    popularity: Tensor
    """(items,)"""

    @torch.no_grad()
    def answers(self, queries: Queries) -> Iterator[Tensor]:
        """(items,) logits a query, as serving computes them."""
        self.history.eval()
        given = queries.given
        context = torch.from_numpy(queries.context.astype(np.int64))
        alone = torch.zeros(1, dtype=torch.int64)
        for user in range(given.users):
            known = queries.user_features.of(np.array([user]))
            side = self.side(known, alone, context[user : user + 1])[0]  # (d,)
            history = given.items_of(user)[-HISTORY_LENGTH:]
            if not len(history):
                yield self.popularity + self.items[:, :-1] @ side
                continue
            codes = torch.from_numpy(history.astype(np.int64))
            newest = self.history.newest(self.items[codes, :-1]) + side
            logits = self.items @ functional.pad(newest, (0, 1), value=1.0)
            items, back = np.unique(history[::-1], return_index=True)
            logits[torch.from_numpy(items)] += self.history.repeat[torch.from_numpy(batches.buckets(back + 1))]
            yield logits
