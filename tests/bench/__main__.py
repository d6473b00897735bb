"""`make bench`: every benchmark of this folder, one after the other, each in a process of its own.

A module `<name>_bench` here is one: it prints its tables and exits with 0 when every bound it states holds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console


def main() -> int:
    """Run all; how many missed a bound."""
    console = Console()
    missed = []
    for file in sorted(Path(__file__).parent.glob("*_bench.py")):
        console.rule(file.stem)
        # Serving is measured on one thread, as a worker of the runtime runs; training sets its own count.
        env = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        if subprocess.run([sys.executable, "-m", f"tests.bench.{file.stem}"], env=env, check=False).returncode:
            missed.append(file.stem)
    console.rule(f"missed a bound: {', '.join(missed)}" if missed else "every bound holds")
    return len(missed)


if __name__ == "__main__":
    sys.exit(main())
