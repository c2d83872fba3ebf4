from __future__ import annotations

from medssl.initialise.radiographs.listings import find_image_table
from medssl.initialise.tables import Table

IMAGES = [f"img/{name}.png" for name in "abcdefghij"]


def listing(names: list[str], *, path: str = "t.csv", **columns: list[str]) -> Table:
    rows = [{"name": name} for name in names]
    for column, cells in columns.items():
        for row, cell in zip(rows, cells, strict=True):
            row[column] = cell
    return Table(path, 1, tuple(rows), "a table")


def test_paths_are_found_from_the_folder_the_table_or_the_images():
    for names, base, path in (
        (IMAGES, "", "t.csv"),
        ([name.removesuffix(".png") for name in IMAGES], "", "t.csv"),
        ([f"{name}.png" for name in "abcdefghij"], "img", "../t.csv"),
    ):
        found = find_image_table(IMAGES, [listing(names)])
        assert found is not None
        assert (found.base, found.path, found.bare) == (base, path, False)
        assert set(found.rows) == set(IMAGES)


def test_a_table_must_list_nearly_all_images():
    assert find_image_table(IMAGES, [listing(IMAGES[:8])]) is None
    assert find_image_table(IMAGES, [listing(IMAGES[:9])]) is not None
    assert find_image_table(IMAGES, [listing([*IMAGES, "img/absent.png"])]) is not None


def test_a_table_that_tells_participants_comes_first():
    plain = listing(IMAGES, path="a.csv")
    told = listing(IMAGES[:9], path="b.csv", patient=list("112233445"))
    found = find_image_table(IMAGES, [plain, told])
    assert found is not None
    assert found.table is told
    assert found.told(IMAGES, ("patient",)) == (*"112233445", None)


def test_rows_of_one_image_tell_what_they_agree_on():
    names = [name for name in IMAGES for _ in range(2)]
    table = listing(names, organ=[c for c in "abcdefghij" for _ in "12"], answer=["y", "n"] * 10)
    found = find_image_table(IMAGES, [table])
    assert found is not None
    assert found.several
    assert found.told(IMAGES, ("organ",)) == tuple("abcdefghij")
    assert found.told(IMAGES, ("answer",)) == (None,) * 10
    assert found.told(IMAGES[:1], ("organ", "organ")) == ("a/a",)


def test_bare_names_of_images_in_several_folders_are_no_manifest():
    images = [f"part_{place % 2}/{name}.png" for place, name in enumerate("abcdefghij")]
    found = find_image_table(images, [listing([f"{name}.png" for name in "abcdefghij"])])
    assert found is not None
    assert found.bare
