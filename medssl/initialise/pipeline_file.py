"""The pipeline file: settings with comments that say what was found and what was assumed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

import yaml

from medssl.initialise.labels import LabelPlan
from medssl.initialise.plan import Plan
from medssl.initialise.report import rule_text
from medssl.initialise.secret import pseudonym_key
from medssl.initialise.sizing import Sizes
from medssl.initialise.trial import Trial
from medssl.types import Modality

_WIDTH: Final = 4096
_ECG_VIEWS: Final = {
    "cutout": {"probability": 0.8},
    "magnitude_warp": {"probability": 0.5},
    "time_warp": {"probability": 0.3},
    "gaussian_noise": {"probability": 0.5},
}
_MIN_FITTED: Final = 10


def source_of(plan: Plan) -> dict[str, Any]:
    """The ingest source, as it stands in the file."""
    facts = plan.survey.facts
    assert facts is not None
    assert plan.told.chosen is not None
    signals, sizes = plan.signals, plan.sizes
    source: dict[str, Any] = {
        "name": plan.name,
        "format": facts.format,
        "path": str(plan.survey.listing.folder),
    }
    if facts.include:
        source["include"] = list(facts.include)
    source |= facts.shape
    if facts.time:
        source["time_column"] = facts.time
        if facts.time_unit != "s":
            source["time_unit"] = facts.time_unit
    elif not facts.tells_rate:
        source["rate_in"] = plan.answers.rate_in
    source |= {
        "units": signals.units,
        "modality": str(signals.modality),
        "channels": _channels(plan),
        "rate": sizes.rate,
        "segment_seconds": sizes.segment_seconds,
        "manifest" if plan.told.by_manifest else "participant": dict(plan.told.chosen.rule.config),
    }
    if plan.session[0] is not None:
        source["session"] = dict(plan.session[0])
    if plan.labels is not None:
        labels = _labels(plan.labels)
        if _same_table(source.get("manifest"), labels):
            source["manifest"] |= {"level": "participant", "labels": labels.pop("columns")}
            source["manifest"] |= {key: labels[key] for key in ("values",) if key in labels}
        else:
            source["labels"] = labels
    return source


def _same_table(manifest: dict[str, Any] | None, labels: dict[str, Any]) -> bool:
    """Whether the manifest itself holds the labels of its participants."""
    return manifest is not None and (manifest["table"], manifest["participant"]) == (
        labels.get("table"), labels.get("key"),
    )  # fmt: skip


def _channels(plan: Plan) -> list[Any]:
    facts = plan.survey.facts
    assert facts is not None
    if facts.named:
        return [one.name for one in plan.signals.channels]
    names = [str(plan.signals.modality)]
    if len(plan.signals.channels) > 1:
        names = [f"{names[0]}_{one.name}" for one in plan.signals.channels]
    return [
        {"source": one.name, "name": name}
        for one, name in zip(plan.signals.channels, names, strict=True)
    ]


def _labels(labels: LabelPlan) -> dict[str, Any]:
    sources = {one.label: one.source for one in labels.offers}
    rule: dict[str, Any] = {"comments": sources}
    if labels.match is not None:
        table = labels.match.table
        rule = {"table": table.path, "key": labels.match.column, "columns": sources}
        if table.header_row != 1:
            rule["header_row"] = table.header_row
    values = {one.label: dict(one.values) for one in labels.offers if one.values}
    return rule | ({"values": values} if values else {})


def flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=_WIDTH
    )
    return text.removesuffix("\n").removesuffix("\n...")


def comment(text: str) -> str:
    """Text that stays on its line, whatever a column is called."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]", " ", text).split())


def render(plan: Plan, trial: Trial) -> str:
    """The whole file."""
    lines = [
        *_head(plan),
        *_ingest(plan),
        *_reduce(trial),
        *_pretrain(plan, trial),
        *_evaluate(plan),
    ]
    return "\n".join(lines) + "\n"


def _head(plan: Plan) -> list[str]:
    sizes = plan.sizes
    counts = sizes.participants
    train, validation, test = sizes.split
    split = flow({"train": train, "validation": validation, "test": test})
    return [
        "# Written by `medssl init`: what was found, what was assumed, and what you may change.",
        f"# Run it:  medssl run {comment(plan.output.name)}      Look before:  add --dry-run",
        "# A small preset for two cores. Published settings stand in configs/apple_ppg.yaml and",
        "# configs/apple_ecg.yaml; refer to one with `extends:` when you have the data and a GPU.",
        f"name: {flow(plan.name)}",
        f"root: {flow(plan.root)}      # outputs; never inside the folder of the recordings",
        "seed: 0",
        "# Participants, not recordings, are split. A participant's split depends on its name, the",
        "# source's name and pseudonym_key: change none of them later. Expected now: "
        f"{counts.get('train', 0)} train,",
        f"# {counts.get('validation', 0)} validation, {counts.get('test', 0)} test.",
        f"split: {split}",
        "",
        "stages:",
    ]


def _ingest(plan: Plan) -> list[str]:
    remarks = _source_remarks(plan)
    lines = [
        "  ingest:",
        "    workers: 2",
        "    # Yours alone: whoever has it can compute pseudonyms. Do not share it.",
        f"    pseudonym_key: {pseudonym_key()}",
        "    sources:",
    ]
    for place, (key, value) in enumerate(source_of(plan).items()):
        lines += [f"        # {comment(text)}" for text in remarks.get(key, ())]
        start = "      - " if place == 0 else "        "
        if key == "labels" or (key == "manifest" and "labels" in value):
            lines += _labels_lines(key, value, plan.labels)
        else:
            lines.append(f"{start}{key}: {flow(value)}")
        if key == "participant":
            lines += _unused_manifest(plan)
    return [*lines, ""]


def _unused_manifest(plan: Plan) -> list[str]:
    """A table that lists the recordings, as a comment, unless the participants come from it."""
    listing, chosen = plan.told.listing, plan.told.chosen
    if listing is None or (chosen is not None and chosen.rule.config.get("table")):
        return []
    keys = chosen.match if chosen is not None else None
    if keys is not None and (keys.table.path, keys.column) == (listing.table.path, listing.file):
        return []
    facts = plan.survey.facts
    assert facts is not None
    place = ", in place of participant," if listing.participant else ""
    return [
        f"        # A table lists {len(listing.rows):,} of {len(facts.paths):,} recordings. As a "
        f"manifest{place} it leaves out the others:",
        # JSON is YAML on one line, and keeps names with line breaks on it.
        f"        # manifest: {comment(json.dumps(listing.config, ensure_ascii=False))}",
    ]


def _source_remarks(plan: Plan) -> dict[str, list[str]]:
    facts, signals, sizes = plan.survey.facts, plan.signals, plan.sizes
    assert facts is not None
    assert plan.told.chosen is not None
    others = [name for name in facts.channels if name not in {one.name for one in signals.channels}]
    participant = [f"{plan.told.chosen.describe()}: {rule_text(plan.told.chosen)}"]
    if plan.told.per_recording:
        participant += [
            "As answered, every recording counts as another participant. If one person was",
            "recorded twice, splits leak: then give a pattern, from_parent: true, or a table.",
        ]
    elif plan.told.given:
        participant.append("As answered.")
    else:
        participant.append(f"Found: {plan.told.why}. Check it: a wrong rule makes splits leak.")
    remarks = {
        "path": [f"{len(facts.paths):,} recordings; {facts.looked:,} of them were looked at"],
        "units": [f"Unit {signals.units_why}; recordings in units that cannot be converted are "
                  "refused"],
        "modality": [f"Told by: {signals.modality_why}"],
        "channels": [f"Taken: {signals.channels_why}"],
        "rate": ["Samples per second in the store; recordings are resampled once"],
        "segment_seconds": _segment_remarks(plan),
        "participant": participant,
        "manifest": participant,
        "session": [f"Found: {plan.session[1]}; assumed to tell visits apart"],
        "labels": [f"Labels of participants; {plan.labels.about if plan.labels else ''}"],
        "rate_in": ["As answered: samples per second in the files"],
        "time_column": ["Uneven times are brought to an even grid, and their jitter is reported"],
    }  # fmt: skip
    if others:
        remarks["channels"].append(f"Also there: {', '.join(others[:20])}")
    if sizes.rate < 64 and signals.modality is not Modality.RESPIRATION:
        remarks["rate"].append("Lower than the published rate: the recordings have no more")
    return remarks


def _segment_remarks(plan: Plan) -> list[str]:
    sizes, facts = plan.sizes, plan.survey.facts
    assert facts is not None
    lines = [f"About {sizes.segments:,} segments; published: 60 s of PPG, 30 s of ECG"]
    if sizes.short:
        lines.append(
            f"{sizes.short} of {facts.readable} recordings looked at are shorter and will stand "
            "in the ledger as too_short"
        )
    return lines


def _labels_lines(name: str, value: dict[str, Any], labels: LabelPlan | None) -> list[str]:
    """The lines of `labels`, or of a manifest with labels."""
    lines = [f"        {name}:"]
    for key, inner in value.items():
        if key not in {"columns", "labels"}:
            lines.append(f"          {key}: {flow(inner)}")
            continue
        lines.append(f"          {key}:")
        lines += [f"            {flow(label)}: {flow(source)}" for label, source in inner.items()]
        for one in labels.spare if labels is not None else ():
            note = f"{one.kind}, {one.missing} missing"
            # JSON keeps a name with line breaks on the comment's own line.
            name = json.dumps(one.source, ensure_ascii=False)
            lines.append(f"            # {one.label}: {comment(name)}    # {note}")
    for one in labels.offers if labels is not None else ():
        remark = f"{one.label}: {one.present} present, {one.missing} missing"
        if one.unclear:
            remark += f", {one.unclear} not understood and left empty; list them under values"
        lines.append(f"          # {comment(remark)}")
    return lines


def _reduce(trial: Trial) -> list[str]:
    return [
        "  reduce:",
        f"    # {trial.good} of {trial.graded} segments tried have a quality of 0.3 or better "
        "(0: flat or without beats).",
        "    # Raise it to learn from clean segments only; 0 keeps all. Equal copies are left out.",
        f"    quality_floor: {flow(trial.quality_floor)}",
        "",
    ]


def _pretrain(plan: Plan, trial: Trial) -> list[str]:
    modality, sizes = plan.signals.modality, plan.sizes
    batch = sizes.batch_size(trial.kept)
    channels = len(plan.signals.channels)
    views: dict[str, Any] = dict(_ECG_VIEWS) if modality is Modality.ECG else {}
    if modality is not Modality.PPG or channels == 1:
        views["channel_permutation"] = {"probability": 0}
    preset = "apple_ecg" if modality is Modality.ECG else "apple_ppg"
    encoder = {
        "name": "efficientnet1d", "channels": channels, "expansion": 4, "width": 128,
        "depth": "small",
    }  # fmt: skip
    lines = [
        "  pretrain:",
        f"    modality: {modality}",
        f"    # Small; published: see configs/{preset}.yaml (depth: published, width: 256).",
        f"    encoder: {flow(encoder)}",
    ]
    if views:
        lines.append("    views:    # those not named here are as published for PPG")
        lines += [f"      {name}: {flow(view)}" for name, view in views.items()]
    return [
        *lines,
        "    # A positive pair is two segments of one participant. "
        f"{len(sizes.trained)} training participants",
        "    # are expected to have two; a batch holds one pair each of batch_size of them.",
        f"    batch_size: {batch}    # at most that number; published 256",
        f"    steps: {steps_for(batch)}    # minutes on two cores; raise it until the monitored "
        "effective rank settles",
        "    optimiser: {learning_rate: 1.0e-3, schedule: cosine, warmup_steps: 20}",
        "    checkpoint_every: 50",
        "    monitor_every: 50",
        "",
    ]


def steps_for(batch: int) -> int:
    """Enough to learn something, few enough for minutes on two cores."""
    return 300 if batch >= 16 else 150


def _evaluate(plan: Plan) -> list[str]:
    lines = ["  embed: {}", ""]
    targets = probe_targets(plan.labels)
    why = no_probe(plan.sizes, plan.labels)
    if why:
        lines += [f"  # No probe: {why}. For example:", "  # probe:", "  #   targets:",
                  "  #     - {name: age, column: age, kind: regression}"]  # fmt: skip
    else:
        lines += ["  probe:", "    # Linear probes of participants' mean embeddings, beside their "
                  "baselines.", "    targets:"]  # fmt: skip
        lines += [f"      - {flow(target)}" for target in targets]
        names = [one.label for one in plan.labels.offers] if plan.labels is not None else []
        lines.append(f"    demographics: {flow(names)}    # the baseline to beat")
        lines += ["", "  # What the encoder has to beat: MiniRocket, heart-rate variability,"]
        lines += ["  # itself trained with labels. Takes as long as pretraining.", "  # rivals: {}"]
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


def probe_targets(labels: LabelPlan | None) -> Sequence[dict[str, str]]:
    """Targets that the labels allow: age, and sex when both are there."""
    targets = []
    if labels is not None and (age := labels.offer("age")) is not None and age.sides > 1:
        targets.append({"name": "age", "column": "age", "kind": "regression"})
    if labels is not None and (sex := labels.offer("sex")) is not None and sex.sides > 1:
        targets.append({"name": "sex", "column": "sex", "kind": "binary", "positive": "M"})
    return targets


def no_probe(sizes: Sizes, labels: LabelPlan | None) -> str:
    """Why there is no probe stage; empty when there is."""
    if not probe_targets(labels):
        return "neither age nor sex was found; give labels and targets"
    fitted = sizes.participants.get("train", 0) + sizes.participants.get("validation", 0)
    if fitted < _MIN_FITTED or sizes.participants.get("test", 0) < 2:
        return f"{fitted} participants to fit on and {sizes.participants.get('test', 0)} to score"
    return ""
