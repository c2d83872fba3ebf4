"""Which image–text combinations of a batch are pairs, and which are compared at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medssl.errors import ObjectiveError
from medssl.objectives.labels import check_positive
from medssl.objectives.rows import check_rows

Rule = Literal["mask", "positive", "ignore"]
"""What becomes of two rows that say the same: left out, made a pair, or left negatives."""


@dataclass(frozen=True, eq=False)
class Matches:
    """What the combinations of the images (rows) and texts (columns) of a batch are.

    Args:
        positive: True where the text belongs to the image; the diagonal always does.
        compared: True where the combination takes part at all; every positive one does.

    Raises:
        ObjectiveError: They are no Booleans of one shape (batch, batch), or break these rules.
    """

    positive: Bool[Tensor, "batch batch"]
    compared: Bool[Tensor, "batch batch"]

    def __post_init__(self) -> None:
        shape = tuple(self.positive.shape)
        square = len(shape) == 2 and shape[0] == shape[1]
        if not square or tuple(self.compared.shape) != shape:
            msg = f"Matches: shapes {shape} and {tuple(self.compared.shape)}; give (batch, batch)"
            raise ObjectiveError(msg)
        if self.positive.dtype != torch.bool or self.compared.dtype != torch.bool:
            msg = f"Matches: {self.positive.dtype} and {self.compared.dtype}; give Booleans"
            raise ObjectiveError(msg)
        if not bool(self.positive.diagonal().all() & (self.compared | ~self.positive).all()):
            msg = (
                "Matches: a row is not its own positive, or a positive is not compared; "
                "make them with find_matches"
            )
            raise ObjectiveError(msg)

    @property
    def negative(self) -> Bool[Tensor, "batch batch"]:
        """True where image and text are compared and no pair."""
        return self.compared & ~self.positive


def find_matches(
    participants: Int[Tensor, " batch"],
    studies: Int[Tensor, " batch"],
    texts: Int[Tensor, "batch ..."],
    *,
    same_report: Rule = "mask",
    same_participant: Rule = "mask",
) -> Matches:
    """Find the false negatives of a batch without labels, and say what becomes of them.

    Another image of the same study is always a positive of its report. Where two rules speak of one
    combination, "positive" outranks "mask", and "mask" outranks "ignore". Across ranks, gather the
    codes first (`medssl.objectives.gather`).

    Args:
        participants: Participant of each row, as a number.
        studies: Study of each row, as a number.
        texts: Equal numbers for texts that are equal after normalising; where several are drawn of
            each report, shape (batch, draws), and two studies that share one have the same text.
        same_report: Rule for two studies with the same text.
        same_participant: Rule for two studies of the same participant.

    Raises:
        ObjectiveError: Shapes differ, a rule is unknown, or a study has two participants.

    >>> participants, studies, texts = torch.tensor([[0, 0, 1], [0, 1, 2], [5, 6, 5]])
    >>> matches = find_matches(participants, studies, texts, same_report="positive")
    >>> matches.positive.long()
    tensor([[1, 0, 1],
            [0, 1, 0],
            [1, 0, 1]])
    >>> matches.compared.long()
    tensor([[1, 0, 1],
            [0, 1, 1],
            [1, 1, 1]])
    """
    draws = texts if texts.ndim > 1 else texts.reshape(-1, 1)
    person, study, _ = _equal("find_matches", participants, studies, draws[:, 0])
    if bool((study & ~person).any()):
        msg = "find_matches: a study has two participants; number studies over all participants"
        raise ObjectiveError(msg)
    text = (draws[:, None, :, None] == draws[None, :, None, :]).flatten(2).any(dim=2)
    positive, masked = study, torch.zeros_like(study)
    for same, rule in ((text, same_report), (person, same_participant)):
        if rule not in get_args(Rule):
            msg = f"find_matches: no rule {rule!r}; choose from {', '.join(get_args(Rule))}"
            raise ObjectiveError(msg)
        if rule == "positive":
            positive = positive | same
        elif rule == "mask":
            masked = masked | same
    return Matches(positive, positive | ~masked)


def false_negative_rate(
    participants: Int[Tensor, " batch"], texts: Int[Tensor, " batch"]
) -> Float[Tensor, ""]:
    """Share of the other rows of a batch that say the same text or are the same participant.

    The mean over rows; times B − 1 it is their number. To be logged: it says how much
    `find_matches` has to do on the corpus at hand.

    Args:
        participants: Participant of each row, as a number.
        texts: Equal numbers for texts that are equal after normalising.

    Raises:
        ObjectiveError: Shapes differ.

    >>> false_negative_rate(torch.tensor([0, 1, 2, 2]), torch.tensor([5, 5, 6, 7]))
    tensor(0.3333)
    """
    person, text = _equal("false_negative_rate", participants, texts)
    rows = len(person)
    found = (person | text).sum() - rows  # every row equals itself
    return found / max(1, rows * (rows - 1))


def weighted_cross_entropy(
    logits: Float[Tensor, "batch entries"],
    weights: Float[Tensor, "batch entries"],
    compared: Bool[Tensor, "batch entries"],
) -> Float[Tensor, " batch"]:
    r"""Cross-entropy of each row with a target of several entries, not compared ones left out.

    $$\ell_i = \mathrm{LSE}_{j \in C_i} a_{ij} - \sum_j T_{ij} a_{ij}, \qquad
      T_{ij} = \frac{w_{ij}}{\sum_k w_{ik}}$$

    Args:
        logits: a.
        weights: w, at least 0 and 0 where nothing is compared, with a positive sum in each row.
        compared: True at (i, j) where j is in C_i.

    >>> logits, both = torch.zeros(1, 3), torch.tensor([[True, True, False]])
    >>> weighted_cross_entropy(logits, both.float(), both)
    tensor([0.6931])
    """
    # Where T is 0 the logit itself is finite, so that 0 · (−∞) never comes up.
    w = weights.to(logits.dtype)
    targets = w / w.sum(dim=1, keepdim=True)
    return logits.masked_fill(~compared, -torch.inf).logsumexp(dim=1) - (targets * logits).sum(1)


def check_pairs(
    objective: str,
    images: Tensor,
    texts: Tensor,
    matches: Matches,
    *,
    temperature: float | Tensor = 1.0,
    least: int = 1,
) -> None:
    """Refuse batches of images and texts that an objective is not defined for.

    Args:
        objective: Its name, for the message.
        images: Rows of shape (batch, dim).
        texts: Rows of the same shape.
        matches: Of the same batch.
        temperature: Must be larger than 0.
        least: Fewest rows it is defined for.

    Raises:
        ObjectiveError: Names the objective and what is wrong.
    """
    check_rows(objective, images, texts, participants=None, least=least)
    known = temperature.detach() if isinstance(temperature, Tensor) else temperature
    check_positive(objective, temperature=float(known))
    if len(matches.positive) != len(images):
        msg = (
            f"{objective}: matches of {len(matches.positive)} rows for a batch of {len(images)}; "
            "find the matches of this batch"
        )
        raise ObjectiveError(msg)


def check_share(objective: str, **settings: float) -> None:
    """Refuse settings, such as a weight of one direction, outside 0 to 1.

    Raises:
        ObjectiveError: Names the objective and the setting.
    """
    for name, value in settings.items():
        if not 0 <= value <= 1:
            msg = f"{objective}: {name} is {value}; it must lie between 0 and 1"
            raise ObjectiveError(msg)


def _equal(name: str, *codes: Tensor) -> list[Bool[Tensor, "batch batch"]]:
    """Where two rows have the same code, for each kind of code."""
    shapes = [tuple(each.shape) for each in codes]
    if len(shapes[0]) != 1 or len(set(shapes)) != 1:
        msg = f"{name}: codes have shapes {shapes}; give one number of each kind for each row"
        raise ObjectiveError(msg)
    return [each[:, None] == each[None, :] for each in codes]
