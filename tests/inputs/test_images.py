"""Images of a store become what an encoder sees, and what comes by hand becomes the same."""

import numpy as np
import pytest
import torch

from medssl.batches import Pictures
from medssl.contracts import ImageContract
from medssl.errors import ContractError
from medssl.inputs.images import ImageInputs
from medssl.types import Modality
from medssl.views.image_config import ImageViewsConfig

VIEWS = {name: {"probability": 0} for name in ("crop", "flip", "affine", "jitter", "blur")}


def inputs(**changes):
    told = {"modality": Modality.RADIOGRAPH, "edge": 24, "size": 24, **changes}
    return ImageInputs(ImageContract.model_validate(told))


def test_what_is_read_stands_in_the_middle_of_black(studies_store):
    store = studies_store
    rows = store.rows(modality="radiograph")
    found = inputs().read(store, rows)
    assert found.pixels.dtype == torch.uint8
    assert found.pixels.shape == (len(rows), 1, 24, 24)
    assert len(set(map(tuple, found.extents.tolist()))) == 3
    for place, row in enumerate(rows.tolist()):
        stored = store.read_record(row)
        assert found.extents[place].tolist() == list(stored.shape)
        margin = (24 - stored.shape[1]) // 2
        square = np.pad(stored, ((0, 0), (margin, 24 - margin - stored.shape[1])))
        assert (found.pixels[place, 0].numpy() == square).all()


def test_sixteen_bits_are_kept():
    image = np.array([[0, 40_000], [65_535, 1]], dtype=np.uint16)
    made = inputs(edge=2, size=2, bits=16)
    raw = made.accept(image)
    assert raw.pixels[0, 0].tolist() == image.tolist()
    expected = (torch.from_numpy(image / 65_535) - 0.5) / 0.25
    torch.testing.assert_close(made.plain(raw)[0, 0], expected.float())


def test_grey_values_are_normalised_in_one_place():
    made = inputs(edge=2, size=2, mean=0.25, deviation=0.5)
    raw = made.accept(np.array([[0, 255], [51, 102]], dtype=np.uint8))
    expected = (torch.tensor([[[[0.0, 1.0], [0.2, 0.4]]]]) - 0.25) / 0.5
    torch.testing.assert_close(made.plain(raw), expected)
    views = ImageViewsConfig.model_validate({"size": 2, **VIEWS}).build()
    torch.testing.assert_close(made.viewed(raw, views, seed=0), expected)


def test_a_view_is_decided_by_its_seed(studies_store):
    made = inputs(size=16)
    raw = made.read(studies_store, studies_store.rows(modality="radiograph")[:4])
    views = ImageViewsConfig(size=16).build()
    first = made.viewed(raw, views, seed=3)
    torch.manual_seed(9)
    assert torch.equal(made.viewed(raw, views, seed=3), first)
    assert not torch.equal(made.viewed(raw, views, seed=4), first)
    assert first.shape == (4, 1, 16, 16)


def test_what_is_prepared_is_what_ingest_would_store(tmp_path):
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, size=(50, 40), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    made = inputs(grey_scale={})
    from_file = made.prepare(tmp_path / "a.png")
    assert (from_file.shape, from_file.dtype) == ((24, 19), np.uint8)
    from_array = made.prepare(pixels / 255)
    assert np.abs(from_file.astype(int) - from_array).max() <= 1
    assert made.accept([from_file, from_array]).pixels.shape == (2, 1, 24, 24)
    assert isinstance(made.accept(from_file), Pictures)
    assert made.accept([]).pixels.shape == (0, 1, 24, 24)


@pytest.mark.parametrize(
    ("data", "told", "says"),
    [
        ("a.txt", {}, "a.txt is no readable image: "),
        ("absent.png", {}, "there is no image file at .*absent.png"),
        ("a.txt", {"voy": "lut"}, r"prepare.voy: unknown key; did you mean voi\?"),
        (np.zeros((4, 4, 3)), {}, r"shape \(4, 4, 3\)"),
        (np.zeros((0, 4)), {}, "give a path, or grey values"),
        (np.full((4, 4), 2.0), {}, r"grey values in \[0, 1\]"),
        (np.full((4, 4), np.nan), {}, "grey values in"),
        (np.zeros((4, 4), np.uint8), {}, "type uint8"),
        (np.zeros((4, 4)), {"rate": 5}, "an array of grey values as displayed needs no rate"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path, data, told, says):
    (tmp_path / "a.txt").write_text("no image")
    given = tmp_path / data if isinstance(data, str) else data
    with pytest.raises(ContractError, match=says):
        inputs(grey_scale={}).prepare(given, **told)


def test_files_are_not_read_by_another_grey_scale(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    made = inputs(grey_scale={"voi": "percentile"})
    with pytest.raises(ContractError, match="^voi: the contract says how files become grey"):
        made.prepare(tmp_path / "a.png", voi="header")
    with pytest.raises(ContractError, match="does not tell how files become grey values"):
        inputs().prepare(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("image", "told", "says"),
    [
        (np.zeros((24, 20), np.uint16), {}, "expects uint8 with a longer side of 24: pass it"),
        (np.zeros((20, 20), np.uint8), {}, "longer side of 24"),
        (np.zeros((24, 24), np.float32), {}, "type float32"),
        (np.zeros((24, 24), np.uint8), {"rate": 1}, "a prepared image needs no rate"),
    ],
)
def test_what_was_not_prepared_is_refused(image, told, says):
    with pytest.raises(ContractError, match=says):
        inputs().accept(image, **told)
