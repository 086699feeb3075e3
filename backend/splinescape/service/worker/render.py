"""Renderings on request, in a thread of their own: they wait for each other, never for a job."""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splinescape.errors import SplinescapeError, is_out_of_memory
from splinescape.protocol.errors import ErrorCode, ServiceError
from splinescape.protocol.wire import Buffer, Message
from splinescape.service.discreet import discreet
from splinescape.service.worker.priority import Gate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from splinescape.raster import Rasterizer
    from splinescape.service.worker.scenes import Scenes

_WAITING_EACH = 2
_KINDS = ("rgb", "depth", "alpha")


@dataclass(frozen=True, eq=False)
class Asked:
    """Views of a job's scene that somebody wants.

    Attributes:
        cams_T_world: (n, 4, 4) float64. Ks_33: (n, 3, 3) float64, pixels.
        kinds: which of rgb, depth and alpha.
    """

    job: str
    folder: Path
    width: int
    height: int
    kinds: tuple[str, ...]
    cams_T_world: NDArray[np.float64]
    Ks_33: NDArray[np.float64]

    @staticmethod
    def read(message: Message) -> Asked:
        """Take a request apart; raises ServiceError("bad_input" or "bad_message")."""
        import numpy as np

        from splinescape.protocol.arrays import to_array

        content = message.content
        cams, Ks = (to_array(message.buffer(name)) for name in ("cam_T_world", "K_33"))
        width, height, kinds = content["width"], content["height"], content["buffers"]
        if cams.shape != (len(cams), 4, 4) or Ks.shape != (len(cams), 3, 3) or not len(cams):
            raise ServiceError("bad_input", "cam_T_world must be (n, 4, 4) and K_33 (n, 3, 3), n at least 1")
        if not (np.isfinite(cams).all() and np.isfinite(Ks).all() and (Ks[:, [0, 1], [0, 1]] > 0).all()):
            raise ServiceError("bad_input", "a camera is not finite, or its focal length is not positive")
        if not all(isinstance(side, int) and side > 0 for side in (width, height)):
            raise ServiceError("bad_input", "width and height must be at least 1 pixel")
        if not isinstance(kinds, list) or not kinds or not set(kinds) <= set(_KINDS):
            raise ServiceError("bad_input", f"buffers must be some of {', '.join(_KINDS)}")
        folder = Path(content["folder"])
        return Asked(message.job or "", folder, width, height, tuple(kinds), cams, Ks)


class RenderDesk:
    """Answers requests for renderings in the order they came.

    A requester that asks faster than this can render gets the newest views: what else of it waits is superseded.

    Args:
        send: passes answers to the broker.
        gate: holds a job back meanwhile.
    """

    def __init__(self, send: Callable[[Message], None], gate: Gate) -> None:
        self._send = send
        self._gate = gate
        self._waiting: deque[Message] = deque()
        self._more = threading.Condition()

    def open(self, scenes: Scenes) -> None:
        """Begin to answer, with what `scenes` has; the new thread has the priority of the calling one."""
        threading.Thread(target=self._run, args=(scenes,), name="render", daemon=True).start()

    def ask(self, message: Message) -> None:
        """Queue a request."""
        requester = message.content.get("requester")
        with self._more:
            self._waiting.append(message)
            same = [m for m in self._waiting if m.content.get("requester") == requester]
            superseded = same[:-_WAITING_EACH]
            for old in superseded:
                self._waiting.remove(old)
            self._more.notify()
        for old in superseded:
            self._send(_error(old, "superseded", "newer views were asked for meanwhile"))

    def _run(self, scenes: Scenes) -> None:
        import torch

        torch.set_num_threads(1)  # its tensors are small here; the kernels have threads of their own
        renderer = _Renderer(scenes)
        with _ahead_of_training():
            while True:
                with self._more:
                    self._more.wait_for(lambda: self._waiting)
                    message = self._waiting.popleft()
                with self._gate.rendering():
                    answer = renderer.answer(message)
                self._send(answer)


class _Renderer:
    """Makes the answers."""

    def __init__(self, scenes: Scenes) -> None:
        self._scenes = scenes
        self._rasterizer: Rasterizer | None = None

    def answer(self, message: Message) -> Message:
        try:
            try:
                return self._render(message)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            self._scenes.forget()
            return self._render(message)
        except ServiceError as error:
            return _error(message, error.code, str(error))
        except SplinescapeError as error:
            return _error(message, "internal", discreet(" ".join(str(error).split())))
        except Exception as error:
            if is_out_of_memory(error):
                return _error(
                    message, "unavailable", "there is not enough memory for this: ask for fewer pixels"
                )
            traceback.print_exc()
            return _error(
                message, "internal", discreet(f"rendering failed ({type(error).__name__}: {error})")
            )

    def _render(self, message: Message) -> Message:
        import numpy as np

        from splinescape.protocol.arrays import to_buffer

        asked = Asked.read(message)
        rasterizer = self._engine()
        scene = self._scenes.find(asked.job, asked.folder, rasterizer.device)
        shape = (len(asked.cams_T_world), asked.height, asked.width)
        made: dict[str, NDArray[Any]] = {
            "rgb": np.empty((*shape, 3), np.uint8),
            "depth": np.empty(shape, np.float32),
            "alpha": np.empty(shape, np.uint8),
        }
        for i, (cam_T_world, K_33) in enumerate(zip(asked.cams_T_world, asked.Ks_33, strict=True)):
            view = scene.draw(rasterizer, cam_T_world, K_33, asked.width, asked.height)
            if "rgb" in asked.kinds:
                made["rgb"][i] = _bytes(view.rgb)
            if "alpha" in asked.kinds:
                made["alpha"][i] = _bytes(view.alpha)
            if "depth" in asked.kinds:
                alpha, depth = view.alpha.cpu().numpy(), view.depth.cpu().numpy()
                made["depth"][i] = np.where(alpha > 0, depth, np.float32(np.inf))
        buffers: tuple[Buffer, ...] = tuple(to_buffer(kind, made[kind]) for kind in asked.kinds)
        facts = {"revision": scene.revision, "splats": len(scene.splats)}
        return Message("reply", facts, job=message.job, parent=message.id, buffers=buffers)

    def _engine(self) -> Rasterizer:
        if self._rasterizer is None:
            from splinescape import engines

            self._rasterizer = engines.rasterizer()
        return self._rasterizer


def _bytes(picture: Any) -> NDArray[np.uint8]:
    """Values in [0, 1] as bytes."""
    return (picture.clamp(0, 1) * 255).round().byte().cpu().numpy()


def _ahead_of_training() -> AbstractContextManager[Any]:
    """On a GPU, a stream of its own that goes before what training has queued; on CPUs, threads see to that."""
    import torch

    if not torch.cuda.is_available():
        return contextlib.nullcontext()
    return torch.cuda.stream(torch.cuda.Stream(priority=-1))


def _error(request: Message, code: ErrorCode, text: str) -> Message:
    return Message("error", {"code": code, "message": text}, job=request.job, parent=request.id)
