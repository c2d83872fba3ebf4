"""All audits in their order: what each is asked, under which heading it stands."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from medssl.audit import calls
from medssl.audit.alignment_uniformity import alignment_uniformity
from medssl.audit.attribute_dependence import attribute_dependence
from medssl.audit.baselines import baselines
from medssl.audit.batch_effect import batch_effect
from medssl.audit.calls import Call
from medssl.audit.collapse import collapse
from medssl.audit.demographic_inference import demographic_inference
from medssl.audit.dispersion import dispersion
from medssl.audit.exact_duplicates import exact_duplicates
from medssl.audit.findings import Finding
from medssl.audit.image_use import image_use
from medssl.audit.inputs import AuditInputs
from medssl.audit.label_errors import label_errors
from medssl.audit.lidar import lidar
from medssl.audit.missing_predicts_label import missing_predicts_label
from medssl.audit.missingness import missingness
from medssl.audit.modality_gap import modality_gap
from medssl.audit.near_duplicates import near_duplicates
from medssl.audit.outliers import outliers
from medssl.audit.overlap import participant_overlap
from medssl.audit.quality import quality
from medssl.audit.re_identification import re_identification
from medssl.audit.redundant_dimensions import redundant_dimensions
from medssl.audit.shortcut_metadata import shortcut_metadata
from medssl.audit.shortcut_occlusion import shortcut_occlusion
from medssl.audit.spectrum_decay import spectrum_decay
from medssl.audit.split_balance import split_balance
from medssl.audit.subgroups import subgroup_gap

SEED: Final = "seed"

LEAKAGE: Final = "Leakage"
DATA: Final = "Data"
REPRESENTATION: Final = "Representation"
BIAS: Final = "Bias"
PRIVACY: Final = "Privacy"
SHORTCUTS: Final = "Shortcuts"
BASELINES: Final = "Baselines"


@dataclass(frozen=True, eq=False)
class Audit:
    """One audit of the run.

    Args:
        name: As its findings call it, and as `skip` and `thresholds` do.
        group: Its heading on the page.
        function: The audit itself, a pure function.
        ask: From the inputs to the arguments of each call; none when there is nothing to look at.
        settings: Keywords of the function that fields of `AuditConfig` decide.
    """

    name: str
    group: str
    function: Callable[..., list[Finding]]
    ask: Callable[[AuditInputs], Iterable[Call]]
    settings: Mapping[str, str] = field(default_factory=dict)

    def thresholds(self) -> list[str]:
        """Numeric keywords that `AuditConfig.thresholds` may set."""
        return [
            name
            for name, one in inspect.signature(self.function).parameters.items()
            if one.kind is one.KEYWORD_ONLY
            and type(one.default) in (int, float)
            and name != SEED
            and name not in self.settings
        ]

    def keywords(self, inputs: AuditInputs) -> dict[str, Any]:
        """What the configuration says to every call."""
        config = inputs.config
        found: dict[str, Any] = {key: getattr(config, name) for key, name in self.settings.items()}
        found |= config.thresholds.get(self.name, {})
        if SEED in inspect.signature(self.function).parameters:
            found[SEED] = config.seed
        return found


_NEAR: Final = {
    "expected_false": "expected_false", "tolerance": "lag_tolerance", "max_records": "max_records",
}  # fmt: skip
_COLLAPSE: Final = {
    "min_rank_fraction": "min_rank_fraction", "max_dead_fraction": "max_dead_fraction",
}  # fmt: skip
_SUBGROUPS: Final = {
    "min_participants": "min_subgroup", "max_auroc_gap": "max_auroc_gap",
    "max_relative_gap": "max_relative_gap",
}  # fmt: skip
_QUALITY: Final = {"floor": "quality_floor", "max_poor": "max_poor"}
_SPLITS: Final = {"max_difference": "max_split_difference"}
_MISSING: Final = {"max_missing": "max_missing"}
_OCCLUSION: Final = {"max_records": "max_occluded"}

AUDITS: Final[tuple[Audit, ...]] = (
    Audit("overlap", LEAKAGE, participant_overlap, calls.boundaries),
    Audit("exact_duplicates", LEAKAGE, exact_duplicates, calls.stored),
    Audit("near_duplicates", LEAKAGE, near_duplicates, calls.stored, _NEAR),
    Audit("quality", DATA, quality, calls.in_use, _QUALITY),
    Audit("missingness", DATA, missingness, calls.labels, _MISSING),
    Audit("missing_predicts_label", DATA, missing_predicts_label, calls.targets),
    Audit("split_balance", DATA, split_balance, calls.splits, _SPLITS),
    Audit("outliers", DATA, outliers, calls.embeddings),
    Audit("label_errors", DATA, label_errors, calls.predictions),
    Audit("collapse", REPRESENTATION, collapse, calls.beside_untrained, _COLLAPSE),
    Audit("spectrum_decay", REPRESENTATION, spectrum_decay, calls.beside_untrained),
    Audit("redundant_dimensions", REPRESENTATION, redundant_dimensions, calls.embeddings),
    Audit("lidar", REPRESENTATION, lidar, calls.embeddings),
    Audit("alignment_uniformity", REPRESENTATION, alignment_uniformity, calls.beside_untrained),
    Audit("dispersion", REPRESENTATION, dispersion, calls.beside_untrained),
    Audit("modality_gap", REPRESENTATION, modality_gap, calls.other_modalities),
    Audit("batch_effect", BIAS, batch_effect, calls.attributes),
    Audit("attribute_dependence", BIAS, attribute_dependence, calls.labels_by_attribute),
    Audit("subgroups", BIAS, subgroup_gap, calls.predictions_by_group, _SUBGROUPS),
    Audit("re_identification", PRIVACY, re_identification, calls.embeddings),
    Audit("demographic_inference", PRIVACY, demographic_inference, calls.demographics),
    Audit("shortcut_metadata", SHORTCUTS, shortcut_metadata, calls.labels_by_metadata),
    Audit("shortcut_occlusion", SHORTCUTS, shortcut_occlusion, calls.encoded_scores, _OCCLUSION),
    Audit("image_use", SHORTCUTS, image_use, calls.image_uses),
    Audit("baselines", BASELINES, baselines, calls.probe_table),
)
