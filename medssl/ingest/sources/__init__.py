"""Sources of recordings, images and reports that a configuration can name, one module a format."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from medssl.ingest.sources.base import Source
from medssl.ingest.sources.edf import EdfSource
from medssl.ingest.sources.image import DicomSource, ImageSource, PixelSource
from medssl.ingest.sources.matlab import MatlabSource
from medssl.ingest.sources.parquet import ParquetSource
from medssl.ingest.sources.report import BaseReportSource, ReportSource, ReportTableSource
from medssl.ingest.sources.text import TextSource
from medssl.ingest.sources.waveform import ChannelConfig, WaveformSource
from medssl.ingest.sources.wfdb import WfdbSource

SourceConfig = Annotated[
    WfdbSource
    | TextSource
    | EdfSource
    | MatlabSource
    | ParquetSource
    | ImageSource
    | DicomSource
    | ReportSource
    | ReportTableSource,
    Field(discriminator="format"),
]
"""A new format joins this union and `medssl.ingest.readers`."""

__all__ = [
    "BaseReportSource",
    "ChannelConfig",
    "DicomSource",
    "EdfSource",
    "ImageSource",
    "MatlabSource",
    "ParquetSource",
    "PixelSource",
    "ReportSource",
    "ReportTableSource",
    "Source",
    "SourceConfig",
    "TextSource",
    "WaveformSource",
    "WfdbSource",
]
