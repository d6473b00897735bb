"""The runtime stays light: importing it does nothing, and running it never needs what training needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HEAVY = ["torch", "airflow", "pandas", "dvc", "duckdb", "great_expectations", "sqlalchemy", "pyarrow"]
LATER = ["numpy", "onnxruntime", "prometheus_client"]


def modules_after(statement: str) -> set[str]:
    """The modules in a fresh interpreter after a statement."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_app_loads_neither_models_nor_what_training_needs() -> None:
    assert not modules_after("import bento.app") & {*HEAVY, *LATER}


def test_loading_a_version_needs_numpy_and_onnxruntime_and_no_more(tmp_path: Path) -> None:
    from tests.support.artefacts import make_artefact

    make_artefact(tmp_path / "models" / "solution-s" / "v")
    loaded = modules_after(
        "from pathlib import Path; from threading import Event\n"
        "from bento.runtime import load\nfrom bento.deployments import Version\n"
        "from pipelines.serving.asked import Asked\nfrom pipelines.settings import Settings\n"
        f"import bento.metrics, bento.app\n"
        f"class Here(Settings):\n    bento_home = Path({str(tmp_path)!r})\n"
        "load(Here(home=Path('/nowhere')), Version('v', 's', 'arn', 0, 0, 0), Event()).recommend(Asked('u1', [('i1', 1.0)]), 5)"
    )
    assert {"numpy", "onnxruntime"} <= loaded
    assert not loaded & set(HEAVY)


def test_the_service_imports_without_settings_and_without_a_model() -> None:
    assert not modules_after("import bento.service") & {*HEAVY, "onnxruntime"}
