"""Renders an audit report as one self-contained HTML page, with its JSON beside it."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import math
from collections import Counter
from pathlib import Path
from typing import Any, Final

from medssl.audit.findings import AuditReport, Finding, ProbeRow, Severity, Table
from medssl.audit.record_map import RecordMap
from medssl.files import replacing

SYMBOLS: Final = {
    Severity.CRITICAL: "✕",
    Severity.WARNING: "!",
    Severity.NOTE: "i",
    Severity.OK: "✓",
}
VERDICTS: Final = {
    Severity.CRITICAL: "Put the critical findings right before you use any of these numbers.",
    Severity.WARNING: "Usable with care: read the warnings first.",
    Severity.NOTE: "Nothing that stands against using it; the notes say what to keep in mind.",
    Severity.OK: "Every audit passed.",
}
SHOWN_PARTICIPANTS: Final = 24
SHOWN_METRICS: Final = 2
"""Metrics of a target that stand open; the others are folded."""
PROJECTION: Final = "projection"
"""Begins the names of figures that the map replaces where scripts run."""
OTHERS: Final = "Others"
SCALE_STEPS: Final = 33


def write_report(report: AuditReport, path: Path, *, title: str = "Embedding audit") -> None:
    """Write the page to `path`, and the report as JSON beside it (same name, `.json`).

    The page loads nothing: styles, pictures and the script of the map are inside, and it forbids
    its browser every request and every other script. It shows pseudonyms, so it is to stay where
    the store is.

    Args:
        report: What the audits found.
        path: Of the page, such as `audit.html`.
        title: Its heading.
    """
    path = Path(path)
    with replacing(path.with_suffix(".json")) as temporary:
        temporary.write_text(report.to_json(), encoding="utf-8")
    with replacing(path) as temporary:
        temporary.write_text(render_page(report, title=title), encoding="utf-8")


def render_page(report: AuditReport, *, title: str = "Embedding audit") -> str:
    """The page as HTML text; everything that is not markup of ours is escaped."""
    import jinja2

    files = importlib.resources.files("medssl.audit")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": number, "cell": cell, "interval": interval, "numeric": numeric_columns,
        "score": score, "score_interval": score_interval,
    }  # fmt: skip
    template = environment.from_string(files.joinpath("report.html").read_text(encoding="utf-8"))
    script = files.joinpath("map.js").read_text(encoding="utf-8")
    return template.render(
        title=title,
        style=files.joinpath("report.css").read_text(encoding="utf-8"),
        policy=content_policy(script if report.map else None),
        report=report,
        worst=report.worst(),
        verdict=VERDICTS[report.worst()],
        counts=report.counts(),
        symbols=SYMBOLS,
        ok=Severity.OK,
        findings=finding_groups(report),
        probes=probe_targets(report.probes),
        groups=figure_groups(report),
        projection=PROJECTION,
        titles={figure.name: figure.title for figure in report.figures},
        headline=headline(report),
        shown=SHOWN_PARTICIPANTS,
        map_data=map_data(report.map) if report.map else "",
        map_script=script,
    )


def content_policy(script: str | None) -> str:
    """What the page allows itself: its own styles and pictures, and this one script.

    >>> content_policy(None)
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    """
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    if script is None:
        return policy
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"{policy}; script-src 'sha256-{digest}'"


def map_data(records: RecordMap) -> str:
    """What the script of the map reads, in the colours of the figures."""
    from matplotlib.colors import to_hex

    from medssl.audit.figures import SCALE
    from medssl.audit.svg import GREY, PALETTE

    steps = [to_hex(SCALE(step / (SCALE_STEPS - 1))) for step in range(SCALE_STEPS)]
    return records.to_script([colour for colour in PALETTE if colour != GREY], steps)


def finding_groups(report: AuditReport) -> list[dict[str, Any]]:
    """Findings under their headings, the worst first, those that passed apart."""
    groups = []
    for heading, findings in report.grouped():
        counts = Counter(finding.severity for finding in findings)
        groups.append(
            {
                "name": heading or OTHERS,
                "id": "findings-" + (heading or OTHERS).lower().replace(" ", "-"),
                "worst": findings[0].severity,
                "counts": [(one, counts[one]) for one in reversed(Severity) if counts[one]],
                "open": [one for one in findings if one.severity is not Severity.OK],
                "passed": [one for one in findings if one.severity is Severity.OK],
            }
        )
    return groups


def headline(report: AuditReport) -> list[tuple[str, str]]:
    """The numbers that stand first on the page: (what, value)."""
    lines = []
    for key in ("participants", "records", "embedding dimensions"):
        value = report.meta.get(key)
        if isinstance(value, int):
            lines.append((key, f"{value:,}"))
    splits = report.meta.get("splits")
    if isinstance(splits, dict) and splits:
        lines.append((" / ".join(splits), " / ".join(str(count) for count in splits.values())))
    return lines


def probe_targets(rows: tuple[ProbeRow, ...]) -> list[dict[str, Any]]:
    """Probe rows by target, and by metric inside it, in the order in which they come."""
    from medssl.audit.figures import LABELS

    targets: dict[str, dict[str, list[ProbeRow]]] = {}
    for row in rows:
        targets.setdefault(row.target, {}).setdefault(row.metric, []).append(row)
    found = []
    for name, metrics in targets.items():
        blocks = [
            (block[0].label or LABELS.get(metric, metric), block)
            for metric, block in metrics.items()
        ]
        every = [row for _, block in blocks for row in block]
        found.append(
            {
                "name": name,
                "n_fit": max(row.n_fit for row in every),
                "n_score": max(row.n_score for row in every),
                "metrics": blocks[:SHOWN_METRICS],
                "more": blocks[SHOWN_METRICS:],
            }
        )
    return found


def figure_groups(report: AuditReport) -> list[tuple[str, list[Any]]]:
    """Figures under the headings of the page, in the order of the report."""
    headings = {
        "overlay": "Shared signals and images",
        "occlusion": "Where scores are read",
        "forest": "Probe scores",
        PROJECTION: "Embeddings",
        "spectrum": "Embeddings",
        "splits": "Splits",
    }
    groups: dict[str, list[Any]] = {}
    for figure in report.figures:
        heading = headings.get(figure.name.split("-")[0], "More")
        groups.setdefault(heading, []).append(figure)
    return list(groups.items())


def numeric_columns(table: Table) -> list[bool]:
    """Which columns hold numbers, to be set flush right."""
    return [
        not any(isinstance(row[place], str) for row in table.rows)
        for place in range(len(table.columns))
    ]


def number(value: float | None) -> str:
    """Three significant digits, counts in full.

    >>> number(1234.0), number(0.04567), number(-0.5), number(None)
    ('1,234', '0.0457', '−0.5', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if float(value).is_integer() or abs(value) >= 1000:
        text = f"{value:,.0f}"
    elif abs(value) >= 1e-4:
        text = f"{value:.3g}"
    else:
        text = f"{value:.1e}"
    return text.replace("-", "−")


def cell(value: bool | int | float | str | None) -> str:
    """A cell of a table as text.

    >>> cell("a"), cell(0.5), cell(True)
    ('a', '0.5', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else number(value)


def interval(finding: Finding | ProbeRow) -> str:
    """A value's 95 % interval in brackets, or nothing.

    >>> from medssl.audit.findings import ProbeRow
    >>> common = {"target": "age", "features": "encoder", "metric": "mae", "n_fit": 9, "n_score": 9}
    >>> interval(ProbeRow(value=7, low=6.5, high=8, **common))
    '[6.5, 8]'
    """
    if finding.low is None or finding.high is None:
        return ""
    return f"[{number(finding.low)}, {number(finding.high)}]"


def score(value: float | None, like: float | None = None) -> str:
    """A probe score with the same decimals in every row.

    Args:
        value: The score.
        like: The score whose decimals it takes; by default its own.

    >>> score(0.5), score(-0.00339), score(11.72), score(9.87, like=11.72)
    ('0.500', '−0.003', '11.7', '9.9')
    """
    if value is None or not math.isfinite(value):
        return "–"
    decimals = 3 if abs(value if like is None else like) < 10 else 1
    rounded = round(value, decimals) + 0.0  # without the sign of a zero
    return f"{rounded:.{decimals}f}".replace("-", "−")


def score_interval(row: ProbeRow) -> str:
    """A probe score's interval in brackets, or nothing."""
    if row.low is None or row.high is None:
        return ""
    return f"[{score(row.low, row.value)}, {score(row.high, row.value)}]"
