"""What the sequence recipes are measured against: `implicit`'s ALS and RecBole's GRU4Rec, each as its authors mean it.

Neither chooses anything on the test: hyperparameters (ALS) and the epoch (GRU4Rec) are chosen by NDCG@10 on the
validation targets. GRU4Rec is the class of the wheel recbole 1.2.1 (`recbole/model/sequential_recommender/gru4rec.py`)
with its authors' settings, loaded without RecBole's dependencies: its file needs two enums and a base class of it.
"""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.sequences import Sequences

THREADS = 2
K = 10
WHEEL = "recbole-1.2.1-py3-none-any.whl"


class NotToBeHad(RuntimeError):
    """A competitor cannot be had here; the message says why."""


# Measures ------------------------------------------------------------------------------------------------------------


def places(scores: NDArray[np.float32], history: NDArray[np.integer], target: int) -> int:
    """Rank of `target`, 0 the best, among all items that are not in the history; equal scores: the worst place."""
    others = np.asarray(scores, np.float64).copy()
    wanted = others[target]
    others[history] = -np.inf
    others[target] = -np.inf
    return int((others >= wanted).sum())


def gains(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """(users,) NDCG@10 of one relevant item."""
    return np.where(ranks < K, 1 / np.log2(ranks + 2), 0.0)


# implicit ------------------------------------------------------------------------------------------------------------


class Als:
    """Alternating least squares, plain or on BM25-weighted events."""

    FACTORS = (64, 128, 256)
    REGULARIZATION = (0.01, 0.1)

    def __init__(self, weighted: bool) -> None:
        self.name = f"implicit ALS, {'BM25' if weighted else 'plain'}"
        self.settings = ""
        self._weighted = weighted
        self._model: Any = None

    def fit(self, train: Sequences, items: int, targets: NDArray[np.int32]) -> None:
        from implicit.cpu.als import AlternatingLeastSquares

        matrix, best = self._matrix(train, items), -1.0
        for factors in self.FACTORS:
            for regularization in self.REGULARIZATION:
                model = AlternatingLeastSquares(
                    factors, regularization, iterations=15, num_threads=THREADS, random_state=0
                )
                model.fit(matrix, show_progress=False)
                scores = model.user_factors @ model.item_factors.T
                ranks = [places(scores[u], train.items_of(u), int(target)) for u, target in enumerate(targets)]
                if (ndcg := float(gains(np.array(ranks)).mean())) > best:
                    best, self._model = ndcg, model
                    self.settings = f"{factors} factors, regularization {regularization:g}"

    def answer(self, given: Sequences, items: int) -> Iterator[NDArray[np.float32]]:
        matrix = self._matrix(given, items)
        factors = self._model.recalculate_user(np.arange(given.users), matrix)
        for user in factors:
            yield self._model.item_factors @ user

    def _matrix(self, sequences: Sequences, items: int) -> Any:
        from implicit.nearest_neighbours import bm25_weight
        from scipy.sparse import csr_matrix

        counts = csr_matrix(
            (np.ones(len(sequences.items), np.float32), sequences.items, sequences.offsets), (sequences.users, items)
        )
        counts.sum_duplicates()
        # As implicit's own examples weigh events; K1 = 100 keeps most of the count, B damps long histories.
        return bm25_weight(counts, K1=100, B=0.8).tocsr().astype(np.float32) if self._weighted else counts


# GRU4Rec -------------------------------------------------------------------------------------------------------------


class Gru4Rec:
    """RecBole's GRU4Rec: embedding 64, hidden 128, dropout 0.3, cross-entropy, Adam 1e-3, batches of 2,048 targets.

    All prefixes of a stretch of 200 events are one sequence to the GRU, whose every state predicts the next event:
    the sum of the losses of RecBole's augmented prefixes in one pass, where RecBole runs the GRU once for each.
    """

    name = "GRU4Rec (RecBole)"
    LENGTH = 200
    BATCH = 2048
    SETTINGS: ClassVar[dict[str, Any]] = {
        "embedding_size": 64,
        "hidden_size": 128,
        "num_layers": 1,
        "dropout_prob": 0.3,
        "loss_type": "CE",
        # The names of RecBole's fields.
        "USER_ID_FIELD": "user_id",
        "ITEM_ID_FIELD": "item_id",
        "LIST_SUFFIX": "_list",
        "ITEM_LIST_LENGTH_FIELD": "item_length",
        "NEG_PREFIX": "neg_",
        "MAX_ITEM_LIST_LENGTH": 200,
        "device": "cpu",
    }
    LEARNING_RATE = 1e-3
    PATIENCE = 5
    VALIDATION_USERS = 2000

    def __init__(self, max_epochs: int) -> None:
        self.settings = ""
        self._max_epochs = max_epochs
        self._model: Any = None
        self._class = gru4rec_class()

    def fit(self, train: Sequences, items: int, targets: NDArray[np.int32]) -> None:
        import torch

        torch.manual_seed(0)
        torch.set_num_threads(THREADS)
        self._model = self._class(self.SETTINGS, _Catalogue(items + 1))  # item 0 is padding
        optimizer = torch.optim.Adam(self._model.parameters(), lr=self.LEARNING_RATE)
        random = np.random.default_rng(0)
        judged = np.sort(random.permutation(train.users)[: self.VALIDATION_USERS])
        best, best_epoch, weights = -1.0, 0, self._model.state_dict()
        for epoch in range(1, self._max_epochs + 1):
            self._model.train()
            for rows in self._batches(train, random):
                optimizer.zero_grad()
                self._loss(rows).backward()
                optimizer.step()
            answers = self.answer(train.of_users(judged), items)
            ranks = [
                places(scores, train.items_of(user), int(targets[user]))
                for user, scores in zip(judged.tolist(), answers, strict=True)
            ]
            if (ndcg := float(gains(np.array(ranks)).mean())) > best:
                best, best_epoch, weights = ndcg, epoch, copy.deepcopy(self._model.state_dict())
            if epoch - best_epoch >= self.PATIENCE:
                break
        self._model.load_state_dict(weights)
        self.settings = f"epoch {best_epoch} of {epoch}" + (", still rising" if epoch == best_epoch else "")

    def answer(self, given: Sequences, items: int) -> Iterator[NDArray[np.float32]]:
        import torch

        self._model.eval()
        for start in range(0, given.users, 256):
            newest = [given.items_of(u)[-self.LENGTH :] + 1 for u in range(start, min(start + 256, given.users))]
            lengths = np.array([max(1, len(history)) for history in newest])
            with torch.no_grad():
                scores = self._model.full_sort_predict(
                    {"item_id_list": _padded(newest, int(lengths.max())), "item_length": torch.from_numpy(lengths)}
                )
            yield from scores[:, 1:].numpy()

    def _batches(self, train: Sequences, random: np.random.Generator) -> Iterator[list[NDArray[np.int32]]]:
        """Stretches of LENGTH + 1 events, cut from the newest backwards, about BATCH targets at a time."""
        stretches = []
        for user in range(train.users):
            events = train.items_of(user) + 1
            for end in range(len(events), 1, -self.LENGTH):
                stretches.append(events[max(0, end - self.LENGTH - 1) : end])
        # Of jittered length: alike side by side, and not the same in every epoch.
        order = np.argsort([len(s) * random.uniform(0.7, 1.3) for s in stretches])
        ends = np.flatnonzero(np.diff(np.cumsum([len(stretches[at]) - 1 for at in order]) // self.BATCH)) + 1
        batches = np.split(order, ends)
        for at in random.permutation(len(batches)):
            if len(batches[at]):
                yield [stretches[place] for place in batches[at]]

    def _loss(self, stretches: list[NDArray[np.int32]]) -> Any:
        model, length = self._model, max(map(len, stretches))
        rows = _padded(stretches, length)
        states, _ = model.gru_layers(model.emb_dropout(model.item_embedding(rows[:, :-1])))
        target = rows[:, 1:]
        real = target > 0
        logits = model.dense(states[real]) @ model.item_embedding.weight.T
        return model.loss_fct(logits, target[real])


class _Catalogue:
    """As much of RecBole's data set as the model asks for."""

    def __init__(self, items: int) -> None:
        self._items = items

    def num(self, field: str) -> int:
        return self._items


def _padded(rows: list[NDArray[np.int32]], length: int) -> Any:
    import torch

    table = np.zeros((len(rows), length), np.int64)
    for at, row in enumerate(rows):
        table[at, : len(row)] = row
    return torch.from_numpy(table)


def gru4rec_class() -> Any:
    """The class from the wheel (RECBOLE_WHEEL, or fetched from the package index); raises NotToBeHad."""
    wheel = Path(os.environ.get("RECBOLE_WHEEL", f"var/data/{WHEEL}"))
    if not wheel.exists():
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "-d",
            str(wheel.parent),
            "recbole==1.2.1",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not wheel.exists():
            raise NotToBeHad(f"recbole 1.2.1 cannot be had: {done.stderr.strip()[-200:]}")
    sys.path.insert(0, str(wheel))
    # The packages' own __init__ would import all of RecBole and its dependencies.
    for name in ("recbole.utils", "recbole.model", "recbole.model.sequential_recommender"):
        package = ModuleType(name)
        package.__path__ = [f"{wheel}/{name.replace('.', '/')}"]
        sys.modules[name] = package
    enums = vars(import_module("recbole.utils.enum_type"))
    vars(sys.modules["recbole.utils"]).update(enums, set_color=lambda text, *_: text)
    return import_module("recbole.model.sequential_recommender.gru4rec").GRU4Rec
