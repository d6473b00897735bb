"""A version's Bento, built and served by BentoML itself, asked by boto3."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import psutil
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.local import model_directory
from pipelines.serving.recommender import Recommender
from pipelines.settings import TELEMETRY_OFF, Settings
from pipelines.versions import bentos
from tests.support.artefacts import make_artefact

CAMPAIGN = "arn:aws:personalize:us-east-1:123456789012:campaign/any"
ARN = "arn:aws:personalize:us-east-1:123456789012:solution/taste/01234567"


def spec(artefact: Path, version: str) -> bentos.Spec:
    return bentos.Spec(
        solution_id="00000000000000aa",
        version_id=version,
        artefact=str(artefact),
        labels={"solution": "taste", "recipe": "aws-user-personalization", "dataset_group": "0" * 16},
        metadata={
            "solution_version_arn": ARN,
            "tag": f"sv/00000000000000aa/{version}",
            "metrics": {"coverage": 0.5},
            "baselines": {},
            "warnings": ["The model LOSES to popularity."],
        },
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A Bento store with a version of each type of recipe."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    make_artefact(settings.home / "one")
    bentos.build(settings, spec(settings.home / "one", "recommends"))
    make_artefact(settings.home / "two", recipe="aws-personalized-ranking", recipe_type="PERSONALIZED_RANKING")
    bentos.build(settings, spec(settings.home / "two", "ranks"))
    return settings


@contextmanager
def served(settings: Settings, version: str, **env: str) -> Iterator[int]:
    """`bentoml serve <tag>` as the README says, on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "bentoml", "serve", f"solution-00000000000000aa:{version}", "--port", str(port)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OPENPERSONALIZE_")}
    log = settings.home / f"{version}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=settings.home,
            env={**inherited, **TELEMETRY_OFF, "BENTOML_HOME": str(settings.bento_home), **env},
            stdout=output,
            stderr=output,
        )
    try:
        _wait(process, port, log)
        yield port
    finally:
        family = [*psutil.Process(process.pid).children(recursive=True), process]
        for member in family:
            member.terminate()
        _, alive = psutil.wait_procs(family[:-1], timeout=20)
        for member in alive:
            member.kill()
        process.wait(timeout=20)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            client(port).get_recommendations(campaignArn=CAMPAIGN, userId="u1")
            return
        except EndpointConnectionError:
            time.sleep(0.2)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                return
            time.sleep(0.2)
    raise AssertionError(f"bentoml serve did not come up: {log.read_text()}")


def client(port: int, **signed: str):
    config = Config(retries={"max_attempts": 0}, **({} if signed else {"signature_version": UNSIGNED}))
    return boto3.client(
        "personalize-runtime",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        config=config,
        **signed,
    )


def test_bentoml_serve_alone_answers_recommendations(home: Settings) -> None:
    with served(home, "recommends") as port:
        answer = client(port).get_recommendations(campaignArn=CAMPAIGN, userId="u3", numResults=40)
        listening = {
            connection.laddr.ip
            for connection in psutil.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        }
        with pytest.raises(client(port).exceptions.InvalidInputException, match="at most 500, not 501"):
            client(port).get_recommendations(campaignArn=CAMPAIGN, userId="u3", numResults=501)
        with pytest.raises(client(port).exceptions.InvalidInputException, match="GetRecommendations only"):
            client(port).get_personalized_ranking(campaignArn=CAMPAIGN, userId="u3", inputList=["i1"])
    expected = Recommender(Artefact.open(home.home / "one")).recommend(Asked("u3"), 40)
    assert [(item["itemId"], item["score"]) for item in answer["itemList"]] == [(s.item_id, s.score) for s in expected]
    assert abs(sum(item["score"] for item in answer["itemList"]) - 1) < 40 * 5e-8 + 1e-7
    assert answer["ResponseMetadata"]["RequestId"]
    assert listening == {"127.0.0.1"}


def test_a_ranking_version_answers_rankings_and_checks_signatures_when_keys_are_set(home: Settings) -> None:
    with served(home, "ranks", OPENPERSONALIZE_ACCESS_KEYS="AKIAEXAMPLE:secret") as port:
        good = client(port, aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="secret")
        answer = good.get_personalized_ranking(campaignArn=CAMPAIGN, userId="u3", inputList=["i2", "nothing", "i9"])
        with pytest.raises(ClientError, match="MissingAuthenticationToken"):
            client(port).get_personalized_ranking(campaignArn=CAMPAIGN, userId="u3", inputList=["i2"])
        bad = client(port, aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="wrong")
        with pytest.raises(ClientError, match="InvalidSignature"):
            bad.get_personalized_ranking(campaignArn=CAMPAIGN, userId="u3", inputList=["i2"])
    ranked = answer["personalizedRanking"]
    assert {item["itemId"] for item in ranked[:2]} == {"i2", "i9"}
    assert ranked[2] == {"itemId": "nothing"}


def test_the_bento_is_small_and_the_model_shares_the_artefacts_bytes(home: Settings) -> None:
    bento = home.bento_home / "bentos" / "solution-00000000000000aa" / "recommends"
    assert sum(file.stat().st_size for file in bento.rglob("*") if file.is_file()) < 250_000
    model = model_directory(home, "00000000000000aa", "recommends")
    assert (model / "item_matrix.npy").samefile(home.home / "one" / "item_matrix.npy")
    assert not list(bento.rglob("*.npy"))
    text = (bento / "bento.yaml").read_text() + (bento / "env" / "python" / "requirements.txt").read_text()
    assert "torch" not in text
    assert "solution: taste" in text
    assert ARN in (model / "model.yaml").read_text()
    assert "coverage: 0.5" in (model / "model.yaml").read_text()
    assert "LOSES to popularity" in (model / "model.yaml").read_text()
    assert "**WARNING**: The model LOSES to popularity." in (bento / "README.md").read_text()


def test_no_file_of_the_store_is_a_pickle(home: Settings) -> None:
    for file in home.bento_home.rglob("*"):
        if file.is_file():
            assert file.suffix != ".pkl"
            assert not file.read_bytes().startswith(b"\x80\x04")


def test_building_again_keeps_the_same_model_and_replaces_a_different_one(home: Settings, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    first, second = make_artefact(tmp_path / "one"), make_artefact(tmp_path / "two", seed=1)
    bentos.build(settings, spec(first, "v"))
    model = model_directory(settings, "00000000000000aa", "v")
    inode = model.stat().st_ino
    leftover = settings.bento_home / ".building-v" / "models"
    leftover.mkdir(parents=True)
    bentos.build(settings, spec(first, "v"))
    assert model.stat().st_ino == inode
    bentos.build(settings, spec(second, "v"))
    assert (model / "manifest.json").read_bytes() == (second / "manifest.json").read_bytes()
    assert not leftover.exists()
    assert sorted(path.name for path in model.parent.iterdir()) == ["latest", "v"]


def test_removing_a_solution_removes_its_models_and_bentos_and_twice_is_fine(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    for kind in ("bentos", "models"):
        for version in ("v1", "v2"):
            (settings.bento_home / kind / "solution-a" / version).mkdir(parents=True)
    bentos.remove(settings, "a", "v1")
    assert not model_directory(settings, "a", "v1").exists() and model_directory(settings, "a", "v2").exists()
    bentos.remove_solution(settings, "a")
    bentos.remove_solution(settings, "a")
    assert [path.name for path in settings.bento_home.rglob("*")] == ["bentos", "models"] or [
        path.name for path in settings.bento_home.rglob("*")
    ] == ["models", "bentos"]
