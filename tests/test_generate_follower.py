"""The half of Generate Scene that needs no Blender: a job of a real service, from the picture to the splats."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from service_support import PATH_JSON, TINY, RunningService, expected_ply, picture_png

from addon.generate.follower import Follower, Order
from addon.generate.job_view import Arrived, JobView
from addon.generate.wording import headline, progress_text
from splinescape.client import Client, Event
from splinescape.io.formats import load_arrays

ROOM = Path(__file__).parents[1] / "examples" / "room.png"
LONGER: dict[str, Any] = {
    "stage": "coarse",
    "n_frames": 8,
    "max_resolution": 192,
    "coarse_dense_multiplier": 4,
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("follower") / "data")
    yield running
    running.close()


class Artist:
    """What Blender does: polls, hands on events, takes splats over, and watches."""

    def __init__(self, connection: str | Path, follower: Follower, importing: bool = True) -> None:
        self.client = Client(connection)
        self.follower = follower
        self.importing = importing
        self.states: list[str] = []
        self.problems: list[str] = []
        self.shown: list[Arrived] = []
        self.counts: list[int] = []

    @property
    def view(self) -> JobView:
        return self.follower.view

    def turn(self) -> None:
        for event in self.client.poll(5):
            if event.job == self.view.job:
                self.follower.take(event)
        self.follower.step(self.client)
        if self.view.state not in self.states[-1:]:
            self.states.append(self.view.state)
        if self.view.problem() not in self.problems[-1:]:
            self.problems.append(self.view.problem())
        if self.importing and self.view.arrived is not None:
            self.counts.append(len(load_arrays(self.view.arrived.path)[0].means))
            self.shown.append(self.view.arrived)
            self.follower.imported()

    def until(self, condition: Callable[[], Any], seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (self.view, self.states, self.problems)
            self.turn()
            self.client.wait(0.01)

    def leave(self) -> None:
        self.follower.close()
        self.client.close()


def order(name: str = "test", **settings: Any) -> Order:
    return Order(name, picture_png(), None, PATH_JSON, {**TINY, **settings})


def longer(name: str = "test") -> Order:
    """A room with things in it, which hide more than one frame can uncover."""
    file = io.BytesIO()
    with Image.open(ROOM) as room:
        room.resize((192, 144)).save(file, "PNG")
    return Order(name, file.getvalue(), None, PATH_JSON, LONGER)


def submitted(folder: Path, wanted: Order) -> Follower:
    folder.mkdir(exist_ok=True)
    return Follower.submitted(wanted, folder, lambda _view: folder / "result" / "gf.ply")


def test_a_job_is_followed_from_the_picture_to_the_scene(service: RunningService, tmp_path: Path) -> None:
    artist = Artist(service.connection, submitted(tmp_path, order()))
    artist.until(lambda: artist.follower.finished)
    view = artist.view
    assert artist.states[0] in ("waiting", "sending")
    assert artist.states[-2:] == ["running", "done"]
    assert set(artist.problems) <= {""}
    previews, result = artist.shown[:-1], artist.shown[-1]
    assert previews, "splats were shown while it ran"
    assert all(not each.final for each in previews)
    assert [each.revision for each in previews] == sorted({each.revision for each in previews})
    assert [each.count for each in previews] == artist.counts[:-1]
    assert not any(each.path.exists() for each in previews), "previews are tidied up"
    assert result == Arrived(tmp_path / "result" / "gf.ply", result.revision, 0, final=True)
    assert headline(view) == "Done"
    assert result.path.read_bytes() == expected_ply(picture_png(), PATH_JSON, TINY)
    assert view.thumbnails.keys() == {"rgb", "depth"}
    assert view.input_frame is not None
    assert (view.input_frame.width, view.input_frame.height) == (64, 32)
    assert view.summary is not None
    assert view.summary["data"]["total_splats"] == artist.counts[-1]
    assert view.frames >= 2
    assert view.n_frames == TINY["n_frames"]
    artist.leave()


def test_whoever_comes_back_later_is_told_the_same(service: RunningService, tmp_path: Path) -> None:
    first = Artist(service.connection, submitted(tmp_path / "one", order()))
    first.until(lambda: first.view.frames >= 1)
    first.leave()
    later = Artist(
        service.connection,
        Follower.attached(first.view.job, "test", tmp_path, lambda _view: tmp_path / "later" / "gf.ply"),
    )
    later.until(lambda: later.follower.finished)
    assert later.shown[-1].final
    assert later.view.frames >= 2
    assert later.view.summary is not None
    once_more = Artist(
        service.connection,
        Follower.attached(first.view.job, "test", tmp_path, lambda _view: tmp_path / "again" / "gf.ply"),
    )
    once_more.until(lambda: once_more.follower.finished)
    assert [each.final for each in once_more.shown] == [True], "previews of a finished job are not fetched"
    assert once_more.view.input_frame == later.view.input_frame
    later.leave()
    once_more.leave()


def test_nothing_newer_is_fetched_before_the_last_was_taken_over(
    service: RunningService, tmp_path: Path
) -> None:
    artist = Artist(service.connection, submitted(tmp_path, order()), importing=False)
    artist.until(lambda: artist.view.state == "done" and artist.view.arrived is not None)
    held = artist.view.arrived
    for _ in range(50):
        artist.turn()
    assert artist.view.arrived is held
    artist.importing = True
    artist.until(lambda: artist.follower.finished)
    assert artist.shown[-1].final
    artist.leave()


def test_a_result_that_cannot_be_written_is_said_and_not_tried_for_ever(
    service: RunningService, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"where a folder should be")
    follower = Follower.submitted(order(), tmp_path, lambda _view: tmp_path / "file" / "gf.ply")
    artist = Artist(service.connection, follower)
    artist.until(lambda: artist.follower.finished, 60)
    assert artist.view.state == "done"
    assert artist.view.problem().startswith("The finished scene cannot be fetched: cannot write")
    assert artist.view.problem().endswith("Import Scene tries again")
    artist.leave()

    def refuse(_view: JobView) -> Path:
        raise PermissionError("no place")

    later = Artist(service.connection, Follower.attached(artist.view.job, "test", tmp_path, refuse))
    later.until(lambda: later.follower.finished, 30)
    assert "no place" in later.view.problem()
    later.leave()


def test_a_job_is_paused_resumed_and_cancelled(service: RunningService, tmp_path: Path) -> None:
    artist = Artist(service.connection, submitted(tmp_path, longer()))
    artist.until(lambda: artist.view.state == "running" and artist.view.frames >= 1)
    artist.follower.pause()
    artist.until(lambda: artist.view.state == "paused")
    assert not artist.view.ended
    artist.follower.resume()
    artist.until(lambda: artist.view.state == "running")
    artist.follower.cancel()
    artist.until(lambda: artist.view.state == "cancelled")
    assert "Resume" in artist.view.problem()
    artist.follower.resume()
    artist.until(lambda: artist.view.state == "done" and artist.follower.finished)
    assert artist.shown[-1].final
    artist.leave()


def test_cancelling_while_the_picture_is_sent_leaves_no_running_job(
    service: RunningService, tmp_path: Path
) -> None:
    artist = Artist(service.connection, submitted(tmp_path, longer("hasty")))
    artist.until(lambda: artist.view.state == "sending")
    artist.follower.cancel()
    artist.until(lambda: artist.view.ended)
    assert artist.view.state == "cancelled"
    artist.leave()


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        (Order("x", b"this is no picture", None, PATH_JSON, TINY), "picture"),
        (Order("x", picture_png(), None, PATH_JSON, {**TINY, "n_frames": 1}), "n_frames"),
        (Order("x", picture_png(), None, "{}", TINY), "path"),
        (Order("x", picture_png(), None, None, TINY, {"depth": "nonsense"}), "nonsense"),
    ],
)
def test_what_the_service_refuses_is_a_sentence_with_the_next_step(
    service: RunningService, tmp_path: Path, wanted: Order, word: str
) -> None:
    artist = Artist(service.connection, submitted(tmp_path, wanted))
    artist.until(lambda: artist.view.ended)
    assert artist.view.state in ("refused", "failed")
    assert word in artist.view.problem()
    assert artist.view.problem().endswith(("generate again", "settings"))
    assert "\n" not in artist.view.problem()
    artist.leave()


def test_a_job_that_the_service_does_not_have_is_said_to_be_gone(
    service: RunningService, tmp_path: Path
) -> None:
    artist = Artist(
        service.connection, Follower.attached("0" * 32, "old", tmp_path, lambda _view: tmp_path / "gf.ply")
    )
    artist.until(lambda: artist.view.ended)
    assert artist.view.state == "gone"
    assert "generate again" in artist.view.problem()
    artist.leave()


def test_a_deleted_job_is_gone(service: RunningService, tmp_path: Path) -> None:
    artist = Artist(service.connection, submitted(tmp_path, longer()))
    artist.until(lambda: artist.view.state == "running")
    artist.client.delete(artist.view.job)
    artist.until(lambda: artist.view.ended)
    assert artist.view.state == "gone"
    artist.leave()


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["sending", "running", "splats"])
def test_a_killed_service_is_noticed_and_the_job_goes_on_when_it_is_back(tmp_path: Path, moment: str) -> None:
    running = RunningService(tmp_path / "data")
    try:
        artist = Artist(running.connection, submitted(tmp_path / "view", longer()))
        moments: dict[str, Callable[[], bool]] = {
            "sending": lambda: artist.view.state == "sending",
            "running": lambda: artist.view.state == "running",
            "splats": lambda: bool(artist.shown),
        }
        artist.until(moments[moment])
        running.kill()
        artist.until(lambda: artist.view.connection == "lost")
        assert "Reconnect" in artist.view.problem()
        running.start()
        artist.until(lambda: artist.follower.finished)
        assert artist.view.state == "done"
        assert artist.problems[-1] == ""
        assert artist.shown[-1].final
        artist.leave()
    finally:
        running.close()


@pytest.mark.slow
def test_a_killed_worker_costs_nothing_but_time(service: RunningService, tmp_path: Path) -> None:
    artist = Artist(service.connection, submitted(tmp_path, longer()))
    artist.until(lambda: bool(artist.shown))
    for worker in service.workers():
        worker.kill()
    artist.until(lambda: artist.follower.finished)
    assert artist.view.state == "done"
    artist.leave()


def test_an_order_waits_for_the_service_to_start(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    artist = Artist(folder / "connection.json", submitted(tmp_path / "view", order()))
    for _ in range(20):
        artist.turn()
    assert artist.view.state == "waiting"
    running = RunningService(folder)
    try:
        artist.until(lambda: artist.follower.finished)
        assert artist.view.state == "done"
        artist.leave()
    finally:
        running.close()


def test_cancelling_before_there_is_a_service_sends_nothing(tmp_path: Path) -> None:
    artist = Artist(tmp_path / "connection.json", submitted(tmp_path / "view", order()))
    artist.turn()
    artist.follower.cancel()
    artist.turn()
    assert artist.view.state == "cancelled"
    artist.leave()


def test_an_order_is_cancelled_where_there_is_no_backend_at_all(tmp_path: Path) -> None:
    follower = submitted(tmp_path / "view", order())
    follower.cancel()
    assert (follower.view.state, follower.view.reason) == ("cancelled", "nothing was sent")
    assert follower.finished


def test_a_job_that_another_backend_did_not_have_is_as_before_when_its_own_is_back(
    service: RunningService, tmp_path: Path
) -> None:
    first = Artist(service.connection, submitted(tmp_path / "one", order()))
    first.until(lambda: first.follower.finished)
    client, first.client = first.client, Client(tmp_path / "no_connection.json")
    first.follower.take(Event(10**6, first.view.job, 0.0, "state", {"state": "deleted"}))
    assert first.view.state == "gone"
    first.turn()
    assert first.view.state == "done"
    first.leave()
    client.close()


def test_of_two_quick_clicks_the_last_one_counts(service: RunningService, tmp_path: Path) -> None:
    artist = Artist(service.connection, submitted(tmp_path, longer()))
    artist.until(lambda: artist.view.state == "running" and artist.view.frames >= 1)
    artist.follower.pause()
    artist.follower.cancel()
    artist.until(lambda: artist.view.state == "cancelled")
    artist.leave()


def test_the_progress_over_all_frames_stays_while_one_is_added(tmp_path: Path) -> None:
    follower = submitted(tmp_path, order())
    told = (
        ("progress", {"stage": "coarse", "step": 2, "total": 8, "eta_s": 30.0}),
        ("stage", {"stage": "expanded", "detail": "pose 40"}),
    )
    for seq, (kind, data) in enumerate(told, 1):
        follower.take(Event(seq, "0" * 32, 0.0, kind, data))
    assert follower.view.fraction == 0.25
    eta = follower.view.eta
    part = {"stage": "expanded", "step": 20, "total": 80, "eta_s": 1.0}
    follower.take(Event(3, "0" * 32, 0.0, "progress", part))
    assert follower.view.fraction == 2.25 / 8  # a frame's own steps move the bar within its share
    assert (progress_text(follower.view, 0.0), follower.view.eta) == ("2 of 8", eta)
    assert (
        headline(JobView("x", "0" * 32, "running", stage=follower.view.stage))
        == "Adding a view along the path"
    )
    follower.take(Event(4, "0" * 32, 0.0, "stage", {"stage": "settle", "detail": ""}))
    assert follower.view.fraction is None


def test_a_turn_is_short(service: RunningService, tmp_path: Path) -> None:
    """What the artist pays for following a job; the client's own poll is measured where it is tested."""
    artist = Artist(service.connection, submitted(tmp_path, order()), importing=False)
    longest = 0.0
    deadline = time.monotonic() + 60
    while artist.view.state != "done" and time.monotonic() < deadline:
        begin = time.thread_time()
        for event in artist.client.poll(2):
            artist.follower.take(event)
        artist.follower.step(artist.client)
        longest = max(longest, time.thread_time() - begin)
        time.sleep(0.01)
    assert artist.view.state == "done"
    assert longest < 0.005
    artist.leave()
