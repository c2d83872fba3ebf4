import numpy as np
import pytest

from medssl.errors import StageError
from medssl.evaluation.embeddings import Embeddings
from medssl.explore import RunOutputs, nearest_records, neighbour_plot
from medssl.store import Store


def slow_neighbours(embeddings, record, k):
    """Every record of other participants by cosine; the best of each participant."""
    z = embeddings.values.astype(np.float64)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    at = embeddings.records.tolist().index(record)
    order = sorted(range(len(z)), key=lambda i: (-float(z[i] @ z[at]), embeddings.records[i]))
    found, people = [], {embeddings.participants[at]}
    for i in order:
        if embeddings.participants[i] not in people:
            people.add(embeddings.participants[i])
            found.append((embeddings.records[i], float(z[i] @ z[at])))
    return found[:k]


def test_the_nearest_are_of_other_participants_and_the_most_similar(run):
    record = str(run.embeddings.records[7])
    found = nearest_records(run, record, k=5)
    wanted = slow_neighbours(run.embeddings, record, 5)
    assert found.index.tolist() == [name for name, _ in wanted]
    np.testing.assert_allclose(found["similarity"], [near for _, near in wanted], atol=1e-6)
    assert found["rank"].tolist() == [1, 2, 3, 4, 5]
    assert found["participant"].is_unique
    assert run.embeddings.participants[7] not in set(found["participant"])
    assert found["age"].tolist() == [run.labels["age"][name] for name in found["participant"]]


def test_the_picture_shows_the_query_and_its_neighbours(run):
    record = str(run.embeddings.records[0])
    figure = neighbour_plot(run, k=2)
    titles = [axes.get_title("left") for axes in figure.axes]
    assert len(titles) == 3
    assert titles[0].startswith("query · participant ")
    assert titles[1].startswith("1. cosine 0.")
    assert "age" in titles[1]
    signal = run.store.read_record(int(run.rows[0]))[0]
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), signal)
    nearest = run.embeddings.records.tolist().index(nearest_records(run, record, 1).index[0])
    signal = run.store.read_record(int(run.rows[nearest]))[0]
    np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), signal)


def test_strangers_and_silly_numbers_are_refused(run):
    with pytest.raises(StageError, match="record 'nobody' has no embedding in participant"):
        nearest_records(run, "nobody")
    with pytest.raises(StageError, match="0 neighbours to draw: choose 1 to 12"):
        neighbour_plot(run, k=0)


@pytest.fixture
def of(image_text_store):
    """Makes a run whose embeddings are of all records of a modality."""

    def make(modality):
        store = Store.open(image_text_store)
        rows = store.rows(modality=modality)
        values = np.random.default_rng(0).normal(size=(len(rows), 4))
        names = ("record", "participant", "session")
        columns = (store.column(name, rows).astype(str) for name in names)
        made = RunOutputs("made", {}, {})
        # What a cached property has read stands in the instance.
        vars(made).update(
            embeddings=Embeddings(*columns, values), store=store, rows=rows, splits={},
            labels=store.participants[["sex"]], record_labels=store.record_labels,
        )  # fmt: skip
        return made

    return make


def test_images_stand_side_by_side_as_they_are_displayed(of):
    run = of("radiograph")
    figure = neighbour_plot(run, k=3)
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 4
    np.testing.assert_array_equal(
        shown[0].images[0].get_array(), run.store.read_record(int(run.rows[0]))
    )
    assert {axes.images[0].get_clim() for axes in shown} == {(0, 255)}
    assert not any(axes.axison for axes in figure.axes)
    assert "\neffusion" in shown[1].get_title("left")


def test_reports_are_their_sections_unless_they_are_asked_for(of):
    run = of("report")
    said = [axes.texts[0].get_text() for axes in neighbour_plot(run, k=2).axes]
    assert all(text.startswith("findings: ") and "effusion" not in text for text in said)
    said = [axes.texts[0].get_text() for axes in neighbour_plot(run, k=2, text=True).axes]
    assert all("effusion" in text for text in said)
