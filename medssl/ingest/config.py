"""Configuration of ingest: what to read, and how to cut it into records."""

from __future__ import annotations

from pydantic import Field, PositiveInt, model_validator

from medssl.config import StrictModel
from medssl.ingest.sources import SourceConfig


class IngestConfig(StrictModel):
    """What to read, and how to cut it into records."""

    sources: tuple[SourceConfig, ...]
    pseudonym_key: str = Field(
        default="medssl", min_length=1, description="secret behind the pseudonyms"
    )
    workers: PositiveInt = 1
    shard_mb: PositiveInt = Field(default=128, description="largest shard (MB)")
    files_per_task: PositiveInt = 200
    quality: bool = Field(default=True, description="grade every segment of a waveform")

    @model_validator(mode="after")
    def _check_names(self) -> IngestConfig:
        if not self.sources:
            msg = "name at least one source"
            raise ValueError(msg)
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            msg = f"two sources are called {twice}: give each its own name"
            raise ValueError(msg)
        rules = [rule for source in self.sources for rule in source.named_rules]
        own = {name for rule in rules if rule.level == "participant" for name in rule.names}
        timed = {
            name for source in self.sources for rule in source.segment_rules for name in rule.names
        }
        for level in ("session", "record", "segment"):
            of_level = {name for rule in rules if rule.level == level for name in rule.names}
            of_level |= timed if level == "segment" else set()
            if own & of_level:
                msg = f"{sorted(own & of_level)} are labels at two levels: give them two names"
                raise ValueError(msg)
            own |= of_level
        return self

    @model_validator(mode="after")
    def _check_times(self) -> IngestConfig:
        units: dict[str, str] = {}
        for source in self.sources:
            unit = source.times_in
            if unit is None:
                continue
            unit = "days" if unit == "hours" else unit
            if units.setdefault(source.group, unit) != unit:
                msg = (
                    f"times of cohort {source.group} are {units[source.group]} in one source and "
                    f"{unit} in {source.name}: they cannot be compared; tell them in one unit"
                )
                raise ValueError(msg)
        return self
