import subprocess
import sys
import time
from pathlib import Path

import pytest

from medssl.cli import cli, main
from medssl.store import Store


def medssl(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "medssl.cli", *map(str, arguments)],
        capture_output=True, text=True, timeout=200, **options,
    )  # fmt: skip


def test_help_answers_at_once():
    times = []
    for _ in range(5):
        started = time.perf_counter()
        done = medssl("--help")
        times.append(time.perf_counter() - started)
    assert done.returncode == 0
    assert "pretrain" in done.stdout
    assert min(times) < 0.3


def test_nothing_heavy_is_imported_before_a_command_is_chosen():
    code = "import sys, medssl.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    heavy = {"torch", "numpy", "pandas", "pyarrow", "mlflow", "lightning", "pydantic", "matplotlib"}
    assert not heavy & set(loaded.split())


def test_every_command_has_a_help_text(capsys):
    for name, command in cli.commands.items():
        assert command.help, name
        assert len(command.get_short_help_str(200)) > 10, name


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "nowhere.yaml"], "no configuration file at"),
        (["store", "info", "nowhere"], "nowhere"),
        (["pretrain", "nowhere.yaml", "steps"], "no configuration file at"),
    ],
)
def test_what_a_user_can_mend_ends_in_one_line_and_code_2(arguments, says):
    done = medssl(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("medssl: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr


def test_debug_shows_the_traceback():
    done = medssl("--debug", "run", "nowhere.yaml")
    assert "Traceback" in done.stderr
    assert "ConfigError" in done.stderr


def test_an_unknown_command_names_the_usage():
    done = medssl("pretrian")
    assert done.returncode == 2
    assert "pretrian" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_whole_way_from_the_command_line(pipeline_file, tmp_path):
    done = medssl("run", pipeline_file, "--dry-run")
    assert done.returncode == 0
    assert done.stdout.count("it has not been run") == 1
    assert "its input ingest would be made anew" in done.stdout
    assert not (tmp_path / "runs").exists()

    # As `mlflow run` passes overrides: one quoted text.
    done = medssl("run", pipeline_file, "--overrides", "'pretrain.steps=6 audit.fail_on=note'")
    assert done.returncode == 3, done.stderr
    for words in (
        "predict the mean", "untrained encoder", "heart rate", "Effective rank", "audit.html",
        "mlflow ui --backend-store-uri",
    ):  # fmt: skip
        assert words in done.stdout
    assert "6 steps" in done.stdout

    store = tmp_path / "runs" / "small" / "ingest" / "store"
    shown = medssl("store", "info", store)
    assert "393" in shown.stdout
    assert "counts" in shown.stdout
    assert "Components of quality" not in shown.stdout  # its segments were not graded
    assert "Warning" not in shown.stderr
    graded = medssl("store", "info", Path(__file__).parent / "data" / "store_v2").stdout
    assert "Components of quality" in graded
    listed = medssl("store", "ledger", store).stdout
    assert "not_a_recording" in listed
    assert "ppg_bp: labels.csv" in listed
    wrong = medssl("store", "ledger", store, "--reason", "not_a_recordin")
    assert wrong.returncode == 2
    assert "did you mean not_a_recording?" in wrong.stderr
    assert medssl("store", "verify", store, "--deep").stdout.strip().endswith("is whole")
    assert medssl("store", "export", store, tmp_path / "tars", "--to", "webdataset").returncode == 0
    assert list((tmp_path / "tars").glob("*.tar"))

    shard = next((store / "shards").glob("*.tar"))
    data = bytearray(shard.read_bytes())
    data[int(Store.open(store).column("offset")[7]) + 40] ^= 1
    shard.write_bytes(data)
    broken = medssl("store", "verify", store, "--deep")
    assert broken.returncode == 2
    assert shard.name in broken.stderr


def test_pseudonyms_lead_back_to_the_raw_data_until_the_links_are_deleted(ppg_store, capsys):
    name = str(ppg_store.participants.index[0])
    found = medssl("store", "who", ppg_store.path, name, "p000000000000").stdout.splitlines()
    assert found[0].split("\t")[0] == name
    assert found[0].split("\t")[1].isdigit()
    assert found[1] == "p000000000000\tunknown"


def test_errors_of_ours_are_bugs_and_keep_their_traceback(monkeypatch):
    def broken(*_args, **_kwargs):
        raise RuntimeError("a bug")

    monkeypatch.setattr(cli, "main", broken)
    with pytest.raises(RuntimeError):
        main()


def test_a_terminated_run_is_closed_as_killed(pipeline_file, tmp_path):
    from mlflow import MlflowClient

    from medssl.tracking import tracking_uri

    process = subprocess.Popen(
        [sys.executable, "-m", "medssl.cli", "run", str(pipeline_file), "pretrain.steps=100000",
         "pretrain.optimiser.learning_rate=1.0e-6", "tracking.experiment=terminated"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 100
    while not list((tmp_path / "runs").glob("outputs/pretrain/.*.partial/training/metrics.jsonl")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    client = MlflowClient(tracking_uri())
    experiment = client.get_experiment_by_name("terminated").experiment_id
    status = {r.info.run_name: r.info.status for r in client.search_runs([experiment])}
    assert status["pretrain"] == status["small"] == "KILLED"
    assert "Traceback" not in errors


def test_a_full_disk_is_one_line(pipeline_file):
    """A real limit on the size of files stands for a full disk."""
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 40; exec {sys.executable} -m medssl.cli ingest {pipeline_file} "
         "tracking.enabled=false"],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert "cannot write" in done.stderr
