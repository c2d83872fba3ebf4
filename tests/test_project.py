"""The files around the package say the same thing as each other and as the command line."""

import re
import tomllib

import pytest
import yaml

from medssl.cli import cli
from medssl.samples import sample_path
from medssl.stages.pipeline import Pipeline
from medssl.stages.registry import STAGES


@pytest.fixture(scope="module")
def root(pytestconfig):
    return pytestconfig.rootpath


def install_line(text):
    found = re.search(r"pip install .*?-c (\S+) -e '?(\.\S*?)'?\s", text)
    assert found, "no pip install line"
    return found.groups()


def test_every_way_of_installing_takes_the_same_steps(root):
    make = install_line((root / "Makefile").read_text())
    docker = install_line((root / "Dockerfile").read_text())
    pip = yaml.safe_load((root / "environment.yml").read_text())["dependencies"][-1]["pip"]
    assert make == docker == ("constraints.txt", ".[dev]")
    assert pip == ["-c constraints.txt", "-e .[dev]"]
    assert yaml.safe_load((root / "python_env.yaml").read_text())["dependencies"] == [
        "-c constraints.txt", "-e .[all]",
    ]  # fmt: skip


def test_every_way_of_installing_names_the_same_python(root):
    assert "FROM python:3.11" in (root / "Dockerfile").read_text()
    environment = yaml.safe_load((root / "environment.yml").read_text())
    assert environment["dependencies"][0] == "python=3.11"
    assert yaml.safe_load((root / "python_env.yaml").read_text())["python"] == "3.11"
    assert "python3.11" in (root / "Makefile").read_text()
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["requires-python"].startswith(">=3.11")


def test_constraints_pin_releases_that_the_requirements_allow(root):
    from packaging.requirements import Requirement

    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    allowed = {r.name: r.specifier for r in map(Requirement, wanted)}
    lines = (root / "constraints.txt").read_text().splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert {"torch", "torchvision", "mlflow", "lightning"} <= {p.name for p in pinned}
    for pin in pinned:
        version = next(iter(pin.specifier)).version
        assert version in allowed.get(pin.name, pin.specifier), pin


def test_every_requirement_has_a_reason(root):
    text = (root / "pyproject.toml").read_text()
    block = text[text.index("dependencies = [") : text.index("[project.optional")]
    lines = [line for line in block.splitlines() if line.strip().startswith('"')]
    assert lines
    assert all("#" in line for line in lines)


def test_entry_points_are_commands_and_their_parameters_options(root):
    project = yaml.safe_load((root / "MLproject").read_text())
    stages = {"run", *STAGES}
    assert stages | {"main", "demo"} == set(project["entry_points"])
    for name, entry in project["entry_points"].items():
        words = entry["command"].split()
        assert words[0] == "medssl"
        command = cli.commands[words[1]]
        assert words[1] == (name if name in stages else "run")
        options = {option for p in command.params for option in p.opts}
        assert {w for w in words if w.startswith("--")} <= options
        used = set(re.findall(r"{(\w+)}", entry["command"]))
        assert used == set(entry["parameters"])
        assert {p["type"] for p in entry["parameters"].values()} == {"string"}


@pytest.mark.parametrize("name", ["demo", "demo_ecg", "finetune", "ppg_labels", "rivals"])
def test_shipped_pipelines_are_valid(root, name):
    assert set(Pipeline(root / "pipelines" / f"{name}.yaml").configs) >= {"ingest", "pretrain"}


def test_the_samples_are_small_and_carry_their_licences():
    for name in ("ppg_bp", "ecg_id"):
        folder = sample_path(name)
        assert (folder / "README.md").is_file()
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        assert size < 8_000_000
    licences = (sample_path("ppg_bp").parent / "LICENCES.md").read_text()
    for word in ("ODC", "CC0", "10.1038/sdata.2018.20", "Lugovaya"):
        assert word in licences


def test_no_private_path_and_no_device_number_stands_in_the_code(root):
    private = re.compile(r"""["'](?:/home/|/Users/|/root/|/mnt/|cuda:\d)""")
    files = [*(root / "medssl").rglob("*.py"), *(root / "medssl").rglob("*.yaml")]
    assert len(files) > 300
    assert [str(f) for f in files if private.search(f.read_text(encoding="utf-8"))] == []


def test_docs_link_to_files_that_exist(root):
    for page in [root / "README.md", root / "CHANGELOG.md", *(root / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readme_embeds_a_recording(root, tmp_path):
    """The block of Python in the README runs as it stands, on a bundle and a recording."""
    import numpy as np
    import torch

    from medssl.bundle import save_bundle
    from medssl.contracts import WaveformContract
    from medssl.encoders import ResNet1dConfig, build_encoder

    (block,) = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    config = ResNet1dConfig(channels=1, width=4)
    torch.manual_seed(0)
    save_bundle(
        tmp_path / "bundle", build_encoder(config), encoder=config, provenance={},
        contract=WaveformContract(
            modality="ppg", rate=64, channels=("ppg",), units="counts", length=134
        ),
    )  # fmt: skip
    block = re.sub(r'"medssl-runs/[^"]*"', repr(str(tmp_path / "bundle")), block)
    names = {"recording": np.random.default_rng(0).normal(size=(1, 1250))}
    exec(block, names)
    assert names["embeddings"].shape == (640 // 134, 32)
