"""The tables of `openpersonalize reproduce`."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from pipelines.platform.reproduce_command import Proof


def show(console: Console, found: Proof) -> None:
    """What is installed differently first, then every output with both checksums, then the verdict."""
    console.print(f"{found.arn}, tag {found.tag}", markup=False, soft_wrap=True)
    if found.differences:
        console.print("The code that is installed is not the code that made it:")
        table = Table("", "recorded", "installed", pad_edge=False)
        for one in found.differences:
            table.add_row(one.what, one.recorded, one.installed)
        console.print(table)
    if found.outputs is None:
        console.print(
            "Nothing was run. Install the recorded code (the version's commit has requirements.lock; `openpersonalize "
            "checkout` gets it), or compare what this code makes with --anyway.",
            soft_wrap=True,
        )
        return
    table = Table("output", "recorded md5", "made now", "", pad_edge=False)
    for output in found.outputs:
        table.add_row(output.path, output.recorded, output.made or "", "same" if output.is_same else "DIFFERENT")
    console.print(table)
    console.print(_verdict(found))


def _verdict(found: Proof) -> str:
    assert found.outputs is not None
    other = " by the code that is installed, which is another than the recorded one" if found.differences else ""
    wrong = sum(not output.is_same for output in found.outputs)
    if not wrong:
        return f"reproduced: all {len(found.outputs)} outputs are bit-identical, made from empty caches{other}"
    hint = "" if found.differences else "; the code is the recorded one, so the CPU may be of another kind"
    return f"NOT reproduced: {wrong} of {len(found.outputs)} outputs differ{other}{hint}"
