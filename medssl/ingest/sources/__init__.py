"""Sources of recordings that a configuration can name, one module a format."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from medssl.ingest.sources.base import BaseSource, ChannelConfig
from medssl.ingest.sources.edf import EdfSource
from medssl.ingest.sources.matlab import MatlabSource
from medssl.ingest.sources.parquet import ParquetSource
from medssl.ingest.sources.text import TextSource
from medssl.ingest.sources.wfdb import WfdbSource

SourceConfig = Annotated[
    WfdbSource | TextSource | EdfSource | MatlabSource | ParquetSource,
    Field(discriminator="format"),
]
"""A new format joins this union and `medssl.ingest.waveforms.readers`."""

__all__ = [
    "BaseSource",
    "ChannelConfig",
    "EdfSource",
    "MatlabSource",
    "ParquetSource",
    "SourceConfig",
    "TextSource",
    "WfdbSource",
]
