"""Loads a picture file, whatever it is, as upright 8-bit RGB; refuses what cannot be used early."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from splinescape.errors import InputError
from splinescape.picture.focal import EXIF_IFD, exif_focal_px
from splinescape.picture.header import LOADED_PIXELS, box_brand, check_large_enough, check_small_enough
from splinescape.picture.tones import srgb8

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_RUNS_OTHER_PROGRAMS = {"EPS", "WMF"}


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as loaded.

    Attributes:
        rgb: (H, W, 3) uint8, upright, sRGB.
        focal_px: focal length in pixels of this `rgb` if EXIF has one, else None.
        notes: what was done to it, for the user.
    """

    rgb: NDArray[np.uint8]
    focal_px: float | None
    notes: tuple[str, ...]


def load_picture(path: str | Path, max_pixels: int = LOADED_PIXELS) -> Picture:
    """Load a picture of any format that Pillow reads, plus HEIC with pillow-heif.

    EXIF orientation is applied, embedded colour profiles are converted to sRGB, transparency is laid over
    white, 16-bit, float and grey pictures become 8-bit RGB, and of an animation the first frame is taken.

    Args:
        path: the picture file.
        max_pixels: a larger picture is reduced by a whole factor, while decoding where the format can.

    Raises:
        InputError: there is no such file, it is not a picture or is damaged, it is smaller than 32 px a side,
            or larger than memory should be spent on (known from its header, before decoding).
    """
    path = Path(path)
    _check_file(path)
    with _without_pillows_size_limit(), _open(path) as image:
        stored = image.size
        _check_size(path, image, max_pixels)
        exif = _exif(image)
        notes = []
        if getattr(image, "is_animated", False) and image.format != "MPO":
            notes.append("only the first frame or page is used")
        try:
            image.load()
            rgb, tone_notes = srgb8(image, max_pixels)
        # Decoders raise whatever comes to hand on a damaged file (OSError, SyntaxError, struct.error, ...).
        except Exception as error:
            raise InputError(f"{path} cannot be decoded ({_one_line(error)}); export it again") from error
        # Asked for after decoding, because the TIFF decoder turns the picture itself.
        orientation = _exif(image).get(_ORIENTATION, 1)
    notes += tone_notes
    if rgb.shape[:2] != stored[::-1]:
        notes.append(f"reduced from {stored[0]}x{stored[1]} px while loading")
    focal_px = exif_focal_px(exif, rgb.shape[1], rgb.shape[0])
    if orientation in _UPRIGHT:
        rgb = np.array(Image.fromarray(rgb).transpose(_UPRIGHT[orientation]))
    return Picture(rgb, focal_px, tuple(notes))


def _exif(image: Image.Image) -> Image.Exif:
    try:
        exif = image.getexif()
        exif.get_ifd(EXIF_IFD)
    # A picture is still a picture when its EXIF is broken, and Pillow's parser raises many types then.
    except Exception:
        return Image.Exif()
    return exif


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; give a picture file")
        if not path.exists():
            raise InputError(f"there is no file {path}")
        if not path.is_file():
            raise InputError(f"{path} is not an ordinary file; give a picture file")
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty (0 bytes); export the picture again")
        with path.open("rb"):
            pass
    except PermissionError as error:
        raise InputError(f"{path} may not be read; check its permissions") from error
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read: {_one_line(error)}") from error


def _open(path: Path) -> Image.Image:
    _register_heif()
    Image.init()
    # EPS and WMF hand the file to other programs, which a picture from anywhere must not be able to do.
    formats = [name for name in Image.OPEN if name not in _RUNS_OTHER_PROGRAMS]
    try:
        return Image.open(path, formats=formats)
    except UnidentifiedImageError as error:
        raise InputError(_why_unidentified(path)) from error
    except Exception as error:
        raise InputError(f"{path} cannot be opened ({_one_line(error)}); export it again") from error


def _register_heif() -> None:
    try:
        import pillow_heif
    except ImportError:
        return
    pillow_heif.register_heif_opener()


def _why_unidentified(path: Path) -> str:
    with path.open("rb") as file:
        brand = box_brand(file.read(12))
    if brand == "HEIC":
        return f"{path} is a HEIC picture; to read it: pip install splinescape[heif]"
    if brand == "AVIF":
        return f"{path} is an AVIF picture; to read it: pip install --upgrade pillow"
    return f"{path} is not a picture that can be read; give a JPEG, PNG, WebP, TIFF or similar"


_size_limit_lock = threading.Lock()


@contextmanager
def _without_pillows_size_limit() -> Iterator[None]:
    """Pillow's own limit is a fixed number of pixels; ours knows that JPEGs can be decoded small.

    Holding the lock while decoding also keeps two huge pictures from being in memory at once.
    """
    with _size_limit_lock:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_size(path: Path, image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    check_large_enough(path, width, height)
    # A progressive JPEG keeps all its coefficients in memory, however small it is decoded.
    if image.format in ("JPEG", "MPO") and not image.info.get("progressive"):
        factor = math.sqrt(width * height / max_pixels)
        image.draft(None, (math.ceil(width / max(factor, 1)), math.ceil(height / max(factor, 1))))
    check_small_enough(path, width, height, image.size[0] * image.size[1])


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
