import json
import shutil

import numpy as np
import openpyxl
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from medssl.bench.arms import Arm
from medssl.bench.biosignals.arms import BASE, NO_KOLEO, SEGMENT, arms, choose_arms
from medssl.bench.biosignals.curves import finetune_settings, score_curve
from medssl.bench.biosignals.legs import LEGS, MOMENTS, load_leg
from medssl.bench.biosignals.minirocket import MINIROCKET
from medssl.bench.biosignals.moments import UNTRAINED, run_moments
from medssl.bench.biosignals.orderings import OPPOSITE, REPRODUCED, UNDECIDED, judge
from medssl.bench.biosignals.page import render
from medssl.bench.biosignals.ranks import Geometry, measure
from medssl.bench.biosignals.run import run_bench
from medssl.bench.biosignals.tune import LEARNING_RATES, MINIMUM, candidates, table_of
from medssl.bench.options import Options
from medssl.bench.parts import Part
from medssl.bench.points import NAMES
from medssl.bench.scores import Score
from medssl.bench.training import ingest_part, train_curves
from medssl.cli import cli
from medssl.errors import StageError
from medssl.evaluation.embeddings import Embeddings
from medssl.evaluation.metrics import METRICS
from medssl.evaluation.rank import effective_rank
from medssl.evaluation.signal_statistics import signal_features
from medssl.evaluation.statistics import Interval
from medssl.ingest.config import IngestConfig
from medssl.reduction.selection import Selection
from medssl.samples import sample_path
from medssl.sampling.splits import SplitConfig, assign_splits
from medssl.stages.ingest import store_folder
from medssl.stages.pretrain import PretrainConfig
from medssl.stages.reduce import SELECTION
from medssl.store import Store


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
            rates = "\n".join(f"{second}, 72" for second in range(13))
            (folder / f"bidmc_0{number}_Numerics.csv").write_text(f"Time [s], HR\n{rates}\n")
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
    for arm in arms():
        parts = {"encoder": {"encoder"}, "rival": {"method"}, "recipe": set()}.get(arm.group)
        if arm.group == "ablation":
            parts = {"pairs"} if arm.name == SEGMENT else {"method"}
        if arm.name == "masked autoencoder":
            assert found[arm.name]["encoder"] == found["ViT-1D"]["encoder"]
            parts = {"method", "encoder"}
        names = set(found[arm.name]) | set(found[BASE])
        assert {k for k in names if found[arm.name].get(k) != found[BASE].get(k)} == parts


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


def test_an_arm_or_data_set_that_is_not_there_is_named_before_anything_runs(data, tmp_path):
    with pytest.raises(StageError, match="no arm 'MoCO'; did you mean MoCo?"):
        run_bench(LEGS, Options(data, tmp_path, arms=("MoCO",)), tmp_path / "x.md", report=print)
    shutil.rmtree(data / "bidmc")
    with pytest.raises(StageError, match="lacks DATA/bidmc"):
        run_bench([MOMENTS], Options(data, tmp_path), tmp_path / "x.md", report=print)
    assert [arm.name for arm in choose_arms(["MoCo", SEGMENT])] == [BASE, SEGMENT, "MoCo"]
    assert choose_arms(None) == list(arms())


@pytest.mark.parametrize("leg", LEGS)
def test_what_was_tuned_is_a_learning_rate_of_an_arm_that_is_no_ablation(leg, data):
    groups = {arm.name: arm.group for arm in arms()}
    for name, changes in load_leg(leg, data).config.tuned.items():
        assert groups[name] in ("recipe", "encoder", "rival")
        assert list(changes) == ["optimiser"]
        assert list(changes["optimiser"]) == ["learning_rate"]


def test_every_arm_is_tried_with_every_learning_rate():
    tried = candidates([Arm(name=BASE, group="recipe"), Arm(name="SimCLR", group="rival")])
    assert [arm.pretrain["optimiser"]["learning_rate"] for arm in tried] == [*LEARNING_RATES] * 2
    assert [arm.name for arm in tried].count(BASE) == 1


def test_the_learning_rate_with_the_best_mean_rank_is_chosen_where_enough_people_count():
    tried = candidates([Arm(name=BASE, group="recipe"), Arm(name="SimCLR", group="rival")])
    mae, auroc = METRICS["regression"], METRICS["binary"]
    mae, auroc = (next(m for m in k if m.name == n) for k, n in ((mae, "mae"), (auroc, "auroc")))
    values = {  # low and high learning rate of either arm: errors, areas, errors of few people
        mae: [9, 8, 9, 8], auroc: [0.6, 0.7, 0.8, 0.7], None: [1, 9, 1, 9],
    }  # fmt: skip
    scores = [
        Score(str(metric), metric or mae, arm.name, Interval(v, v, v, 0.95, n, n), (v,), None, 9)
        for metric, row in values.items()
        for arm, v, n in zip(tried, row, [MINIMUM if metric else MINIMUM - 1] * 4, strict=True)
    ]
    frame = table_of(tried, scores)
    assert frame["mean_rank"].tolist() == [2, 1, 1.5, 1.5]
    assert frame["chosen"].tolist() == [False, True, True, False]
    with pytest.raises(StageError, match="nothing can be chosen"):
        table_of(tried, scores[-4:])


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
    assert np.mean(found[0].seeds) == pytest.approx(expected)
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

    def pair(*seeds):
        value = gap(0.5, 0.1)
        recipe = Score("age", found, BASE, value, (0.5,) * len(seeds), None, 30)
        other = tuple(0.5 + one for one in seeds)
        arm = Score("age", found, SEGMENT, value, other, gap(arm_minus_recipe, 0.1), 30)
        return [recipe, arm]

    (ordering,) = judge(pair(arm_minus_recipe, arm_minus_recipe), [])
    assert ordering.verdict == verdict
    assert ordering.seeds == pytest.approx([-arm_minus_recipe] * 2)
    (torn,) = judge(pair(-arm_minus_recipe, 3 * arm_minus_recipe), [])
    assert torn.verdict == UNDECIDED  # one seed says the other thing
    assert ordering.found.value == pytest.approx(-arm_minus_recipe)
    assert ordering.found.low < ordering.found.value < ordering.found.high


def test_a_rank_that_falls_without_koleo_reproduces_the_paper():
    lower = Geometry(NO_KOLEO, 64, gap(20.0, 1.0), gap(-5.0, 1.0), gap(0.3, 0.1), (20.0,))
    own = Geometry(BASE, 64, gap(25.0, 1.0), None, gap(0.3, 0.1), (25.0,))
    (ordering,) = judge([], [own, lower])
    assert ordering.verdict == REPRODUCED
    assert ordering.found.value == 5.0


def test_nothing_was_published_on_pairs_for_other_targets():
    found = next(m for m in METRICS["regression"] if m.name == "mae")
    score = Score("heart rate", found, SEGMENT, gap(5.0, 1.0), (5.0,), gap(2.0, 1.0), 30)
    assert judge([score], []) == []


@pytest.mark.parametrize(
    ("arm", "difference", "verdict"),
    [
        ("SimCLR", -5.0, REPRODUCED),
        ("ResNet-1D", -5.0, REPRODUCED),
        ("ViT-1D", +5.0, REPRODUCED),  # published above the EfficientNet
        ("ViT-1D", -5.0, OPPOSITE),
        ("BYOL", +5.0, OPPOSITE),
    ],
)
def test_effective_ranks_are_compared_as_published(arm, difference, verdict):
    seeds = (20.0 + difference, 20.0 + 2 * difference)
    one = Geometry(arm, 64, gap(20.0, 1.0), gap(difference, 1.0), gap(0.3, 0.1), seeds)
    own = Geometry(BASE, 64, gap(20.0, 1.0), None, gap(0.3, 0.1), (20.0, 20.0))
    assert [ordering.verdict for ordering in judge([], [own, one])] == [verdict]


@pytest.mark.slow
def test_label_curves_compare_all_models_on_the_same_people(data, tmp_path):
    leg = load_leg("ppg", data)
    (curve,) = leg.config.curves
    curve = curve.model_copy(update={"fractions": (0.2, 1.0), "steps": 6})
    leg = Part("ppg", leg.config.model_copy(update={"curves": (curve,)}))
    options = Options(data, tmp_path, seeds=2, steps=2, workers=1)
    made = ingest_part(leg, options, report=lambda line: None)
    folders = train_curves(
        leg, [Arm(name=BASE, group="recipe")], lambda curve, _: finetune_settings(leg, curve),
        options, report=lambda line: None,
    )[curve.target][BASE]  # fmt: skip
    store = Store.open(store_folder(made["ingest"]))
    splits = leg.splits(store)
    selection = Selection.read(made["reduce"] / SELECTION)
    rows = selection.rows(store, store.rows(modality="ppg"))
    statistics = signal_features(store, rows)
    points, notes = score_curve(store, rows, leg, curve, folders, statistics)
    assert notes == []
    people = store.column("participant", rows)
    aged = set(store.participants["age"].dropna().index)
    of = {name: {p for p in people if splits[p] == name} & aged for name in ("train", "test")}
    models = [*NAMES.values(), MINIROCKET]
    assert [(p.fraction, p.model) for p in points] == [(f, m) for f in (0.2, 1.0) for m in models]
    for point in points:
        assert point.interval.n_participants == len(of["test"])
        assert len(point.seeds) == 2
        assert point.interval.value == pytest.approx(np.mean(point.seeds))
        assert (point.difference is None) == (point.model == "from scratch")
    assert {p.n_fit for p in points if p.fraction == 1} == {len(of["train"])}
    assert {p.n_fit for p in points if p.fraction < 1} == {round(0.2 * len(of["train"]))}
    fitted = points[-1]  # all labels and no random numbers: the same for both seeds
    assert fitted.seeds[0] == pytest.approx(fitted.seeds[1])
    assert points[3].seeds[0] != pytest.approx(points[3].seeds[1])  # other people each
    assert 5 < fitted.interval.value < 20  # years
    by_model = {p.model: p.interval.value for p in points if p.fraction == 1}
    gap_to_scratch = by_model[MINIROCKET] - by_model["from scratch"]
    assert fitted.difference.value == pytest.approx(gap_to_scratch)


@pytest.mark.slow
def test_moments_of_held_out_people_are_looked_for_by_every_form(tmp_path):
    folder = tmp_path / "data" / "bidmc" / "bidmc_csv"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number in range(12):
        times = np.arange(0, 85, 0.008)
        beat = 2 * np.pi * (1 + 0.05 * number) * times
        columns = np.c_[times, np.sin(beat) ** 3, np.sin(beat + 1) ** 9]
        columns[:, 1:] += generator.normal(scale=0.01, size=(len(times), 2))
        path = folder / f"bidmc_{number:02d}_Signals.csv"
        header = "Time [s], PLETH, II"
        np.savetxt(path, columns, "%.4f", delimiter=",", header=header, comments="")
        facts = f"Age: 50\nMIMIC II matched wdb ID: s{number}\n"
        (folder / f"bidmc_{number:02d}_Fix.txt").write_text(facts)
    found = run_moments(
        tmp_path / "data", tmp_path / "root", seeds=2, steps=2, workers=1, report=lambda line: None
    )
    store = Store.open(next((tmp_path / "root").rglob("store")))
    split = SplitConfig(train=0.65, validation=0.0, test=0.35, salt="biosignals")
    held_out = [p for p, s in assign_splits(store.participants, split).items() if s == "test"]
    assert found.participants == len(held_out)
    assert found.moments == 8 * len(held_out)  # 85 s in segments of 10 s
    forms = ["infonce", "mv_infonce", "mv_dhel", UNTRAINED]
    assert list(dict.fromkeys(form for form, _ in found.rows)) == forms
    assert len(found.rows) == 4 * len(forms)  # both ways, among others and among one's own
    for _, row in found.rows:
        assert row.interval.n_participants == len(held_out)
        assert 0 <= row.interval.value <= 1
    among_own = [row for _, row in found.rows if row.chance > 0.5]
    assert [row.chance for row in among_own] == pytest.approx([5 / 8] * 8)
    page = render([], Options(tmp_path, tmp_path, 2), [], found)
    assert "sign of life" in page
    assert "Published orderings" not in page


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
    assert "efficientnet1d 64 wide (256), batches of 48 (256), learning rate 0.003" in page
    assert "MoCo" not in page
    notes = [line for line in page.splitlines() if "every fourth feature" in line]
    assert len(notes) <= 1  # of the target of segments, where enough people have one
    facts = json.loads(out.with_suffix(".json").read_text())["ppg"]
    beside = {"untrained encoder", "heart rate", "demographics", "predict the mean"}
    assert {row["features"] for row in facts["scores"]} >= {BASE, SEGMENT, *beside}
    assert all(path.stat().st_size > 5000 for path in out.parent.glob("*.png"))
    assert len(list(out.parent.glob("page_*_ppg.png"))) == 2
    written = yaml.safe_load((tmp_path / "root" / "runs" / "ppg-segment_pairs-0.yaml").read_text())
    assert written["tracking"] == {"enabled": False}
    assert str(data) not in page
