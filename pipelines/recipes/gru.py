"""A GRU over item embeddings with a full softmax: the model of the HRNN family, and its training loop.

w_u is a linear map of two views of the history: the state of a GRU after its events (Hidasi et al., Session-based
recommendations with recurrent neural networks, 2016), which knows their order, and the sum of their embeddings over
the root of their number, which forgets none (0.014 of NDCG@25 on MovieLens-100K). The logit of item i is

    w_u . e_i + b_i + r(age of the user's newest event with item i, if there is one)

that is an inner product of an extended user vector [w_u, 1, r at each item of the history] with an extended item
vector [e_i, b_i, one-hot of i]. e_i is also how item i enters the GRU. r, one number per power of two of the age, is
learned and says whether people return to an item (groceries) or not (films): a state of 149 numbers cannot remember
hundreds of items, and without r a film recommender spends its list on films already seen.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pipelines.datasets.sequences import Sequences
from pipelines.progress import Progress
from pipelines.recipes import batches
from pipelines.serving.parts import HISTORY_LENGTH

LEARNING_RATE = 8e-3
WARM_UP_STEPS = 20
DROPOUT = 0.2
EMBEDDING_SCALE = 0.05
CLIP = 1.0
USERS_PER_BATCH = 32
LOGITS_AT_ONCE = 2**23
"""Largest (rows x items) block of logits in memory: 32 MiB of float32."""

AfterEpoch = Callable[[int, float, "GruModel"], bool]
"""(epoch from 1, mean training loss, model) -> whether to go on."""


@dataclass(frozen=True)
class FitOptions:
    """How long and how a model is fitted."""

    hidden_dimension: int
    bptt: int
    recency_mask: bool
    seed: int
    threads: int
    planned_epochs: int
    """The learning rate falls linearly to 0 over this many; a fit may stop before."""


@dataclass(frozen=True)
class Carried:
    """What a chunk leaves to the next: numbers without gradients."""

    state: Tensor
    """(1, B, d) of the GRU."""
    total: Tensor
    """(B, d) sum of the embeddings so far."""
    events: int
    """How many they were."""

    def rows(self, count: int) -> Carried:
        """The first `count` users."""
        return Carried(self.state[:, :count].contiguous(), self.total[:count], self.events)


class GruModel(nn.Module):
    """Embeddings, GRU, projection, item biases, repeat weights."""

    def __init__(self, items: int, dimension: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(items, dimension)
        self.gru = nn.GRU(dimension, dimension, batch_first=True)
        self.projection = nn.Linear(2 * dimension, dimension)
        self.bias = nn.Parameter(torch.zeros(items))
        self.repeat = nn.Parameter(torch.zeros(batches.BUCKETS))
        nn.init.normal_(self.embedding.weight, std=EMBEDDING_SCALE)

    def forward(self, items: Tensor, carried: Carried | None = None) -> tuple[Tensor, Carried]:
        """(B, T) item codes, what was carried from the events before them -> (B, T, d) user vectors, what to carry on.

        Rows of `carried` beyond B belong to users whose history has ended.
        """
        embedded = self.embedding(items)  # (B, T, d)
        before = carried.rows(len(items)) if carried else None
        hidden, state = self.gru(embedded, before.state if before else None)
        total = embedded.cumsum(1) + (before.total[:, None] if before else 0)
        events = torch.arange(1, items.shape[1] + 1, device=items.device) + (before.events if before else 0)
        both = torch.cat([hidden, total / events.sqrt()[:, None]], dim=2)  # (B, T, 2d)
        user = self.projection(functional.dropout(both, DROPOUT, self.training))
        return user, Carried(state.detach(), total[:, -1].detach(), int(events[-1]))

    def logits(self, user: Tensor, seen: Tensor, seen_bucket: Tensor) -> Tensor:
        """(P, d) user vectors and their histories (see batches.Chunk) -> (P, items)."""
        plain = user @ self.embedding.weight.T + self.bias  # (P, items)
        return plain.view(-1).index_add(0, seen, self.repeat[seen_bucket]).view_as(plain)

    @torch.no_grad()
    def answer(self, given: Sequences) -> Iterator[Tensor]:
        """The logits of each user after all given events, (items,) a user: what serving computes."""
        self.eval()
        for user in range(given.users):
            history = given.items_of(user)[-HISTORY_LENGTH:]
            last = np.array([len(history) - 1])
            alone = Sequences(np.array([0, len(history)]), history, np.zeros(len(history), np.int64))
            again, first = batches.next_occurrence(alone), np.zeros(1, np.int64)
            seen, age = batches.seen_before(history, again, first, last, len(self.bias))
            device = self.bias.device
            embedded = self.embedding(torch.from_numpy(history.astype(np.int64)).to(device))  # (length, d)
            hidden, _ = self.gru(embedded[None, -batches.GRU_LENGTH :])
            both = torch.cat([hidden[0, -1:], embedded.sum(0, keepdim=True) / len(history) ** 0.5], dim=1)
            tensors = [torch.from_numpy(part).to(device) for part in (seen, batches.buckets(age))]
            yield self.logits(self.projection(both), *tensors)[0].cpu()


def fit(sequences: Sequences, items: int, options: FitOptions, epochs: int, after: AfterEpoch) -> GruModel:
    """Train for `epochs`, or until `after` says stop; the same model, bit for bit, for the same thread count."""
    with reproducible(options.seed, options.threads) as device:
        random = np.random.default_rng(options.seed)
        weights = batches.recency_weights(sequences.times, options.recency_mask)
        model = GruModel(items, options.hidden_dimension)
        popularity = log_popularity(sequences.items, weights, items)
        model.bias.data = torch.from_numpy(popularity)
        model.repeat.data = torch.from_numpy(batches.repeat_lift(sequences, np.exp(popularity)))
        model.to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
        step, seen, events = 0, 0, int(np.maximum(np.diff(sequences.offsets) - 1, 0).sum())
        for epoch in range(1, epochs + 1):
            model.train()
            total = 0.0
            with Progress(f"epoch {epoch} of {epochs}, events", events) as progress:
                for users in batches.batches(sequences, USERS_PER_BATCH, random):
                    carried: Carried | None = None
                    for chunk in batches.chunks(sequences, weights, users, options.bptt, items):
                        rate = _rate(step, seen / (events * options.planned_epochs))
                        for group in optimizer.param_groups:
                            group["lr"] = rate
                        optimizer.zero_grad()
                        loss, carried = _backward(model, chunk, carried, device)
                        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
                        optimizer.step()
                        total += loss
                        step += 1
                        seen += len(chunk.targets)
                        progress.advance(len(chunk.targets))
            if not after(epoch, total / max(events, 1), model):
                break
        return model.cpu().eval()


def _backward(
    model: GruModel, chunk: batches.Chunk, carried: Carried | None, device: torch.device
) -> tuple[float, Carried]:
    """Gradients of the chunk's mean loss; its summed loss, and what the users carry on."""
    vectors, carried = model(torch.from_numpy(chunk.items).to(device), carried)
    user = vectors[torch.from_numpy(chunk.valid).to(device)]  # (P, d)
    # Block by block into a leaf: the logits of a whole chunk need not fit into memory.
    leaf = user.detach().requires_grad_()
    items, summed = len(model.bias), 0.0
    block = max(1, LOGITS_AT_ONCE // items)
    for start in range(0, len(leaf), block):
        rows = slice(start, start + block)
        inside = (chunk.seen >= start * items) & (chunk.seen < (start + block) * items)
        seen = torch.from_numpy(chunk.seen[inside] - start * items).to(device)
        bucket = torch.from_numpy(chunk.seen_bucket[inside]).to(device)
        targets = torch.from_numpy(chunk.targets[rows]).to(device)
        weights = torch.from_numpy(chunk.weights[rows]).to(device)
        each = functional.cross_entropy(model.logits(leaf[rows], seen, bucket), targets, reduction="none")
        torch.autograd.backward((each * weights).sum() / len(leaf))
        summed += float(each.detach().sum())
    torch.autograd.backward(user, leaf.grad)
    return summed, carried


def _rate(step: int, done: float) -> float:
    """Linear warm-up, then down with the share of the plan that is done."""
    return LEARNING_RATE * min(1.0, (step + 1) / WARM_UP_STEPS) * (1 - done)


def log_popularity(codes: NDArray[np.int32], weights: NDArray[np.float32], items: int) -> NDArray[np.float32]:
    """Logits whose softmax is each item's share of the (weighted) events, (items,) float32; no item has share 0."""
    counts = np.bincount(codes, weights, minlength=items) + 0.5
    return np.asarray(np.log(counts / counts.sum()), np.float32)


@contextlib.contextmanager
def reproducible(seed: int, threads: int) -> Iterator[torch.device]:
    """Seeds, thread count and deterministic kernels for a block, as they were before it afterwards."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # cuBLAS is deterministic only with a fixed workspace; it reads this when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True)
        try:
            yield device
        finally:
            torch.use_deterministic_algorithms(strict)
            torch.set_num_threads(before)
