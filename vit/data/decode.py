"""The process in which pictures are decoded: it may use so much memory and time, and starts no other program.

Run as a program, it reads requests as lines of JSON, {"path": ..., "size": ..., "frame": ..., "seconds": ...}, and
answers each with a line of JSON: {"reason": ...} or, followed by that many bytes of RGB, {"bytes": ..., "size": [width,
height], "of": [width, height]}. It imports neither torch nor this package, so that it starts at once.
"""

import json
import os
import signal
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from PIL import AvifImagePlugin, ExifTags, Image, ImageCms, ImageOps, TiffImagePlugin
from PIL import WebPImagePlugin as WebPImagePlugin  # Image.open knows the formats that were imported

SECONDS = 10  # a picture
MEMORY = 400  # MB above what the process starts with
DRAFT, PROGRESSIVE, PLAIN, OTHER = 200, 40, 64, 24  # megapixels

EXPECTED = "expected a picture (PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, PPM or HEIC)"
REMEDY = "save it as PNG or JPEG"

PICTURES = {  # what a file of each of Pillow's formats begins with
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "JPEG": (b"\xff\xd8\xff",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": (b"BM",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "PPM": (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf"),
}
OTHERS = {  # what people take for pictures
    b"%!PS": "an EPS file, which is a program",
    b"\xc5\xd0\xd3\xc6": "an EPS file, which is a program",
    b"%PDF": "a PDF document",
    b"\xd7\xcd\xc6\x9a": "a WMF drawing",
    b"8BPS": "a Photoshop file",
    b"gimp xcf": "a GIMP file",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 file",
    b"\xff\x4f\xff\x51": "a JPEG 2000 file",
    b"\0\0\0\x0cJXL ": "a JPEG XL file",
    b"\xff\x0a": "a JPEG XL file",
    b"\0\0\1\0": "an icon file",
    b"PK\3\4": "a ZIP archive or an office document",
    b"\x1f\x8b": "a gzip archive",
    b"\x1aE\xdf\xa3": "a video",
    b"RIFF": "a sound or a video",
}
HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")

Frame = tuple[
    float, float, float
]  # a square: left of the width, top of the height, side of the shorter side, in [0, 1]
WHOLE = "whole"  # in place of a frame: nothing is cut off
SMALLEST_FRAME = 0.05

UPRIGHT = {  # EXIF's orientation -> what undoes it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURNED = (5, 6, 7, 8)  # which make its height of the width
FRAMES: dict[int, Callable[[float, float], tuple[float, float]]] = {  # where a place of the upright picture is stored
    1: lambda x, y: (x, y),
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (y, 1 - x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (1 - y, x),
}


class Refused(ValueError):
    """Why there is no picture: a sentence without its subject, which is the file's name."""


def decode(path: str, size: int, frame: Frame | str | None = None) -> tuple[Image.Image, tuple[int, int]]:
    """A picture's first frame, upright and over white, as RGB, and the size of the upright picture. Raises Refused.

    frame: the square that is cut out and scaled to size * size, the central one if not given; or WHOLE, for all of the
    picture, scaled down to fit into size * size.
    """
    kind = _recognize(_head(path))
    try:
        with _opened(path, kind) as image:
            _check_pixels(*image.size, _limit(image))
            of = image.size[::-1] if _orientation(image) in TURNED else image.size
            if image.format in ("JPEG", "MPO"):
                sharp = 4 * size / (frame[2] if isinstance(frame, (tuple, list)) else 1)
                image.draft(image.mode, (round(sharp), round(sharp)))  # decodes as few pixels as will do
            image.load()
            return whole(image, size) if isinstance(frame, str) else square(image, size, frame), of
    except Refused:
        raise
    except MemoryError:
        raise Refused(f"takes more than {MEMORY} MB to decode: expected less; scale it down first") from None
    except Exception:  # a damaged picture can raise nearly anything
        expected = "expected a picture that other programs open"
        raise Refused(f"is a {kind} file that is cut off, damaged or unusual: {expected}; {REMEDY}") from None


def _head(path: str) -> bytes:
    try:
        is_file = stat.S_ISREG(os.stat(path).st_mode)
        with open(path if is_file else os.devnull, "rb") as file:
            head = file.read(4096)
    except FileNotFoundError:
        raise Refused("does not exist: expected a picture file; check the path") from None
    except (OSError, ValueError) as error:  # ValueError: there is a null character in the path
        said = getattr(error, "strerror", None) or error
        raise Refused(f"cannot be opened ({said}): expected a picture file; check the path") from None
    if not is_file:  # a pipe would be waited for
        raise Refused("is no file: expected a picture file; check the path")
    return head


def _recognize(head: bytes) -> str:
    """Pillow's name of a picture's format, by what the file begins with."""
    for kind, beginnings in PICTURES.items():
        if head.startswith(beginnings):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        brands = head[8 : int.from_bytes(head[:4], "big")]  # the main one first
        if b"avif" in brands or b"avis" in brands:
            return "AVIF"
        if brands[:4] in HEIC:
            return "HEIF"
    raise Refused(f"is {_other(head)}: {EXPECTED}; {REMEDY}")


def _other(head: bytes) -> str:
    """What a file is that is no picture of ours."""
    for beginning, name in OTHERS.items():
        if head.startswith(beginning):
            return name
    if not head:
        return "an empty file"
    if head[4:8] == b"ftyp":
        return "a video"
    if b"\0" in head:
        return "no picture that is known here"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if b"<svg" in text:
        return "an SVG drawing"
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    return "a text" if text.isascii() else "no picture that is known here"


def _opened(path: str, kind: str) -> Image.Image:
    """The picture, of which no more than the header was read."""
    if kind == "HEIF":
        import pillow_heif  # half of this process's memory, for few pictures

        pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
    if kind == "WEBP":  # its decoder takes the memory for the pixels as soon as it is made
        _check_pixels(*_webp_size(path), OTHER)
    return Image.open(path, formats=[kind])


def _webp_size(path: str) -> tuple[int, int]:
    """Width and height from the first chunk's header (RFC 9649, section 2); 0 where it is unknown."""
    with open(path, "rb") as file:
        head = file.read(30)
    if head[12:16] == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if head[12:16] == b"VP8L":
        packed = int.from_bytes(head[21:25], "little")
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF


def _limit(image: Image.Image) -> int:
    """Megapixels that fit into MEMORY, by what decoding such a picture takes for each."""
    if image.format in ("JPEG", "MPO"):
        return PROGRESSIVE if "progressive" in image.info else DRAFT  # which holds all coefficients at once
    plain = image.mode in ("1", "L", "RGB") or image.mode.startswith("I;16")
    several_copies = image.format in ("WEBP", "AVIF", "HEIF") or "transparency" in image.info
    return PLAIN if plain and not several_copies else OTHER


def _check_pixels(width: int, height: int, limit: int) -> None:
    if width * height > limit * 1_000_000:
        said = f"{width:,} × {height:,} pixels, {width * height / 1e6:,.1f} million"
        raise Refused(f"has {said}: expected at most {limit} million in such a picture; scale it down first")


def square(image: Image.Image, size: int, frame: Frame | None = None) -> Image.Image:
    """A square of a picture of any mode as size * size RGB, upright and over white: a frame's, or the central one.

    Raises Refused on numbers whose range is unknown.
    """
    return _scaled(image, (size, size), _box(image, frame))


def whole(image: Image.Image, size: int) -> Image.Image:
    """All of a picture of any mode as RGB, upright and over white, no side longer than size. Raises Refused."""
    scale = min(1, size / max(image.size))
    width, height = (max(1, round(scale * side)) for side in image.size)
    return _scaled(image, (width, height), (0, 0, *image.size))


def _box(image: Image.Image, frame: Frame | None) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a frame, in the pixels as they are stored, which may lie on their side."""
    width, height = image.size
    side = min(width, height) * (frame[2] if frame else 1)
    if frame is None:
        left, top = (width - side) / 2, (height - side) / 2
    else:
        turn = FRAMES.get(_orientation(image), FRAMES[1])
        across, down = (side / height, side / width) if _orientation(image) in TURNED else (side / width, side / height)
        corners = [turn(x, y) for x, y in ((frame[0], frame[1]), (frame[0] + across, frame[1] + down))]
        left, top = (min(axis) * size for axis, size in zip(zip(*corners, strict=True), (width, height), strict=True))
    left, top = max(0, min(left, width - side)), max(0, min(top, height - side))
    return left, top, left + side, top + side


def _scaled(image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    """Scaled first and converted then, so that there is one copy of all of its pixels."""
    if image.mode in ("1", "P", "PA", "HSV") or image.has_transparency_data:  # which cannot be scaled as they are
        image = image.convert("RGBA" if image.has_transparency_data else "L" if image.mode == "1" else "RGB")
    small = image.resize(size, Image.Resampling.BICUBIC, box=box)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        small = _gray(image, small)
    elif image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(small, lab, srgb, outputMode="RGB")
        small = converted or small  # None only where it works in place
    elif image.mode in ("LA", "RGBA", "RGBa"):
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small.convert("RGBA"))
    return _upright(small.convert("RGB"), image)


def _gray(image: Image.Image, small: Image.Image) -> Image.Image:
    """`small` as 8-bit gray, by the range of the numbers that the whole `image` has."""
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    low, high = 0, 65535
    if image.mode.startswith("I;16"):
        high = 2 ** tags.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0] - 1
    elif image.format != "PPM" or image.mode == "F":  # whose whole numbers Pillow has scaled to 16 bits
        low, high = image.getextrema()  # type: ignore[assignment]  # a band's, as there is one
        high = _known_range(image.mode, low, high)
    values = small.convert("I").convert("F") if image.mode != "F" else small
    if any(value != value for value in memoryview(values.tobytes()).cast("f")):
        raise Refused(f"has pixels that are no numbers (NaN): expected 0 to 1; {REMEDY}")
    gray = values.point(lambda value: value * (255 / high) + 0.5).convert("L")
    return ImageOps.invert(gray) if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0 else gray


def _known_range(mode: str, low: float, high: float) -> int:
    """White, for numbers of 32 bits whose largest and smallest are these."""
    if mode == "F" and not (low < 0 or high > 1):
        return 1
    if mode == "I" and low >= 0 and 255 < high <= 65535:
        return 65535
    expected = "0 to 1" if mode == "F" else "16 bits, 0 to 65,535"
    raise Refused(f"has numbers from {low:,.6g} to {high:,.6g} as its pixels: expected {expected}; {REMEDY}")


def _upright(small: Image.Image, image: Image.Image) -> Image.Image:
    """As the camera was held."""
    orientation = _orientation(image)
    return small.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else small


def _orientation(image: Image.Image) -> int:
    """EXIF's, 1 to 8; 1 where it says nothing sensible."""
    with suppress(Exception):  # damaged EXIF can raise nearly anything, and the picture is there without it
        if (orientation := image.getexif().get(ExifTags.Base.Orientation)) in FRAMES:
            return orientation
    return 1


def main() -> None:
    """Answers requests until there are no more."""
    Image.MAX_IMAGE_PIXELS = None  # ours are checked by what each format takes
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    with suppress(ImportError, FileNotFoundError):  # no Linux: only the number of pixels bounds the memory
        import resource

        already = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (already + MEMORY * 1_000_000,) * 2)
    for line in sys.stdin:
        request = json.loads(line)
        pixels = b""
        _ring_after(request["seconds"])
        try:
            image, of = decode(request["path"], request["size"], request["frame"])
            pixels = image.tobytes()
            answer: dict[str, object] = {"bytes": len(pixels), "size": image.size, "of": of}
        except Refused as error:
            answer = {"reason": str(error)}
        _ring_after(0)
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + pixels)
        sys.stdout.buffer.flush()


def _ring_after(seconds: int) -> None:
    """Has the system end this process then, wherever it is; never for 0. Does nothing on Windows."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


if __name__ == "__main__":
    main()
