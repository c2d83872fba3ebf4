"""The stages after ingest, as they stand in the pipeline file of images and reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from medssl.initialise.pipeline_file import flow, probe_targets, steps_for
from medssl.initialise.radiographs.labels import prompts_for, targets_of
from medssl.initialise.radiographs.plan import StudyPlan
from medssl.initialise.radiographs.trial import Trial

_WIDTH: Final = 100
_MIN_FITTED: Final = 10


def pretrain_lines(plan: StudyPlan, trial: Trial) -> list[str]:
    """The pretrain stage: a small preset for what there is."""
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
    small = plan.sizes.size <= 128
    stem = "small" if small else "imagenet"
    faster = "" if small else "; 112 takes a quarter of the time"
    encoder = {"name": "resnet2d", "width": 16, "block": "basic", "blocks": [1, 1, 1, 1],
               "stem": stem}  # fmt: skip
    return [
        f"    encoder: {flow(encoder)}    # small; ResNet-50: {{name: resnet2d}}",
        f"    views: {{size: {plan.sizes.size}}}    # pixels; the five views as published for "
        f"ConVIRT{faster}",
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
        *_policy(plan, "      ", {}),
    ]


def _policy(plan: StudyPlan, indent: str, views: dict[str, Any]) -> list[str]:
    """Views of reports, where they are not the defaults."""
    assert plan.reports is not None
    if plan.reports.policy:
        why = "no report has findings or impression: all sections are read; or name `sections`"
        return [
            f"{indent}# {why}",
            f"{indent}views: {flow({**views, 'policy': plan.reports.policy})}",
        ]
    return [f"{indent}views: {flow(views)}"] if views else []


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
        "    # draw: report shows the whole report, sentence one sentence a time",
        *_policy(plan, "    ", {"draw": "report"}),
        "    pairs: {level: segment, min_records: 1}",
    ]


def evaluation_lines(plan: StudyPlan) -> list[str]:
    """All stages after it."""
    lines = ["  embed: {}", ""]
    if plan.method == "convirt":
        lines += _zero_shot(plan)
    targets = [*targets_of(plan.labels), *participant_targets(plan)]
    why = no_probe(plan, targets)
    if why:
        lines += [
            f"  # No probe: {why}. For example:",
            "  # probe:",
            "  #   targets:",
            "  #     - {name: finding, column: finding, kind: binary, level: record}",
        ]
    else:
        lines += ["  probe:", "    # Linear probes of frozen embeddings, beside their baselines.",
                  "    targets:"]  # fmt: skip
        for target in targets:
            lines += _target(target)
        lines.append(f"    demographics: {flow(_demographics(plan))}    # the baseline to beat")
    lines += [
        "",
        "  # One page: leakage, duplicates, outliers, collapse, bias, privacy, shortcuts.",
        "  # `fail_on: critical` ends the run with exit code 3 when it finds something critical.",
        "  audit: {}",
    ]
    return [
        *lines,
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
    if len(one) <= _WIDTH:
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
