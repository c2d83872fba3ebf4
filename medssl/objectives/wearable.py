"""The objective of the wearable foundation models: InfoNCE and KoLeo against a momentum teacher."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from medssl.objectives.contrastive import masked_infonce
from medssl.objectives.koleo import koleo
from medssl.objectives.rows import check_rows

LOSS = "loss"
"""Key of the total; every other key is one of its terms."""


def wearable_loss(
    student_a: Float[Tensor, "batch dim"],
    student_b: Float[Tensor, "batch dim"],
    teacher_a: Float[Tensor, "batch dim"] | None,
    teacher_b: Float[Tensor, "batch dim"] | None,
    participants: Int[Tensor, " batch"],
    *,
    temperature: float = 0.04,
    koleo_weight: float = 0.1,
    mask_within_only: bool = False,
    koleo_within_participant: bool = False,
) -> dict[str, Float[Tensor, ""]]:
    r"""The loss of Abbaspourazad et al., ICLR 2024 (arXiv 2312.05409), and its terms.

    With C = `masked_infonce`, K = `koleo`, w its weight and sg the stop-gradient,

    $$R(s, t) = C(s, t) + w \cdot \tfrac{1}{2} [K(s) + K(t)], \qquad
      L = \tfrac{1}{2} [R(s^a, \mathrm{sg}\, t^b) + R(s^b, \mathrm{sg}\, t^a)].$$

    Without a teacher (the ablation "no momentum") gradients flow through both views:
    $L = R(s^a, s^b)$.

    The teacher's KoLeo has no gradient, so the weight that acts on the student is w / 2. Across
    ranks, gather all inputs first (`medssl.objectives.gather`).

    Args:
        student_a: Student projections of view a.
        student_b: Student projections of view b.
        teacher_a: Teacher projections of view a; None when there is no teacher.
        teacher_b: Teacher projections of view b.
        participants: Participant of each row, as a number.
        temperature: τ of the InfoNCE.
        koleo_weight: w; 0 leaves KoLeo out.
        mask_within_only: See `masked_infonce`.
        koleo_within_participant: The public code's form, in which a row of the same participant
            may be the nearest neighbour.

    Returns:
        The total under `"loss"`, and its terms `"infonce"`, `"koleo_student"` and
        `"koleo_teacher"` (means over views a and b, unweighted); without a teacher no
        `"koleo_teacher"`.

    Raises:
        ObjectiveError: Shapes differ, or KoLeo lacks rows of a second participant.
    """
    apart = None if koleo_within_participant else participants
    if teacher_a is None or teacher_b is None:
        infonce = masked_infonce(
            student_a,
            student_b,
            participants,
            temperature=temperature,
            mask_within_only=mask_within_only,
        )
        if koleo_weight == 0:
            return {LOSS: infonce, "infonce": infonce}
        spread = (koleo(student_a, apart) + koleo(student_b, apart)) / 2
        return {
            LOSS: infonce + koleo_weight * spread,
            "infonce": infonce,
            "koleo_student": spread,
        }
    check_rows(
        "wearable_loss", student_a, student_b, teacher_a, teacher_b, participants=participants
    )
    teacher_a, teacher_b = teacher_a.detach(), teacher_b.detach()
    pairs = ((student_a, teacher_b), (student_b, teacher_a))
    infonce_ab, infonce_ba = (
        masked_infonce(
            student,
            teacher,
            participants,
            temperature=temperature,
            mask_within_only=mask_within_only,
        )
        for student, teacher in pairs
    )
    infonce = (infonce_ab + infonce_ba) / 2
    if koleo_weight == 0:
        return {LOSS: infonce, "infonce": infonce}
    student = (koleo(student_a, apart) + koleo(student_b, apart)) / 2
    teacher = (koleo(teacher_a, apart) + koleo(teacher_b, apart)) / 2
    return {
        LOSS: infonce + koleo_weight * (student + teacher) / 2,
        "infonce": infonce,
        "koleo_student": student,
        "koleo_teacher": teacher,
    }
