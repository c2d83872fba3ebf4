"""Finding labels: negation, doubt and their scope, on sentences whose meaning is plain."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medssl.text.finding_phrases import ABSENT, PHRASES
from medssl.text.findings import CHEXPERT, FINDINGS, NIH, NO_FINDING, label_findings
from medssl.text.report import Report, Section

YES, NO, MAYBE = "present", "absent", "uncertain"
SENTENCES = [
    (
        "No pneumothorax, pleural effusion, or focal consolidation.",
        {"pneumothorax": NO, "effusion": NO, "consolidation": NO},
    ),
    (
        "There is no mass, nodule or focal consolidation; small left effusion.",
        {"mass": NO, "nodule": NO, "consolidation": NO, "effusion": YES},
    ),
    ("No effusion but mild edema.", {"effusion": NO, "edema": YES}),
    ("No effusion, stable cardiomegaly.", {"effusion": NO, "cardiomegaly": YES}),
    ("Without evidence of pneumonia.", {"pneumonia": NO}),
    ("Lungs are clear of focal infiltrates.", {"infiltration": NO}),
    ("Negative for pneumothorax.", {"pneumothorax": NO}),
    ("The previously seen effusion has resolved.", {"effusion": NO}),
    ("Pneumothorax is not seen.", {"pneumothorax": NO}),
    ("Pneumonia cannot be excluded.", {"pneumonia": MAYBE}),
    ("Cannot exclude pneumonia.", {"pneumonia": MAYBE}),
    ("Possible small effusion.", {"effusion": MAYBE}),
    ("Opacity which may represent pneumonia.", {"lung opacity": YES, "pneumonia": MAYBE}),
    ("Atelectasis versus infiltrate.", {"atelectasis": MAYBE, "infiltration": MAYBE}),
    ("No change in the left effusion.", {"effusion": YES}),
    ("Effusion has not changed.", {"effusion": YES}),
    ("Resolution of the left pneumothorax.", {"pneumothorax": NO}),
    ("Moderate effusion without pneumothorax.", {"effusion": YES, "pneumothorax": NO}),
    ("Heart size is normal. No acute disease.", {"cardiomegaly": NO, "no finding": YES}),
    ("Heart is not enlarged.", {"cardiomegaly": NO}),
    ("Heart size is mildly enlarged.", {"cardiomegaly": YES}),
    ("The heart is borderline enlarged.", {"cardiomegaly": MAYBE}),
    (
        "No evidence of pneumonia or effusion, mild cardiomegaly.",
        {"pneumonia": NO, "effusion": NO, "cardiomegaly": YES},
    ),
    ("Neither effusion nor pneumothorax.", {"effusion": NO, "pneumothorax": NO}),
    ("No pericardial or pleural effusion.", {"effusion": NO}),
    ("Pericardial effusion.", {}),
    ("Rib fracture is suspected.", {"fracture": MAYBE}),
    ("Effusion and pneumothorax are not identified.", {"effusion": NO, "pneumothorax": NO}),
    (
        "No focal consolidation is seen, there is a small effusion.",
        {"consolidation": NO, "effusion": YES},
    ),
    (
        "There is no pneumothorax and there is a small effusion.",
        {"pneumothorax": NO, "effusion": YES},
    ),
    ("Stable cardiomegaly with no effusion.", {"cardiomegaly": YES, "effusion": NO}),
    ("No large pleural effusion.", {"effusion": NO}),
    ("No new nodules.", {"nodule": NO}),
    ("No radiographic evidence of acute cardiopulmonary disease.", {"no finding": YES}),
    ("Small effusion, no pneumothorax.", {"effusion": YES, "pneumothorax": NO}),
    ("Probable pneumonia.", {"pneumonia": YES}),
    ("Pneumonia is unlikely.", {"pneumonia": NO}),
    ("Is there a pneumothorax?", {"pneumothorax": MAYBE}),
    ("Interval removal of the right chest tube.", {"support devices": NO}),
    ("There is no longer a pneumothorax.", {"pneumothorax": NO}),
    (
        "No pneumothorax despite left chest tube placement.",
        {"pneumothorax": NO, "support devices": YES},
    ),
    ("Persistent effusion, however no pneumothorax.", {"effusion": YES, "pneumothorax": NO}),
    (
        "No definite effusion. Cardiomegaly is not excluded.",
        {"effusion": NO, "cardiomegaly": MAYBE},
    ),
    ("Effusions are not significantly changed.", {"effusion": YES}),
    ("INDICATION: Pneumonia.\nFINDINGS: Clear lungs.", {"pneumonia": None, "lung opacity": NO}),
    ("Not only effusion but also pneumothorax.", {"effusion": YES, "pneumothorax": YES}),
    ("No consolidation, effusion, edema.", {"consolidation": NO, "effusion": NO, "edema": NO}),
    (
        "There is no focal consolidation, small pleural effusion or pneumothorax.",
        {"consolidation": NO, "effusion": NO, "pneumothorax": NO},
    ),
    (
        "Subcutaneous emphysema. Cystic fibrosis. Mass effect. Soft tissue edema.",
        {"emphysema": None, "fibrosis": None, "mass": None, "edema": None},
    ),
    (
        "Lungs are clear without effusion. Right hilar mass is unchanged.",
        {"effusion": NO, "mass": YES},
    ),
    (
        "No acute infiltrate. Emphysema and left apical pleural thickening.",
        {"infiltration": NO, "emphysema": YES, "pleural thickening": YES},
    ),
    ("No pneumothorax after removal of chest tube.", {"support devices": NO}),
    ("Small hiatal hernia. PICC tip in the SVC.", {"hernia": YES, "support devices": YES}),
    ("Denies mass.", {"mass": NO}),
    ("No nodule other than the known granuloma mass.", {"nodule": NO, "mass": YES}),
]
NAMES = {
    "atelectasis": "atelectasis",
    "cardiomegaly": "cardiomegaly",
    "consolidation": "consolidation",
    "edema": "edema",
    "pleural effusion": "effusion",
    "emphysema": "emphysema",
    "pulmonary fibrosis": "fibrosis",
    "hiatal hernia": "hernia",
    "infiltrate": "infiltration",
    "lung mass": "mass",
    "nodule": "nodule",
    "pleural thickening": "pleural thickening",
    "pneumonia": "pneumonia",
    "pneumothorax": "pneumothorax",
    "rib fracture": "fracture",
    "mediastinal widening": "enlarged cardiomediastinum",
    "opacity": "lung opacity",
    "picc": "support devices",
    "pleural plaque": "pleural other",
    "tumor": "lung lesion",
}


@pytest.mark.parametrize(("sentence", "expected"), SENTENCES, ids=[case[0] for case in SENTENCES])
def test_a_sentence_means_what_a_reader_takes_it_to_mean(sentence, expected):
    found = label_findings(sentence)
    assert {name: found.get(name) for name in expected} == expected


def test_both_vocabularies_are_covered():
    assert len(NIH) == len(CHEXPERT) == 14
    assert set(NIH.values()) | set(CHEXPERT.values()) == set(FINDINGS) == {*PHRASES, NO_FINDING}
    assert set(ABSENT) <= set(PHRASES)
    assert set(NAMES.values()) | {NO_FINDING} == set(FINDINGS)


@pytest.mark.parametrize("words", NAMES)
def test_every_finding_is_affirmed_denied_and_doubted(words):
    finding = NAMES[words]
    for label, frames in {
        YES: (
            "There is {}.",
            "{}.",
            "Stable {} without change.",
            "Known {}, no edemata otherwise.",
        ),
        NO: ("No {}.", "There is no evidence of {}.", "{} is not seen.", "{} has resolved."),
        MAYBE: ("Possible {}.", "{} cannot be excluded.", "This may represent {}."),
    }.items():
        for frame in frames:
            assert label_findings(frame.format(words).capitalize())[finding] == label, frame


@given(st.lists(st.sampled_from(sorted(NAMES)), min_size=1, max_size=6, unique=True))
def test_a_list_is_denied_as_one(words):
    listed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
    found = label_findings(f"There is no {listed}.")
    assert {found[NAMES[word]] for word in words} == {NO}
    assert NO_FINDING not in found


def test_the_strongest_mention_of_a_report_counts():
    text = "FINDINGS: No pneumonia. Possible edema. Small effusion.\n"
    text += "IMPRESSION: Pneumonia. No edema. No effusion."
    found = label_findings(text)
    assert (found["pneumonia"], found["edema"], found["effusion"]) == (YES, MAYBE, YES)
    assert found[NO_FINDING] == NO


def test_sections_that_do_not_say_what_is_seen_are_passed_over():
    sections = (Section("indication", "Pneumonia?", 0), Section("comparison", "Effusion.", 0))
    assert label_findings(Report(sections, "plain")) == {}
    assert label_findings("") == {}
    assert label_findings("TECHNIQUE: PICC.\nFINDINGS: No mass.") == {"mass": NO, "lung lesion": NO}


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Normal chest.", YES),
        ("No acute cardiopulmonary abnormality.", YES),
        ("Lungs are clear. PICC.", YES),
        ("Lungs are clear. Scoliosis.", None),
        ("Lungs are clear. Calcified granuloma.", None),
        ("Lungs are clear. Effusion.", NO),
        ("Heart is normal. Possible mass.", MAYBE),
        ("Two views.", None),
    ],
)
def test_no_finding_means_that_nothing_abnormal_is_named(text, label):
    assert label_findings(text).get(NO_FINDING) == label


@given(st.text(max_size=200))
def test_any_text_gives_labels(text):
    try:
        found = label_findings(text)
    except ValueError:  # headers without any text
        assert ": " in text
        return
    assert set(found) <= set(FINDINGS)
    assert set(found.values()) <= {YES, NO, MAYBE}


def test_a_report_without_full_stops_takes_no_time_squared():
    begun = time.perf_counter()
    assert "effusion" in label_findings("no effusion or " * 4_000)
    assert label_findings("heart pleural-pleural " * 2_000) == {}
    assert time.perf_counter() - begun < 20
