"""Words by which chest radiograph reports name findings, and say that things are normal."""

from __future__ import annotations

from typing import Final

_HEART = r"(?:heart|cardiac|cardio ?mediastinal|cardiothoracic|cardiopericardial)"
_SIZED = (
    r"(?:\s+(?!or\b|and\b|with\b|without\b|no\b|ventric|atri|aort|vascul|pulmon)[\w-]+){0,6}?\s+"
)
_MEDIASTINUM = r"(?:mediastinum|mediastinal|cardio ?mediastinal|cardiomediastinum)"
_PLEURAL = r"pleural(?:[ -](?!effusion|fluid)\w+){0,3}[ -]"
_NORMAL = (
    r"(?:normal|unremarkable|within\s+(?:\w+\s+)?limits|wnl|"
    r"not\s+(?:\w+\s+)?(?:enlarged|widened))"
)
_BETWEEN = r"(?:sized?|appearing|appearance|contours?|of|the|and|in|shape|for)"
_LARGE = r"(?:enlarged|enlargement|large|increased|prominent|borderline)"

PHRASES: Final[dict[str, tuple[str, ...]]] = {
    "atelectasis": (
        r"atele[ck]ta\w*", r"(?:lobar|lung|lobe) collapse",
        r"collapsed (?:[\w-]+ ){0,3}(?:lobe|lung)", r"collapse of (?:[\w-]+ ){0,6}(?:lobe|lung)",
    ),
    "cardiomegaly": (
        r"cardiomeg\w+",
        rf"{_HEART}(?! ?(?:valve|pacemaker))\b{_SIZED}(?P<a>{_LARGE})(?! vessel)",
        rf"(?:enlarged|(?:enlargement|increase) (?:in|of) (?:the )?|large) ?{_HEART}\b",
        rf"{_HEART} enlargement",
        rf"(?P<a>borderline) {_HEART}",
    ),
    "effusion": (
        r"(?<!pericardial )(?<!pericardial or )(?<!joint )(?<!knee )(?<!elbow )effusions?\b",
        r"pleural fluid",
        r"(?:hydro|haemo|hemo)(?:pneumo)?thora\w+",
    ),
    "infiltration": (r"infiltrat\w+",),
    "mass": (r"mass(?:es|like)?\b(?! effect)",),
    "nodule": (r"nodules?\b",),
    "pneumonia": (r"(?:broncho)?pneumonias?\b", r"pneumonic"),
    "pneumothorax": (r"(?:h\w+)?pneumothora\w+", r"ptx\b"),
    "consolidation": (r"consolidat\w+",),
    "edema": (
        r"(?<!subglottic )(?<!tissue )(?<!epiglottic )(?<!peripheral )(?<!pedal )o?edema\w*",
    ),
    "emphysema": (r"(?<!subcutaneous )(?<!tissue )(?<!mediastinal )emphysem\w+",),
    "fibrosis": (r"(?<!cystic )fibros[ei]s\b", r"fibrotic"),
    "pleural thickening": (
        rf"{_PLEURAL}thickening",
        r"thicken(?:ed|ing) (?:of|along|in) (?:the )?(?:[\w-]+ ){0,2}pleura\w*",
        r"thickened pleura",
        r"pleural scarring[ /](?:and )?thickening",
        r"fissural thickening",
        r"thickening of the (?:[\w-]+ )?fissure",
        r"apical (?:[\w-]+ ){0,3}?(?:cap|capping|thickening)\b",
    ),
    "hernia": (r"(?<!inguinal )(?<!umbilical )hernia(?:s|tion)?\b",),
    "enlarged cardiomediastinum": (
        rf"{_MEDIASTINUM}\b{_SIZED}(?P<a>enlarged|widened|wide|widening|prominent|fullness)\b",
        rf"(?:widened|enlarged|prominent|wide) (?:[\w-]+ )?{_MEDIASTINUM}",
        rf"(?:widening|enlargement|prominence) of (?:the )?(?:[\w-]+ )?{_MEDIASTINUM}",
        r"mediastinal (?:widening|enlargement|prominence|fullness)",
    ),
    "lung opacity": (
        r"opaci(?:t\w+|fi\w+)",
        r"air ?-?space (?:disease|process|change|infiltrat|consolidat|opaci)\w*",
        r"infiltrat\w+",
        r"(?<!bone )(?<!soft tissue )densit(?:y|ies)\b",
    ),
    "lung lesion": (
        r"mass(?:es|like)?\b(?! effect)", r"nodul\w+", r"tumou?rs?\b", r"neoplas\w+", r"cavit\w+",
        r"(?:lung|pulmonary|parenchymal) lesions?",
    ),
    "pleural other": (
        rf"{_PLEURAL}(?:thickening|scar\w*|plaques?|calcif\w+)",
        r"thicken(?:ed|ing) (?:of|along|in) (?:the )?(?:[\w-]+ ){0,2}pleura\w*",
        r"fibrothorax",
    ),
    "fracture": (r"fractur\w+",),
    "support devices": (
        r"pacemakers?\b", r"pacers?\b", r"pacing\b", r"(?:aicd|icd)s?\b", r"defibrillator\w*",
        r"catheters?\b", r"picc\b", r"(?:med|chemo)[- ]?ports?\b", r"port-? ?a-? ?cath\w*",
        r"(?:infusion|subclavian|jugular|chest|dual[- ]lumen|venous|lumen) ports?\b",

        r"(?:endotracheal|tracheostomy|nasogastric|enteric|feeding|chest|drainage) tubes?\b",
        r"(?:et|ng|og) tubes?\b",
        r"tracheostom\w+", r"stents?\b", r"(?<!breast )prosthe\w+", r"valve replacement",
        r"generator\b", r"(?:distal|ventricular|atrial|and) leads?\b", r"internal fixation",
        r"(?:closure|assist) devices?", r"ivc filter",
        r"tips? (?:[\w-]+ ){0,6}?(?:svc|cava|caval|cavoatrial|atri\w+|carina|stomach)\b",
        r"(?:central|picc|venous|jugular|ij|subclavian|dialysis|support|monitor\w*) lines?\b",
        r"(?:ekg|ecg|cardiac|monitor\w*|pacemaker) leads?\b", r"loop recorder", r"shunt\b",
        r"(?:medical|support|assist|recording|implanted|electronic) devices?\b", r"stimulator\w*",
        r"(?:fixation|surgical|orthop\w+|spinal|metallic) hardware",
        r"(?:spinal|harrington) rods?\b",
        r"arthroplast\w*",
    ),
}  # fmt: skip
"""Findings and the patterns of their mentions, in lower-case text; where a pattern has a group `a`,
that word is what is affirmed or denied."""

ABSENT: Final[dict[str, tuple[str, ...]]] = {
    "cardiomegaly": (
        rf"\b{_HEART}\b(?:(?!\bbut\b|;|{_LARGE})[^;]){{0,70}}?\b{_NORMAL}\b",
        rf"\bnormal(?:[ -]{_BETWEEN})* {_HEART}\b",
    ),
    "enlarged cardiomediastinum": (
        rf"\b{_MEDIASTINUM}\b(?:(?!\bbut\b|;|{_LARGE}|wide)[^;]){{0,70}}?\b{_NORMAL}\b",
        rf"\bnormal (?:[\w-]+ ){{0,4}}?{_MEDIASTINUM}\b",
    ),
    "lung opacity": (
        r"\b(?:lungs?(?: fields?| parenchyma)?|parenchyma)\b(?:(?!\bbut\b|;)[^;]){0,50}?\bclear\b",
        r"\bclear (?:[\w-]+ ){0,2}lungs?\b",
    ),
    "effusion": (r"\b(?:pleural spaces?|costophrenic \w+)\b(?:(?!\bbut\b|;)[^;]){0,30}?\bclear\b",),
    "fracture": (r"(?:(?!\bbut\b|;)[^;]){0,40}?\bintact\b",),
}
"""Statements that something is normal, by which a finding is denied without its name."""

NORMAL: Final[tuple[str, ...]] = (
    r"\bno (?:\w+ ){0,5}(?:abnormalit\w+|disease|process\w*|findings?|patholog\w+|changes?)\b",
    r"\bnormal (?:\w+ ){0,2}(?:chest|examination|exam|study|radiograph\w*|x-?ray|film)\b",
    r"\b(?:chest|examination|exam|study) (?:\w+ ){0,3}(?:normal|unremarkable|negative)\b",
    r"\b(?:unremarkable|negative|clear) (?:\w+ ){0,2}(?:chest|examination|exam|study|lungs?)\b",
    r"\blungs?\b[^;]{0,50}?\bclear\b",
    rf"\b{_HEART}\b[^;]{{0,70}}?\b{_NORMAL}\b",
    r"^\W*(?:normal|negative|unremarkable)\W*$",
)
"""Statements that all is well, or a good part of it."""

OTHERS: Final[tuple[str, ...]] = (
    r"degenerat\w+", r"spondyl\w+", r"osteophyt\w*", r"arthrit\w+", r"arthro\w+", r"spurring",
    r"(?:dextro|levo)?scolio\w+", r"kypho\w+", r"osteopeni\w+", r"osteopor\w+", r"deformit\w+",
    r"granulom\w+", r"calcifi\w+", r"scar(?:s|ring|red)?\b", r"tortuo\w+", r"ectas\w+", r"ectatic",
    r"atheroscl\w+", r"unfold\w+", r"uncoil\w+", r"aneurysm\w*", r"hyperinflat\w+",
    r"hyperexpan\w+",
    r"hyperaerat\w+", r"hyperlucen\w+", r"copd\b", r"obstructive", r"bronchi\w+", r"bulla\w*",
    r"eventrat\w+", r"elevat\w+", r"congest\w+", r"adenopath\w+", r"lymphaden\w+", r"sternotomy",
    r"blunt\w+", r"flatten\w+", r"clips?\b", r"sutures?\b", r"cholecystectomy", r"mastectomy",
    r"compression", r"wedg\w+", r"sclero\w+", r"lytic", r"dislocat\w+", r"foreign bod\w+",
    r"thicken\w+", r"interstitial (?:lung disease|prominence|markings|disease|changes?)", r"cabg\b",
    r"low lung volumes?", r"hypoventilat\w+", r"hypoinflat\w+", r"pectus \w+", r"shift\w*",
    r"surgical changes?", r"post ?-?operative", r"bypass", r"lucen\w+", r"crowding",
)  # fmt: skip
"""Abnormal things that are none of the findings: with one of them, not all is normal."""
