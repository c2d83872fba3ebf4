"""MIMIC-CXR studies whose reports are malformed, and where their findings stand."""

from __future__ import annotations

from typing import Final

_IN_SECTION = {
    "examination": ("s50743547 s53356173 s55157853 s59215320 s59363654"),
    "history": ("s51491012"),
    "indication": ("s50058765 s51966317 s54365831 s54654948 s55124749 s57936451"),
    "note": ("s56451190"),
    "recommendations": ("s50913680 s56482935 s58157373 s58375018 s59067458 s59087630 s59768032"),
    "technique": ("s50808053 s53202765 s59279892"),
}

MISNAMED: Final[dict[str, str]] = {
    study: name for name, studies in _IN_SECTION.items() for study in studies.split()
}
"""The section, by its header, that holds the findings of these studies (facts published with
MIT-LCP/mimic-cxr, `txt/section_parser.py`, MIT; found by its authors reading them)."""

SPANS: Final[dict[str, tuple[int, int]]] = {
    "s50196495": (59, 399),
    "s50525523": (201, 349),
    "s51410602": (47, 320),
    "s52119491": (179, 454),
    "s52648681": (292, 631),
    "s52674888": (145, 296),
    "s53182247": (59, 412),
    "s53488209": (149, 475),
    "s53514462": (73, 377),
    "s54875119": (234, 988),
    "s54986978": (59, 306),
    "s55258338": (192, 568),
    "s56412866": (522, 822),
    "s56579911": (59, 218),
    "s56760320": (219, 457),
    "s57150433": (61, 394),
    "s57564132": (233, 554),
    "s59003148": (262, 505),
    "s59330497": (140, 655),
    "s59505494": (59, 450),
    "s59562049": (158, 348),
    "s59889364": (172, 453),
    "s59982525": (313, 717),
    "s50798377": (0, 0),
    "s52035334": (0, 0),
    "s53071062": (0, 0),
    "s53607029": (0, 0),
    "s54168089": (0, 0),
    "s54231141": (0, 0),
    "s56724958": (0, 0),
    "s58235663": (0, 0),
}
"""Characters of the file that hold the findings of these studies (same source); an empty span says
that there are none."""
