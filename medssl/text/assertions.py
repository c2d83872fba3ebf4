"""Whether a sentence affirms, denies or doubts what it mentions: negation and its scope."""

from __future__ import annotations

import re
from typing import Final, Literal

Label = Literal["present", "absent", "uncertain"]

_PART = re.compile(
    r";|\bbut\b|\bhowever\b|\balthough\b|\bthough\b|\bexcept\b|\bapart from\b|\baside from\b|"
    r"\bother than\b|\bwhile\b|\bwhereas\b|\bnevertheless\b|\byet\b|\bdespite\b"
)
"""Where the scope of a negation ends, on both sides."""

_NO_NEGATION = re.compile(
    r"\b(?:no|not|without)\s+(?:\w+\s+){0,2}?(?:chang\w*(?! of\b)|increase\w*|decrease\w*|"
    r"improve\w*|progress\w*|only|worsen\w*|different)\b"
)
"""Words that deny a change, and not what has not changed."""

_DENIAL = re.compile(
    r"\b(?:no|not|without|w/o|nor|neither|never|den(?:y|ies|ied)|absent|negative for|free of|"
    r"clear of|clear without|absence of|lack of|rather than|instead of|"
    r"(?:resolution|clearing|removal|disappearance) of|resolved|removed|"
    r"(?:fails?|failed) to|un(?:likely|remarkable) for)\b"
)
_DENIED = re.compile(
    r"(?:(?!\b(?:is|are|was|were|has|have|had|there|not?|and (?:the|an?|no))\b)[^;]){0,60}"
    r"(?:\b(?:is|are|was|were|has|have|had|been|be|also|(?!nearly|part|incompl)\w+ly)\s+)*"
    r"\b(?:(?:not|no longer)\s+(?:\w+ly\s+)?(?:seen|identified|present|evident|visuali[sz]ed|"
    r"demonstrated|appreciated|noted|found|detected|apparent|observed|suspected|suggested|"
    r"visible|confirmed)|absent|(?:completely |since )?(?:resolved|cleared)|removed|"
    r"ruled out|unlikely|negative)\b"
)
_DOUBT = re.compile(
    r"\b(?:possib\w+|perhaps|may|might|could|can(?:not|'t| not) (?:\w+ )?(?:be )?(?:exclude\w*|"
    r"rule\w*)|question\w*|suspicio\w+|suspect\w*|suggest\w*|concern\w*|worrisome|exclude|"
    r"rule out|r/o|evaluat\w+ (?:for|of)|correlate|clinical (?:setting|context)|versus|vs|"
    r"equivocal|borderline|potential\w*|differential|unclear|to identify|"
    r"favou?r\w*|less likely)\b|\?"
)
_DOUBTED = re.compile(
    r"(?:(?!\b(?:is|are|was|were|has|have|had|there|no|and (?:the|an?|no))\b)[^;,]){0,40}"
    r"(?:\b(?:is|are|was|were|be|been|can|could|also|\w+ly)\s*)*"
    r"(?:\b(?:not|cannot|can't|can not|could not)\s+(?:be\s+)?(?:\w+ly\s+)?(?:be\s+)?"
    r"(?:excluded|ruled out)|\bpossible|\bsuspected|\bquestioned|\bquestionable|\bborderline|"
    r"\bmay (?:not )?be (?:present|demonstrated|seen|visible|apparent)|\bconsider\w*|"
    r"\bversus|\bvs\b|\?)"
)
_CANNOT = re.compile(
    r"\b(?:cannot|can't|can not|could not|not)\s+(?:be\s+)?(?:\w+ly\s+)?(?:be\s+)?"
    r"(?:exclude\w*|rule\w* out|certain\w*)\b|\bnot unlikely\b"
)
_STARTERS: Final = (
    r"(?:stable|unchanged|mild\w*|moderate\w*|small|minimal\w*|slight\w*|there|the|heart|lungs?|"
    r"cardiac|persistent|chronic|old|prior|healed|probabl\w+|possibl\w+|likely|again|interval|"
    r"increased|decreased|calcified|some|these|this|with|is|are|has|left|right|bilateral|bibasilar|"
    r"degenerative|tortuous|status|otherwise|bones?|bony|osseous|question\w*|low|xxxx)\b"
)
_BREAK = re.compile(rf"(?:,\s*(?:and\s+)?|\band\s+){_STARTERS}")
_WITH = re.compile(
    r"(?<!consistent )(?<!compatible )(?<!associated )(?<!keeping )(?<!seen )\bwith\b(?! evidence)"
)
_OR = re.compile(r"\b(?:n?or)\b|/")


_FARTHEST: Final = 500
"""Characters that a scope reaches at most; without full stops, a text is one sentence."""


def judged(sentence: str, start: int, stop: int) -> Label:
    """What a sentence says of the words from `start` to `stop`.

    In the manner of NegEx (Chapman et al., J Biomed Inform 2001) and of the CheXpert labeller
    (Irvin et al., AAAI 2019): a denying or doubting term before the words reaches to them unless
    the clause ends in between ("but", ";"), or a comma or "and" begins a new statement ("no
    effusion, stable cardiomegaly"); up to the last "or", a list is one scope ("no mass, left
    effusion or pneumothorax"). Terms after the words ("is not seen", "has resolved") reach back to
    them over no other verb.

    Args:
        sentence: One sentence in lower case.
        start: Where the words begin.
        stop: Where they end.

    >>> judged("no effusion, stable cardiomegaly", 20, 32), judged("no effusion", 3, 11)
    ('present', 'absent')
    """
    far = max(0, start - _FARTHEST)
    first = max((cut.end() for cut in _PART.finditer(sentence, far, start)), default=far)
    after = _PART.search(sentence, stop, stop + _FARTHEST)
    last = after.start() if after is not None else stop + _FARTHEST
    before, behind = sentence[first:start], sentence[stop:last]
    joins = [match.start() for match in _OR.finditer(sentence, first, last)]
    listed = max(joins, default=-1) > start
    masked = _CANNOT.sub(_blank, _NO_NEGATION.sub(_blank, before))
    doubts = [match.end() for match in _DOUBT.finditer(sentence[first:stop])]
    doubts += [match.end() for match in _CANNOT.finditer(before)]
    if any(
        _reaches(before, match.end(), listed, first, joins) for match in _DENIAL.finditer(masked)
    ):
        return "absent"
    if _DOUBTED.match(behind):
        return "uncertain"
    if _DENIED.match(behind):
        return "absent"
    if any(_reaches(before, end, listed, first, joins) for end in doubts):
        return "uncertain"
    return "present"


def _reaches(before: str, end: int, listed: bool, first: int, joins: list[int]) -> bool:
    """Whether a term that ends at `end` reaches over what stands before the words."""
    if _WITH.search(before, end):
        return False
    if listed:
        return True
    # Behind the last "or" of a list, a comma may begin a new statement; before it, it does not.
    since = max([end, *(place - first for place in joins if place - first < len(before))])
    return _BREAK.search(before, since) is None


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])
