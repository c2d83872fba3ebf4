"""All stages, in the order in which data flow through them."""

from __future__ import annotations

from medssl.stages import (
    audit,
    embed,
    finetune,
    ingest,
    neighbours,
    pretrain,
    probe,
    reduce,
    release,
    rivals,
    zero_shot,
)
from medssl.stages.base import Stage

STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        ingest.STAGE,
        reduce.STAGE,
        pretrain.STAGE,
        embed.STAGE,
        probe.STAGE,
        rivals.STAGE,
        finetune.STAGE,
        neighbours.STAGE,
        zero_shot.STAGE,
        audit.STAGE,
        release.STAGE,
    )
}
