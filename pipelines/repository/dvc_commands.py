"""Several dvc commands in one process: `python -m pipelines.repository.dvc_commands '[["add", "x"], ["push"]]'`.

Starting dvc costs 1.6 CPU seconds, a further command in the same process about 0.1. The first command that fails
ends the rest, and its exit code is ours.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence


def run(commands: Sequence[Sequence[str]]) -> int:
    """Run the commands in the current directory; the exit code of the first that fails, else 0."""
    from dvc.cli import main

    for command in commands:
        code = int(main(list(command)))
        if code != 0:
            sys.stdout.flush()
            print(f"`dvc {shlex.join(command)}` ended with exit code {code}", file=sys.stderr, flush=True)
            return code
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(run(json.loads(sys.argv[1])))
