import json
import shutil

import numpy as np
import openpyxl
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from medssl.bench.biosignals.arms import BASE, NO_KOLEO, SEGMENT, Arm, arms
from medssl.bench.biosignals.legs import LEGS, load_leg
from medssl.bench.biosignals.orderings import OPPOSITE, REPRODUCED, UNDECIDED, judge
from medssl.bench.biosignals.ranks import PER_PARTICIPANT, Geometry, evenly, measure
from medssl.bench.biosignals.scores import Score
from medssl.bench.biosignals.tune import LEARNING_RATES, candidates
from medssl.cli import cli
from medssl.errors import StageError
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.metrics import METRICS
from medssl.evaluation.rank import effective_rank
from medssl.evaluation.statistics import Interval
from medssl.ingest.config import IngestConfig
from medssl.samples import sample_path
from medssl.stages.pretrain import PretrainConfig


@pytest.fixture
def data(tmp_path, text_recordings):
    """The shipped PPG as PPG-BP lies on disk, and one invented recording in BIDMC's layout."""
    root = tmp_path / "data"
    for name in ("ecg_id", "ludb", "mitdb", "cinc2017", "ppg_bp", "bidmc/bidmc_csv"):
        (root / name).mkdir(parents=True)
    shutil.copytree(sample_path("ppg_bp") / "0_subject", root / "ppg_bp" / "0_subject")
    book = openpyxl.Workbook()
    book.active.append(["a title"])
    table = pd.read_csv(sample_path("ppg_bp") / "labels.csv", dtype=str, keep_default_na=False)
    book.active.append(list(table.columns))
    for row in table.itertuples(index=False):
        book.active.append(list(row))
    book.save(root / "ppg_bp" / "PPG-BP dataset.xlsx")
    text_recordings(root / "bidmc" / "bidmc_csv")
    return root


@pytest.fixture
def text_recordings():
    def write(folder):
        for number in (1, 2):
            times = np.arange(0, 12, 0.008)
            wave = np.sin(2 * np.pi * 1.2 * times) ** 3 + 0.01 * number * times
            lines = [f"{t:.3f}, {v:.5f}, {v:.5f}" for t, v in zip(times, wave, strict=True)]
            path = folder / f"bidmc_0{number}_Signals.csv"
            path.write_text("Time [s], RESP, PLETH\n" + "\n".join(lines) + "\n")
            facts = f"bidmc_0{number}\nAge: 90+\nGender: M\nMIMIC II matched wdb ID: s{number}\n"
            (folder / f"bidmc_0{number}_Fix.txt").write_text(facts)

    return write


def test_arms_have_names_of_their_own_and_are_valid_settings(data):
    names = [arm.name for arm in arms()]
    assert names[0] == BASE
    assert len(set(names)) == len(names)
    for leg in LEGS:
        for arm in arms():
            made = load_leg(leg, data).pipeline(
                name="x", root=data, seed=0, pretrain=arm.pretrain
            )["stages"]["pretrain"]  # fmt: skip
            config = PretrainConfig.model_validate(made)
            base = load_leg(leg, data).config.pipeline["stages"]["pretrain"]
            assert config.steps == base["steps"]
            assert config.batch_size == base["batch_size"]


def test_an_arm_differs_from_the_recipe_by_what_its_name_says(data):
    leg = load_leg("ecg", data)
    found = {
        arm.name: leg.pipeline(name="x", root=data, seed=0, pretrain=arm.pretrain)["stages"][
            "pretrain"
        ]
        for arm in arms()
    }
    assert found[SEGMENT]["pairs"] == {"level": "segment"}
    assert found[NO_KOLEO]["method"] == {"name": "wearable", "koleo_weight": 0}
    assert {k: v for k, v in found[SEGMENT].items() if k != "pairs"} == found[BASE]


@pytest.mark.parametrize("leg", LEGS)
def test_the_sources_of_a_leg_are_valid_and_point_into_the_data_folder(leg, data):
    found = load_leg(leg, data).config.pipeline
    config = IngestConfig.model_validate(found["stages"]["ingest"])
    assert all(source.path.startswith(str(data)) for source in config.sources)
    names = {target["name"] for target in found["stages"]["probe"]["targets"]}
    assert set(load_leg(leg, data).config.metrics) == names
    assert {curve.target for curve in load_leg(leg, data).config.curves} <= names


def test_a_missing_data_set_is_named(tmp_path):
    with pytest.raises(StageError, match="lacks DATA/cinc2017, DATA/ecg_id"):
        load_leg("ecg", tmp_path)


def test_every_arm_is_tried_with_every_learning_rate():
    tried = candidates([Arm(name=BASE, group="recipe"), Arm(name="SimCLR", group="rival")])
    assert [arm.pretrain["optimiser"]["learning_rate"] for arm in tried] == [*LEARNING_RATES] * 2
    assert [arm.name for arm in tried].count(BASE) == 1


def test_at_most_so_many_records_of_a_participant_count():
    people = np.array(["b"] * 3 + ["a"] * 100 + ["c"] * 9)
    rows = evenly(people, ["a", "b"])
    assert people[rows].tolist() == ["b"] * 3 + ["a"] * PER_PARTICIPANT
    assert rows[3] == 3
    assert rows[-1] == 102


def test_geometry_is_the_mean_over_seeds_on_held_out_participants():
    generator = np.random.default_rng(0)
    people = np.repeat([f"p{number:02d}" for number in range(40)], 4)

    def table(scale):
        values = generator.normal(size=(160, 8)) * scale
        return Embeddings([f"r{i}" for i in range(160)], people, people, values)

    wide = [table(np.ones(8)) for _ in range(2)]
    narrow = [table(np.r_[np.ones(2), np.full(6, 0.01)]) for _ in range(2)]
    held_out = sorted(set(people))[:30]
    found = measure({BASE: wide, "narrow": narrow}, held_out)
    here = np.isin(people, held_out)
    expected = np.mean([effective_rank(one.values[here], centred=True) for one in wide])
    assert found[0].rank.value == pytest.approx(expected)
    assert found[0].rank_difference is None
    assert found[1].rank_difference.high < -2
    assert abs(found[0].icc.value) < 0.1


def gap(value, half):
    return Interval(value, value - half, value + half, 0.95, 30, 30)


@pytest.mark.parametrize(
    ("kind", "metric", "arm_minus_recipe", "verdict"),
    [
        ("regression", "mae", +2.0, REPRODUCED),  # segment pairs err more
        ("regression", "mae", -2.0, OPPOSITE),
        ("binary", "auroc", -0.2, REPRODUCED),
        ("binary", "auroc", +0.2, OPPOSITE),
        ("binary", "auroc", +0.02, UNDECIDED),
    ],
)
def test_an_ordering_is_judged_by_the_side_of_zero_and_the_sense_of_the_metric(
    kind, metric, arm_minus_recipe, verdict
):
    found = next(m for m in METRICS[kind] if m.name == metric)
    score = Score(
        "age", found, SEGMENT, gap(0.5, 0.1), (0.5,), gap(arm_minus_recipe, 0.1), 30
    )  # fmt: skip
    (ordering,) = judge([score], [])
    assert ordering.verdict == verdict
    assert ordering.found.value == pytest.approx(-arm_minus_recipe)
    assert ordering.found.low < ordering.found.value < ordering.found.high


def test_a_rank_that_falls_without_koleo_reproduces_the_paper():
    lower = Geometry(NO_KOLEO, 64, gap(20.0, 1.0), gap(-5.0, 1.0), gap(0.3, 0.1))
    (ordering,) = judge([], [lower])
    assert ordering.verdict == REPRODUCED
    assert ordering.found.value == 5.0


@pytest.mark.slow
def test_the_command_writes_a_page_with_tables_figures_and_no_identifier(data, tmp_path):
    out = tmp_path / "docs" / "page.md"
    arguments = [
        "bench", "biosignals", "--data", str(data), "--out", str(out), "--root",
        str(tmp_path / "root"), "--seeds", "1", "--steps", "2", "--workers", "1", "--leg", "ppg",
        "--arm", SEGMENT, "--arm", NO_KOLEO, "--no-curves",
    ]  # fmt: skip
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    page = out.read_text()
    for words in ("Published orderings", "KoLeo raises the effective rank", "MiniRocket", SEGMENT):
        assert words in page
    assert "MoCo" not in page
    facts = json.loads(out.with_suffix(".json").read_text())["ppg"]
    assert {row["features"] for row in facts["scores"]} >= {BASE, SEGMENT, "untrained encoder"}
    assert all(path.stat().st_size > 5000 for path in out.parent.glob("*.png"))
    assert len(list(out.parent.glob("page_*_ppg.png"))) == 2
    written = yaml.safe_load((tmp_path / "root" / "runs" / "ppg-segment_pairs-0.yaml").read_text())
    assert written["tracking"] == {"enabled": False}
    assert str(data) not in page
