"""What the broker knows of a connection that has ended meanwhile."""

from __future__ import annotations

import zmq

from splinescape.service.lines import Line, Lines


def test_an_answer_to_somebody_who_has_left_is_left_to_zeromq() -> None:
    """His request can be read after his connection was seen to end, and its answer can be large."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        lines = Lines(socket)
        left = Line()
        left.handed = 10_000_000
        assert lines.has_room(left, 10_000_000)
        lines.close()
