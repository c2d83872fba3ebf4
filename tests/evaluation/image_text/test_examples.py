from __future__ import annotations

from pathlib import Path

from PIL import Image

from medssl.evaluation.image_text.examples import draw_examples
from medssl.evaluation.image_text.model import ImageTextModel
from medssl.evaluation.image_text.prompts import PromptSet
from medssl.evaluation.image_text.scored import gather
from medssl.store import Store


def test_one_picture_a_finding_of_an_image_that_has_it(
    image_text_run: Path, image_text_store: Path, tmp_path: Path
) -> None:
    store = Store.open(image_text_store)
    model = ImageTextModel.load(image_text_run, device="cpu")
    rows = store.rows(modality="radiograph")
    columns = {"Pleural Effusion/left": "effusion", "mass": "mass"}
    scored = gather(
        store, rows, columns=columns, prompts=PromptSet.from_templates(list(columns)), reports=None
    )
    written = draw_examples(model, scored, tmp_path / "maps", limit=5, seed=0)
    assert [path.name for path in written] == ["01-pleural-effusion-left.png", "02-mass.png"]
    with Image.open(written[0]) as picture:
        assert min(picture.size) > 300
    again = draw_examples(model, scored, tmp_path / "again", limit=1, seed=0)
    assert [path.read_bytes() for path in again] == [written[0].read_bytes()]
    drawn = {
        draw_examples(model, scored, tmp_path / str(seed), limit=1, seed=seed)[0].read_bytes()
        for seed in range(4)
    }
    assert len(drawn) > 1
