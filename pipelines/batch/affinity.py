"""How likely each user's next item is one of some: `python -m pipelines.batch.affinity QUESTIONS ARTEFACT` is a process.

A line is a user's code, its answer a float32 for each question: the logarithm of the share that the question's items have
of all that the user may take next. That is what scores are (spec: recipes.md section 2), and so users are in the order of
the probability that they take an item, or one with some attributes. Of a user it knows what the training knew.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.batch.child import Answered, serve
from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.ordering import softmax
from pipelines.serving.recommender import Recommender


@dataclass(frozen=True)
class Questions:
    """The items of each question, one question after the other; every one has at least one."""

    items: NDArray[np.int64]
    starts: NDArray[np.int64]
    """(questions,) where in `items` each begins."""

    @classmethod
    def of(cls, questions: list[NDArray[np.int64]]) -> Questions:
        starts = np.cumsum([0, *map(len, questions[:-1])], dtype=np.int64)
        return cls(np.concatenate(questions), starts)

    def save(self, path: Path) -> None:
        """Into a file of that name, which ends in .npz."""
        np.savez(path, items=self.items, starts=self.starts)

    @classmethod
    def load(cls, path: Path) -> Questions:
        with np.load(path) as arrays:
            return cls(arrays["items"], arrays["starts"])


class Affinity:
    """Users' answers to questions."""

    def __init__(self, recommender: Recommender, questions: Questions) -> None:
        self._recommender, self._questions = recommender, questions

    def answer(self, _file: str, _first: int, data: bytes) -> Answered:
        """(users, questions) float32 as bytes."""
        users = self._recommender.artefact.users.ids(int(line) for line in data.split())
        return Answered(np.array([self.of(user) for user in users], np.float32).tobytes(), 0)

    def of(self, user: str) -> NDArray[np.float64]:
        """(questions,) logarithms of probabilities."""
        shares = softmax(self._recommender.logits(Asked(user)))
        with np.errstate(divide="ignore"):  # less than the smallest number is no chance at all
            return np.log(np.add.reduceat(shares[self._questions.items], self._questions.starts))


def main() -> None:
    """Serve until the input ends."""
    questions, artefact = Questions.load(Path(sys.argv[1])), Artefact.open(Path(sys.argv[2]))
    serve(Affinity(Recommender(artefact), questions).answer)


if __name__ == "__main__":
    main()
