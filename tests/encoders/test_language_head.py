import torch

from medssl.encoders.language_head import LanguageHead


def test_it_equals_the_head_of_bert():
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    bert = BertForMaskedLM(
        BertConfig(
            vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=8, layer_norm_eps=1e-5,
        )
    ).eval()  # fmt: skip
    head = LanguageHead(8, width=8, vocabulary=30)
    theirs = bert.cls.predictions
    with torch.no_grad():
        theirs.bias.normal_()
    state = theirs.transform.state_dict()
    head.load_state_dict(
        {
            "bias": theirs.bias,
            **{f"dense.{key}": state[f"dense.{key}"] for key in ("weight", "bias")},
            **{f"norm.{key}": state[f"LayerNorm.{key}"] for key in ("weight", "bias")},
        }
    )
    hidden = torch.randn(2, 5, 8)
    embeddings = bert.get_input_embeddings().weight
    assert torch.allclose(head(hidden, embeddings), bert.cls(hidden), atol=1e-6)


def test_the_embeddings_learn_and_are_not_its_own():
    head = LanguageHead(4, width=6, vocabulary=10)
    embeddings = torch.randn(10, 6, requires_grad=True)
    head(torch.randn(3, 4), embeddings)[:, 2].sum().backward()
    assert set(dict(head.named_parameters())) == {
        "bias", "dense.weight", "dense.bias", "norm.weight", "norm.bias",
    }  # fmt: skip
    assert (embeddings.grad.abs().sum(dim=1) > 0).tolist() == [i == 2 for i in range(10)]
