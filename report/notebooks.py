"""Execute the notebooks in place, in the order of their names.

    python -m report notebooks                  # all
    python -m report notebooks 01_test_sets     # some

A notebook runs in ``notebooks/``, in a fresh kernel of this interpreter that can import the repository. It is
written back only if every cell ran and none wrote to the error stream, and without anything that differs
between two runs (times, versions). It does not see ``AUDIO_DATA``: what it shows of recordings comes from
``results/``, so its outputs are the same on machines with and without them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from audio_distance.storage import replacing
from study import datasets

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"


class NotebookError(RuntimeError):
    """A cell failed or wrote to the error stream; the message names notebook and cell."""


def execute(path: Path, *, timeout: int = 300) -> float:
    """Execute one notebook in place, atomically; return the seconds it took.

    Parameters
    ----------
    path : path
        Of the notebook, whose folder is where its cells run.
    timeout : int
        Seconds for one cell.

    Raises
    ------
    NotebookError
        For a cell that fails, takes too long or writes to the error stream; the file is then as it was.
    """
    started = time.perf_counter()
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,  # it differs from run to run
        coalesce_streams=True,  # otherwise the pieces of a long print depend on the machine's speed
        resources={"metadata": {"path": str(path.parent)}},
    )
    # this interpreter, whatever kernel a user has registered under the same name
    kernel = client.create_kernel_manager()
    kernel.kernel_spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    with tempfile.TemporaryDirectory() as profile:
        kernel.transport, kernel.ip = "ipc", f"{profile}/kernel"  # sockets of this folder, no network port
        try:
            client.execute(env=_environment(profile))
        except CellExecutionError as error:
            raise NotebookError(f"{path.name}: {_failed(notebook)} failed\n{error}") from None
        except (CellTimeoutError, DeadKernelError) as error:
            raise NotebookError(f"{path.name}: {error}") from None
    for number, cell in enumerate(_code(notebook), start=1):
        for output in cell.outputs:
            if output.get("name") == "stderr":
                raise NotebookError(
                    f"{path.name}: code cell {number} wrote to the error stream:\n{output['text']}"
                )
        cell.metadata.pop("execution", None)  # times, of an earlier run
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    with replacing(path) as part:
        nbformat.write(notebook, part)
    return time.perf_counter() - started


def _environment(profile: str) -> dict[str, str]:
    """Return the environment with the repository importable, without recordings and IPython settings."""
    imports = [str(FOLDER.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **{name: value for name, value in os.environ.items() if name != datasets.ENVIRONMENT},
        "PYTHONPATH": os.pathsep.join(imports),
        "PYTHONHASHSEED": "0",  # sets are printed in one order
        "IPYTHONDIR": profile,  # no start-up files of a user
    }


def _code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _failed(notebook: nbformat.NotebookNode) -> str:
    """Name the cell that holds an error, counting code cells from 1."""
    for number, cell in enumerate(_code(notebook), start=1):
        if any(output.output_type == "error" for output in cell.outputs):
            return f"code cell {number}"
    return "a cell"


def run(names: Sequence[str] = ()) -> int:
    """Execute the notebooks of these names or paths, or all; print a line each.

    Returns the exit code: 1 at the first that fails, 2 for an unknown name, before any is run.
    """
    stems = [Path(name).name.removesuffix(".ipynb") for name in names]
    paths = [FOLDER / f"{stem}.ipynb" for stem in stems] or sorted(FOLDER.glob("*.ipynb"))
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
