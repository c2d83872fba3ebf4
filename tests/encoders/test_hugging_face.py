import json
import pickle
import socket

import pytest
import torch

from medssl.batches import Tokens
from medssl.encoders.hugging_face import (
    build_network,
    find_blocks,
    load_network,
    longest,
    read_architecture,
)
from medssl.encoders.text_transformer import TextTransformerConfig
from medssl.errors import ConfigError

SIZES = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 20,
}
DISTILBERT = {
    "vocab_size": 40, "dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 24,
    "max_position_embeddings": 20,
}  # fmt: skip
FAMILIES = {
    "Bert": (SIZES, 20),
    "Roberta": (SIZES, 18),  # positions 0 and 1 are behind padding's
    "DistilBert": (DISTILBERT, 20),
    "Electra": ({**SIZES, "embedding_size": 8}, 20),
    "MPNet": (SIZES, 18),
    "DebertaV2": (SIZES, 20),
}


def save(folder, family="Bert", values=None):
    """A masked-language model of a family, as people publish them."""
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**(values or FAMILIES[family][0]))
    model = getattr(transformers, f"{family}ForMaskedLM")(config).eval()
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n")
    return model


def edit(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def to_pickle(folder, rename=lambda name: name):
    from safetensors.torch import load_file

    state = {rename(k): v for k, v in load_file(folder / "model.safetensors").items()}
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def texts():
    ids = torch.randint(5, 40, (3, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.arange(9) < torch.tensor([9, 4, 7])[:, None]
    return Tokens(ids.masked_fill(~mask, 1), mask)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_output_is_that_of_the_published_model(tmp_path, family):
    model = save(tmp_path, family)
    x = texts()
    expected = model.base_model(input_ids=x.ids, attention_mask=x.mask.long()).last_hidden_state
    encoder = TextTransformerConfig(folder=tmp_path, tokens=9).build().eval()
    assert torch.equal(encoder.hidden(x)[x.mask], expected[x.mask])
    assert longest(encoder.network) == FAMILIES[family][1]
    seen = {}
    for name, module in encoder.layers().items():
        module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    encoder(x)
    assert list(seen) == ["embeddings", "layer 1", "layer 2"]
    assert all(out.shape[:2] == x.ids.shape for out in seen.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_architecture_rebuilds_the_network_without_the_folder(tmp_path, family):
    save(tmp_path, family)
    loaded = load_network(tmp_path)
    text = json.dumps(read_architecture(tmp_path))
    assert str(tmp_path) not in text
    built = build_network(json.loads(text))
    built.load_state_dict(loaded.state_dict(), strict=True)
    x = texts()
    outputs = [
        network.eval()(input_ids=x.ids, attention_mask=x.mask.long()).last_hidden_state
        for network in (loaded, built)
    ]
    assert torch.equal(*outputs)


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name,
        lambda name: name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ),
        lambda name: name.removeprefix("bert."),
    ],
    ids=["as it is", "names of 2018", "without prefix"],
)
def test_pickled_tensors_are_read(tmp_path, rename):
    model = save(tmp_path)
    to_pickle(tmp_path, rename)
    loaded = load_network(tmp_path).state_dict()
    expected = model.base_model.state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.items())


def test_half_precision_weights_become_single(tmp_path):
    save(tmp_path).half().save_pretrained(tmp_path)
    assert {p.dtype for p in load_network(tmp_path).parameters()} == {torch.float32}


def test_nothing_reaches_for_the_network(tmp_path, monkeypatch):
    """Not even where people switched Hugging Face's offline mode off."""
    from huggingface_hub import constants

    save(tmp_path)
    to_pickle(tmp_path)

    def refuse(*_, **__):
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    config = TextTransformerConfig(folder=tmp_path, tokens=9)
    config.build()
    config.resolved(40).build()
    with pytest.raises(ConfigError, match="does not exist"):
        TextTransformerConfig(folder="emilyalsentzer/Bio_ClinicalBERT").build()


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        (["config.json"], "has no config.json:"),
        (["model.safetensors"], "has no weights:"),
        (["vocab.txt"], "has no tokenizer:"),
        (["config.json", "model.safetensors", "vocab.txt"], "config.json, weights, tokenizer:"),
    ],
)
def test_absent_files_are_named_with_the_remedy(tmp_path, gone, named):
    save(tmp_path)
    for name in gone:
        (tmp_path / name).unlink()
    with pytest.raises(ConfigError, match=named) as caught:
        TextTransformerConfig(folder=tmp_path).build()
    assert "hf download" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"auto_map": {"AutoModel": "modelling.Model"}}, "code of its own"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised"),
        ({"model_type": "gpt2"}, "no text encoder"),
        ({"model_type": "made-up"}, "no text encoder"),
        ({"model_type": None}, "model_type"),
        ({"is_decoder": True}, "decodes"),
        ({"hidden_size": "wide"}, "settings of the bert"),
        ({"num_hidden_layers": 10**9}, "layers"),
        ({"num_hidden_layers": 0}, "layers"),
    ],
)
def test_what_a_folder_may_not_say(tmp_path, values, why):
    save(tmp_path)
    edit(tmp_path, **values)
    (tmp_path / "modelling.py").write_text("raise SystemExit('this code ran')")
    with pytest.raises(ConfigError, match=why) as caught:
        load_network(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "\xff"])
def test_config_that_is_no_object(tmp_path, text):
    save(tmp_path)
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError, match=r"config.json cannot be used"):
        load_network(tmp_path)


def test_weights_of_another_network_are_refused(tmp_path):
    save(tmp_path)
    edit(tmp_path, num_hidden_layers=4)
    with pytest.raises(ConfigError, match="lack 16 of the tensors of a bert"):
        load_network(tmp_path)
    edit(tmp_path, num_hidden_layers=3, hidden_size=32)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_network(tmp_path)


def test_truncated_weights_are_refused(tmp_path):
    save(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ConfigError, match="cannot be read"):
        load_network(tmp_path)


class Malicious:
    ran = False

    def __reduce__(self):
        return setattr, (Malicious, "ran", True)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(
        {"bert.embeddings.word_embeddings.weight": Malicious()}, tmp_path / "pytorch_model.bin"
    )
    with pytest.raises(ConfigError, match="tensors alone"):
        load_network(tmp_path)
    assert not Malicious.ran
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Malicious(), protocol=2))
    with pytest.raises(ConfigError, match="tensors alone"):
        load_network(tmp_path)
    assert not Malicious.ran


def test_an_adapter_is_refused(tmp_path):
    save(tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/else"}')
    with pytest.raises(ConfigError, match="adapter"):
        load_network(tmp_path)


def test_layers_that_share_weights_are_refused(tmp_path):
    save(tmp_path, "Albert", {**SIZES, "embedding_size": 8})
    with pytest.raises(ConfigError, match="albert"):
        load_network(tmp_path)


def test_foreign_settings_do_not_reach_the_network(tmp_path):
    """Such as one that would have attention kernels downloaded."""
    save(tmp_path)
    edit(tmp_path, _attn_implementation="someone/kernels", attn_implementation="someone/kernels")
    assert not {key for key in read_architecture(tmp_path) if "attn" in key}
    assert load_network(tmp_path).config._attn_implementation in ("sdpa", "eager")


def test_loading_is_silent_and_draws_nothing(tmp_path, capfd):
    save(tmp_path)
    capfd.readouterr()
    before = torch.get_rng_state()
    network = load_network(tmp_path)
    assert torch.equal(before, torch.get_rng_state())
    assert capfd.readouterr() == ("", "")
    assert network.training
    assert len(find_blocks(network)[1]) == 3
