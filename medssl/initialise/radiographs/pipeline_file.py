"""The pipeline file of images and reports, with comments on what was found and assumed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from medssl.initialise.pipeline_file import comment, flow, steps_for
from medssl.initialise.radiographs.labels import prompts_for, targets_of
from medssl.initialise.radiographs.plan import StudyPlan
from medssl.initialise.radiographs.trial import Trial
from medssl.initialise.report import rule_text
from medssl.initialise.secret import pseudonym_key

_MIN_FITTED: Final = 10
_WHERE: Final = frozenset({"organ", "body", "region", "anatomy", "part", "modality"})
_PRESETS: Final = {
    "convirt": "Published settings stand in configs/convirt.yaml",
    "simclr": "Published: encoder: {name: resnet2d} (ResNet-50), size 224, batches of hundreds",
    "masked_language": "Published: width 768, depth 12, on millions of sentences",
}


def render(plan: StudyPlan, trial: Trial) -> str:
    """The whole file."""
    lines = [*_head(plan), *_ingest(plan, trial), *_pretrain(plan, trial), *_evaluate(plan)]
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
                lines += _hints(plan)
    return [*lines, ""]


def _setting(start: str, key: str, value: Any) -> list[str]:
    """A setting on one line, or with its labels and findings on lines of their own."""
    one = f"{start}{key}: {flow(value)}"
    if len(one) <= 100 or not isinstance(value, dict):
        return [one]
    lines = [f"{start}{key}:"]
    for name, inner in value.items():
        short = f"          {name}: {flow(inner)}"
        if len(short) <= 100 or not isinstance(inner, dict):
            lines.append(short)
            continue
        lines.append(f"          {name}:")
        lines += [f"            {flow(label)}: {flow(said)}" for label, said in inner.items()]
    return lines


def _remarks(plan: StudyPlan, source: dict[str, Any], trial: Trial) -> dict[str, list[str]]:
    told = plan.relation.told
    assert told.chosen is not None
    participant = [f"{told.chosen.describe()}: {rule_text(told.chosen)}"]
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
    lines = []
    for name in listed.roles.times[:3]:
        lines.append(
            f"          # time: {comment(json.dumps(name, ensure_ascii=False))}    # days? add "
            "time_backwards: true where smaller is later"
        )
    for one in plan.labels.spare[:20]:
        said = comment(json.dumps(one.source, ensure_ascii=False))
        lines.append(
            f"          # labels: {one.label}: {said}    # {one.kind}, {one.missing} missing"
        )
    for column in listed.table.columns:
        held = dict.fromkeys(cell for cell in listed.table.values(column) if cell)
        words = set(column.casefold().replace("_", " ").split())
        if words & _WHERE and 2 <= len(held) <= 12 and column not in listed.roles.used:
            said = comment(json.dumps({column: list(held)[:1]}, ensure_ascii=False))
            others = ", ".join(list(held)[1:5])
            lines.append(
                f"          # where: {said}    # takes some rows; others: {comment(others)}"
            )
    return lines


def _pretrain(plan: StudyPlan, trial: Trial) -> list[str]:
    sizes = plan.sizes
    batch = sizes.batch_size(trial.kept)
    lines = ["  pretrain:"]
    lines += {"convirt": _convirt, "simclr": _simclr, "masked_language": _language}[plan.method](
        plan
    )
    drawn = {"participant": "training participants", "study": "training studies"}[sizes.draw]
    return [
        *lines,
        f"    batch_size: {batch}    # at most the {sizes.trained} {drawn} that are expected",
        f"    steps: {steps_for(batch)}    # minutes on two cores; raise it until the monitored "
        "effective rank settles",
        "    optimiser: {learning_rate: 1.0e-3, schedule: cosine, warmup_steps: 20}",
        "    checkpoint_every: 50",
        "    monitor_every: 50",
        "",
    ]


def _encoder(plan: StudyPlan) -> list[str]:
    stem = "small" if plan.sizes.size <= 128 else "imagenet"
    encoder = {"name": "resnet2d", "width": 16, "block": "basic", "blocks": [1, 1, 1, 1],
               "stem": stem}  # fmt: skip
    return [
        f"    encoder: {flow(encoder)}    # small; ResNet-50: {{name: resnet2d}}",
        f"    views: {{size: {plan.sizes.size}}}    # pixels; the five views as published for "
        "ConVIRT",
    ]


_TEXT: Final = {
    "name": "text_transformer", "vocabulary": 2000, "width": 64, "depth": 2, "heads": 2,
    "tokens": 64,
}  # fmt: skip


def _convirt(plan: StudyPlan) -> list[str]:
    pairs = {"level": "study", "partner": "report"}
    if plan.sizes.draw == "study":
        pairs["draw"] = "study"
    return [
        "    modality: radiograph",
        "    # An image and a sentence of its study's report (arXiv 2010.00747)",
        "    method: convirt",
        *_encoder(plan),
        "    head: {hidden: 128, out: 128, dropout: 0}",
        f"    pairs: {flow(pairs)}",
        "    partner:",
        f"      encoder: {flow(_TEXT)}",
    ]


def _simclr(plan: StudyPlan) -> list[str]:
    if plan.sizes.level == "participant":
        pairs: dict[str, Any] = {"level": "participant"}
        why = "A positive pair is two images of one participant; those with one are left out here."
        other = "level: segment takes two views of one image, of everybody."
    else:
        pairs = {"level": "segment", "min_records": 1}
        why = "A positive pair is two views of one image."
        other = "level: participant takes two images of one participant."
    return [
        "    modality: radiograph",
        "    method: simclr",
        *_encoder(plan),
        f"    # {why}",
        f"    # {other}",
        f"    pairs: {flow(pairs)}",
    ]


def _language(plan: StudyPlan) -> list[str]:
    return [
        "    modality: report",
        "    # Guesses hidden words of reports: there are no images (arXiv 1810.04805)",
        "    method: masked_language",
        f"    encoder: {flow(_TEXT)}",
        "    views: {draw: report}    # the whole report; sentence: one sentence a time",
        "    pairs: {level: segment, min_records: 1}",
    ]


def _evaluate(plan: StudyPlan) -> list[str]:
    lines = ["  embed: {}", ""]
    if plan.method == "convirt":
        lines += _zero_shot(plan)
    targets = targets_of(plan.labels) + participant_targets(plan)
    why = no_probe(plan, targets)
    if why:
        lines += [f"  # No probe: {why}. For example:", "  # probe:", "  #   targets:",
                  "  #     - {name: finding, column: finding, kind: binary, level: record}"]  # fmt: skip
    else:
        lines += ["  probe:", "    # Linear probes of frozen embeddings, beside their baselines.",
                  "    targets:"]  # fmt: skip
        for target in targets:
            lines += _target(target)
        lines.append(f"    demographics: {flow(_demographics(plan))}    # the baseline to beat")
    return [
        *lines,
        "",
        "  # One page: leakage, duplicates, outliers, collapse, bias, privacy, shortcuts.",
        "  # `fail_on: critical` ends the run with exit code 3 when it finds something critical.",
        "  audit: {}",
        "",
        "  # The encoder again, with a model card that tells all of the above; ONNX on request.",
        "  release: {}",
    ]


def _zero_shot(plan: StudyPlan) -> list[str]:
    """Prompts for the labels that have some, and the true pairs."""
    if plan.sizes.participants.get("test", 0) < 2:
        return ["  # No zero_shot: too few participants to score.", ""]
    prompts = prompts_for(plan.labels.yes or list(plan.labels.findings))
    setting = f"    findings: {flow(prompts)}" if prompts else "    true_pairs: true"
    return [
        "  # Without training on labels: findings by prompts, and reports found by their images.",
        "  zero_shot:",
        setting,
        "",
    ]


def _target(target: dict[str, Any]) -> list[str]:
    one = f"      - {flow(target)}"
    if len(one) <= 100:
        return [one]
    first, *rest = target.items()
    return [f"      - {first[0]}: {flow(first[1])}",
            *(f"        {key}: {flow(value)}" for key, value in rest)]  # fmt: skip


def _demographics(plan: StudyPlan) -> list[str]:
    kept = plan.labels.labels
    kept += [one.label for one in plan.people.offers] if plan.people is not None else []
    return [name for name in ("age", "sex") if name in kept]


def participant_targets(plan: StudyPlan) -> Sequence[dict[str, Any]]:
    """Age and sex from a table of participants or from headers."""
    from medssl.initialise.pipeline_file import probe_targets

    if plan.people is None:
        return []
    return [one for one in probe_targets(plan.people) if plan.labels.offer(one["name"]) is None]


def no_probe(plan: StudyPlan, targets: Sequence[dict[str, Any]]) -> str:
    """Why there is no probe stage; empty when there is."""
    if not targets:
        return "no label was found that most images have; give labels and targets"
    counts = plan.sizes.participants
    fitted = counts.get("train", 0) + counts.get("validation", 0)
    if fitted < _MIN_FITTED or counts.get("test", 0) < 2:
        return f"{fitted} participants to fit on and {counts.get('test', 0)} to score"
    return ""
