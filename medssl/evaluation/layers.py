"""Embeddings from other layers than the last: is one before, or the head after it, better?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from medssl.batches import Cells, ModelInput, Tokens
from medssl.encoders.head import ProjectionHeadConfig
from medssl.evaluation.embeddings import Embeddings
from medssl.store.schema import PARTICIPANT, RECORD, SESSION
from medssl.types import Rows

if TYPE_CHECKING:
    from medssl.bundle import Encoder
    from medssl.store import Store

HEAD: Final = "projection head"
_CONFIG: Final = "config"


def save_head(path: Path, head: nn.Module, config: ProjectionHeadConfig) -> None:
    """Keep a projection head beside a bundle, which has none."""
    state = {name: value.detach().cpu().contiguous() for name, value in head.state_dict().items()}
    save_file(state, path, metadata={_CONFIG: json.dumps(config.model_dump(mode="json"))})


def load_head(path: Path, dim: int) -> nn.Sequential:
    """The projection head that `save_head` wrote, for an encoder with outputs of length `dim`."""
    head = fresh_head(path, dim)
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    head.load_state_dict(state, strict=True)
    return head


def fresh_head(path: Path, dim: int) -> nn.Sequential:
    """A head of the shape of the one that `save_head` wrote, with new weights."""
    with safe_open(path, framework="pt") as file:
        config = ProjectionHeadConfig.model_validate(json.loads(file.metadata()[_CONFIG]))
    return config.build(dim).eval()


def spread(names: list[str], count: int) -> list[str]:
    """At most `count` names, evenly spaced, the first and last always among them.

    >>> spread(["stem", "block 1", "block 2", "block 3", "block 4"], 3)
    ['stem', 'block 2', 'block 4']
    """
    places = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
    return [names[i] for i in places]


def embed_layers(
    encoder: Encoder,
    store: Store,
    rows: Rows,
    *,
    count: int,
    head: nn.Module | None = None,
    batch_size: int = 256,
    metadata: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Embeddings]:
    """Outputs of earlier layers, averaged over places, and of the projection head.

    Args:
        encoder: A loaded bundle.
        store: Where the records are; they keep the encoder's contract.
        rows: Row numbers of the records.
        count: Layers to take, evenly spaced over those before the last.
        head: Applied to the encoder's own output, where there is one.
        batch_size: Records read and embedded at once.
        metadata: To keep with each table.
        progress: Called with (records done, records in all).

    Returns:
        Embeddings by name, in the order in which an input meets the layers.
    """
    modules: dict[str, nn.Module] = encoder.module.layers()  # type: ignore[operator]
    seen: list[ModelInput | None] = [None]
    wanted = spread(list(modules), count) if count else []
    held: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(_: nn.Module, __: object, output: Tensor) -> None:
            held[name] = _averaged(output, seen[0])

        return hook

    hooks = [modules[name].register_forward_hook(keep(name)) for name in wanted]
    parts: dict[str, list[np.ndarray]] = {}
    try:
        with torch.inference_mode():
            for start in range(0, len(rows), batch_size):
                part = rows[start : start + batch_size]
                raw = encoder.inputs.read(store, part)
                seen[0] = encoder.inputs.plain(raw, encoder.device)
                output = encoder.module(seen[0])
                found = {f"layer {name}": held[name] for name in wanted}
                if head is not None:
                    found[HEAD] = head.to(encoder.device)(output)
                for name, values in found.items():
                    parts.setdefault(name, []).append(values.float().cpu().numpy())
                if progress is not None:
                    progress(start + len(part), len(rows))
    finally:
        for handle in hooks:
            handle.remove()
    records, people, sessions = (
        store.column(name, rows) for name in (RECORD, PARTICIPANT, SESSION)
    )
    return {
        name: Embeddings(
            records, people, sessions, np.concatenate(values), {**(metadata or {}), "layer": name}
        )
        for name, values in parts.items()
    }


def _averaged(output: Tensor, seen: ModelInput | None) -> Tensor:
    """A layer's output as one vector for each record; padding of texts does not count."""
    if isinstance(seen, Tokens):
        mask = seen.mask[..., None].to(output.dtype)
        return (output * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
    if isinstance(seen, Cells):
        return output.mean(dim=1)
    return output.flatten(2).mean(dim=-1)
