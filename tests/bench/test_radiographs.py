"""The benchmark of radiographs, on shipped images laid out like the open sets it reads."""

import io
import json
import shutil
import tarfile

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from medssl.bench.options import Options
from medssl.bench.page import curve_table
from medssl.bench.parts import CurveConfig, Part, load_part
from medssl.bench.points import SCRATCH
from medssl.bench.radiographs.arms import BASE, IMAGES, LOSS, MASKING, TERM, arms, table_arms
from medssl.bench.radiographs.corpus import KEY, shown_counts, write_corpus
from medssl.bench.radiographs.curves import CURVE_ARMS, finetune_settings, score_curve
from medssl.bench.radiographs.image_text import FEWEST, Projections, hold_out, score_zero_shot
from medssl.bench.radiographs.run import CORPUS, PARTS, run_bench
from medssl.bench.radiographs.sentences import read_pools
from medssl.bench.training import train_curves
from medssl.cli import cli
from medssl.errors import StageError
from medssl.ingest import ingest
from medssl.ingest.config import IngestConfig
from medssl.ingest.deidentify import pseudonym
from medssl.samples import sample_path
from medssl.sampling.splits import SplitConfig, assign_splits
from medssl.stages.pretrain import PretrainConfig
from medssl.store import Store
from medssl.store.schema import PARTICIPANT
from medssl.text.findings import NIH, label_findings

PACKAGE = "medssl.bench.radiographs"
SIDES = ("left", "right", "bilateral", "small", "large", "new", "old", "mild", "moderate", "severe")
DENIED = ("pleural effusion", "pneumothorax", "focal consolidation")


def xml(findings: str) -> bytes:
    text = f'<AbstractText Label="FINDINGS">{findings}</AbstractText>'
    return f"<eCitation><Abstract>{text}</Abstract></eCitation>".encode()


def write_archive(path):
    """140 invented reports, each with a finding and a denial in words of its own."""
    path.parent.mkdir(parents=True)
    names = list(NIH.values())
    with tarfile.open(path, "w:gz") as archive:
        for number in range(140):
            name = names[number % len(names)]
            word = SIDES[number // len(names) % len(SIDES)]
            told = f"There is {word} {name}. No {word} {DENIED[number % 3]}."
            data = xml(told if number else "XXXX")
            member = tarfile.TarInfo(f"ecgen-radiology/{number}.xml")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Five data sets, made of the shipped radiographs and of invented words."""
    root = tmp_path_factory.mktemp("data")
    sample = sample_path("cxr_nih")
    table = pd.read_csv(sample / "metadata.csv")
    shutil.copytree(sample / "images", root / "cxr_nih1000" / "images")
    labels = {name: f"y_{name}" for name in NIH}
    nih = table.rename(columns={"participant": "patient_id", **labels})
    nih.to_csv(root / "cxr_nih1000" / "metadata.csv", index=False)
    write_archive(root / "openi_reports_text" / "NLMCXR_reports.tgz")

    def pictures(name, count, suffix):
        folder = root / name / "images"
        folder.mkdir(parents=True)
        for number, file in enumerate(table["file"][:count]):
            Image.open(sample / file).convert("L").save(folder / f"i{number:03d}{suffix}")
        return [f"images/i{number:03d}{suffix}" for number in range(count)]

    files = pictures("cxr_kermany_pneumonia", 60, ".jpg")
    kinds = np.resize(["bacterial", "normal", "viral"], len(files))
    frame = pd.DataFrame({"file": files, "label": kinds})
    frame["patient_id"] = [f"person{number}" for number in range(len(files))]
    frame.to_csv(root / "cxr_kermany_pneumonia" / "metadata.csv", index=False)
    files = pictures("cxr_covid_text", 75, ".jpg")
    notes = [f"Day {number}: opacity of lobe {number}." for number in range(len(files))]
    frame = pd.DataFrame({"file": files, "group": range(len(files)), "clinical_notes": notes})
    frame["view"] = "PA"
    frame.to_csv(root / "cxr_covid_text" / "metadata.csv", index=False)
    files = [file.removeprefix("images/") for file in pictures("vqa_rad", 50, ".jpg")]
    frame = pd.DataFrame({"image_name": np.repeat(files, 2)})
    frame["image_organ"] = np.where(frame.index < 4, "HEAD", "CHEST")
    frame["question"] = [f"Is there number {number}?" for number in range(len(frame))]
    frame["answer"] = np.resize(["yes", "no"], len(frame))
    frame.to_csv(root / "vqa_rad" / "questions.csv", index=False)
    files = pictures("cxr_hannover_labs", 64, ".jpg")
    columns = ("crp", "d-dimer", "factor_xii", "ldh", "lymphocytes", "neutrophils", "pco2", "po2")
    values = np.random.default_rng(0).normal(10, 2, size=(len(files), len(columns)))
    frame = pd.DataFrame(values, columns=[f"{name}_val" for name in columns])
    frame["file"], frame["patient_id"] = files, [f"h{number // 2}" for number in range(len(files))]
    frame["image_id"] = [f"i{number}" for number in range(len(files))]
    frame["projection"], frame["admission_offset"] = "ap", range(len(files))
    frame["icu"] = np.resize([0, 0, 1, 1], len(files))
    frame.to_csv(root / "cxr_hannover_labs" / "metadata.csv", index=False)
    return root


def part_of(name, data, tmp_path):
    return load_part(PACKAGE, name, data, made={CORPUS: tmp_path})


def spoken(report):
    """The sentences of a made report."""
    return {f"{text.strip()}." for text in report.split(".") if text.strip()}


@pytest.mark.parametrize("name", PARTS)
def test_the_sources_and_targets_of_a_part_are_valid(name, data, tmp_path):
    part = part_of(name, data, tmp_path)
    stages = part.config.pipeline["stages"]
    config = IngestConfig.model_validate(stages["ingest"])
    own = (str(data), str(tmp_path))
    assert all(source.path.startswith(own) for source in config.sources)
    assert PretrainConfig.model_validate(stages["pretrain"]).steps == part.steps
    if "probe" in stages:
        targets = part.probe.targets
        assert {target.name for target in targets} == set(part.config.metrics)
        assert {curve.target for curve in part.config.curves} <= set(part.config.metrics)
        assert all(part.metric(target).name for target in targets)


def test_what_is_not_there_is_named_before_anything_runs(data, tmp_path):
    with pytest.raises(StageError, match="lacks DATA/cxr_kermany_pneumonia, DATA/cxr_nih1000"):
        part_of("labels", tmp_path, tmp_path)
    options = Options(data, tmp_path, arms=("SimCRL",))
    with pytest.raises(StageError, match="no arm 'SimCRL'; did you mean SimCLR?"):
        run_bench(PARTS, options, tmp_path / "x.md", report=print)
    with pytest.raises(StageError, match="no part 'label': choose of labels, pairs, tables"):
        run_bench(["label"], Options(data, tmp_path), tmp_path / "x.md", report=print)
    with pytest.raises(StageError, match="lacks openi_reports_text"):
        read_pools(tmp_path)
    assert not list(tmp_path.glob("**/*.yaml"))


def test_arms_share_all_but_what_their_group_says(data, tmp_path):
    part = part_of("labels", data, tmp_path)
    found = {
        arm.name: part.pipeline(name="x", root=tmp_path, seed=0, pretrain=arm.pretrain)["stages"][
            "pretrain"
        ]
        for arm in arms()
    }
    assert len(found) == len(arms())
    base = found[BASE]
    for arm in arms()[1:]:
        one = found[arm.name]
        PretrainConfig.model_validate(one)
        differ = {key for key in base | one if base.get(key) != one.get(key)}
        may = {
            MASKING: {"method"},
            LOSS: {"method"},
            TERM: {"method", "pairs", "partner", "views"},
            IMAGES: {"method", "pairs", "partner"},
        }[arm.group]
        assert differ <= may
        assert differ
        assert ("partner" in one) == (arm.group != IMAGES)
        assert one["method"]["name"] == ("convirt" if arm.group != IMAGES else arm.name.lower())


def test_table_arms_share_images_and_encoder(data, tmp_path):
    part = part_of("tables", data, tmp_path)
    own, alone = (
        part.pipeline(name="x", root=tmp_path, seed=0, pretrain=arm.pretrain)["stages"]["pretrain"]
        for arm in table_arms()
    )
    for made in (own, alone):
        PretrainConfig.model_validate(made)
    assert {key for key in own | alone if own.get(key) != alone.get(key)} == {
        "method", "pairs", "partner",
    }  # fmt: skip


def test_a_sentence_is_in_the_pool_of_its_report_by_what_it_says(data):
    pools = read_pools(data)
    sizes = {name: sum(map(len, pool.present.values())) for name, pool in pools.items()}
    assert 0 < sizes["validation"] < sizes["test"] < sizes["train"]
    for pool in pools.values():
        for finding, sentences in pool.present.items():
            for sentence in sentences:
                said = {n for n, label in label_findings(sentence).items() if label == "present"}
                assert finding in said
        for sentence, denied in pool.absent:
            assert set(label_findings(sentence).values()) == {"absent"}
            assert denied
    everything = [s for pool in pools.values() for own in pool.present.values() for s in own]
    assert len(everything) == len(set(everything))  # here each report has words of its own
    assert not any("___" in sentence for sentence in everything)


def test_a_made_report_says_what_its_image_shows_in_words_of_its_own_split(data, tmp_path):
    part = part_of("labels", data, tmp_path / "corpus")
    split = SplitConfig.model_validate(part.config.pipeline["split"])
    counts = write_corpus(data, tmp_path / "corpus", split)
    assert counts["nih"] == {"images": 128, "participants": 58}
    assert counts["kermany"] == {"images": 60, "participants": 60}
    assert "128 images of NIH ChestX-ray14 and 60 of Kermany" in shown_counts(counts)[0]
    pools = read_pools(data)
    of = {
        name: {s for own in pool.present.values() for s in own} | {s for s, _ in pool.absent}
        for name, pool in pools.items()
    }
    table = pd.read_csv(data / "cxr_nih1000" / "metadata.csv").set_index("study")
    missing = 0
    for row in pd.read_csv(tmp_path / "corpus" / "nih.csv").to_dict("records"):
        shown = {own for name, own in NIH.items() if table.loc[row["study"], f"y_{name}"] == 1}
        said = label_findings(row["report"])
        present = {name for name, label in said.items() if label == "present"} & set(NIH.values())
        assert present <= shown  # nothing is said that the label does not hold
        missing += len(shown - present)
        assert not {name for name, label in said.items() if label == "absent"} & shown
        code = pseudonym(str(row["participant"]), source="nih", key=KEY)
        own = assign_splits(pd.DataFrame(index=[code]), split)[code]
        assert spoken(row["report"]) <= of[own]
    assert missing == sum(counts["findings without a sentence"].values())
    again = write_corpus(data, tmp_path / "again", split)
    assert again == counts
    assert (tmp_path / "again" / "nih.csv").read_bytes() == (
        tmp_path / "corpus" / "nih.csv"
    ).read_bytes()
    # What ingest calls the participants is what the corpus dealt them by.
    store_path = tmp_path / "store"
    ingest(IngestConfig.model_validate(part.config.pipeline["stages"]["ingest"]), store_path)
    store = Store.open(store_path)
    assert len(store.rows(modality="radiograph")) == len(store.rows(modality="report")) == 188
    splits = part.splits(store)
    for row in store.rows(modality="report"):
        stored = str(store.read_record(int(row))).removeprefix("FINDINGS: ")
        assert spoken(stored) <= of[splits[store.column(PARTICIPANT, np.array([row]))[0]]]
    held = hold_out(store, store.rows(modality="radiograph"), pools["test"])
    assert len(held.rows) == 128  # the children's images have no finding labels
    assert all(label_findings(q).get(list(NIH.values())[int(np.argmax(said))]) == "present"
               for q, said in zip(held.queries, held.said, strict=True))  # fmt: skip
    truth = {name: held.findings[:, place] for place, name in enumerate(held.names)}
    perfect = Projections(np.zeros((1, 1)), np.zeros((1, 1)), truth)
    blind = Projections(np.zeros((1, 1)), np.zeros((1, 1)), {name: np.zeros(128) for name in truth})
    scores = score_zero_shot(held, {BASE: [perfect, perfect], "blind": [blind, blind]})
    by_name = {(s.target, s.features): s for s in scores}
    assert by_name["14 findings", BASE].interval.value == 1
    assert by_name["14 findings", "blind"].interval.value == 0.5
    assert by_name["14 findings", "blind"].difference.value == -0.5
    people = held.participants
    for finding, values in truth.items():
        enough = min(len(set(people[values == one])) for one in (0, 1)) >= FEWEST
        assert ((finding, BASE) in by_name) == enough


@pytest.mark.slow
def test_the_command_writes_a_page_with_all_parts_and_no_identifier(data, tmp_path):
    out = tmp_path / "docs" / "page.md"
    arguments = [
        "bench", "radiographs", "--data", str(data), "--out", str(out), "--root",
        str(tmp_path / "root"), "--seeds", "1", "--steps", "25", "--workers", "1",
        "--arm", "same texts as positives", "--arm", "SimCLR", "--no-curves",
    ]  # fmt: skip
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    page = out.read_text()
    for words in (
        "label-matched pairs", "Zero-shot findings by prompts", "text → image", "Retrieval of true",
        "Does it need the image?", "Texts of a batch that say the same",
        "image statistics", "acquisition metadata", "TIP",
    ):  # fmt: skip
        assert words in page
    assert "MoCo" not in page
    facts = json.loads(out.with_suffix(".json").read_text())
    assert set(facts) == set(PARTS)
    labels = facts["labels"]
    assert (labels["images"], labels["reports"], labels["steps"]) == (188, 188, 25)
    untrained = {"untrained encoder", "image statistics", "image shape", "predict the mean"}
    names = {row["features"] for row in labels["linear"]}
    assert names >= {BASE, "same texts as positives", "SimCLR", *untrained}
    assert set(labels["false_negatives"]) == {BASE, "same texts as positives"}
    assert facts["pairs"]["images"] == 75 + 48  # two images are of heads
    assert facts["tables"]["images"] == 64
    drawn = {path.name for path in out.parent.glob("*.png")}
    assert drawn >= {"page_differences.png", "page_map_effusion.png"}
    told = page + out.with_suffix(".json").read_text()
    assert str(data) not in told
    assert "person1" not in told
    assert "there is left" not in told.lower()  # no sentence of a report


@pytest.mark.slow
def test_label_curves_compare_all_starts_on_the_same_people(data, tmp_path):
    part = part_of("labels", data, tmp_path / "corpus")
    split = SplitConfig.model_validate(part.config.pipeline["split"])
    write_corpus(data, tmp_path / "corpus", split)
    curve = CurveConfig(target="pneumonia (children)", fractions=(0.01, 1.0), steps=6)
    part = Part(part.name, part.config.model_copy(update={"curves": (curve,)}))
    options = Options(data, tmp_path / "root", seeds=2, steps=2, workers=1)
    chosen = [arm for arm in arms() if arm.name in CURVE_ARMS]
    folders = train_curves(
        part, chosen, lambda curve, arm: finetune_settings(part, curve, arm), options, report=print
    )[curve.target]  # fmt: skip
    assert list(folders) == list(CURVE_ARMS)
    points, notes = score_curve(part, curve, folders)
    assert notes == ["pneumonia (children): too few labelled participants at 1 %."]
    models = [f"{arm}, {start}" for arm in CURVE_ARMS for start in ("fine-tuned", "linear")]
    assert {point.model for point in points} == {*models, SCRATCH}
    assert len({(point.n_fit, point.interval.n_participants) for point in points}) == 1
    for point in points:
        assert point.interval.value == pytest.approx(np.mean(point.seeds))
        assert (point.difference is None) == (point.model == SCRATCH)
    table = "\n".join(curve_table(points, "Told."))
    assert table.count("| pneumonia (children) (AUROC) | 100 %") == 5
