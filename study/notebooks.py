"""Execute the notebooks in place, in the order of their names.

    python -m study.notebooks                  # all
    python -m study.notebooks 01_test_sets     # some

A notebook runs from a fresh kernel in ``notebooks/``; it is written back only if every cell ran and none
wrote to the error stream, and without anything that differs between two runs (times, versions).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"


class NotebookError(RuntimeError):
    """A cell failed or wrote to the error stream; the message names notebook and cell."""


def execute(path: Path, *, timeout: int = 300) -> float:
    """Execute one notebook in place, atomically; return the seconds it took."""
    started = time.perf_counter()
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise NotebookError(f"{path.name}: a cell failed\n{error}") from None
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise NotebookError(
                    f"{path.name}: cell {number} wrote to the error stream:\n{output['text']}"
                )
        cell.metadata.pop("execution", None)
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    temporary = path.with_suffix(".part")
    nbformat.write(notebook, temporary)
    os.replace(temporary, path)
    return time.perf_counter() - started


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m study.notebooks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="names without extension; default: all")
    names = parser.parse_args(argv).names
    paths = [FOLDER / f"{name}.ipynb" for name in names] or sorted(FOLDER.glob("*.ipynb"))
    missing = [path.stem for path in paths if not path.exists()]
    if missing:
        print(f"error: no notebook named {', '.join(missing)} in {FOLDER.name}/", file=sys.stderr)
        return 2
    for path in paths:
        try:
            print(f"{path.name}: {execute(path):.1f} s", flush=True)
        except NotebookError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
