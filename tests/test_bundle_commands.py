import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from medssl.bundle import CARD, bundle_digest, load_encoder, save_bundle, write_manifest
from medssl.bundle.card import FindingFacts, pick_probes, read_card
from medssl.bundle.saving import write_card
from medssl.bundle_commands import bundle as group
from medssl.encoders import ResNet1dConfig
from medssl.errors import MedsslError, StageError, StoreError
from medssl.tracking import tracking_uri

V1 = Path(__file__).parent / "data" / "bundle_v1"


@pytest.fixture
def bundle(tmp_path):
    """The small bundle of version 1, saved anew."""
    encoder = load_encoder(V1, device="cpu")
    save_bundle(
        tmp_path / "bundle", encoder.module,
        encoder=ResNet1dConfig(channels=1, width=4, stages=3), contract=encoder.contract,
        provenance={"method": "none [at all]", "steps": 0},
    )  # fmt: skip
    return tmp_path / "bundle"


def invoke(*arguments):
    return CliRunner().invoke(group, [str(argument) for argument in arguments])


def test_show_tells_what_a_bundle_expects(bundle):
    done = invoke("show", bundle)
    assert done.exit_code == 0
    for text in (bundle_digest(bundle), "134 samples, 2.09375 s", "none [at all]", "3,940"):
        assert text in done.stdout
    assert done.stdout.count("\n") < 20


def test_show_tells_scores_and_findings_that_matter(bundle):
    row = {"target": "age [years]", "features": "encoder", "metric": "mae", "label": "MAE",
           "value": 11.8, "low": 9.7, "high": 14.4, "n_score": 58}  # fmt: skip
    difference = {"target": "age [years]", "metric": "mae", "features": "encoder",
                  "baseline": "heart rate", "value": -3.0, "low": -4.0, "high": -2.0,
                  "verdict": "better"}  # fmt: skip
    findings = [FindingFacts(severity=s, title=f"a [{s}] one") for s in ("warning", "ok")]
    table = {"rows": [row, {**row, "features": "heart rate"}], "differences": [difference]}
    card = read_card(bundle).model_copy(
        update={"probes": pick_probes(table), "audit": tuple(findings)}
    )
    write_card(bundle, card)
    write_manifest(bundle)
    done = invoke("show", bundle)
    assert done.exit_code == 0
    assert done.stdout.count("age [years], MAE") == 1
    assert "better than heart rate" in done.stdout
    assert "11.800 [9.700, 14.400]" in done.stdout
    assert "warning: a [warning] one" in done.stdout
    assert "a [ok] one" not in done.stdout


def test_show_tells_what_a_task_predicts(bundle):
    config = json.loads((bundle / "config.json").read_text())
    (bundle / "config.json").write_text(json.dumps({**config, "format": "medssl-task"}))
    task = {"target": {"name": "sex"}, "scale": {"kind": "binary", "classes": []}}
    (bundle / "task.json").write_text(json.dumps(task))
    (bundle / "card.json").unlink()
    write_manifest(bundle)
    done = invoke("show", bundle)
    assert done.exit_code == 0
    assert "sex (binary)" in done.stdout


@pytest.mark.parametrize("name", ["card.json", "contract.json"])
def test_show_says_when_it_shows_what_was_changed(bundle, name):
    with (bundle / name).open("a") as file:
        file.write(" ")
    done = invoke("show", bundle)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"do not trust what is shown: {name} was changed")


def test_verify_says_that_a_bundle_is_whole(bundle):
    done = invoke("verify", bundle)
    assert done.exit_code == 0
    assert done.stdout == f"{bundle} is whole; digest {bundle_digest(bundle)}\n"
    assert invoke("verify", bundle, "--digest", bundle_digest(bundle)).exit_code == 0
    assert "version 1: only the weights" in invoke("verify", V1).stdout


def test_verify_prints_every_problem(bundle):
    done = invoke("verify", bundle, "--digest", "0" * 64)
    assert done.exit_code == 2
    assert "another bundle" in done.stderr
    (bundle / CARD).write_text("better")
    done = invoke("verify", bundle)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("card.md was changed after it was saved")


def test_export_writes_beside_the_bundle(bundle):
    done = invoke("export", bundle, "--to", "torch")
    assert done.exit_code == 0
    assert done.stdout == f"exported to {bundle}.pt2\n"
    assert Path(f"{bundle}.pt2").is_file()
    assert invoke("export", bundle, "--to", "pickle").exit_code == 2


def test_register_points_an_alias_to_the_bundle(bundle):
    done = invoke("register", bundle, "--name", "shown", "--experiment", "commands")
    assert done.exit_code == 0
    assert done.stdout == "registered as version 1: models:/shown@candidate\n"
    client = MlflowClient(tracking_uri())
    assert client.get_model_version_by_alias("shown", "candidate").version in (1, "1")


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "nowhere"),
        ("export", "nowhere", "--to", "onnx"),
        ("register", "nowhere", "--name", "n", "--experiment", "commands"),
    ],
)
def test_what_is_no_bundle_is_one_line(arguments):
    done = invoke(*arguments)
    assert isinstance(done.exception, MedsslError)
    assert "nowhere" in str(done.exception)
    assert "\n" not in str(done.exception)


def test_a_tampered_bundle_is_not_exported(bundle, tmp_path):
    shutil.copyfile(bundle / "card.json", bundle / "contract.json")
    done = invoke("export", bundle, "--to", "torch", "-o", tmp_path / "m")
    assert isinstance(done.exception, StoreError)
    assert not (tmp_path / "m").exists()


def test_below_medssl_errors_end_in_one_line_and_code_2():
    code = (
        "from medssl.cli import cli, main; from medssl.bundle_commands import bundle;"
        "cli.add_command(bundle); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "bundle", "show", "nowhere"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("medssl: nowhere is not a medssl bundle")
    assert done.stderr.count("\n") == 1


def test_nothing_heavy_is_imported_with_the_commands():
    code = "import sys, medssl.bundle_commands; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    heavy = {"torch", "numpy", "rich", "pydantic", "safetensors", "onnx", "mlflow", "pyarrow"}
    assert not heavy & set(loaded.split())


def test_showing_and_verifying_need_no_torch():
    code = (
        "import sys; from click.testing import CliRunner;"
        "from medssl.bundle_commands import bundle;"
        f"[CliRunner().invoke(bundle, [c, {str(V1)!r}], catch_exceptions=False)"
        " for c in ('show', 'verify')];"
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert "medssl.bundle.verification" in loaded.split()
    assert "torch" not in loaded.split()


def test_an_export_is_not_written_over_a_folder(bundle, tmp_path):
    done = invoke("export", bundle, "--to", "torch", "-o", tmp_path)
    assert isinstance(done.exception, StageError)
    assert f"such as {tmp_path / 'bundle.pt2'}" in str(done.exception)
