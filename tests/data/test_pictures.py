import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image, ImageCms

from tests.conftest import ROOT
from vit.data import decode, pictures
from vit.data.pictures import UnreadablePicture, read_picture

pillow_heif.register_heif_opener()

RED, GRAY = (255, 0, 0), (90, 90, 90)
SPREAD = Image.linear_gradient("L").resize((64, 64)).convert("RGB")  # not flat, so that a part of it is not the whole


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, color: int = 2, more: bytes = b"") -> bytes:
    """Of any size that a header can name, with next to nothing in it."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + more + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def webp(width: int, height: int, kind: bytes) -> bytes:
    if kind == b"VP8X":
        size = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif kind == b"VP8L":
        size = b"\x2f" + (width - 1 | height - 1 << 14).to_bytes(4, "little")
    else:
        size = bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width, height)
    body = b"WEBP" + kind + struct.pack("<I", len(size)) + size + bytes(50)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg(width: int, height: int, progressive: bool) -> bytes:
    """The header of a picture of 8 x 8 pixels, changed."""
    small = bytearray(encoded(Image.new("L", (8, 8)), "JPEG", progressive=progressive))
    place = small.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    small[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(small)


def many_scans(side: int, scans: int) -> bytes:
    """Progressive, with a last scan that comes again and again and adds nothing."""
    whole = encoded(Image.new("L", (side, side), 90), "JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    tables = whole.rindex(b"\xff\xc4")  # just before it, with the codes that it uses
    return whole[:-2] + whole[min(last, tables) : -2] * scans + whole[-2:]


def many_chunks(count: int) -> bytes:
    return png(10, 10, more=chunk(b"teST", b"") * count)


PICTURE = encoded(SPREAD, "PNG")
LOOP = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{} loop\n%%EOF\n"
DOS_EPS = b"\xc5\xd0\xd3\xc6" + struct.pack("<IIIIIIH", 30, len(LOOP), 0, 0, 0, 0, 0xFFFF) + LOOP
HTML = b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>"
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>'
FLOATS = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)


def tiff(values: np.ndarray) -> bytes:
    return encoded(Image.fromarray(values), "TIFF")


REFUSED = {  # file's name -> (what is in it, what its sentence says)
    "empty.png": (b"", "is an empty file"),
    "text.png": (b"no picture", "is a text"),
    "letters.jpg": ("größer".encode(), "is no picture that is known here"),
    "zeros.jpg": (bytes(5000), "is no picture that is known here"),
    "page.png": (HTML, "is a web page"),
    "page.jpg": (b"\n <html>", "is a web page"),
    "drawing.svg": (SVG, "is an SVG drawing"),
    "drawing.png": (b"<svg/>", "is an SVG drawing"),
    "loop.eps": (LOOP, "is an EPS file"),
    "loop.png": (LOOP, "is an EPS file"),
    "loop.jpg": (DOS_EPS, "is an EPS file"),
    "late.ps": (b"\n\n" + LOOP, "is a text"),
    "paper.pdf": (b"%PDF-1.7\n1 0 obj", "is a PDF document"),
    "paper.png": (b"%PDF-1.7\n1 0 obj", "is a PDF document"),
    "metafile.wmf": (b"\xd7\xcd\xc6\x9a" + bytes(50), "is a WMF drawing"),
    "layers.psd": (b"8BPS\0\1" + bytes(50), "is a Photoshop file"),
    "icon.ico": (encoded(SPREAD, "ICO"), "is an icon file"),
    "wavelets.jp2": (encoded(SPREAD, "JPEG2000"), "is a JPEG 2000 file"),
    "wavelets.j2k": (encoded(SPREAD, "JPEG2000", no_jp2=True), "is a JPEG 2000 file"),
    "new.jxl": (b"\xff\x0a" + bytes(50), "is a JPEG XL file"),
    "pictures.zip": (b"PK\3\4" + bytes(50), "is a ZIP archive"),
    "sound.webp": (b"RIFF\0\0\0\0WAVEfmt ", "is a sound or a video"),
    "film.heic": (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "is a video"),
    "exotic.png": (encoded(SPREAD, "TGA"), "is no picture that is known here"),
    "zero.png": (png(0, 0), "is a PNG file that is cut off, damaged or unusual: expected a picture"),
    "zero.ppm": (b"P6 0 0 255\n", "is a PPM file that is cut off"),
    "zero.jpg": (jpeg(0, 0, False), "is a JPEG file that is cut off"),
    "zero.gif": (b"GIF89a" + bytes(7) + b";", "is a GIF file that is cut off"),
    "bomb.png": (png(50_000, 50_000), "50,000 × 50,000 pixels, 2,500.0 million: expected at most 64 million"),
    "most.png": (png(2**31 - 1, 2**31 - 1), "expected at most 64 million"),
    "just.png": (png(8001, 8000), "expected at most 64 million"),
    "alpha.png": (png(4900, 4900, color=6), "expected at most 24 million"),
    "clear.png": (png(4900, 4900, more=chunk(b"tRNS", bytes(6))), "expected at most 24 million"),
    "bomb.gif": (
        b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;",
        "24 million",
    ),
    "bomb.bmp": (
        b"BM" + struct.pack("<IIIIiiHHII", 54, 0, 54, 40, 30_000, 30_000, 1, 24, 0, 0) + bytes(99),
        "64 million",
    ),
    "bomb.ppm": (b"P6 30000 30000 255\n" + bytes(99), "64 million"),
    "plain.ppm": (b"P3 30000 30000 255\n1 2 3", "64 million"),
    "bomb.webp": (webp(16_383, 16_383, b"VP8X"), "24 million"),
    "lossless.webp": (webp(16_383, 16_383, b"VP8L"), "24 million"),
    "lossy.webp": (webp(16_383, 16_383, b"VP8 "), "24 million"),
    "bomb.jpg": (jpeg(65_000, 65_000, False), "4,225.0 million: expected at most 200 million"),
    "progressive.jpg": (jpeg(6400, 6400, True), "expected at most 40 million"),
    "text chunk.png": (png(9, 9, more=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(90_000_000)))), "is a PNG file"),
    "wrong checksum.png": (PICTURE[:20] + b"\1" + PICTURE[21:], "is a PNG file"),
    "nan.tif": (tiff(np.where(FLOATS > 0.5, np.nan, FLOATS)), r"no numbers \(NaN\): expected 0 to 1"),
    "all nan.tif": (tiff(FLOATS * np.float32("nan")), r"numbers from|no numbers \(NaN\)"),
    "infinite.tif": (tiff(np.where(FLOATS > 0.5, np.inf, FLOATS)), "has numbers from 0 to inf .* expected 0 to 1"),
    "bytes.tif": (tiff(FLOATS * 255), "has numbers from 0 to 255 .* expected 0 to 1"),
    "negative.tif": (tiff(FLOATS - 0.5), "has numbers from -0.5 to 0.5 .* expected 0 to 1"),
    "huge.tif": (tiff(FLOATS * 3e38), r"has numbers from 0 to 3e\+38 .* expected 0 to 1"),
    "integers.tif": (tiff((FLOATS * 2e9).astype(np.int32)), "from 0 to 2e.09 .* expected 16 bits"),
    "few integers.tif": (tiff((FLOATS * 200).astype(np.int32)), "from 0 to 200 .* expected 16 bits"),
    "below.tif": (tiff((FLOATS * 99 - 9).astype(np.int32)), "from -9 to 90 .* expected 16 bits"),
}
for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM", "HEIF"):
    for share in (0.1, 0.5):
        whole = encoded(SPREAD, kind)
        REFUSED[f"{share:.0%} of a.{kind.lower()}"] = (whole[: int(share * len(whole))], "is")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_picture_is_refused_by_name_with_the_remedy(name, tmp_path):
    content, says = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadablePicture, match=says) as caught:
        read_picture(tmp_path / name, 32)
    sentence = str(caught.value)
    assert sentence == f"{name} {caught.value.reason}" and sentence.startswith((f"{name} is ", f"{name} has "))
    assert str(tmp_path) not in sentence and sentence.endswith(("save it as PNG or JPEG", "scale it down first"))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def exif(orientation: int) -> Image.Exif:
    known = Image.Exif()
    known[0x0112] = orientation
    return known


LAB = ImageCms.profileToProfile(
    Image.new("RGB", (30, 20), GRAY), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
)
FRAMES = {"save_all": True, "append_images": [Image.new("RGB", (30, 20), "blue")]}
FLAT, FLAT_GRAY = Image.new("RGB", (30, 20), RED), Image.new("L", (30, 20), 90)
SIXTEEN = Image.new("I;16", (30, 20), 90 * 257)

READ = {  # file's name -> (what is in it, its color)
    "1x1.png": (encoded(Image.new("RGB", (1, 1), RED), "PNG"), RED),
    "1x1.gif": (encoded(Image.new("L", (1, 1), 90), "GIF"), GRAY),
    "1x1.heic": (encoded(Image.new("RGB", (1, 1), GRAY), "HEIF"), GRAY),
    "line.png": (encoded(Image.new("RGB", (20_000, 1), RED), "PNG"), RED),
    "line.jpg": (encoded(Image.new("L", (20_000, 1), 90), "JPEG"), GRAY),
    "line.tif": (encoded(Image.new("L", (1, 20_000), 90), "TIFF"), GRAY),
    "really a.txt": (encoded(FLAT, "PNG"), RED),
    "really a.eps": (encoded(FLAT, "BMP"), RED),
    "no extension": (encoded(FLAT, "GIF"), RED),
    "a.webp": (encoded(FLAT, "WEBP", lossless=True), RED),
    "a.avif": (encoded(FLAT_GRAY, "AVIF"), GRAY),
    "a.heic": (encoded(FLAT_GRAY, "HEIF"), GRAY),
    "a.ppm": (encoded(FLAT, "PPM"), RED),
    "sixteen.pgm": (b"P5 2 1 65535\n" + struct.pack(">HH", 90 * 257, 90 * 257), GRAY),
    "dark sixteen.pgm": (b"P5 2 1 65535\n" + struct.pack(">HH", 200, 200), (1, 1, 1)),
    "plain.ppm": (b"P3 1 1 255\n255 0 0\n", RED),
    "floats.pfm": (b"Pf 1 1 -1\n" + struct.pack("<f", 90 / 255), GRAY),
    "first of two.gif": (encoded(FLAT, "GIF", **FRAMES), RED),
    "first of two.png": (encoded(FLAT, "PNG", **FRAMES), RED),
    "first of two.webp": (encoded(FLAT, "WEBP", lossless=True, **FRAMES), RED),
    "first of two.tif": (encoded(FLAT, "TIFF", **FRAMES), RED),
    "first of two.mpo": (encoded(FLAT_GRAY, "MPO", save_all=True, append_images=[Image.new("L", (30, 20))]), GRAY),
    "bad exif.jpg": (encoded(FLAT_GRAY, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"), GRAY),
    "worse exif.jpg": (encoded(FLAT_GRAY, "JPEG", exif=b"Exif\0\0no such thing" + bytes(range(256))), GRAY),
    "bad exif.png": (encoded(FLAT, "PNG", exif=b"II*\0\x08\0\0\0\xff\xff\x12\1\3"), RED),
    "bad exif.webp": (encoded(FLAT, "WEBP", lossless=True, exif=b"II*\0\xff\0\0\0\xff"), RED),
    "absurd orientation.jpg": (encoded(FLAT_GRAY, "JPEG", exif=exif(4711)), GRAY),
    "absurd density.jpg": (encoded(FLAT_GRAY, "JPEG", dpi=(65535, 1), comment=b"\xff" * 60_000), GRAY),
    "absurd profile.png": (encoded(FLAT, "PNG", icc_profile=bytes(100_000)), RED),
    "bilevel.tif": (encoded(Image.new("1", (30, 20), 1), "TIFF"), (255, 255, 255)),
    "gray.png": (encoded(FLAT_GRAY, "PNG"), GRAY),
    "gray and alpha.png": (encoded(Image.new("LA", (30, 20), (90, 255)), "PNG"), GRAY),
    "clear.png": (encoded(Image.new("RGBA", (30, 20), (*RED, 0)), "PNG"), (255, 255, 255)),
    "half.png": (encoded(Image.new("RGBA", (30, 20), (*RED, 127)), "PNG"), (255, 128, 128)),
    "palette.png": (encoded(FLAT.convert("P"), "PNG"), RED),
    "clear palette.png": (encoded(FLAT.convert("P"), "PNG", transparency=bytes(256)), (255, 255, 255)),
    "clear color.png": (encoded(FLAT, "PNG", transparency=RED), (255, 255, 255)),
    "ink.tif": (encoded(FLAT.convert("CMYK"), "TIFF"), RED),
    "ink.jpg": (encoded(FLAT_GRAY.convert("CMYK"), "JPEG"), GRAY),
    "video.tif": (encoded(FLAT_GRAY.convert("YCbCr"), "TIFF", compression="jpeg"), GRAY),
    "lab.tif": (encoded(LAB, "TIFF"), GRAY),
    "sixteen.png": (encoded(SIXTEEN, "PNG"), GRAY),
    "sixteen.tif": (encoded(SIXTEEN, "TIFF"), GRAY),
    "big end.tif": (encoded(Image.new("I;16B", (30, 20), 90 * 257), "TIFF"), GRAY),
    "integers.tif": (encoded(Image.new("I", (30, 20), 90 * 257), "TIFF"), GRAY),
    "floats.tif": (encoded(Image.new("F", (30, 20), 90 / 255), "TIFF"), GRAY),
    "black floats.tif": (encoded(Image.new("F", (30, 20)), "TIFF"), (0, 0, 0)),
    "my holiday photo.png": (encoded(FLAT, "PNG"), RED),
    "Фото 写真 صورة 🐈.png": (encoded(FLAT, "PNG"), RED),
    os.fsdecode(b"latin-1 \xe9.png"): (encoded(FLAT, "PNG"), RED),
    "-rf; $(touch x) \n`.png": (encoded(FLAT, "PNG"), RED),
    "a" * 251 + ".png": (encoded(FLAT, "PNG"), RED),
}


@pytest.mark.parametrize("name", READ)
def test_odd_pictures_are_read(name, tmp_path):
    content, color = READ[name]
    (tmp_path / name).write_bytes(content)
    pixels = read_picture(tmp_path / name, 24)
    assert pixels.shape == (3, 24, 24) and pixels.dtype == torch.uint8 and pixels.is_contiguous()
    assert (pixels.float() - torch.tensor(color)[:, None, None]).abs().max() <= 2
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    "mode, color, expected",
    [
        ("PA", (0, 0), (255, 255, 255)),
        ("RGBa", (*RED, 255), RED),
        ("RGBX", (*RED, 0), RED),
        ("CMYK", (0, 255, 255, 0), RED),
        ("YCbCr", (90, 128, 128), GRAY),
        ("HSV", (0, 255, 255), RED),
        ("I;16L", 90 * 257, GRAY),
    ],
)
@pytest.mark.parametrize("size", [(32, 32), (101, 37), (1, 50)])
def test_modes_that_few_files_have_are_scaled_by_their_own_range(mode, color, expected, size):
    square = np.asarray(decode.square(Image.new(mode, size, color), 24))
    assert square.shape == (24, 24, 3) and (abs(square.astype(int) - expected) <= 1).all()


def test_twelve_bits_are_twelve_bits(tmp_path):
    rows = bytes.fromhex("5a15a1") * 10 * 20  # 20 x 20 pixels of 0x5a1; Pillow reads such a TIFF but writes none
    entries = [(256, 4, 20), (257, 4, 20), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 200), (277, 3, 1)]
    entries += [(278, 4, 20), (279, 4, len(rows))]
    table = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4)
    (tmp_path / "a.tif").write_bytes(head.ljust(200, b"\0") + rows)
    assert read_picture(tmp_path / "a.tif", 8).unique().tolist() == [round(0x5A1 * 255 / 0xFFF)]


def test_a_picture_of_the_right_size_is_left_as_it_is(tmp_path):
    pixels = torch.randint(256, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png", 32).equal(pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_the_square_is_the_center_of_the_upright_picture(kind, orientation, tmp_path):
    corners = np.zeros((2, 2, 3), np.uint8)
    corners[0, 0], corners[0, 1], corners[1, 0] = (250, 20, 20), (20, 250, 20), (20, 20, 250)
    upright = Image.new("RGB", (96, 32), "yellow")
    upright.paste(Image.fromarray(corners).resize((32, 32), Image.Resampling.NEAREST), (32, 0))
    undone = {6: decode.UPRIGHT[8], 8: decode.UPRIGHT[6]}.get(orientation, decode.UPRIGHT.get(orientation))
    stored = upright if undone is None else upright.transpose(undone)
    options = {"quality": 95} if kind in ("JPEG", "AVIF", "HEIF") else {"lossless": True} if kind == "WEBP" else {}
    stored.save(tmp_path / "a", kind, exif=exif(orientation).tobytes(), **options)
    middles = read_picture(tmp_path / "a", 32)[:, 8::16, 8::16].permute(1, 2, 0).int()
    assert (middles - torch.from_numpy(corners).int()).abs().max() < 25


def test_what_cannot_be_opened_says_why(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path, says in {
        tmp_path / "none here.png": "none here.png does not exist: expected a picture file; check the path",
        tmp_path: f"{tmp_path.name} is no file",
        tmp_path / "pipe.png": "pipe.png is no file",
        tmp_path / ("a" * 300): f"{'a' * 300} cannot be opened (File name too long)",
        tmp_path / "a\0b": "a\0b cannot be opened (embedded null byte)",
    }.items():
        with pytest.raises(UnreadablePicture) as caught:
            read_picture(path, 32)
        assert str(caught.value).startswith(says) and str(tmp_path) not in str(caught.value)


def test_paths_are_those_of_the_folder_one_is_in(tmp_path, monkeypatch):
    for name, color in {"one": 10, "two": 20}.items():
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        Image.new("L", (9, 9), color).save("a.png")
        assert read_picture("a.png", 8).unique().tolist() == [color]


@pytest.mark.parametrize("content", [many_scans(6300, 20_000), many_chunks(1_000_000)], ids=["scans", "chunks"])
def test_what_takes_too_long_is_ended_and_the_next_picture_is_read(content, tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "SECONDS", 1)
    (tmp_path / "slow.png").write_bytes(content)
    with pytest.raises(UnreadablePicture, match=r"slow\.png takes longer than 1 s to decode: expected a picture; save"):
        read_picture(tmp_path / "slow.png", 32)
    (tmp_path / "quick.png").write_bytes(PICTURE)
    assert read_picture(tmp_path / "quick.png", 32).shape == (3, 32, 32)


def test_a_process_that_was_ended_is_replaced(tmp_path):
    (tmp_path / "a.png").write_bytes(PICTURE)
    before = read_picture(tmp_path / "a.png", 32)
    process = pictures._processes.queue[-1]
    process.kill()
    process.wait()
    assert read_picture(tmp_path / "a.png", 32).equal(before)


MEMORY = """
import os, sys, threading
from pathlib import Path
from PIL import Image
from vit.data import decode, pictures

decode.SECONDS = 120  # on a busy machine, too

def memory(of, key):
    lines = [line for pid in of for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) // 1000 for line in lines if line.startswith(key))

def read(name):
    try:
        assert pictures.read_picture(name, 32).shape == (3, 32, 32)
    except pictures.UnreadablePicture as error:
        assert "million" in str(error), error

def burst(count):
    threads = [threading.Thread(target=read, args=(sys.argv[1],)) for _ in range(count)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return [os.getpid(), *(process.pid for process in pictures._processes.queue if process)]

Image.new("RGB", (8, 8)).save("small.png")
read("small.png")
start = memory(burst(0), "VmRSS")
one = burst(1)
peak, after_one = memory(one, "VmHWM"), memory(one, "VmRSS")
eight = burst(8)
print(start, peak, after_one, memory(eight, "VmHWM"), memory(eight, "VmRSS"), len(eight))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
@pytest.mark.parametrize(
    "mode, side, kind", [("RGB", 8000, "PNG"), ("RGBA", 4800, "PNG"), ("RGBA", 9400, "PNG"), ("RGB", 14_000, "JPEG")]
)
def test_memory_is_bounded_and_comes_back(mode, side, kind, tmp_path):
    Image.new(mode, (side, side)).save(tmp_path / "large", kind)
    command = [sys.executable, "-c", MEMORY, "large"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    start, peak_of_one, after_one, peak_of_eight, after_eight, processes = map(int, done.stdout.split())
    assert peak_of_one - start <= decode.MEMORY
    assert processes <= 1 + pictures.AT_ONCE and peak_of_eight - start <= pictures.AT_ONCE * decode.MEMORY
    assert after_eight <= 1.1 * after_one


def quarters(width: int, height: int) -> Image.Image:
    """Red, green / blue, white: each a quarter."""
    corners = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    return Image.fromarray(corners).resize((width, height), Image.Resampling.NEAREST)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_frame_is_a_square_of_the_upright_picture(orientation, tmp_path):
    upright = quarters(96, 64)
    undone = {6: decode.UPRIGHT[8], 8: decode.UPRIGHT[6]}.get(orientation, decode.UPRIGHT.get(orientation))
    stored = upright if undone is None else upright.transpose(undone)
    stored.save(tmp_path / "a.png", exif=exif(orientation).tobytes())
    for (left, top), color in {(0, 0): (255, 0, 0), (2 / 3, 0): (0, 255, 0), (0, 0.5): (0, 0, 255)}.items():
        pixels = read_picture(tmp_path / "a.png", 16, (left, top, 0.5))  # 32 x 32 pixels of it
        assert (pixels[:, 2:-2, 2:-2].int() - torch.tensor(color)[:, None, None]).abs().max() <= 1


def test_a_frame_that_reaches_out_of_the_picture_is_moved_into_it(tmp_path):
    quarters(64, 64).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png", 8, (0.9, 0.9, 0.5))[:, 2:, 2:].eq(255).all()
    assert read_picture(tmp_path / "a.png", 8, (0.3, 0.3, 1.0)).equal(read_picture(tmp_path / "a.png", 8))


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_preview_shows_all_of_the_upright_picture(orientation, tmp_path):
    upright = quarters(2000, 1000)
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose.ROTATE_90)
    stored.save(tmp_path / "a.jpg", quality=95, exif=exif(orientation).tobytes())
    pixels, of = pictures.preview(tmp_path / "a.jpg", 100)
    assert of == (2000, 1000) and pixels.shape == (3, 50, 100)
    assert (pixels[:, 12, 75].int() - torch.tensor([0, 255, 0])).abs().max() < 25
    assert (pixels[:, 37, 25].int() - torch.tensor([0, 0, 255])).abs().max() < 25


def test_a_small_frame_of_a_large_jpeg_is_sharp(tmp_path):
    lines = np.zeros((2048, 2048), np.uint8)
    lines[:, ::64] = 255  # a line each 64 pixels, which a picture of 256 x 256 would blur away
    Image.fromarray(lines).convert("RGB").save(tmp_path / "a.jpg", quality=95)
    pixels = read_picture(tmp_path / "a.jpg", 32, (0.0, 0.0, 1 / 16)).float()  # 128 x 128 pixels of it
    assert pixels.mean(1)[0].topk(2).indices.sort().values.tolist() == [0, 16]
