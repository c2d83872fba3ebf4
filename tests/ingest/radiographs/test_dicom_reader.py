"""DICOM radiographs: order of the display steps, encodings, real files."""

import logging
import warnings
from contextlib import suppress

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from medssl.ingest.ledger import Unreadable
from medssl.ingest.radiographs.settings import DisplaySettings


def test_a_monochrome1_image_is_the_same_picture_as_its_monochrome2_twin(write_dicom, read, pixels):
    window = {"WindowCenter": 1500, "WindowWidth": 2001, "BitsStored": 12}
    two = read(write_dicom(pixels, **window))
    twin = 4095 - pixels
    window["WindowCenter"] = 4095 - 1500 + 1  # LINEAR windows lie half a value below their centre
    one = read(write_dicom(twin, PhotometricInterpretation="MONOCHROME1", **window))
    np.testing.assert_allclose(one.pixels, two.pixels, atol=1e-6)
    assert one.steps == ("window 2596/2001 linear", "inverted MONOCHROME1")
    assert two.steps == ("window 1500/2001 linear",)
    assert 0.05 < two.pixels.mean() < 0.95


def test_twins_agree_through_percentiles_too(write_dicom, read, pixels):
    two = read(write_dicom(pixels, BitsStored=12))
    one = read(write_dicom(4095 - pixels, BitsStored=12, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_allclose(one.pixels, two.pixels, atol=1e-6)
    assert two.steps == ("percentiles 0.5 to 99.5",)
    low, high = np.percentile(pixels, (0.5, 99.5))
    np.testing.assert_allclose(two.pixels, np.clip((pixels - low) / (high - low), 0, 1), atol=1e-6)


@pytest.mark.parametrize(
    ("photometric", "shape", "turned"),
    [
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),  # the same inversion, not another one
        ("MONOCHROME1", "IDENTITY", False),
        ("MONOCHROME2", None, False),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
    ],
)
def test_presentation_lut_shape_has_the_last_word(
    write_dicom, read, pixels, photometric, shape, turned
):
    elements = {} if shape is None else {"PresentationLUTShape": shape}
    path = write_dicom(pixels, BitsStored=12, PhotometricInterpretation=photometric, **elements)
    shown = read(path, voi="none").pixels
    plain = pixels / 4095
    np.testing.assert_allclose(shown, 1 - plain if turned else plain, atol=1e-6)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_rescale_and_window_are_pydicom_s(write_dicom, read, pixels, signed, function):
    stored = pixels.astype(np.int16) - 2048 if signed else pixels
    path = write_dicom(
        stored, BitsStored=12, RescaleSlope="2", RescaleIntercept="-100",
        WindowCenter="1000", WindowWidth="3000", VOILUTFunction=function,
    )  # fmt: skip
    dataset = dcmread(path)
    hounsfield = apply_modality_lut(dataset.pixel_array, dataset)
    low, high = (-2048, 2047) if signed else (0, 4095)
    expected = (apply_voi_lut(hounsfield, dataset) - (2 * low - 100)) / (2 * (high - low))
    np.testing.assert_allclose(read(path).pixels, expected, atol=1e-6)


def test_the_window_is_chosen(write_dicom, read, pixels):
    path = write_dicom(
        pixels, BitsStored=12, WindowCenter=["600", "2000"], WindowWidth=["500", "3000"]
    )
    assert read(path).steps == ("window 600/500 linear, 1 of 2",)
    assert read(path, window=1).steps == ("window 2000/3000 linear, 2 of 2",)
    assert read(path, window=7).steps == ("window 2000/3000 linear, 2 of 2",)
    assert not np.allclose(read(path).pixels, read(path, window=1).pixels)
    own = read(path, voi="window", window_centre=100, window_width=50)
    assert own.steps == ("window 100/50 linear",)
    assert read(path, voi="none").steps == ("full range",)
    assert read(path, voi="lut").steps == ("percentiles 0.5 to 99.5",)


def test_a_voi_lut_goes_before_a_window(write_dicom, read, pixels, look_up):
    tables = [np.arange(4096)[::-1] // 4, np.minimum(np.arange(4096), 1023)]
    path = write_dicom(
        pixels, BitsStored=12, WindowCenter=600, WindowWidth=500,
        VOILUTSequence=[look_up(table, bits=10) for table in tables],
    )  # fmt: skip
    for number in (0, 1):
        shown = read(path, window=number)
        assert shown.steps == (f"VOI LUT, {number + 1} of 2",)
        np.testing.assert_allclose(shown.pixels, tables[number][pixels] / 1023, atol=1e-6)
    assert read(path, voi="window").steps == ("window 600/500 linear",)


def test_a_modality_lut_goes_before_rescale_and_voi(write_dicom, read, pixels, look_up):
    table = np.sqrt(np.arange(4096) / 4095) * 1023
    path = write_dicom(
        pixels, BitsStored=12, RescaleSlope=7, ModalityLUTSequence=[look_up(table, bits=10)],
        WindowCenter=512, WindowWidth=1024,
    )  # fmt: skip
    shown = read(path)
    assert shown.steps == ("modality LUT", "window 512/1024 linear")
    np.testing.assert_allclose(shown.pixels, table.astype(int)[pixels] / 1023, atol=1e-6)


def test_a_negative_first_input_of_a_table(write_dicom, read, pixels, look_up):
    table = np.arange(4096) // 16
    for first, vr in ((-1024, "SS"), (64512, "US")):  # the second was written without its sign
        path = write_dicom(
            pixels, BitsStored=12, RescaleSlope=1, RescaleIntercept=-1024,
            VOILUTSequence=[look_up(table, first=first, bits=8, vr=vr)],
        )  # fmt: skip
        shown = read(path)
        assert shown.steps == ("rescale 1 -1024", "VOI LUT")
        np.testing.assert_allclose(shown.pixels, table[pixels] / 255, atol=1e-6)


@pytest.mark.parametrize("value", [0, 4095])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("voi", ["none", "percentile"])
def test_a_constant_image_is_finite(write_dicom, read, value, photometric, voi):
    stored = np.full((20, 20), value, dtype=np.uint16)
    shown = read(write_dicom(stored, BitsStored=12, PhotometricInterpretation=photometric), voi=voi)
    grey = value / 4095
    expected = 1 - grey if photometric == "MONOCHROME1" else grey
    np.testing.assert_array_equal(shown.pixels, np.full((20, 20), expected, dtype=np.float32))


def test_a_slope_of_zero_is_black_and_finite(write_dicom, read, pixels):
    shown = read(write_dicom(pixels, BitsStored=12, RescaleSlope=0, RescaleIntercept=5))
    assert shown.pixels.max() == 0


def test_an_unusable_window_is_told_and_replaced(write_dicom, read, pixels):
    shown = read(write_dicom(pixels, BitsStored=12, WindowCenter=0, WindowWidth=0))
    assert shown.steps == ("unusable window ignored", "percentiles 0.5 to 99.5")


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_left_out_of_percentiles(write_dicom, read, pixels, photometric):
    content = pixels.astype(np.int16) - 1000
    padded = content.copy()
    padded[:8] = -2000
    shape = {"BitsStored": 16, "PhotometricInterpretation": photometric}
    padded_shown = read(write_dicom(padded, PixelPaddingValue=-2000, **shape))
    alone = read(write_dicom(content[8:], **shape))
    assert (padded_shown.pixels[:8] == 0).all()
    np.testing.assert_allclose(padded_shown.pixels[8:], alone.pixels, atol=1e-6)
    assert padded_shown.steps == (*alone.steps, "padding black")


def test_a_range_of_padding(write_dicom, read, pixels):
    shown = read(
        write_dicom(pixels, BitsStored=12, PixelPaddingValue=0, PixelPaddingRangeLimit=1000),
        voi="none",
    ).pixels
    np.testing.assert_allclose(shown, np.where(pixels <= 1000, 0, pixels / 4095), atol=1e-6)


def test_overlays_in_the_high_bits_are_masked(write_dicom, read, pixels):
    overlay = pixels | np.where(np.indices(pixels.shape).sum(0) % 3 == 0, 0xF000, 0).astype("u2")
    assert (overlay > 4095).any()
    plain = read(write_dicom(pixels, BitsStored=12), voi="none")
    np.testing.assert_array_equal(
        read(write_dicom(overlay, BitsStored=12), voi="none").pixels, plain.pixels
    )
    assert plain.depth == 12


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
@pytest.mark.parametrize("signed", [False, True])
def test_native_encodings_give_one_picture(write_dicom, read, pixels, look_up, syntax, signed):
    stored = pixels.astype(np.int16) - 2048 if signed else pixels
    table = look_up(np.arange(4096) // 16, first=-2048 if signed else 0, bits=8, vr="SS")
    elements = {"BitsStored": 12, "VOILUTSequence": [table]}
    plain = read(write_dicom(stored, **elements))
    if syntax == ExplicitVRBigEndian:  # words of a table follow the order of the file
        table.LUTData = np.frombuffer(table.LUTData, dtype="<u2").astype(">u2").tobytes()
    np.testing.assert_array_equal(
        read(write_dicom(stored, syntax=syntax, **elements)).pixels, plain.pixels
    )


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize("signed", [False, True])
def test_compressed_encodings_give_one_picture(write_dicom, read, larger_pixels, syntax, signed):
    stored = larger_pixels.astype(np.int16) - 2048 if signed else larger_pixels
    path = write_dicom(stored, BitsStored=16)
    plain = read(path)
    dataset = dcmread(path)
    dataset.compress(syntax)
    dataset.save_as(path)
    np.testing.assert_array_equal(read(path).pixels, plain.pixels)


@pytest.mark.parametrize("kind", ["JPEGLosslessProcess14", "JPEGLosslessProcess14_1",
                                  "JPEGLSLossless", "JPEG2000Lossless", "RLELossless"])  # fmt: skip
def test_what_gdcm_writes_is_what_it_was(from_pydicom, read, tmp_path, kind):
    import gdcm

    original, packed = from_pydicom("MR_small.dcm"), tmp_path / "packed.dcm"
    reader = gdcm.ImageReader()
    reader.SetFileName(str(original))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, kind)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(packed))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    assert dcmread(packed).file_meta.TransferSyntaxUID.is_compressed
    np.testing.assert_array_equal(read(packed).pixels, read(original).pixels)


@pytest.mark.parametrize(
    "name", ["MR_small_RLE", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless",
             "MR_small_bigendian", "MR_small_implicit", "MR_small_expb"],
)  # fmt: skip
def test_one_real_slice_in_many_encodings(from_pydicom, read, name):
    expected = read(from_pydicom("MR_small.dcm"))
    found = read(from_pydicom(f"{name}.dcm"))
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert found.steps == expected.steps


def test_a_real_deflated_file(from_pydicom, read):
    shown = read(from_pydicom("image_dfl.dcm"))
    expected = dcmread(from_pydicom("image_dfl.dcm")).pixel_array
    assert np.corrcoef(shown.pixels.ravel(), expected.ravel())[0, 1] > 0.9


def test_a_real_radiograph_in_monochrome1(dicom_data, read):
    shown = read(dicom_data / "mono1_cr_jpeg2000.dcm")
    assert shown.steps == ("window 550/1024 linear", "inverted MONOCHROME1")
    assert shown.pixels.shape == (1760, 1760)
    assert shown.depth == 10
    stored = dcmread(dicom_data / "mono1_cr_jpeg2000.dcm").pixel_array.astype(float)
    expected = 1 - np.clip((stored - 549.5) / 1023 + 0.5, 0, 1)
    np.testing.assert_allclose(shown.pixels, expected, atol=1e-6)
    # Air left of the leg is black, the shaft of the tibia is bright.
    assert shown.pixels[900:1000, 550:600].mean() < 0.2
    assert shown.pixels[300:400, 790:830].mean() > 0.5


def test_a_real_jpeg_of_twelve_bits(dicom_data, read):
    shown = read(dicom_data / "ct_jpeg_extended.dcm")
    assert shown.steps == ("rescale 2.00024 -4047", "window 40/400 linear")
    assert shown.depth == 12
    assert shown.pixels[:20, :20].max() == 0  # air
    assert (shown.pixels == 1).mean() > 0.01  # bone
    edges = np.abs(np.diff(shown.pixels, axis=1)).mean()
    assert edges < 0.05  # noise of a wrong bit order would be larger


def test_real_padding(dicom_data, read):
    shown = read(dicom_data / "ct_padding_jpeg2000.dcm")
    assert shown.steps == ("rescale 1 -1024", "percentiles 0.5 to 99.5", "padding black")
    assert shown.pixels[0, 0] == 0
    assert shown.pixels[256, 256] > 0.3


def test_colours_are_refused_or_converted(write_dicom, read, verdict, pixels):
    colours = np.random.default_rng(5).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    path = write_dicom(colours, PhotometricInterpretation="RGB")
    assert verdict(path) == ("wrong_photometric", "RGB, not grey")
    shown = read(path, colour="convert")
    assert shown.steps == ("colours RGB", "luma")
    expected = colours @ [0.299, 0.587, 0.114] / 255
    np.testing.assert_allclose(shown.pixels, expected, atol=1e-6)
    grey = np.repeat(colours[..., :1], 3, axis=2)
    shown = read(write_dicom(grey, PhotometricInterpretation="RGB"), colour="convert")
    assert shown.steps == ("colours RGB", "equal channels")
    np.testing.assert_allclose(shown.pixels, grey[..., 0] / 255, atol=1e-6)


def test_a_palette(write_dicom, read):
    ramp = np.arange(256, dtype="<u2") * 257

    def add_palette(dataset: Dataset) -> None:
        for colour in ("Red", "Green", "Blue"):
            setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
            data = ramp[::-1] if colour == "Red" else ramp
            setattr(dataset, f"{colour}PaletteColorLookupTableData", data.tobytes())

    stored = np.random.default_rng(6).integers(0, 256, (20, 30)).astype(np.uint8)
    path = write_dicom(stored, PhotometricInterpretation="PALETTE COLOR", change=add_palette)
    shown = read(path, colour="convert")
    assert shown.steps == ("colours PALETTE COLOR", "luma")
    grey = stored / 255
    expected = 0.299 * (1 - grey) + 0.701 * grey
    np.testing.assert_allclose(shown.pixels, expected, atol=1e-6)


def test_burned_in_text_is_kept_where_asked(write_dicom, read, verdict, pixels):
    path = write_dicom(pixels, BitsStored=12, BurnedInAnnotation="YES")
    assert verdict(path)[0] == "burned_in_annotation"
    assert read(path, burned_in="keep").pixels.shape == pixels.shape
    assert read(write_dicom(pixels, BitsStored=12, BurnedInAnnotation="NO")).depth == 12


@pytest.mark.parametrize(
    ("modality", "said"), [("CT", "CT"), ("US", "US"), ("JANE DOE", "no projection")]
)
def test_other_modalities_are_no_radiographs_unless_asked(
    write_dicom, read, verdict, pixels, modality, said
):
    path = write_dicom(pixels, BitsStored=12, Modality=modality)
    plain = DisplaySettings().other_modalities
    assert verdict(path, other_modalities=plain) == ("other_modality", said)
    assert read(path, other_modalities="keep").depth == 12


@pytest.mark.parametrize("modality", [None, "", "CR", "DX", "RG", "OT"])
def test_radiographs_and_images_of_no_told_modality(write_dicom, read, pixels, modality):
    told = {} if modality is None else {"Modality": modality}
    path = write_dicom(pixels, BitsStored=12, **told)
    assert read(path, other_modalities="refuse").depth == 12


def test_nothing_reaches_the_terminal(dicom_data, from_pydicom, read, tmp_path, capfd, caplog):
    damaged = tmp_path / "a.dcm"
    content = from_pydicom("MR_small_jp2klossless.dcm").read_bytes()
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        read(dicom_data / "ct_jpeg_extended.dcm")  # gdcm tries 8 bits first, and says so
        for place in range(1200, len(content), 500):
            damaged.write_bytes(content[:place] + b"\xff\x00\x37" + content[place + 3 :])
            with suppress(Unreadable):
                read(damaged)
    assert capfd.readouterr() == ("", "")
    assert not warned
    assert not [record for record in caplog.records if record.name.startswith("pydicom")]
