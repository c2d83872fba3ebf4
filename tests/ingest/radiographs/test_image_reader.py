"""PNG, JPEG and TIFF: all depths and modes, orientation, transparency, hostile headers."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from medssl.ingest.radiographs.image_reader import read_image
from medssl.ingest.radiographs.settings import DisplaySettings

GREY = np.random.default_rng(0).integers(0, 256, (40, 30)).astype(np.uint8)
WIDE = np.random.default_rng(1).integers(0, 65536, (40, 30)).astype(np.uint16)
COLOURS = np.random.default_rng(2).integers(0, 256, (40, 30, 3)).astype(np.uint8)


@pytest.fixture
def read(tmp_path):
    return lambda path, **settings: read_image(path, DisplaySettings(**settings), folder=tmp_path)


@pytest.fixture
def save(tmp_path):
    def save(pixels, name="a.png", mode=None, **options):
        image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
        path = tmp_path / name
        (image.convert(mode) if mode else image).save(path, **options)
        return path

    return save


@pytest.mark.parametrize(
    ("name", "mode", "steps"),
    [
        ("a.png", None, ()),
        ("a.tif", None, ()),
        ("a.png", "RGB", ("equal channels",)),
        ("a.tif", "RGB", ("equal channels",)),
        ("a.png", "RGBA", ("equal channels", "opaque alpha dropped")),
        ("a.png", "LA", ("opaque alpha dropped",)),
        ("a.png", "P", ("palette", "equal channels")),
    ],
)
def test_grey_in_every_guise_is_one_picture(save, read, name, mode, steps):
    shown = read(save(GREY, name, mode))
    np.testing.assert_allclose(shown.pixels, GREY / 255, atol=1e-7)
    assert shown.pixels.dtype == np.float32
    assert shown.steps == (*steps, "full range")
    assert shown.depth == 8


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "packbits"])
@pytest.mark.parametrize("pixels", [GREY, WIDE], ids=["8", "16"])
def test_tiff_compressions(save, read, compression, pixels):
    shown = read(save(pixels, "a.tif", compression=compression))
    white = np.iinfo(pixels.dtype).max
    np.testing.assert_allclose(shown.pixels, pixels / white, atol=1e-7)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits(save, read, name):
    shown = read(save(WIDE, name))
    np.testing.assert_allclose(shown.pixels, WIDE / 65535, atol=1e-7)
    assert (shown.steps, shown.depth) == (("full range",), 16)


def test_one_bit(save, read):
    bits = GREY > 128
    for name in ("a.png", "a.tif"):
        shown = read(save(Image.fromarray(bits), name))
        np.testing.assert_array_equal(shown.pixels, bits.astype(np.float32))
        assert shown.depth == 1


def test_jpeg_of_one_and_of_three_channels(save, read):
    smooth = np.linspace(0, 255, 1200).astype(np.uint8).reshape(40, 30)
    for mode, steps in ((None, ()), ("RGB", ("equal channels",))):
        path = save(smooth, "a.jpg", mode, quality=95)
        shown = read(path)
        np.testing.assert_allclose(
            shown.pixels, np.asarray(Image.open(path).convert("L")) / 255, atol=1e-7
        )
        assert shown.steps == (*steps, "full range")


def tiff(pixels: np.ndarray, *, order="<", photometric=1, bits=None, sample_format=1) -> bytes:
    """A TIFF of one strip, tag by tag (TIFF 6.0), in variants that Pillow does not write."""
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    bits = bits or 8 * pixels.dtype.itemsize
    rows, columns = pixels.shape
    tags = {256: columns, 257: rows, 258: bits, 259: 1, 262: photometric, 273: 0, 277: 1,
            278: rows, 279: len(data), 339: sample_format}  # fmt: skip
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    return head + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + data


@pytest.mark.parametrize("order", "<>")
def test_byte_orders_of_tiff(tmp_path, read, order):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(WIDE, order=order))
    np.testing.assert_allclose(read(path).pixels, WIDE / 65535, atol=1e-7)


@pytest.mark.parametrize("pixels", [GREY, WIDE], ids=["8", "16"])
def test_white_is_zero(tmp_path, read, pixels):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(pixels, photometric=0))
    white = np.iinfo(pixels.dtype).max
    np.testing.assert_allclose(read(path).pixels, 1 - pixels / white, atol=1e-7)


def test_twelve_bits_packed(tmp_path, read):
    values = (WIDE // 16).ravel()
    one, two = values[::2], values[1::2]
    packed = np.stack([one >> 4, ((one & 15) << 4) | (two >> 8), two & 255], axis=1)
    content = tiff(GREY, bits=12)
    path = tmp_path / "a.tif"
    body = packed.astype(np.uint8).tobytes()
    header = content[: -GREY.size].replace(
        struct.pack("<HHII", 279, 4, 1, GREY.size), struct.pack("<HHII", 279, 4, 1, len(body))
    )
    path.write_bytes(header + body)
    shown = read(path)
    np.testing.assert_allclose(shown.pixels, (WIDE // 16) / 4095, atol=1e-7)
    assert shown.depth == 12


@pytest.mark.parametrize("kind", [np.float32, np.int32, np.int16])
def test_values_of_no_known_range_are_shown_by_percentiles(tmp_path, read, kind):
    values = (WIDE.astype(np.int32) - 30000).clip(-32768, 32767).astype(kind)
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(values, sample_format=3 if kind is np.float32 else 2))
    shown = read(path)
    low, high = np.percentile(values, (0.5, 99.5))
    np.testing.assert_allclose(
        shown.pixels, np.clip((values - low) / (high - low), 0, 1), atol=1e-5
    )
    assert shown.steps == ("percentiles 0.5 to 99.5",)
    own = read(path, voi="window", window_centre=0, window_width=1001)
    np.testing.assert_allclose(own.pixels, np.clip((values + 0.5) / 1000 + 0.5, 0, 1), atol=1e-5)


def test_values_that_are_no_numbers(tmp_path, read):
    values = WIDE.astype(np.float32)
    values[:5], values[5] = np.nan, np.inf
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(values, sample_format=3))
    shown = read(path)
    assert np.isfinite(shown.pixels).all()
    assert shown.pixels[:6].max() == 0
    assert shown.pixels[6:].max() == 1
    assert shown.steps[-1] == "values that are no number black"
    for constant in (7.0, np.nan):
        path.write_bytes(tiff(np.full((20, 20), constant, np.float32), sample_format=3))
        assert read(path).pixels.max() == 0


def test_a_window_and_percentiles_where_they_are_asked_for(save, read):
    path = save(WIDE)
    low, high = np.percentile(WIDE, (0.5, 99.5))
    np.testing.assert_allclose(
        read(path, voi="percentile").pixels, np.clip((WIDE - low) / (high - low), 0, 1), atol=1e-6
    )
    shown = read(path, voi="window", window_centre=2048, window_width=4096)
    np.testing.assert_allclose(shown.pixels, np.clip((WIDE - 2047.5) / 4095 + 0.5, 0, 1), atol=1e-6)
    assert shown.steps == ("window 2048/4096 linear",)


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a16.png", "a16.tif"])
def test_orientation(save, read, name, turned):
    exif = Image.Exif()
    exif[0x0112] = turned
    smooth = np.add.outer(np.arange(40) * 5, np.arange(24)).astype(np.uint8)
    pixels = smooth.astype(np.uint16) * 200 if "16" in name else smooth
    options = {"quality": 100} if name == "a.jpg" else {}
    shown = read(save(pixels, name, exif=exif, **options))
    flips = {1: smooth, 2: smooth[:, ::-1], 3: smooth[::-1, ::-1], 4: smooth[::-1], 5: smooth.T,
             6: smooth[::-1].T, 7: smooth[::-1, ::-1].T, 8: smooth.T[::-1]}  # fmt: skip
    expected = flips[turned] * (200 / 65535 if "16" in name else 1 / 255)
    assert shown.pixels.shape == expected.shape
    assert np.abs(shown.pixels - expected).max() < 0.02
    assert (f"turned EXIF {turned}" in shown.steps) == (turned > 1)


def test_colours_are_refused_or_converted(save, read, verdict):
    path = save(COLOURS)
    assert verdict(path, read=read) == ("wrong_photometric", "colours whose channels differ")
    shown = read(path, colour="convert")
    assert shown.steps == ("luma", "full range")
    expected = COLOURS @ [0.299, 0.587, 0.114] / 255
    np.testing.assert_allclose(shown.pixels, expected, atol=0.5 / 255 + 1e-6)
    assert verdict(save(COLOURS, "a.png", "P"), read=read)[0] == "wrong_photometric"
    assert verdict(save(COLOURS, "a.jpg", "CMYK"), read=read)[0] == "wrong_photometric"
    assert read(save(COLOURS, "a.jpg", "CMYK"), colour="convert").steps[0] == "colours CMYK"


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_is_refused_or_put_on_black(save, read, verdict, mode):
    image = Image.fromarray(GREY).convert(mode)
    alpha = np.full(GREY.shape, 255, np.uint8)
    alpha[:10], alpha[10:20] = 0, 128
    image.putalpha(Image.fromarray(alpha))
    path = save(image)
    assert verdict(path, read=read) == ("wrong_photometric", "pixels that are not opaque")
    shown = read(path, colour="convert")
    np.testing.assert_allclose(shown.pixels, GREY / 255 * (alpha / 255), atol=0.6 / 255)
    assert "on black" in shown.steps


@pytest.mark.parametrize("pixels", [GREY, WIDE], ids=["8", "16"])
def test_a_transparent_grey_value(save, read, verdict, pixels):
    key = int(pixels[3, 4])
    path = save(pixels, transparency=key)
    assert verdict(path, read=read)[0] == "wrong_photometric"
    shown = read(path, colour="convert").pixels
    expected = np.where(pixels == key, 0, pixels) / np.iinfo(pixels.dtype).max
    np.testing.assert_allclose(shown, expected, atol=1e-6)


def test_several_pages_and_frames(save, verdict, read):
    page = Image.fromarray(GREY)
    for name in ("a.tif", "a.png"):
        path = save(page, name, save_all=True, append_images=[Image.fromarray(GREY[::-1])])
        assert verdict(path, read=read) == ("several_images", "several pages or frames")


def test_no_image(tmp_path, verdict, read, dicom_data):
    path = tmp_path / "Name of Somebody.png"
    path.write_bytes(b"")
    assert verdict(path, read=read) == ("empty_file", "")
    for content in (b"x", b"GIF89a" + bytes(50), b"II*\0" + bytes(20), b"%PDF-1.4", bytes(999)):
        path.write_bytes(content)
        reason, detail = verdict(path, read=read)
        assert reason == "unreadable_header"
        assert "Somebody" not in detail
    assert verdict(dicom_data / "README.md", read=read)[0] == "unreadable_header"


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "z.tif"])
def test_a_file_cut_off_is_no_picture(save, verdict, read, name):
    large = np.random.default_rng(3).integers(0, 256, (200, 300)).astype(np.uint8)
    options = {"compression": "tiff_deflate"} if name == "z.tif" else {}
    path = save(large, name, **options)
    content = path.read_bytes()
    for part in (0.3, 0.6, 0.9):
        path.write_bytes(content[: int(len(content) * part)])
        assert verdict(path, read=read)[0] in {"unreadable_pixels", "unreadable_header"}


def png(width: int, height: int, data: bytes = b"") -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packed = chunk(b"IDAT", zlib.compress(data))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + packed + chunk(b"IEND", b"")


def claiming(kind: str, rows: int, columns: int, save) -> bytes:
    """A small file that claims any size."""
    if kind == "png":
        return png(columns, rows)
    if kind == "tif":
        content = tiff(GREY)
        for tag, value in ((256, columns), (257, rows)):
            old = struct.pack("<HHII", tag, 4, 1, {256: 30, 257: 40}[tag])
            content = content.replace(old, struct.pack("<HHII", tag, 4, 1, value))
        return content
    content = save(GREY, "small.jpg").read_bytes()
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", rows, columns) + content[at + 4 :]


@pytest.mark.parametrize("kind", ["png", "tif", "jpg"])
def test_claims_are_refused_before_anything_is_allocated(save, read, verdict, tmp_path, kind):
    import tracemalloc

    path = tmp_path / f"a.{kind}"
    for rows, columns in ((40_000, 40_000), (65_000, 4_000), (13_000, 13_000)):
        path.write_bytes(claiming(kind, rows, columns, save))
        tracemalloc.start()
        reason, detail = verdict(path, read=read)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
        tracemalloc.stop()
        assert reason == "claims_too_large"
        assert str(rows) in detail or "far more" in detail
    path.write_bytes(claiming(kind, 1, 1, save))
    assert verdict(path, read=read) == ("too_small", "1 x 1 pixels; smallest: 16")


def test_limits_are_settings_and_pillow_s_own_is_put_back(save, read, verdict):
    before = Image.MAX_IMAGE_PIXELS
    path = save(GREY)
    assert verdict(path, read=read, largest_megapixels=0.001)[0] == "claims_too_large"
    assert verdict(path, read=read, largest_megapixels=0.0001)[0] == "claims_too_large"
    assert read(path, largest_megapixels=0.0012).pixels.shape == (40, 30)
    assert verdict(path, read=read, smallest=31)[0] == "too_small"
    assert before == Image.MAX_IMAGE_PIXELS


def test_a_large_blank_image_is_read(read, tmp_path):
    path = tmp_path / "blank.png"
    path.write_bytes(png(2000, 1500, bytes(2001 * 1500)))
    assert path.stat().st_size < 5000
    assert read(path).pixels.max() == 0
