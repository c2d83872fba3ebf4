"""The layout of a store: file names, index columns, versions."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

SCHEMA_VERSION: Final = 3
"""Raised when an older medssl could no longer read the store."""

FORMAT: Final = "medssl-store"
MANIFEST: Final = "store.json"
LOCK: Final = ".store.lock"
INDEX: Final = "index"
SHARDS: Final = "shards"
RECORDS: Final = "records.parquet"
PARTICIPANTS: Final = "participants.parquet"
LABELS: Final = "labels.parquet"
"""Labels of records and of their sessions, by record; absent when there are none."""
LEDGER: Final = "ledger.parquet"
LINKS: Final = "links.parquet"
"""Pseudonym → original identifier. Local; delete it to cut the link for good."""

# Columns of records.parquet: one row per record.
RECORD: Final = "record"
PARTICIPANT: Final = "participant"
SESSION: Final = "session"
STUDY: Final = "study"
RECORDING: Final = "recording"
MODALITY: Final = "modality"
SOURCE: Final = "source"
START: Final = "start"
SHARD: Final = "shard"
OFFSET: Final = "offset"
SIZE: Final = "size"
ENCODING: Final = "encoding"
DTYPE: Final = "dtype"
SHAPE: Final = "shape"
RATE: Final = "rate"
UNITS: Final = "units"
CHANNELS: Final = "channels"
SITE: Final = "site"
DEVICE: Final = "device"
QUALITY: Final = "quality"
FILTER: Final = "filter"
"""What was filtered out before resampling, as JSON."""
OVERLAP: Final = "overlap"
"""Seconds that neighbouring segments of a recording share."""
GRADES: Final = {
    "template": "quality_template",
    "skewness": "quality_skewness",
    "kurtosis": "quality_kurtosis",
    "flat": "flat_share",
    "clipped": "clipped_share",
    "missing": "missing_share",
}
"""Components of signal quality, and their columns; see `ingest.waveforms.components`."""
VIEW: Final = "view"
"""Projection of a radiograph."""
TIME: Final = "time"
"""When a study was made: days, with an origin of its own for each participant."""
DISPLAY: Final = "display"
"""What was done to an image's pixels, in order, as a JSON list."""
GREY_SCALE: Final = "grey_scale"
"""How an image's stored values were to become grey ones, as JSON."""
LATER: Final = frozenset({FILTER, OVERLAP, *GRADES.values(), VIEW, TIME, DISPLAY, GREY_SCALE})
"""Columns that came after version 1: null in older stores, no part of a digest while all null."""
SOURCE_DIGEST: Final = "source_digest"
CONTENT_DIGEST: Final = "content_digest"
ADDED: Final = "added"
"""The index version in which a record or participant first appeared."""

# Encodings of a record's bytes inside its shard.
NPY: Final = "npy"
"""Raw little-endian C-order samples: a slice of an `.npy` member. The offset is the slice's own."""
BLOSC2: Final = "blosc2"
"""One Blosc2 frame."""
UTF8: Final = "utf8"
"""Text."""

RECORDS_SCHEMA: Final = pa.schema(
    [
        pa.field(RECORD, pa.string(), nullable=False),
        pa.field(PARTICIPANT, pa.string(), nullable=False),
        pa.field(SESSION, pa.string(), nullable=False),
        pa.field(STUDY, pa.string()),
        pa.field(RECORDING, pa.string(), nullable=False),
        pa.field(MODALITY, pa.string(), nullable=False),
        pa.field(SOURCE, pa.string(), nullable=False),
        pa.field(START, pa.float64(), nullable=False),
        pa.field(SHARD, pa.string(), nullable=False),
        pa.field(OFFSET, pa.int64(), nullable=False),
        pa.field(SIZE, pa.int64(), nullable=False),
        pa.field(ENCODING, pa.string(), nullable=False),
        pa.field(DTYPE, pa.string(), nullable=False),
        pa.field(SHAPE, pa.list_(pa.int64()), nullable=False),
        pa.field(RATE, pa.float64()),
        pa.field(UNITS, pa.string()),
        pa.field(CHANNELS, pa.list_(pa.string()), nullable=False),
        pa.field(SITE, pa.string()),
        pa.field(DEVICE, pa.string()),
        pa.field(QUALITY, pa.float32()),
        pa.field(FILTER, pa.string()),
        pa.field(OVERLAP, pa.float64()),
        *(pa.field(name, pa.float32()) for name in GRADES.values()),
        pa.field(VIEW, pa.string()),
        pa.field(TIME, pa.float64()),
        pa.field(DISPLAY, pa.string()),
        pa.field(GREY_SCALE, pa.string()),
        pa.field(SOURCE_DIGEST, pa.string(), nullable=False),
        pa.field(CONTENT_DIGEST, pa.string(), nullable=False),
        pa.field(ADDED, pa.int32(), nullable=False),
    ]
)

LEDGER_SCHEMA: Final = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("source_digest", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
    ]
)

LINKS_SCHEMA: Final = pa.schema(
    [
        pa.field(PARTICIPANT, pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("original", pa.string(), nullable=False),
    ]
)


def presence(modality: str) -> str:
    """Name of the participants' column that says whether a modality is there.

    >>> presence("ppg")
    'has_ppg'
    """
    return f"has_{modality}"
