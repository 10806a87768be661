"""The notebook runs top to bottom on simulated data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.dashboard import scenes

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "get_data.ipynb"
RUN = """
import sys, nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
manager = AsyncKernelManager(kernel_name="python3")
manager.kernel_spec.argv[0] = sys.executable
NotebookClient(notebook, timeout=120, km=manager).execute()
nbformat.write(notebook, sys.argv[2])
"""  # in a process of its own: the kernel's sockets are closed with it


@pytest.mark.timeout(180)
@pytest.mark.parametrize("scene", ["crash", "empty"])
def test_the_notebook_runs(tmp_path: Path, scene: str) -> None:
    """Every cell runs on a day with a cascade, with figures; and on an empty ledger."""
    path = tmp_path / "test.db"
    scenes.make(path, scene, days=3, per_hour=80)
    (tmp_path / "empty.ini").touch()
    variables = {
        "REKT_CONFIG": str(tmp_path / "empty.ini"), "REKT_DATABASE_PATH": str(path), "HOME": str(tmp_path),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline", "IPYTHONDIR": str(tmp_path),
        "JUPYTER_RUNTIME_DIR": str(tmp_path),
    }  # fmt: skip
    kept = {key: value for key, value in os.environ.items() if not key.startswith("REKT_")}
    command = [sys.executable, "-c", RUN, str(NOTEBOOK), str(tmp_path / "done.ipynb")]
    done = subprocess.run(
        command, env={**kept, **variables}, capture_output=True, text=True, timeout=170, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    notebook = _read(tmp_path / "done.ipynb")
    figures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(figures) >= (4 if scene == "crash" else 1)


def test_the_notebook_is_kept_without_outputs() -> None:
    """What is committed holds no figures and no counts of a run."""
    notebook = _read(NOTEBOOK)
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in notebook.cells)


def _read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
