"""Notebooks run from top to bottom on the sample recordings, and hold no code of the library."""

import ast

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

import medssl
from medssl.stages.pipeline import Pipeline

NAMES = ("audit_embeddings", "compare_pretraining", "look_into_a_store")
MOST_LINES = 12


@pytest.fixture(scope="module")
def folder(pytestconfig):
    return pytestconfig.rootpath / "notebooks"


@pytest.fixture(scope="module")
def small(tmp_path_factory, small_pipeline):
    """What stands before every notebook: a small pipeline that has been run."""
    path = tmp_path_factory.mktemp("notebooks") / "small.yaml"
    path.write_text(yaml.safe_dump(small_pipeline | {"tracking": {"enabled": False}}))
    medssl.run_pipeline(path, f"root={path.parent / 'runs'}")
    return path


def read(folder, name):
    notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def execute(notebook, place, **parameters):
    """Run a notebook in `place` with other parameters; its cells then hold their outputs."""
    first = code_cells(notebook)[0]
    assert first.metadata.tags == ["parameters"]
    first.source += "".join(f"\n{name} = {value!r}" for name, value in parameters.items())
    client = NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(place)}}
    )  # fmt: skip
    client.execute()
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error"]
    assert not [o.text for o in outputs if o.output_type == "stream"]
    kinds = [set(output.get("data", {})) for output in outputs]
    return {
        "pictures": sum("image/png" in kind for kind in kinds),
        "widgets": sum("application/vnd.jupyter.widget-view+json" in kind for kind in kinds),
        "text": "\n".join(str(output.get("data", {}).get("text/html", "")) for output in outputs),
    }


def demo_parameters(small):
    root = str(small.parent / "runs")
    return {"ROOT": root, "RUN": f"{root}/demo", "PIPELINE": str(small)}


def test_the_embeddings_are_audited_with_linked_plots(folder, small, tmp_path):
    pytest.importorskip("jscatter")
    shown = execute(read(folder, "audit_embeddings"), tmp_path, **demo_parameters(small))
    assert shown["widgets"] == 1
    assert shown["pictures"] == 4
    assert "severity" in shown["text"]


def test_the_embeddings_are_audited_without_jupyter_scatter(folder, small, tmp_path, monkeypatch):
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "jscatter.py").write_text("raise ModuleNotFoundError('blocked by a test')\n")
    monkeypatch.setenv("PYTHONPATH", str(blocked))
    shown = execute(read(folder, "audit_embeddings"), tmp_path, **demo_parameters(small))
    assert shown["widgets"] == 0
    assert shown["pictures"] == 5


def test_pretraining_runs_are_compared(folder, small, tmp_path):
    root = str(small.parent / "runs")
    shown = execute(
        read(folder, "compare_pretraining"), tmp_path, ROOT=root, PIPELINE=str(small), STEPS=12
    )
    assert shown["pictures"] == 2
    assert "segment pairs" in shown["text"]
    assert "seed 1" in shown["text"]


def test_a_store_is_looked_into(folder, small, tmp_path):
    root = str(small.parent / "runs")
    shown = execute(
        read(folder, "look_into_a_store"), tmp_path,
        ROOT=root, STORE=f"{root}/demo/ingest/store", PIPELINE=str(small),
        RADIOGRAPHS=str(folder.parent / "pipelines" / "radiographs.yaml"),
    )  # fmt: skip
    assert shown["pictures"] == 4
    assert "longer side 64" in shown["text"]
    assert "not_a_recording" in shown["text"]
    assert "32 × 96 × 96" in shown["text"]


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_stored_without_outputs(folder, name):
    for cell in code_cells(read(folder, name)):
        assert not cell.outputs
        assert cell.execution_count is None


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_hold_no_code_of_the_library(folder, name):
    notebook = read(folder, name)
    for cell in code_cells(notebook):
        tree = ast.parse(cell.source)
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
        assert not [node for node in ast.walk(tree) if isinstance(node, kinds)]
        assert len(cell.source.splitlines()) <= MOST_LINES
        # Parts of an f-string may begin with a slash.
        joined = [node.values for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
        parts = {part for values in joined for part in values[1:]}
        texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and n not in parts]
        assert not [t for t in texts if isinstance(t, str) and t.startswith(("/", "~"))]
    words = sum(len(c.source.split()) for c in notebook.cells if c.cell_type == "markdown")
    assert words > 80


def test_every_notebook_is_tested(folder):
    assert sorted(path.stem for path in folder.glob("*.ipynb")) == sorted(NAMES)


def test_the_pipeline_beside_the_notebooks_is_valid(folder):
    pipeline = Pipeline(folder / "small.yaml")
    assert list(pipeline.configs) == ["ingest", "reduce", "pretrain", "embed", "probe"]
