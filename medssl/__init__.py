"""Self-supervised pretraining on medical and biosignal data, from raw files to an audited encoder.

Names are loaded when they are first used, so that `import medssl` is instant.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

from medssl.version import __version__

if TYPE_CHECKING:
    from medssl.bundle import Encoder, load_encoder
    from medssl.contracts import (
        Contract,
        ImageContract,
        TableContract,
        TextContract,
        WaveformContract,
    )
    from medssl.evaluation.embeddings import Embeddings
    from medssl.evaluation.image_text.model import load_image_text
    from medssl.explore import RunOutputs, compare_runs, open_run
    from medssl.finetuning import load_task
    from medssl.ingest.waveforms.resample import resample
    from medssl.records import Record
    from medssl.reduction.selection import Selection
    from medssl.samples import sample_path
    from medssl.stages.pipeline import run_pipeline
    from medssl.store import Store

_HOMES = {
    "Contract": "medssl.contracts",
    "ImageContract": "medssl.contracts",
    "TableContract": "medssl.contracts",
    "TextContract": "medssl.contracts",
    "WaveformContract": "medssl.contracts",
    "Embeddings": "medssl.evaluation.embeddings",
    "Encoder": "medssl.bundle",
    "Record": "medssl.records",
    "Selection": "medssl.reduction.selection",
    "Store": "medssl.store",
    "RunOutputs": "medssl.explore.outputs",
    "compare_runs": "medssl.explore.compare",
    "load_encoder": "medssl.bundle",
    "load_image_text": "medssl.evaluation.image_text.model",
    "load_task": "medssl.finetuning",
    "open_run": "medssl.explore.opening",
    "resample": "medssl.ingest.waveforms.resample",
    "run_pipeline": "medssl.stages.pipeline",
    "sample_path": "medssl.samples",
}

__all__ = [
    "Contract",
    "Embeddings",
    "Encoder",
    "ImageContract",
    "Record",
    "RunOutputs",
    "Selection",
    "Store",
    "TableContract",
    "TextContract",
    "WaveformContract",
    "__version__",
    "compare_runs",
    "load_encoder",
    "load_image_text",
    "load_task",
    "open_run",
    "resample",
    "run_pipeline",
    "sample_path",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    msg = f"module 'medssl' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted(__all__)
