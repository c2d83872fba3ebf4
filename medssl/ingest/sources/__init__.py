"""Sources of recordings that a configuration can name, one module a format."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from medssl.ingest.sources.base import BaseSource, ChannelConfig
from medssl.ingest.sources.text import TextSource
from medssl.ingest.sources.wfdb import WfdbSource

SourceConfig = Annotated[WfdbSource | TextSource, Field(discriminator="format")]
"""A new format joins this union and `medssl.ingest.waveforms.readers`."""

__all__ = ["BaseSource", "ChannelConfig", "SourceConfig", "TextSource", "WfdbSource"]
