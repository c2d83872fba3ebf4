"""Text networks of `transformers`, from a description or a local folder; nothing is downloaded."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from medssl.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

CONFIG: Final = "config.json"
_SAFETENSORS: Final = ("model.safetensors", "model.safetensors.index.json")
_WEIGHTS: Final = (*_SAFETENSORS, "pytorch_model.bin", "pytorch_model.bin.index.json")
_TOKENIZERS: Final = ("tokenizer.json", "vocab.txt")
_REFUSED: Final = {
    "auto_map": "it runs code of its own; use a model whose code is in transformers",
    "quantization_config": "its weights are quantised; use the original ones",
}
_MOST_LAYERS: Final = 200


def check_folder(folder: Path) -> None:
    """Refuse a folder that lacks a file, by one message with all that is needed.

    Raises:
        ConfigError: Says what is absent, and how to bring it here without internet.
    """
    groups = {CONFIG: (CONFIG,), "weights": _WEIGHTS, "tokenizer": _TOKENIZERS}
    absent = [
        name for name, files in groups.items() if not any((folder / f).is_file() for f in files)
    ]
    if not absent:
        if (folder / "adapter_config.json").is_file():
            msg = f"{folder} holds an adapter: merge it into its model and save that"
            raise ConfigError(msg)
        return
    what = f"has no {', '.join(absent)}" if folder.is_dir() else "does not exist"
    msg = (
        f"the text encoder's folder {folder} {what}: it must hold config.json, model.safetensors "
        "(or pytorch_model.bin) and tokenizer.json (or vocab.txt). Nothing is downloaded: on a "
        "machine with internet run `hf download OWNER/MODEL --local-dir FOLDER`, such as "
        "emilyalsentzer/Bio_ClinicalBERT, and copy the folder here"
    )
    raise ConfigError(msg)


def read_architecture(folder: Path) -> dict[str, Any]:
    """What a folder says of its network: all that is needed to build it again, and no more.

    Args:
        folder: Holds a `config.json`.

    Returns:
        Values that JSON can hold, `model_type` among them; no paths, labels or code.

    Raises:
        ConfigError: The folder lacks files, or describes no text encoder that can be used.
    """
    check_folder(folder)
    try:
        values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        check_architecture(values)
        return describe(_make_config(values))
    except (OSError, ValueError, RecursionError) as error:
        msg = f"{folder / CONFIG} cannot be used: {_first_line(error)}"
        raise ConfigError(msg) from error


def check_architecture(values: object) -> None:
    """Refuse what is no description of a network, without importing transformers.

    Raises:
        ValueError: Says why.
    """
    if not isinstance(values, Mapping) or not isinstance(values.get("model_type"), str):
        msg = "it does not name a model_type"
        raise ValueError(msg)
    for key, why in _REFUSED.items():
        if values.get(key):
            msg = f"{key} is set: {why}"
            raise ValueError(msg)


def describe(config: PreTrainedConfig) -> dict[str, Any]:
    """The settings that a class of networks defines itself, as JSON values."""
    from transformers import PreTrainedConfig

    own = type(config)().to_dict().keys() - PreTrainedConfig().to_dict().keys()
    kept = {key: value for key, value in config.to_dict().items() if key in own}
    described: dict[str, Any] = json.loads(json.dumps({"model_type": config.model_type, **kept}))
    return described


def sizes(architecture: Mapping[str, Any]) -> dict[str, int]:
    """Vocabulary, width, depth and heads, under one name whatever a network calls them.

    Raises:
        ValueError: It describes no text encoder that can be used.
    """
    config = _make_config(architecture)
    return {
        "vocabulary": config.vocab_size,
        "width": config.hidden_size,
        "depth": config.num_hidden_layers,
        "heads": config.num_attention_heads,
    }


def build_network(architecture: Mapping[str, Any]) -> PreTrainedModel:
    """A network with fresh weights, drawn from torch's global generator; without a pooler.

    Args:
        architecture: As `read_architecture` gives it; untrusted.

    Raises:
        ValueError: It describes no text encoder that can be used.
    """
    from transformers import AutoModel

    check_architecture(architecture)
    config = _make_config(architecture)
    build: Any = AutoModel.from_config  # has no types
    with _quiet():
        network: PreTrainedModel = build(
            config, trust_remote_code=False, dtype=torch.float32, **_no_pooler(config)
        )
    find_blocks(network)
    return network


def load_network(folder: Path) -> PreTrainedModel:
    """A network with the weights of a folder, in single precision; without a pooler.

    Weights are read from safetensors, or from a pickle that may hold tensors and nothing else.

    Raises:
        ConfigError: The folder lacks files, or its weights are not those of its network.
    """
    from transformers import AutoModel

    config = _make_config(read_architecture(folder))
    safe = any((folder / name).is_file() for name in _SAFETENSORS)
    try:
        with _quiet(), torch.random.fork_rng(devices=[]):
            network, found = AutoModel.from_pretrained(
                folder, config=config, local_files_only=True, trust_remote_code=False,
                use_safetensors=safe, weights_only=True, dtype=torch.float32,
                output_loading_info=True, **_no_pooler(config),
            )  # fmt: skip
    except Exception as error:  # a file from elsewhere can fail in any way
        msg = (
            f"the weights in {folder} cannot be read: {_first_line(error)}. Copy them again; a "
            "pytorch_model.bin may hold tensors alone"
        )
        raise ConfigError(msg) from error
    if found["missing_keys"]:
        count, first = len(found["missing_keys"]), min(found["missing_keys"])
        msg = (
            f"the weights in {folder} lack {count} of the tensors of a {config.model_type}, such "
            f"as {first}: {CONFIG} and weights must be of one model"
        )
        raise ConfigError(msg)
    try:
        find_blocks(network)
    except ValueError as error:
        msg = f"the encoder in {folder} cannot be used: {error}"
        raise ConfigError(msg) from error
    loaded: PreTrainedModel = network.train()
    return loaded


def find_blocks(network: PreTrainedModel) -> tuple[nn.Module, nn.ModuleList]:
    """Embeddings and transformer blocks of a network, wherever its class keeps them.

    Raises:
        ValueError: It has none, or its blocks share weights.
    """
    depth = network.config.num_hidden_layers
    embeddings = getattr(network, "embeddings", None)
    for module in network.modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth and embeddings is not None:
            return embeddings, module
    msg = f"{network.config.model_type} has no embeddings with a list of layers behind them"
    raise ValueError(msg)


def longest(network: PreTrainedModel) -> int | None:
    """Tokens of the longest text that the positions of a network reach; None is any."""
    table = getattr(find_blocks(network)[0], "position_embeddings", None)
    if not isinstance(table, nn.Embedding):
        return None
    # RoBERTa counts positions from behind that of padding.
    before = 0 if table.padding_idx is None else table.padding_idx + 1
    return table.num_embeddings - before


def _make_config(values: Mapping[str, Any]) -> PreTrainedConfig:
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    kind = values["model_type"]
    if kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        msg = f"{kind} is no text encoder; use one such as bert, roberta, distilbert or electra"
        raise ValueError(msg)
    others = {key: value for key, value in values.items() if key != "model_type"}
    try:
        with _quiet():
            config = AutoConfig.for_model(kind, **others)
            # What a network's class does not define itself could change how it is built.
            clean = describe(config)
            made: PreTrainedConfig = AutoConfig.for_model(**clean)
    except Exception as error:  # values from elsewhere can fail in any way
        msg = f"the settings of the {kind} are wrong: {_first_line(error)}"
        raise ValueError(msg) from error
    if made.is_encoder_decoder or getattr(made, "is_decoder", False):
        msg = f"this {kind} decodes; a text encoder sees all tokens at once"
        raise ValueError(msg)
    if not 0 < made.num_hidden_layers <= _MOST_LAYERS:
        msg = f"it has {made.num_hidden_layers} layers and may have 1 to {_MOST_LAYERS}"
        raise ValueError(msg)
    return made


def _no_pooler(config: PreTrainedConfig) -> dict[str, bool]:
    """The argument that leaves the pooler out, for networks that have one."""
    from transformers import MODEL_MAPPING

    made: Any = MODEL_MAPPING[type(config)]
    takes = inspect.signature(made[0] if isinstance(made, tuple) else made).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in takes else {}


@contextmanager
def _quiet() -> Iterator[None]:
    """Transformers' reports and progress bars are for people who call it by hand."""
    import transformers

    logging: Any = transformers.utils.logging  # has no types
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(" .:") if lines else type(error).__name__
