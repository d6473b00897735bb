"""Writing an artefact (its format: artefact.py) from its parts: the last stage of a version, and tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.serving.artefact import FORMAT, MANIFEST, sha256_of
from pipelines.serving.column_files import FILTERS, write_filter_data
from pipelines.serving.ids import write_ids
from pipelines.serving.parts import Catalogue, Encoding, Neighbours, Side
from pipelines.serving.vocabulary import Bags


def write_artefact(
    directory: Path,
    *,
    recipe: str,
    recipe_type: str,
    scores: bool,
    explores: bool,
    catalogue: Catalogue,
    answers: Encoding | Neighbours | None,
    described: Mapping[str, Any] | None = None,
) -> None:
    """Write a new artefact into `directory`, which is made and must be empty.

    `scores`: whether answers carry them; `explores`: whether campaigns explore new items with it. `answers` None: everybody gets what is popular. `described` joins the manifest
    (metrics, hyperparameters, ...): JSON only, nothing that differs between two runs of the same training.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise FileExistsError(f"{directory} is not empty; an artefact is never changed in place")
    arrays = _catalogue(catalogue)
    facts: dict[str, Any] = {"kind": "popular"}
    if isinstance(answers, Neighbours):
        facts = {"kind": "neighbours"}
        arrays |= {"neighbours": answers.items.astype(np.int32), "similarities": _floats(answers.similarities)}
    elif isinstance(answers, Encoding):
        facts = {
            "kind": "encoder",
            "dimension": answers.item_matrix.shape[1],
            "encoder_length": answers.encoder_length,
        }
        arrays |= _encoding(answers, catalogue.history_length)
    names = write_ids(directory, "item", catalogue.item_ids) + write_ids(directory, "user", catalogue.user_ids)
    for name, array in arrays.items():
        np.save(directory / f"{name}.npy", array)
    names += [f"{name}.npy" for name in arrays]
    if isinstance(answers, Encoding):
        (directory / "encoder.onnx").write_bytes(answers.encoder)
        names.append("encoder.onnx")
        if answers.side is not None:
            names.append(_write_vocabularies(directory, answers.side))
    if catalogue.filter_data is not None:
        files, facts[FILTERS] = write_filter_data(directory, catalogue.filter_data)
        names += files
    manifest = {
        **(described or {}),
        **facts,
        "format": FORMAT,
        "recipe": recipe,
        "recipe_type": recipe_type,
        "scores": scores,
        "explores": explores,
        "items": len(catalogue.item_ids),
        "users": len(catalogue.user_ids),
        "newest": catalogue.newest,
        "history_length": catalogue.history_length,
        "files": {name: sha256_of(directory / name) for name in names},
    }
    (directory / MANIFEST).write_text(
        json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8"
    )


def _catalogue(catalogue: Catalogue) -> dict[str, NDArray[Any]]:
    kept = catalogue.histories.newest(catalogue.history_length)
    return {
        "popularity": _floats(catalogue.popularity),
        "created": catalogue.created.astype(np.int64),
        "interactions": catalogue.interactions.astype(np.int64),
        "shown": catalogue.shown.astype(np.int64),
        "history_items": kept.items.astype(np.int32),
        "history_times": kept.times.astype(np.int64),
        "history_offsets": kept.offsets.astype(np.int64),
    }


def _encoding(answers: Encoding, history_length: int) -> dict[str, NDArray[Any]]:
    repeat = np.zeros(history_length) if answers.repeat is None else answers.repeat
    arrays: dict[str, NDArray[Any]] = {"item_matrix": _floats(answers.item_matrix), "repeat": _floats(repeat)}
    if answers.input_matrix is not None:
        arrays["input_matrix"] = _floats(answers.input_matrix)
    if answers.side is not None:
        side = answers.side
        arrays |= {"side_matrix": _floats(side.matrix), "feature_matrix": _floats(side.item_matrix)}
        arrays |= _bags("user", side.user_bags) | _bags("item", side.item_bags)
    return arrays


def _bags(name: str, bags: Bags) -> dict[str, NDArray[Any]]:
    return {
        f"{name}_feature_offsets": bags.offsets.astype(np.int64),
        f"{name}_feature_codes": bags.codes.astype(np.int32),
        f"{name}_feature_weights": _floats(bags.weights),
    }


def _write_vocabularies(directory: Path, side: Side) -> str:
    name = "vocabularies.json"
    document = {"users": side.users.to_json(), "context": side.context.to_json(), "items": side.items.to_json()}
    (directory / name).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return name


def _floats(array: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(array, np.float32)
