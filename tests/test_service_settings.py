"""Settings of the service: safe by themselves, and every mistake is named with what is allowed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from splinescape.client.places import default_connection
from splinescape.errors import InputError
from splinescape.picture.header import MAX_DECODED_PIXELS
from splinescape.service.settings import ServiceSettings, load_settings, split_address


def mistake(file: Path | None = None, **overrides: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_settings(file, **overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_by_itself_the_service_is_for_this_machine_alone() -> None:
    settings = load_settings()
    assert settings == ServiceSettings()
    assert settings.listen is None
    assert settings.devices == ("auto",)
    assert settings.connection_file == default_connection()  # where the client looks, without platformdirs
    assert settings.keys_dir == settings.data_dir / "keys"
    assert settings.limits.picture_pixels == MAX_DECODED_PIXELS  # as the command line
    assert settings.limits.chunk <= settings.limits.frame
    assert settings.limits.path_bytes <= settings.limits.frame


def test_a_file_and_what_is_given_besides(tmp_path: Path) -> None:
    file = tmp_path / "service.toml"
    file.write_text(
        f'data_dir = "{tmp_path.as_posix()}"\nlisten = "0.0.0.0:5750"\ndevices = ["cpu", "cpu"]\nmax_retries = 1\n'
        "[limits]\njobs = 7\n[retention]\ndays = 0\ngigabytes = 2.5\n"
    )
    settings = load_settings(file, max_retries=5, devices=["cuda:0", "cuda:1"])
    assert settings.data_dir == tmp_path
    assert settings.listen == "0.0.0.0:5750"
    assert settings.devices == ("cuda:0", "cuda:1")
    assert settings.max_retries == 5
    assert settings.limits.jobs == 7
    assert settings.limits.chunk == 2**18
    policy = settings.retention.policy()
    assert (policy.max_age_days, policy.max_bytes) == (None, 2_500_000_000)


def test_settings_do_not_change_once_they_were_checked() -> None:
    with pytest.raises(ValidationError):
        load_settings().max_retries = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("localhost:80", "127.0.0.1:80"),
        ("*:65535", "0.0.0.0:65535"),
        ("192.168.1.5:5750", "192.168.1.5:5750"),
    ],
)
def test_where_to_listen(given: str, expected: str) -> None:
    assert load_settings(listen=given).listen == expected


def test_the_data_folder_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(data_dir="here").data_dir == tmp_path / "here"
    assert load_settings(data_dir=Path("~/there")).data_dir == Path.home() / "there"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"speed": 1}, ["speed", "not known", "heartbeat_s"]),
        ({"limits": {"chunks": 1}}, ["limits.chunks", "not known", "chunk"]),
        ({"limits": 5}, ["limits must be an object"]),
        ({"limits": {"chunk": 10**9}}, ["limits.chunk must be at most 16777216, not 1000000000"]),
        ({"limits": {"chunk": 2**21}}, ["chunk must be at most frame, which is 1048576"]),
        ({"limits": {"frame": 2**19}}, ["path_bytes must be at most frame, which is 524288"]),
        ({"limits": {"jobs": "many"}}, ["limits.jobs must be a whole number, not 'many'"]),
        ({"limits": {"messages_per_s": float("nan")}}, ["limits.messages_per_s must be a finite number"]),
        ({"heartbeat_s": 0}, ["heartbeat_s must be at least 0.05, not 0"]),
        ({"heartbeat_s": 10}, ["worker_timeout_s must be at least three times heartbeat_s"]),
        ({"max_retries": 1.5}, ["max_retries must be a whole number, not 1.5"]),
        ({"retention": {"days": -1}}, ["retention.days must be at least 0, not -1"]),
        ({"devices": []}, ["devices must have a length of at least 1"]),
        ({"devices": "cpu"}, ["devices must be a list, not 'cpu'"]),
        ({"devices": ["gpu"]}, ["devices[0]", "must be auto, cpu or cuda:N, not 'gpu'"]),
        ({"devices": ["cuda:-1"]}, ["devices[0]", "cuda:N"]),
        ({"devices": ["cpu; rm -rf /"]}, ["devices[0]", "cuda:N"]),
        ({"devices": ["auto", "cpu"]}, ["devices", "alone"]),
        ({"listen": "0.0.0.0"}, ["listen", "0.0.0.0:5750"]),
        ({"listen": ":5750"}, ["listen", "HOST:PORT"]),
        ({"listen": "0.0.0.0:0"}, ["listen", "1 to 65535"]),
        ({"listen": "0.0.0.0:http"}, ["listen", "1 to 65535"]),
        ({"listen": "studio:5750"}, ["listen", "IPv4 address of this machine", "0.0.0.0"]),
        ({"listen": "tcp://0.0.0.0:5750"}, ["listen"]),
        ({"listen": "[::]:5750"}, ["listen"]),
        ({"listen": 5750}, ["listen must be text, not 5750"]),
        ({"data_dir": 5}, ["data_dir"]),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(overrides: dict[str, Any], words: list[str]) -> None:
    message = mistake(**overrides)
    for word in words:
        assert word in message


def test_the_file_is_blamed_for_its_own_mistakes_only(tmp_path: Path) -> None:
    file = tmp_path / "service.toml"
    file.write_text("max_retries = -1\n")
    assert mistake(file, heartbeat_s=2).startswith(f"{file}: max_retries must be at least 0")
    file.write_text("max_retries = 1\n")
    assert mistake(file, heartbeat_s=-1).startswith("heartbeat_s must be")
    file.write_text("retries = 1\n")
    assert mistake(file, heartbeat_s=-1).startswith(f"{file}: 'retries' is not known")
    assert mistake(file.with_name("none"), speed=1).startswith("the settings file")
    file.write_text("")
    assert mistake(file, speed=1).startswith("'speed' is not known")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "service.toml"
    assert "cannot be read: No such file" in mistake(file)
    assert "cannot be read" in mistake(tmp_path)
    for text in (b"devices = [", b"a = 1\na = 2\n", b"\xff\xfe", b"a = " + b"[" * 100_000):
        file.write_bytes(text)
        assert "is not a TOML file" in mistake(file)
    with file.open("wb") as huge:
        huge.truncate(2**21)
    assert "too large" in mistake(file)


@pytest.mark.parametrize("text", ["", ":", "a:", "a:b", "a:1:2", "a:99999", "a:٣", "a: 1"])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        split_address(text)


def test_reading_settings_loads_nothing_heavy() -> None:
    code = (
        "import sys, splinescape.service.settings\n"
        "assert not {'numpy', 'torch', 'zmq', 'sqlite3'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
