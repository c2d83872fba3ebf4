"""The pipeline file of images and reports, with comments on what was found and assumed."""

from __future__ import annotations

import json
from typing import Any, Final

from medssl.initialise.pipeline_file import comment, flow
from medssl.initialise.radiographs.plan import StudyPlan
from medssl.initialise.radiographs.stages_file import evaluation_lines, pretrain_lines
from medssl.initialise.radiographs.trial import Trial
from medssl.initialise.report import rule_text
from medssl.initialise.secret import pseudonym_key

_WIDTH: Final = 100
_SHOWN: Final = 3
_SPARE: Final = 30
_FEW: Final = 12
_WHERE: Final = frozenset({"organ", "body", "region", "anatomy", "part", "modality"})
_PRESETS: Final = {
    "convirt": "Published settings stand in configs/convirt.yaml",
    "simclr": "Published: encoder: {name: resnet2d} (ResNet-50), size 224, batches of hundreds",
    "masked_language": "Published: width 768, depth 12, on millions of sentences",
}


def render(plan: StudyPlan, trial: Trial) -> str:
    """The whole file."""
    lines = [
        *_head(plan),
        *_ingest(plan, trial),
        *pretrain_lines(plan, trial),
        *evaluation_lines(plan),
    ]
    return "\n".join(lines) + "\n"


def _head(plan: StudyPlan) -> list[str]:
    counts = plan.sizes.participants
    train, validation, test = plan.sizes.split
    split = flow({"train": train, "validation": validation, "test": test})
    return [
        "# Written by `medssl init`: what was found, what was assumed, and what you may change.",
        f"# Run it:  medssl run {comment(plan.output.name)}      Look before:  add --dry-run",
        f"# A small preset for two cores. {_PRESETS[plan.method]}.",
        f"name: {flow(plan.name)}",
        f"root: {flow(plan.root)}      # outputs; never inside the folder of the images",
        "seed: 0",
        "# Participants, not images, are split. A participant's split depends on its name, the",
        "# cohort's or source's name and pseudonym_key: change none of them later. Expected now: "
        f"{counts.get('train', 0)} train,",
        f"# {counts.get('validation', 0)} validation, {counts.get('test', 0)} test.",
        f"split: {split}",
        "",
        "stages:",
    ]


def _ingest(plan: StudyPlan, trial: Trial) -> list[str]:
    lines = [
        "  ingest:",
        "    workers: 2",
        "    # Yours alone: whoever has it can compute pseudonyms. Do not share it.",
        f"    pseudonym_key: {pseudonym_key()}",
        "    sources:",
    ]
    for source in plan.sources:
        remarks = _remarks(plan, source, trial)
        for place, (key, value) in enumerate(source.items()):
            lines += [f"        # {comment(text)}" for text in remarks.get(key, ())]
            start = "      - " if place == 0 else "        "
            lines += _setting(start, key, value)
            if key == "manifest":
                lines += [*_spare(plan, value), *_hints(plan)]
    return [*lines, ""]


def _setting(start: str, key: str, value: Any) -> list[str]:
    """A setting on one line, or with its labels and findings on lines of their own."""
    one = f"{start}{key}: {flow(value)}"
    if not isinstance(value, dict) or (key != "manifest" and len(one) <= _WIDTH):
        return [one]
    lines = [f"{start}{key}:"]
    # Labels come last: further ones stand below them as comments.
    for name, inner in sorted(value.items(), key=lambda item: item[0] == "labels"):
        short = f"          {name}: {flow(inner)}"
        if not isinstance(inner, dict) or (name != "labels" and len(short) <= _WIDTH):
            lines.append(short)
            continue
        lines.append(f"          {name}:")
        lines += [f"            {flow(label)}: {flow(said)}" for label, said in inner.items()]
    return lines


def _remarks(plan: StudyPlan, source: dict[str, Any], trial: Trial) -> dict[str, list[str]]:
    told = plan.relation.told
    assert told.chosen is not None
    noun = "image" if plan.images is not None else "report"
    participant = [f"{told.chosen.describe(noun)}: {rule_text(told.chosen)}"]
    if told.per_recording:
        participant += [
            "As answered, every study or file counts as another participant. If one person was",
            "examined twice, splits leak: then give a pattern, from_parent: true, or a table.",
        ]
    elif told.given:
        participant.append("As answered.")
    else:
        participant.append(f"Found: {told.why}. Check it: a wrong rule makes splits leak.")
    remarks = {
        "cohort": ["Images and reports of one cohort share their participants and studies"],
        "participant": participant,
        "rows": ["Whose each row is"],
        "manifest": [f"A row of this table tells of an image. {participant[0]}", *participant[1:]],
        "study": [f"Found: {plan.relation.why}. A study has one report and any number of images"],
        "view": [f"Views: {plan.view[1]}"],
        "section": ["What texts without headers are called: encoders read findings and impression"],
        "layout": ["openi: XML; mimic: headers in capitals; plain: other text"],
        "labels": _label_remarks(plan, source),
    }
    if source["format"] in {"image", "dicom"}:
        remarks["edge"] = [
            "Longer side in the store (pixels); the shorter one keeps the proportions",
            *trial.remarks,
        ]
    return remarks


def _label_remarks(plan: StudyPlan, source: dict[str, Any]) -> list[str]:
    labels = source.get("labels")
    if isinstance(labels, dict) and "findings" in labels:
        counts = ", ".join(f"{name} {yes}" for name, (yes, _) in plan.labels.findings.items())
        return [
            "What reports name and deny, by rules and not by people: for a probe, no ground truth.",
            f"In the reports looked at: {counts}",
        ]
    return ["Labels of participants, or of images beside the manifest's"]


def _hints(plan: StudyPlan) -> list[str]:
    """Settings of the manifest that nothing decides, as comments."""
    images = plan.images
    listed = images.manifest if images is not None else None
    if listed is None:
        return []
    backwards = "time_backwards: true where smaller is later"
    lines = [
        f"          # time: {_quoted(name)}    # in days? add {backwards}"
        for name in listed.roles.times[:_SHOWN]
    ]
    for column in listed.table.columns:
        held = dict.fromkeys(cell for cell in listed.table.values(column) if cell)
        words = set(column.casefold().replace("_", " ").split())
        if words & _WHERE and 2 <= len(held) <= _FEW and column not in listed.roles.used:
            others = comment(", ".join(list(held)[1:5]))
            said = _quoted({column: list(held)[:1]})
            lines.append(f"          # where: {said}    # takes some rows; others: {others}")
    return lines


def _spare(plan: StudyPlan, manifest: dict[str, Any]) -> list[str]:
    """Further labels of images, as comments below those that are kept."""
    if not plan.labels.spare:
        return []
    lines = [] if "labels" in manifest else ["          # labels:"]
    for one in plan.labels.spare[:_SPARE]:
        note = f"{one.kind}, {one.missing} missing"
        if one.label in plan.labels.infinite:
            note += f"; for inf and -inf add infinite: [{one.label}]"
        lines.append(f"            # {one.label}: {_quoted(one.source)}    # {note}")
    return lines


def _quoted(value: Any) -> str:
    """JSON is YAML on one line, and keeps names with line breaks on it."""
    return comment(json.dumps(value, ensure_ascii=False))
