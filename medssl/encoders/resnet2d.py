"""The residual networks of images: ResNet-50 as torchvision names it, and small ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from medssl.config import LocalPath, StrictModel
from medssl.encoders.base import ImageEncoder
from medssl.errors import ConfigError

if TYPE_CHECKING:
    from torchvision.models.resnet import BasicBlock, Bottleneck

SOURCE: Final = "https://download.pytorch.org/models/resnet50-0676ba61.pth"
"""ImageNet weights of ResNet-50, `ResNet50_Weights.IMAGENET1K_V1` of torchvision."""

Blocks = Annotated[int, Field(ge=1, le=64)]


class ResNet2dConfig(StrictModel):
    """The default is ResNet-50; `ResNet2dConfig.small()` is the preset for two cores.

    >>> ResNet2dConfig().blocks
    (3, 4, 6, 3)
    """

    name: Literal["resnet2d"] = "resnet2d"
    width: PositiveInt = Field(64, description="channels of the stem; doubled with every stage")
    blocks: tuple[Blocks, ...] = Field(
        (3, 4, 6, 3),
        min_length=1,
        max_length=6,
        description="residual blocks in each stage; each stage but the first halves the image",
    )
    block: Literal["bottleneck", "basic"] = Field(
        "bottleneck", description="three convolutions (four times wider at their end), or two"
    )
    stem: Literal["imagenet", "small"] = Field(
        "imagenet",
        description="7 x 7 with stride 2 and pooling, or 3 x 3 with stride 2 for images of about "
        "64 pixels",
    )
    weights: LocalPath | None = Field(
        None,
        description="local file with torchvision's state dict of this network (.pth or "
        ".safetensors), to start from; nothing is downloaded",
    )

    @classmethod
    def small(cls) -> ResNet2dConfig:
        """For 64-pixel images on two cores: 307,248 weights.

        >>> ResNet2dConfig.small().build().dim
        128
        """
        return cls(width=16, blocks=(1, 1, 1, 1), block="basic", stem="small")

    def resolved(self) -> ResNet2dConfig:
        """The same network, described without a file of weights: what a bundle keeps."""
        return self.model_copy(update={"weights": None})

    def build(self) -> ResNet2d:
        """The network, with fresh weights, or with those of the file.

        Raises:
            ConfigError: The file is absent, or holds other weights.
        """
        # Read first: a file that is absent is told before the network takes its memory.
        state = None if self.weights is None else read_state_dict(self.weights)
        network = ResNet2d(self)
        if state is not None:
            load_torchvision_weights(network, state, where=str(self.weights))
        return network


class ResNet2d(ImageEncoder):
    """Stem, stages of residual blocks, mean over places (He et al., CVPR 2016).

    The blocks are torchvision's, whose bottleneck has its stride in the 3 × 3 convolution, and so
    are the names of the parameters. The first convolution takes one grey channel.

    >>> ResNet2dConfig.small().build()(torch.zeros(3, 1, 64, 48)).shape
    torch.Size([3, 128])
    """

    def __init__(self, config: ResNet2dConfig) -> None:
        from torchvision.models.resnet import BasicBlock, Bottleneck

        super().__init__()
        kernel, pooled = (7, True) if config.stem == "imagenet" else (3, False)
        self.conv1 = nn.Conv2d(1, config.width, kernel, stride=2, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(config.width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if pooled else nn.Identity()
        kind = Bottleneck if config.block == "bottleneck" else BasicBlock
        width = config.width
        self._stages = [f"layer{number}" for number in range(1, len(config.blocks) + 1)]
        for number, (name, count) in enumerate(zip(self._stages, config.blocks, strict=True)):
            planes = config.width * 2**number
            stage, width = _stage(kind, width, planes, count=count, stride=2 if number else 1)
            self.add_module(name, stage)
        self.width = self.dim = width
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def layers(self) -> dict[str, nn.Module]:
        """The stem and every stage but the last, whose features are averaged over places."""
        stages = [self.get_submodule(name) for name in self._stages[:-1]]
        return {"stem": self.maxpool, **{f"stage {i}": s for i, s in enumerate(stages, start=1)}}

    def feature_map(
        self, x: Float[Tensor, "batch 1 height width"]
    ) -> Float[Tensor, "batch features rows columns"]:
        """Features of places: a 32nd of the height and width (a 16th with the small stem)."""
        # Channels last is a tenth faster on a CPU, and suits the tensor cores of a GPU. The
        # weights keep their order in memory, in which they are saved.
        x = self.conv1(x).contiguous(memory_format=torch.channels_last)
        x = self.maxpool(self.relu(self.bn1(x)))
        for name in self._stages:
            x = self.get_submodule(name)(x)
        return x

    def forward(self, x: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch dim"]:
        """Embed a batch of images of any size."""
        return self.feature_map(x).mean(dim=(2, 3))


def load_torchvision_weights(network: ResNet2d, state: dict[str, Tensor], *, where: str) -> None:
    """Start from the weights of a colour network of the same shape.

    The first convolution is summed over red, green and blue, which is what it gives for a grey
    image repeated three times; the classifier is left out.

    Args:
        network: Changed in place.
        state: Torchvision's state dict.
        where: Its file, for the message.

    Raises:
        ConfigError: It is that of another network.
    """
    state = {name: value for name, value in state.items() if not name.startswith("fc.")}
    first = state.get("conv1.weight")
    if first is not None and first.ndim == 4 and first.shape[1] == 3:
        state["conv1.weight"] = first.sum(dim=1, keepdim=True)
    wanted = network.state_dict()
    # Counters of batches, which old files do not have and nothing here reads.
    counters = {name for name in wanted if name.endswith("num_batches_tracked")}
    wrong = (set(wanted) - counters) ^ (set(state) - counters)
    wrong |= {n for n in set(wanted) & set(state) if wanted[n].shape != state[n].shape}
    if wrong:
        msg = (
            f"the weights in {where} are those of another network ({min(wrong)} differs, and "
            f"{len(wrong) - 1} more): let width, blocks, block and stem say which one it is"
        )
        raise ConfigError(msg)
    network.load_state_dict(state, strict=False)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read tensors by their names, without running anything that a file may hold.

    Args:
        path: `.safetensors`, or what `torch.save` wrote.

    Raises:
        ConfigError: The file is absent, damaged, or no state dict.
    """
    if not path.is_file():
        msg = (
            f"no weights at {path}: those of ResNet-50 are at {SOURCE}; download them where the "
            "internet is and copy them there, or leave encoder.weights out to start from scratch"
        )
        raise ConfigError(msg)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises whatever its bytes lead to
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        msg = f"{path} holds no state dict that can be read without unpickling code ({reason:.120})"
        raise ConfigError(msg) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        msg = f"{path} holds no state dict: save torchvision's model.state_dict() there"
        raise ConfigError(msg)
    return state


def _stage(
    kind: type[BasicBlock | Bottleneck], width: int, planes: int, *, count: int, stride: int
) -> tuple[nn.Sequential, int]:
    """Blocks of one stage, and how many channels they end with."""
    out = planes * kind.expansion
    blocks: list[nn.Module] = []
    for place in range(count):
        step = stride if place == 0 else 1
        shortcut = None
        if step != 1 or width != out:
            shortcut = nn.Sequential(
                nn.Conv2d(width, out, 1, stride=step, bias=False), nn.BatchNorm2d(out)
            )
        blocks.append(kind(width, planes, step, shortcut))
        width = out
    return nn.Sequential(*blocks), width
