"""Views of the fitted records: of the kind that the encoder takes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from medssl.contracts import Contract, ImageContract, TextContract
from medssl.errors import StageError
from medssl.methods.config import AnyViewsConfig
from medssl.views import ViewsConfig
from medssl.views.image_config import ImageViewsConfig
from medssl.views.text_config import TextViewsConfig

_BY_KEYS = (ViewsConfig, ImageViewsConfig, TextViewsConfig)


def _kind_of_views(value: Any) -> Any:
    """Settings say by their names of which kind they are; nobody has to name it.

    Which encoder is fine-tuned is not known here: its bundle tells when the stage runs.
    """
    if not isinstance(value, dict) or "kind" in value:
        return value
    fitting = [one for one in _BY_KEYS if set(value) <= set(one.model_fields)]
    kind = (fitting or _BY_KEYS)[0].model_fields["kind"].default
    return {"kind": kind, **value}


AugmentConfig = Annotated[AnyViewsConfig, BeforeValidator(_kind_of_views)]


def build_views(config: AnyViewsConfig, contract: Contract) -> Any:
    """The views, where they are of records that the encoder takes.

    Args:
        config: Which views.
        contract: What the encoder expects.

    Raises:
        StageError: They are of another kind of records, or give images of another size.
    """
    kind = contract.modality.kind.value
    if config.kind != kind:
        msg = (
            f"finetune.augment holds views of {config.kind}s and the encoder takes {kind}s: set "
            f"augment.kind to {kind}, with views of {kind}s, or leave augment out"
        )
        raise StageError(msg)
    pixels = contract.size if isinstance(contract, ImageContract) else None
    if isinstance(config, ImageViewsConfig) and config.size != pixels:
        msg = (
            f"finetune.augment.size is {config.size} and the encoder sees {pixels} pixels: set it "
            f"to {pixels}"
        )
        raise StageError(msg)
    if isinstance(contract, TextContract) and isinstance(config, TextViewsConfig):
        return config.build(contract.policy)
    return config.build()
