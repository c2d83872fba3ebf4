"""Notebooks run from top to bottom on the sample recordings."""

import nbformat
import pytest
from nbclient import NotebookClient


@pytest.mark.parametrize("name", ["look_into_a_store"])
def test_notebooks_run_and_are_stored_without_outputs(pytestconfig, name, monkeypatch):
    monkeypatch.delenv("MEDSSL_STORE", raising=False)
    path = pytestconfig.rootpath / "notebooks" / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    kinds = [output.output_type for cell in code for output in cell.outputs]
    assert "error" not in kinds
    assert any("image/png" in o.get("data", {}) for cell in code for o in cell.outputs)
