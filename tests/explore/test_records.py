import numpy as np
import pytest

from medssl.errors import StageError
from medssl.explore import record_plot, waveform_plot
from medssl.explore.draw import LINES, draw_record, grey_window, read_middle
from medssl.explore.style import canvas


def only(store, modality):
    return int(store.rows(modality=modality)[0])


def test_a_waveform_is_a_line_with_units_over_seconds(ppg_store):
    figure = record_plot(ppg_store, 5)
    (axes,) = figure.axes
    signal = ppg_store.read_record(5)[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), signal)
    np.testing.assert_allclose(axes.lines[0].get_xdata(), np.arange(64) / 32)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time (s)", "ppg (counts)")
    assert "row 5 · ppg · participant" in figure.get_suptitle()


def test_channels_stand_below_each_other_in_one_scale(pictures):
    row = only(pictures, "ecg")
    (axes,) = record_plot(pictures, row).axes
    signal = pictures.read_record(row)
    step = np.ptp(signal, axis=1).max()
    assert [text.get_text() for text in axes.get_yticklabels()] == ["I", "II", "III"]
    assert axes.get_ylabel() == f"channels, {step:.3g} mV apart"
    for place, line in enumerate(axes.lines):
        wanted = signal[place] - signal[place].mean() - place * step
        np.testing.assert_allclose(line.get_ydata(), wanted, atol=1e-6)


def test_an_image_is_grey_as_displayed_and_says_its_shape(pictures):
    row = only(pictures, "radiograph")
    (axes,) = record_plot(pictures, row).axes
    image = pictures.read_record(row)
    np.testing.assert_array_equal(axes.images[0].get_array(), image)
    # As displayed: what is dark in the store is dark in the picture.
    assert axes.images[0].get_clim() == (0, 65535)
    assert axes.get_title("left") == "20 × 30, uint16, as stored"
    assert axes.get_xlabel() == "column (pixels)"


def test_a_picture_in_colour_keeps_its_colours(pictures):
    row = int(pictures.rows(modality="radiograph")[1])
    (axes,) = record_plot(pictures, row).axes
    np.testing.assert_array_equal(axes.images[0].get_array(), pictures.read_record(row))


def test_a_volume_shows_three_slices_in_one_window(pictures):
    row = only(pictures, "volume")
    figure = record_plot(pictures, row)
    volume = pictures.read_record(row)
    planes = [volume[3], volume[:, 4], volume[:, :, 5]]
    for axes, plane, title in zip(
        figure.axes, planes, ("axis 0: 3 of 6", "axis 1: 4 of 8", "axis 2: 5 of 10"), strict=True
    ):
        np.testing.assert_array_equal(axes.images[0].get_array(), plane)
        assert axes.images[0].get_clim() == grey_window(*planes)
        assert axes.get_title("left") == title
    assert "6 × 8 × 10, int16" in figure.get_suptitle()


def test_of_several_volumes_the_first_is_shown_and_said_to_be(pictures):
    row = int(pictures.rows(modality="volume")[1])
    first = pictures.read_record(row)[0]
    np.testing.assert_array_equal(read_middle(pictures, row, 2), first[..., 2])
    assert "the first of 2 is shown" in record_plot(pictures, row).get_suptitle()


def test_only_the_slice_of_a_volume_is_read(pictures, monkeypatch):
    row = only(pictures, "volume")
    monkeypatch.setattr(type(pictures), "read_record", None)
    with canvas(height=2) as figure:
        draw_record(figure.subplots(), pictures, row)
    assert figure.axes[0].images[0].get_array().shape == (8, 10)


def test_a_long_report_ends_with_what_is_not_shown(pictures):
    (axes,) = record_plot(pictures, only(pictures, "report"), text=True).axes
    lines = axes.texts[0].get_text().split("\n")
    assert lines[0] == "The heart costs $5 and $6."
    assert len(lines) == LINES + 1
    assert lines[-1] == "… and 11 more lines"
    assert record_plot(pictures, only(pictures, "report"), text=True)._repr_png_()


def test_what_a_report_says_is_shown_only_when_it_is_asked_for(pictures):
    (axes,) = record_plot(pictures, only(pictures, "report")).axes
    shown = axes.texts[0].get_text()
    said = pictures.read_record(only(pictures, "report"))
    assert shown == f"text: {len(said.split())} words"


def test_several_waveforms_share_their_seconds(ppg_store):
    figure = waveform_plot(ppg_store, [3, 1])
    assert len(figure.axes) == 2
    assert figure.axes[0].get_title("left").startswith("row 3")
    assert {axes.get_xlim() for axes in figure.axes} == {(0, 63 / 32)}
    assert figure.axes[1].get_xlabel() == "time (s)"


def test_what_is_no_waveform_or_too_much_is_refused(pictures, ppg_store):
    row = only(pictures, "volume")
    with pytest.raises(StageError, match=f"row {row} is no waveform: draw it with record_plot"):
        waveform_plot(pictures, [row])
    for rows in ([], list(range(25))):
        with pytest.raises(StageError, match="waveforms to draw: choose 1 to 24"):
            waveform_plot(ppg_store, rows)


@pytest.mark.parametrize(
    ("values", "window"),
    [([3.0, 3.0], (3.0, 4.0)), ([np.nan, np.inf], (0.0, 1.0)), ([np.nan, 2.0], (2.0, 3.0))],
)
def test_windows_of_flat_and_broken_images(values, window):
    assert grey_window(np.array(values)) == window


def test_a_missing_channel_does_not_hide_the_others(pictures):
    row = int(pictures.rows(modality="ecg")[1])
    (axes,) = record_plot(pictures, row).axes
    assert np.isnan(axes.lines[1].get_ydata()).all()
    assert np.isfinite(axes.lines[0].get_ydata()).all()
