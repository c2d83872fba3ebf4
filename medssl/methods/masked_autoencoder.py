"""Masked autoencoder: the encoder sees some patches of a signal, a decoder guesses the others."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from medssl.encoders.vit1d import TransformerBlock, ViT1d, initialise, positions
from medssl.errors import ObjectiveError
from medssl.methods.base import LOSS, PretrainingMethod
from medssl.methods.config import DecoderConfig
from medssl.objectives.reconstruction import masked_mse
from medssl.sampling.loader import Batch
from medssl.views.seeds import derive_seed


class MaskedAutoencoder(PretrainingMethod):
    """He et al., CVPR 2022 (arXiv 2111.06377), carried from images to signals.

    Kept from the paper: a random three quarters of the patches are masked, the encoder sees the
    others alone, a small decoder gets its tokens and one learned token for every masked patch, and
    the error counts on masked patches, standardised one by one. Different: there is no class
    token (the embedding is the mean over tokens, as `ViT1d` has it), optimiser and schedule are
    those of all methods, and the mask is the only view unless `augment` is set. Both records of a
    pair are samples of their own, so that a step sees as much signal as in the other methods.

    Samples after the last whole patch are not used here: the patch that would cover them overlaps
    the one before it, and would give it away.
    """

    title = "masked autoencoder (arXiv 2111.06377)"

    def build(self) -> None:
        """The decoder; there is no projection head."""
        encoder = self._encoder
        self.head = nn.Identity()
        self.decoder = Decoder(
            self.settings.decoder, encoder.dim, values=encoder.channels * encoder.patch
        )

    @property
    def _encoder(self) -> ViT1d:
        assert isinstance(self.encoder, ViT1d)  # the configuration refuses others
        return self.encoder

    def exported(self, which: Literal["student", "teacher"]) -> tuple[nn.Module, nn.Module | None]:
        """The encoder alone."""
        return super().exported(which)[0], None

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The reconstruction error; ranks have equally many patches, so their mean is the whole."""
        sides: tuple[Literal["first"], Literal["second"]] = ("first", "second")
        segments = torch.cat(
            [self.view(batch, s) if self.settings.augment else self.plain(batch, s) for s in sides]
        )
        targets = patchify(segments, self._encoder.patch)
        visible, masked = self.mask(*targets.shape[:2], position=batch["position"])
        visible, masked = visible.to(segments.device), masked.to(segments.device)
        whole = segments[..., : targets.shape[1] * self._encoder.patch]
        tokens = self._encoder.tokens(whole)
        seen = self._encoder.encode(_pick(tokens, visible))
        error = masked_mse(
            self.decoder(seen, visible, targets.shape[1]), targets, masked,
            standardise=self.settings.standardise,
        )  # fmt: skip
        return {LOSS: error, "reconstruction": error}

    def mask(
        self, samples: int, patches: int, *, position: int
    ) -> tuple[Int[Tensor, "samples visible"], Bool[Tensor, "samples patches"]]:
        """Which patches the encoder sees, ascending, and which it does not.

        Every sample has equally many. A pure function of (seed, position, rank).

        Raises:
            ObjectiveError: There are fewer than two patches.
        """
        if patches < 2:
            msg = (
                f"masked_autoencoder: a segment has {patches} whole patch(es) of "
                f"{self._encoder.patch} samples and needs two: lower pretrain.encoder.patch"
            )
            raise ObjectiveError(msg)
        kept = min(max(1, round(patches * (1 - self.settings.ratio))), patches - 1)
        seed = derive_seed(self.seed, "mask", position, self.global_rank)
        generator = torch.Generator().manual_seed(seed)
        order = torch.rand(samples, patches, generator=generator, dtype=torch.float64).argsort(1)
        visible = order[:, :kept].sort(dim=1).values
        masked = torch.ones(samples, patches, dtype=torch.bool).scatter_(1, visible, value=False)
        return visible, masked


class Decoder(nn.Module):
    """Puts seen tokens at their places, a learned token at the others, and predicts all patches.

    Args:
        config: Its size.
        width: Of the encoder's tokens.
        values: Numbers in a patch, of all channels.
    """

    def __init__(self, config: DecoderConfig, width: int, *, values: int) -> None:
        super().__init__()
        self.narrow = nn.Linear(width, config.width)
        self.unseen = nn.Parameter(torch.empty(config.width))
        self.blocks = nn.Sequential(
            *(
                TransformerBlock(config.width, heads=config.heads, mlp_ratio=4)
                for _ in range(config.depth)
            )
        )
        self.norm = nn.LayerNorm(config.width)
        self.predict = nn.Linear(config.width, values)
        nn.init.normal_(self.unseen, std=0.02)
        initialise(self)

    def forward(
        self,
        seen: Float[Tensor, "batch visible width"],
        visible: Int[Tensor, "batch visible"],
        patches: int,
    ) -> Float[Tensor, "batch patches values"]:
        """Predict every patch from the encoder's tokens.

        Args:
            seen: Encoder outputs.
            visible: Their places.
            patches: Places in all.
        """
        narrow = self.narrow(seen)
        tokens = self.unseen.to(narrow.dtype).expand(len(narrow), patches, -1)
        tokens = tokens.scatter(1, visible[..., None].expand_as(narrow), narrow)
        places = torch.arange(patches, dtype=torch.float32, device=narrow.device)
        tokens = tokens + positions(places, tokens.shape[-1])
        features = self.norm(self.blocks(tokens.transpose(1, 2)).transpose(1, 2))
        out: Tensor = self.predict(features)
        return out


def patchify(
    x: Float[Tensor, "batch channels time"], patch: int
) -> Float[Tensor, "batch patches values"]:
    """Whole patches of all channels; samples after the last one are left out.

    >>> patchify(torch.arange(5.0).reshape(1, 1, 5), 2).tolist()
    [[[0.0, 1.0], [2.0, 3.0]]]
    """
    batch, channels, time = x.shape
    whole = time // patch
    parts = x[..., : whole * patch].reshape(batch, channels, whole, patch)
    return parts.transpose(1, 2).reshape(batch, whole, channels * patch)


def _pick(
    tokens: Float[Tensor, "batch patches width"], places: Int[Tensor, "batch visible"]
) -> Float[Tensor, "batch visible width"]:
    return tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[-1]))
