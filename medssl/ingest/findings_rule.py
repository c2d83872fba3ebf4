"""Label rule of reports: findings that their text names, denies or doubts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from medssl.config import StrictModel, nearest


def _by_label(value: Any) -> Any:
    """Label → finding, of a list of findings or the name of a published set."""
    if value in ("nih", "chexpert"):
        from medssl.text.findings import CHEXPERT, NIH

        return dict(NIH if value == "nih" else CHEXPERT)
    if isinstance(value, str):
        return {value: value}
    return {name: name for name in value} if isinstance(value, list | tuple) else value


class FindingsRule(StrictModel):
    """Labels from what reports say: 1 present, 0 absent, missing where they do not mention it.

    The level `session` gives them to all records of a session, images too; where no rule tells
    sessions, a session is a study.
    """

    level: Literal["participant", "session", "record"] = Field(
        default="record", description="whose labels these are"
    )
    findings: Annotated[dict[str, str], BeforeValidator(_by_label)] = Field(
        min_length=1,
        description="label → finding, a list of findings, or nih or chexpert for their fourteen; "
        "medssl.text.findings lists all",
    )
    uncertain: Literal["missing", "present", "absent"] = Field(
        default="missing", description="what 'possible' or 'cannot be excluded' means"
    )
    version: str | None = Field(
        default=None, coerce_numbers_to_str=True, description="version of these labels"
    )

    @field_validator("findings")
    @classmethod
    def _check_findings(cls, findings: dict[str, str]) -> dict[str, str]:
        from medssl.text.findings import FINDINGS

        unknown = next((name for name in findings.values() if name not in FINDINGS), None)
        if unknown is not None:
            msg = f"no finding is called {unknown!r}{nearest(unknown, FINDINGS)}"
            raise ValueError(msg)
        return findings

    @property
    def names(self) -> tuple[str, ...]:
        """Labels that this rule gives."""
        return tuple(self.findings)

    def labels_of(self, stored: str) -> dict[str, float]:
        """Label → 1 or 0 of a report; what it does not mention is left out.

        Args:
            stored: The report as stored.

        >>> rule = FindingsRule(findings=["effusion", "edema"])
        >>> rule.labels_of("FINDINGS: Small effusion. Heart normal.")
        {'effusion': 1.0}
        """
        from medssl.text.findings import label_findings

        values = {"present": 1.0, "absent": 0.0}
        if self.uncertain != "missing":
            values["uncertain"] = values[self.uncertain]
        said = label_findings(stored)
        given = {name: values.get(said.get(finding, "")) for name, finding in self.findings.items()}
        return {name: value for name, value in given.items() if value is not None}
