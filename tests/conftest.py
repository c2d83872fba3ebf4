"""What every test starts from: a home of its own, no network, one thread, small real stores."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Set before anything heavy is imported: more threads than cores only take turns.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ.pop("MLFLOW_TRACKING_URI", None)
os.environ.pop("MLFLOW_RUN_ID", None)
os.environ.pop("MLFLOW_EXPERIMENT_ID", None)


@pytest.fixture(autouse=True, scope="session")
def medssl_home(tmp_path_factory):
    """No test writes into the user's own MLflow store."""
    home = tmp_path_factory.mktemp("medssl-home")
    os.environ["MEDSSL_HOME"] = str(home)
    return home


PPG_SOURCE = {
    "name": "ppg_bp",
    "format": "text",
    "path": "sample:ppg_bp",
    "include": "0_subject/*.txt",
    "layout": "row",
    "delimiter": "tab",
    "rate_in": 1000,
    "units": "counts",
    "modality": "ppg",
    "channels": ["ppg"],
    "rate": 32,
    "segment_seconds": 2,
    "participant": {"pattern": r"(?P<participant>\d+)_\d+\.txt$"},
    "session": {"pattern": r"_(?P<session>\d+)\.txt$"},
    "labels": {
        "table": "labels.csv",
        "key": "subject_ID",
        "columns": {"age": "Age(year)", "sex": "Sex(M/F)"},
        "values": {"sex": {"Male": "M", "Female": "F"}},
    },
}
"""The PPG recordings that ship with medssl, at a rate that makes tests quick."""


@pytest.fixture(scope="session")
def ppg_store_path(tmp_path_factory) -> Path:
    """All 393 sample PPG recordings, ungraded."""
    from medssl.ingest import ingest
    from medssl.ingest.config import IngestConfig

    path = tmp_path_factory.mktemp("ppg") / "store"
    ingest(IngestConfig.model_validate({"sources": [PPG_SOURCE], "quality": False}), path)
    return path


@pytest.fixture
def ppg_store(ppg_store_path):
    from medssl.store import Store

    return Store.open(ppg_store_path)


PIPELINE = {
    "name": "small",
    "split": {"train": 0.5, "validation": 0.1, "test": 0.4},
    "stages": {
        "ingest": {"sources": [PPG_SOURCE], "quality": False},
        "reduce": {},
        "pretrain": {
            "modality": "ppg",
            "encoder": {"name": "resnet1d", "channels": 1, "width": 4, "stages": 2},
            "head": {"hidden": 16, "out": 8},
            "views": {"channel_permutation": {"probability": 0}},
            "batch_size": 32,
            "steps": 12,
            "checkpoint_every": 4,
            "log_every": 1,
            "accelerator": "cpu",
        },
        "embed": {"untrained_seeds": 1},
        "probe": {
            "bootstrap": 100,
            "targets": [
                {"name": "age", "column": "age", "kind": "regression"},
                {"name": "sex", "column": "sex", "kind": "binary", "positive": "M"},
            ],
        },
        "audit": {},
    },
}
"""The demo in small: the same stages on the same real recordings, and numbers that mean nothing."""


@pytest.fixture(scope="session")
def small_pipeline() -> dict:
    """The pipeline's settings."""
    return PIPELINE


@pytest.fixture
def pipeline_file(tmp_path) -> Path:
    """A pipeline file whose outputs go beside it."""
    import yaml

    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({**PIPELINE, "root": str(tmp_path / "runs")}, sort_keys=False))
    return path


CONVIRT = {
    "name": "images and reports",
    "split": {"train": 0.5, "validation": 0.1, "test": 0.4},
    "tracking": {"enabled": False},
    "stages": {
        "pretrain": {
            "modality": "radiograph",
            "method": "convirt",
            "encoder": {
                "name": "resnet2d", "width": 4, "block": "basic", "blocks": [1, 1, 1, 1],
                "stem": "small",
            },
            "views": {"size": 16},
            "partner": {
                "encoder": {
                    "name": "text_transformer", "vocabulary": 200, "width": 16, "depth": 1,
                    "heads": 2, "tokens": 16,
                },
            },
            "head": {"hidden": 16, "out": 8},
            "pairs": {"level": "study", "partner": "report"},
            "optimiser": {"learning_rate": 0.003, "schedule": "constant"},
            "batch_size": 16,
            "steps": 40,
            "accelerator": "cpu",
        },
    },
}  # fmt: skip
"""ConVIRT in small: seconds, and an encoder that has learned a little."""


@pytest.fixture(scope="session")
def image_text_store(tmp_path_factory) -> Path:
    """Synthetic: 60 participants, the lower half of an image is bright where there is fluid.

    Each has one study of one image and a report, every third a second study; the side of the fluid
    is in neither label. Effusion is labelled 1 or 0, mass by chance, and both are missing at times.
    """
    import numpy as np
    import pandas as pd

    from medssl.contracts.grey_scale import GreyScale
    from medssl.records import Record
    from medssl.store import write_store
    from medssl.types import Modality, ParticipantId

    generator = np.random.default_rng(0)
    records, labels = [], {}
    for number in range(60):
        for study in range(1 + (number % 3 == 0)):
            fluid = bool(generator.integers(2))
            pixels = generator.normal(60, 20, size=(16, 12 + 2 * (number % 3)))
            pixels[8:] += 120 * fluid
            said = "There is a pleural effusion." if fluid else "No pleural effusion."
            beside = ["Heart size is normal.", "The bones are intact."][number % 2]
            told = {
                "participant": ParticipantId(f"p{number:03d}"), "session": f"s{study}",
                "study": f"p{number:03d}-{study}", "source_digest": "0" * 32, "source": "synthetic",
            }  # fmt: skip
            image = Record(
                recording=f"image {number}-{study}", modality=Modality.RADIOGRAPH, view="PA",
                data=pixels.clip(0, 255).astype(np.uint8), grey_scale=GreyScale().text, **told,
            )  # fmt: skip
            records += [image, Record(
                recording=f"report {number}-{study}", modality=Modality.REPORT,
                data=f"FINDINGS: {said} {beside}", **told,
            )]  # fmt: skip
            labels[image.name] = {"effusion": float(fluid), "mass": float(generator.integers(2))}
    frame = pd.DataFrame.from_dict(labels, orient="index")
    frame.iloc[0, 0] = frame.iloc[3, 1] = np.nan
    sex = pd.DataFrame({"sex": np.resize(["F", "M"], 60)}, index=[f"p{n:03d}" for n in range(60)])
    path = tmp_path_factory.mktemp("image_text") / "store"
    return write_store(path, records, participants=sex, labels=frame).path


@pytest.fixture(scope="session")
def image_text_pipeline(tmp_path_factory, image_text_store) -> Path:
    """The pipeline file of a small ConVIRT run on the synthetic store."""
    import yaml

    folder = tmp_path_factory.mktemp("convirt")
    path = folder / "convirt.yaml"
    path.write_text(yaml.safe_dump({
        **CONVIRT, "name": "convirt", "root": str(folder / "runs"),
        "inputs": {"ingest": str(image_text_store)},
    }, sort_keys=False))  # fmt: skip
    return path


@pytest.fixture(scope="session")
def image_text_run(image_text_pipeline) -> Path:
    """Output of a small ConVIRT pretraining: two bundles and two heads."""
    from medssl.stages.pipeline import run_pipeline

    (*_, step) = run_pipeline(image_text_pipeline)
    return step.folder.resolve()


@pytest.fixture(scope="session")
def studies_store_path(tmp_path_factory) -> Path:
    """Synthetic studies of every shape: 40 participants with 1 to 3, each of 1 or 2 images.

    The lower half of an image is bright where its report speaks of fluid. The last participant has
    a study of two reports, a report without an image and a report without findings; the one before
    an image without a study. Labels of images: `effusion` (yes, no) and `brightness`, missing at
    times.
    """
    import numpy as np
    import pandas as pd

    from medssl.records import Record
    from medssl.store import write_store
    from medssl.types import Modality, ParticipantId

    generator = np.random.default_rng(0)
    records, labels = [], {}

    def add(person, study, name, data, **more):
        image = not isinstance(data, str)
        record = Record(
            participant=ParticipantId(f"p{person:02d}"), session="s", study=study, recording=name,
            modality=Modality.RADIOGRAPH if image else Modality.REPORT, source_digest="0" * 32,
            data=data.clip(0, 255).astype(np.uint8) if image else data, source="synthetic", **more,
        )  # fmt: skip
        records.append(record)
        return record.name

    def picture(columns, fluid=False):
        pixels = generator.normal(70, 20, size=(24, columns))
        pixels[12:] += 110 * fluid
        return pixels

    for person in range(38):
        for number in range(1 + person % 3):
            fluid = bool(generator.integers(2))
            study = f"{number}"
            for image in range(1 + (person + number) % 2):
                pixels = picture((24, 20, 16)[person % 3], fluid)
                view = ("PA", "lateral")[image]
                name = add(
                    person, study, f"i{number}{image}", pixels, view=view, time=30.0 * number
                )
                labels[name] = {
                    "effusion": ("no", "yes")[fluid],
                    "brightness": float(pixels.mean()) if person % 5 else np.nan,
                }
            said = "There is a pleural effusion." if fluid else "No pleural effusion."
            beside = ("Heart size is normal.", "Bones are intact.", "Lungs are clear.")[person % 3]
            add(person, study, f"r{number}", f"FINDINGS: {said} {beside}")
    add(38, None, "i", picture(24))
    for name in ("a", "b"):
        add(39, "two reports", f"i{name}", picture(24))
        add(39, "two reports", f"r{name}", "FINDINGS: No pleural effusion.")
    add(39, "no image", "r", "FINDINGS: No nodule is seen.")
    add(39, "no findings", "i", picture(24))
    add(39, "no findings", "n", "INDICATION: Cough.")
    path = tmp_path_factory.mktemp("studies") / "store"
    return write_store(path, records, labels=pd.DataFrame.from_dict(labels, orient="index")).path


@pytest.fixture
def studies_store(studies_store_path):
    from medssl.store import Store

    return Store.open(studies_store_path)


@pytest.fixture(scope="session")
def two_ranks(tmp_path_factory):
    """Runs a worker script as two gloo processes: what each of them saved, by rank."""
    import torch

    def run(worker: Path) -> list:
        folder = tmp_path_factory.mktemp("ranks")
        # On this machine alone: no network interface but the loopback.
        interface = "lo0" if sys.platform == "darwin" else "lo"
        environment = {**os.environ, "GLOO_SOCKET_IFNAME": interface, "OMP_NUM_THREADS": "1"}
        processes = [
            subprocess.Popen(
                [sys.executable, str(worker), str(rank), str(folder)],
                env=environment,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(2)
        ]
        try:
            errors = [process.communicate(timeout=200)[1] for process in processes]
        finally:
            for process in processes:
                process.kill()
        # A gloo thread that is still running when the work is done may abort the process at its
        # exit; what was written before says whether the work was done.
        for rank, process in enumerate(processes):
            aborted = process.returncode == -signal.SIGABRT and (folder / f"{rank}.pt").is_file()
            assert process.returncode == 0 or aborted, errors
        return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]

    return run
