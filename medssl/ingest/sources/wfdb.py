"""WFDB recordings as a source."""

from __future__ import annotations

from typing import ClassVar, Literal

from medssl.ingest.sources.base import BaseSource


class WfdbSource(BaseSource):
    """WFDB recordings: `.hea` headers beside their signal files."""

    default_include: ClassVar[tuple[str, ...]] = ("**/*.hea",)

    format: Literal["wfdb"]
