"""The training loop of the HRNN family: truncated back-propagation through time over batches of users."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pipelines.datasets.sequences import Sequences
from pipelines.progress import Progress
from pipelines.recipes import batches
from pipelines.recipes.gru import Carried, HrnnModel, SideVectors
from pipelines.recipes.item_start import item_start
from pipelines.recipes.item_vectors import ItemVectors
from pipelines.serving.vocabulary import Bags

LEARNING_RATE = 8e-3
WARM_UP_STEPS = 20
SIDE_DECAY = 2.0
"""Weight decay of what is known of users and situations: one user in hundreds shows what a value means. Without it users
without events get worse answers than popularity's (MovieLens-100K by time, NDCG@25: 0.403 at 0, 0.444 at 1, 0.456 at
2 and 5; popularity 0.446, no user columns 0.451); above 2 it hides what every user shows."""
START_NORM = 0.6
"""Mean length of the item vectors at the start."""
START_NOISE = 0.005
"""Of each of their numbers: items that nobody tells apart yet, and dimensions beyond the rank of the data, can part."""
CLIP = 1.0
USERS_PER_BATCH = 32
LOGITS_AT_ONCE = 2**23
"""Largest (rows x items) block of logits in memory: 32 MiB of float32."""

AfterEpoch = Callable[[int, float, HrnnModel], bool]
"""(epoch from 1, mean training loss, model) -> whether to go on."""


@dataclass(frozen=True)
class FitOptions:
    """How long and how a model is fitted."""

    hidden_dimension: int
    bptt: int
    seed: int
    threads: int
    planned_epochs: int
    """The learning rate falls linearly to 0 over this many; a fit may stop before."""


@dataclass(frozen=True)
class Lessons:
    """What a model is trained on: the users that train, and the items that they have events with."""

    sequences: Sequences
    """Item codes are positions in `codes`."""
    codes: NDArray[np.int64]
    """(items,) of the items that train in the catalogue, ascending."""
    weights: NDArray[np.float32]
    """(events,) how much the prediction of each counts."""
    popularity: NDArray[np.float32]
    """(items,) logits of a user of whom nothing is known."""
    item_bags: Bags
    item_values: int
    nameless: NDArray[np.bool_]
    """(items,) those that get no own part."""
    user_bags: Bags
    """One row a user of `sequences`."""
    side_values: int
    context_starts: NDArray[np.int64]
    """(columns,) among the side's values, the first of each context column."""

    @property
    def items(self) -> int:
        return len(self.popularity)


def fit(lessons: Lessons, options: FitOptions, epochs: int, after: AfterEpoch) -> HrnnModel:
    """Train for `epochs`, or until `after` says stop; the same model, bit for bit, for the same thread count."""
    sequences = lessons.sequences
    with reproducible(options.seed, options.threads) as device:
        random = np.random.default_rng(options.seed)
        model = new_model(lessons, options.hidden_dimension).to(device)
        popularity = torch.from_numpy(lessons.popularity).to(device)
        others = [parameter for name, parameter in model.named_parameters() if name != "side.matrix"]
        groups: list[dict[str, Any]] = [{"params": others}, {"params": [model.side.matrix], "weight_decay": SIDE_DECAY}]
        optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, weight_decay=0.0)
        step, seen, events = 0, 0, int(np.maximum(np.diff(sequences.offsets) - 1, 0).sum())
        for epoch in range(1, epochs + 1):
            model.train()
            total = 0.0
            with Progress(f"epoch {epoch} of {epochs}, events", events) as progress:
                for users in batches.batches(sequences, USERS_PER_BATCH, random):
                    carried: Carried | None = None
                    known, has_side = lessons.user_bags.of(users), lessons.side_values > 0
                    for chunk in batches.chunks(
                        sequences, lessons.weights, users, options.bptt, lessons.items, from_nothing=has_side
                    ):
                        for group in optimizer.param_groups:
                            group["lr"] = _rate(step, seen / (events * options.planned_epochs))
                        optimizer.zero_grad()
                        loss, carried = _backward(model, chunk, carried, known, popularity)
                        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
                        optimizer.step()
                        total += loss
                        step += 1
                        seen += int(chunk.valid.sum())
                        progress.advance(int(chunk.valid.sum()))
            model.eval()
            if not after(epoch, total / max(events, 1), model):
                break
        return model


def new_model(lessons: Lessons, dimension: int) -> HrnnModel:
    """Before the first step: what goes with a user's history (item_start.py), and people return to items as they do
    on average."""
    start = torch.from_numpy(item_start(lessons.sequences, lessons.items, dimension, START_NORM))
    items = ItemVectors(
        start + torch.randn(start.shape) * START_NOISE,
        torch.from_numpy(lessons.popularity),
        lessons.item_bags,
        lessons.item_values,
        torch.from_numpy(lessons.nameless),
    )
    side = SideVectors(torch.zeros(lessons.side_values, dimension), torch.from_numpy(lessons.context_starts))
    model = HrnnModel(items, side)
    model.history.projection.weight.data = torch.cat([torch.zeros(dimension, dimension), torch.eye(dimension)], dim=1)
    model.history.projection.bias.data.zero_()
    lift = batches.repeat_lift(lessons.sequences, np.exp(lessons.popularity))
    model.history.repeat.data = torch.from_numpy(lift)
    return model


def _backward(
    model: HrnnModel, chunk: batches.Chunk, carried: Carried | None, known: Bags, popularity: Tensor
) -> tuple[float, Carried]:
    """Gradients of the chunk's mean loss; its summed loss over events with a history, and what the users carry on."""
    device = popularity.device

    def tensor(array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array).to(device)

    # Two leaves, users' vectors and items' vectors, collect gradients block by block: the logits of a whole chunk
    # need not fit into memory, and what leads to the leaves is gone through once.
    made = model.items()
    table = made.detach().requires_grad_()  # (items, d + 1)
    vectors, carried = model.history(functional.embedding(tensor(chunk.items), table[:, :-1]), carried)
    user = vectors[tensor(chunk.valid)]  # (P, d)
    histories = len(user)
    user = functional.pad(user, (0, 1), value=1.0)
    if model.side.matrix.numel():
        side = model.side(known, tensor(chunk.rows), tensor(chunk.context.astype(np.int64)))
        user = functional.pad(user, (0, 0, 0, len(side) - histories)) + functional.pad(side, (0, 1))  # (N, d + 1)
    leaf = user.detach().requires_grad_()
    items, summed = len(table), 0.0
    block = max(1, LOGITS_AT_ONCE // items)
    for start in range(0, len(leaf), block):
        end = min(start + block, len(leaf))
        inside = (chunk.seen >= start * items) & (chunk.seen < end * items)
        seen, bucket = tensor(chunk.seen[inside] - start * items), tensor(chunk.seen_bucket[inside])
        logits = leaf[start:end] @ table.T
        logits.view(-1).index_add_(0, seen, model.history.repeat[bucket])
        if end > histories:
            logits[max(histories - start, 0) :] += popularity
        targets, weights = tensor(chunk.targets[start:end]), tensor(chunk.weights[start:end])
        each = functional.cross_entropy(logits, targets, reduction="none")
        torch.autograd.backward((each * weights).sum() / len(leaf))
        summed += float(each.detach()[: max(histories - start, 0)].sum())
    torch.autograd.backward([user], [leaf.grad])
    torch.autograd.backward([made], [table.grad])
    return summed, carried


def _rate(step: int, done: float) -> float:
    """Linear warm-up, then down with the share of the plan that is done."""
    return LEARNING_RATE * min(1.0, (step + 1) / WARM_UP_STEPS) * (1 - done)


@contextlib.contextmanager
def reproducible(seed: int, threads: int) -> Iterator[torch.device]:
    """Seeds, thread count and deterministic kernels for a block, as they were before it afterwards."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # cuBLAS is deterministic only with a fixed workspace; it reads this when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic  # typed as a module, but its setting is a property
    filled = memory.fill_uninitialized_memory
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True)
        # Nothing here reads memory that it has not written; to fill it first takes a seventh of a step.
        memory.fill_uninitialized_memory = False
        try:
            yield device
        finally:
            memory.fill_uninitialized_memory = filled
            torch.use_deterministic_algorithms(strict)
            torch.set_num_threads(before)
