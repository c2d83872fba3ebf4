"""A tiny BERT in the layout of Hugging Face, as people bring ClinicalBERT."""

import pytest
import torch

WORDS = """
there is a small left right pleural effusion no nodule seen heart size normal bones are intact
lungs clear . , [unused1]
"""


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory):
    """Makes a folder with a BERT of so many layers, and its vocabulary."""

    def make(layers=12):
        import transformers

        folder = tmp_path_factory.mktemp("bert")
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(WORDS.split())]
        torch.manual_seed(3)
        config = transformers.BertConfig(
            vocab_size=len(words), hidden_size=16, num_hidden_layers=layers,
            num_attention_heads=2, intermediate_size=24, max_position_embeddings=130,
        )  # fmt: skip
        transformers.BertForMaskedLM(config).save_pretrained(folder)
        (folder / "vocab.txt").write_text("\n".join(words) + "\n")
        return folder

    return make
