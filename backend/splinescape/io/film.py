"""Films of rendered views, written frame by frame."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from splinescape.errors import InputError
from splinescape.io.atomic import atomic_path
from splinescape.io.frames import Pixels, to_uint8

_BT709 = 1
_TV_RANGE = 1


class Film:
    """A film that is being written; made by `film_writer`."""

    def __init__(self, container: av.container.OutputContainer, fps: Fraction) -> None:
        self._container = container
        self._fps = fps
        self._stream: VideoStream | None = None
        self._size = (0, 0)

    def add(self, rgb: Pixels) -> None:
        """Append a frame: (H, W, 3) floats in [0, 1] (clamped) or bytes, or (H, W) grey; all of one size.

        Raises:
            InputError: the size differs from that of the first frame.
        """
        pixels = to_uint8(rgb)
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[:, :, None], 3, axis=2)
        height, width = pixels.shape[:2]
        if self._stream is None:
            self._size = (width, height)
            self._stream = self._make_stream(width + width % 2, height + height % 2)
        if (width, height) != self._size:
            raise InputError(f"a film needs frames of one size: {self._size} first, then {(width, height)}")
        # H.264 with 4:2:0 colour needs even sizes; the last row and column are doubled, so nothing is lost.
        even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=_BT709, dst_color_range=_TV_RANGE)
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self._stream is None:
            raise InputError("a film needs at least one frame")
        self._container.mux(self._stream.encode(None))

    def _make_stream(self, width: int, height: int) -> VideoStream:
        # One thread, because the result of x264 depends on their number; no mbtree, because its vector code
        # reads memory that nobody wrote: the same frames gave other bytes in up to half of the runs.
        options = {"crf": "17", "preset": "medium", "threads": "1", "x264-params": "mbtree=0"}
        stream = self._container.add_stream("libx264", rate=self._fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _TV_RANGE
        return stream


@contextmanager
def film_writer(path: str | os.PathLike[str], fps: int = 30) -> Iterator[Film]:
    """Write an mp4 (H.264, yuv420p, BT.709) that ordinary players and browsers show.

    The film appears at `path` when the block ends without an error, and replaces an older one only then. The
    same frames always give the same bytes with the same version of the encoder.

    Raises:
        InputError: no frame was added, or the file cannot be written.
    """
    with atomic_path(path) as temp:
        try:
            options = {"movflags": "+faststart", "fflags": "+bitexact"}
            with av.open(str(temp), "w", format="mp4", options=options) as container:
                film = Film(container, Fraction(fps))
                yield film
                film.finish()
        except av.FFmpegError as error:
            raise _write_error(Path(path), error) from error


def _write_error(path: Path, error: av.FFmpegError) -> Exception:
    if error.errno is not None and error.errno in errno.errorcode:
        return OSError(error.errno, os.strerror(error.errno))
    return InputError(f"cannot write {path}: {error}")
