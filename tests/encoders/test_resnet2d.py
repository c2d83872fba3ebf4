import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torchvision.models import resnet50
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from medssl.encoders import ResNet2dConfig
from medssl.errors import ConfigError


def published(network, seed=0):
    """A torchvision network whose running statistics are not the initial ones."""
    torch.manual_seed(seed)
    network = network()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


def features(network, grey):
    """The pooled features of a grey image shown in three colours."""
    network.fc = torch.nn.Identity()
    with torch.no_grad():
        return network(grey.repeat(1, 3, 1, 1))


def test_the_default_is_resnet_50_by_name_and_shape():
    with torch.device("meta"):
        encoder, reference = ResNet2dConfig().build(), resnet50()
    assert encoder.dim == encoder.width == 2048
    shapes = {k: v.shape for k, v in reference.state_dict().items() if not k.startswith("fc.")}
    shapes["conv1.weight"] = (64, 1, 7, 7)
    assert {k: v.shape for k, v in encoder.state_dict().items()} == shapes
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 23_501_760


@pytest.mark.parametrize(("kind", "block"), [(Bottleneck, "bottleneck"), (BasicBlock, "basic")])
def test_it_computes_what_torchvision_does_with_a_grey_image(kind, block, tmp_path):
    blocks = (1, 2, 1)  # as few as have every kind of shortcut; torchvision always has a fourth
    network = published(lambda: ResNet(kind, [*blocks, 1]))
    network.layer4 = torch.nn.Identity()
    path = tmp_path / "weights.pth"
    torch.save(network.state_dict(), path)
    encoder = ResNet2dConfig(weights=path, blocks=blocks, block=block).build().eval()
    grey = torch.randn(2, 1, 70, 61)
    with torch.no_grad():
        found = encoder(grey)
    expected = features(network, grey)
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-4 * expected.abs().max())


def test_safetensors_files_without_counters_and_grey_ones_are_read_too(tmp_path):
    torch.manual_seed(3)
    config = ResNet2dConfig.small()
    state = config.build().state_dict()
    path = tmp_path / "weights.safetensors"
    save_file({k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}, path)
    found = config.model_copy(update={"weights": path}).build().state_dict()
    assert all(torch.equal(value, found[name]) for name, value in state.items())


def test_absent_weights_say_where_they_are_to_be_had(tmp_path):
    path = tmp_path / "resnet50.pth"
    with pytest.raises(ConfigError, match=r"no weights at .*resnet50.pth: .* are at https://"):
        ResNet2dConfig(weights=path).build()


class Script:
    """What a harmful file would hold: code that runs when it is unpickled."""

    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (Script(), "holds no state dict that can be read without unpickling code"),
        ({"epoch": 3}, "holds no state dict: save"),
        ([torch.zeros(1)], "holds no state dict: save"),
        ({"conv1.weight": torch.zeros(64, 3, 7, 7)}, "those of another network"),
        ({f"module.{k}": v for k, v in ResNet2dConfig.small().build().state_dict().items()},
         "those of another network"),
    ],
    ids=["code", "no tensors", "a list", "too few", "other names"],
)  # fmt: skip
def test_files_that_are_not_these_weights_are_refused(content, reason, tmp_path, capsys):
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    config = ResNet2dConfig.small().model_copy(update={"weights": path})
    with pytest.raises(ConfigError, match=reason):
        config.build()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_damaged_files_are_refused(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"\x00\xff" * 100)
    with pytest.raises(ConfigError, match="holds no state dict"):
        ResNet2dConfig(weights=path).build()


def test_weights_of_another_width_are_named(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(ResNet2dConfig.small().build().state_dict(), path)
    config = ResNet2dConfig.small().model_copy(update={"weights": path, "width": 8})
    with pytest.raises(ConfigError, match=r"another network \(bn1\.bias differs, and \d+ more\)"):
        config.build()


def test_what_a_bundle_keeps_names_no_file(tmp_path):
    config = ResNet2dConfig(weights=tmp_path / "weights.pth", width=32)
    assert config.resolved() == ResNet2dConfig(width=32)


def test_the_small_preset_keeps_four_by_four_places_of_64_pixels():
    encoder = ResNet2dConfig.small().build().eval()
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 307_248
    assert encoder.feature_map(torch.zeros(2, 1, 64, 64)).shape == (2, 128, 4, 4)
    assert encoder.dim == 128
    assert list(encoder.layers()) == ["stem", "stage 1", "stage 2", "stage 3"]


def test_stages_halve_the_image_and_double_the_width():
    encoder = ResNet2dConfig(width=8, blocks=(1, 1, 1), block="basic").build().eval()
    shapes = {}
    for name, module in encoder.layers().items():
        module.register_forward_hook(lambda _, __, out, name=name: shapes.update({name: out.shape}))
    encoder(torch.zeros(1, 1, 96, 64))
    assert shapes == {"stem": (1, 8, 24, 16), "stage 1": (1, 8, 24, 16), "stage 2": (1, 16, 12, 8)}
    assert encoder.dim == 32


@pytest.mark.parametrize("blocks", [(), (0, 1), (1, 65), (1,) * 7])
def test_networks_that_cannot_be_meant_are_refused(blocks):
    with pytest.raises(ValidationError, match="blocks"):
        ResNet2dConfig(blocks=blocks)
