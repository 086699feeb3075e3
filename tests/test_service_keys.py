"""Keys: made once, never readable by others, revoked at once, and no name can lead out of their folder."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from cli_support import Ran
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from splinescape.errors import InputError
from splinescape.protocol.connection import Connection, read_connection, write_connection
from splinescape.service.keys import LOCAL_KEY, Keyring, check_listen

Cli = Callable[..., Ran]

posix = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.open(tmp_path / "keys")


@pytest.fixture
def loose_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def everything_in(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_the_services_pair_is_made_once_and_fits_together(tmp_path: Path) -> None:
    first, second = Keyring.open(tmp_path / "data" / "keys"), Keyring.open(tmp_path / "data" / "keys")
    assert first.server_secret == second.server_secret
    assert zmq.curve_public(first.server_secret).decode() == second.server_public_text
    assert first.list() == []


def test_a_clients_key_is_known_by_name_and_by_key(keyring: Keyring) -> None:
    before = int(time.time())
    pair = keyring.new("laptop")
    assert zmq.curve_public(pair.secret.encode()).decode() == pair.public
    assert keyring.knows("laptop") and not keyring.knows("studio")
    assert keyring.public_key("laptop") == pair.public
    assert keyring.name_of(pair.public) == "laptop"
    assert keyring.name_of(keyring.server_public_text) is None
    (key,) = keyring.list()
    assert (key.name, key.public, key.seen) == ("laptop", pair.public, None)
    assert before <= key.created <= time.time()


def test_secrets_of_clients_stay_with_the_clients(keyring: Keyring) -> None:
    pair = keyring.new("laptop")
    assert pair.public.encode() in everything_in(keyring.folder)
    assert pair.secret.encode() not in everything_in(keyring.folder)
    assert pair.secret not in repr(pair)


def test_a_name_is_taken_until_it_is_revoked(keyring: Keyring) -> None:
    old = keyring.new("laptop")
    with pytest.raises(InputError, match="there is a key laptop already"):
        keyring.new("laptop")
    assert keyring.public_key("laptop") == old.public
    keyring.revoke("laptop")
    assert not keyring.knows("laptop")
    assert keyring.name_of(old.public) is None
    new = keyring.new("laptop")
    assert keyring.name_of(new.public) == "laptop"
    assert keyring.name_of(old.public) is None


def test_revoking_what_is_not_there_lists_what_is(keyring: Keyring) -> None:
    keyring.new("laptop")
    keyring.new("studio")
    with pytest.raises(InputError, match="there is no key latop; there are: laptop, studio"):
        keyring.revoke("latop")


def test_what_another_process_changes_is_noticed(keyring: Keyring) -> None:
    other = Keyring.open(keyring.folder)
    pair = other.new("laptop")
    assert not keyring.knows("laptop")
    keyring.refresh()
    assert keyring.name_of(pair.public) == "laptop"
    other.revoke("laptop")
    again = other.new("laptop")  # at once, under the same name, perhaps in the same place on disk
    keyring.refresh()
    assert keyring.name_of(pair.public) is None
    assert keyring.name_of(again.public) == "laptop"


def test_noticing_that_nothing_changed_costs_next_to_nothing(keyring: Keyring) -> None:
    for i in range(20):
        keyring.new(f"client{i}")
    began = time.thread_time()
    for _ in range(100):
        keyring.refresh()
    assert time.thread_time() - began < 0.1


def test_the_last_use_is_remembered(keyring: Keyring) -> None:
    keyring.new("laptop")
    keyring.new("studio")
    began = time.time()
    keyring.mark_seen("laptop")
    keyring.mark_seen("nobody")
    seen = {key.name: key.seen for key in Keyring.open(keyring.folder).list()}
    assert seen["studio"] is None
    assert seen["laptop"] is not None
    assert abs(seen["laptop"] - began) < 5


_MAKE = """
import sys; from pathlib import Path
from splinescape.errors import InputError
from splinescape.service.keys import Keyring
sys.stdin.readline()
keyring = Keyring.open(Path(sys.argv[1]))
try:
    print(keyring.server_public_text, keyring.new("laptop").public)
except InputError:
    print(keyring.server_public_text, "taken")
"""


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _MAKE, str(tmp_path / "keys")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(4)]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=30)[0].split() for process in processes]
    keyring = Keyring.open(tmp_path / "keys")
    assert {server for server, _ in answers} == {keyring.server_public_text}
    assert [public for _, public in answers if public != "taken"] == [keyring.public_key("laptop")]
    assert not list((tmp_path / "keys").rglob("*.tmp"))


@posix
@pytest.mark.usefixtures("loose_umask")
def test_nobody_else_may_read_anything(tmp_path: Path) -> None:
    keyring = Keyring.open(tmp_path / "keys")
    keyring.new("laptop")
    for path in [keyring.folder, *keyring.folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@posix
@pytest.mark.parametrize(
    ("place", "mode"),
    [
        (".", 0o755),
        (".", 0o710),
        ("clients", 0o777),
        ("server.json", 0o640),
        ("server.json", 0o604),
        ("clients/laptop.json", 0o622),
    ],
)
def test_open_permissions_are_refused_with_the_remedy(keyring: Keyring, place: str, mode: int) -> None:
    keyring.new("laptop")
    path = keyring.folder / place
    path.chmod(mode)
    with pytest.raises(InputError, match="other users can get at") as caught:
        Keyring.open(keyring.folder)
    remedy = str(caught.value).rpartition("chmod ")[2].split()
    Path(remedy[1]).chmod(int(remedy[0], 8))
    assert Keyring.open(keyring.folder).knows("laptop")


@posix
def test_a_key_that_others_could_write_lets_nobody_in(keyring: Keyring) -> None:
    pair = keyring.new("laptop")
    (keyring.folder / "clients" / "laptop.json").chmod(0o666)
    os.utime(keyring.folder / "clients" / "laptop.json")
    keyring.refresh()
    assert keyring.name_of(pair.public) is None


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to give files away")
def test_keys_of_another_user_are_refused(keyring: Keyring) -> None:
    os.chown(keyring.folder / "server.json", 12345, 12345)
    with pytest.raises(InputError, match="belongs to another user"):
        Keyring.open(keyring.folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[" * 3000,
        json.dumps({"public_key": "x" * 40, "secret_key": "y" * 40}),
        json.dumps({"public_key": 1, "secret_key": 2}),
        json.dumps({"public_key": "x", "secret_key": "ä" * 40}),
        "\0" * 10_000_000,
    ],
)
def test_a_damaged_pair_is_not_replaced_in_silence(keyring: Keyring, text: str) -> None:
    path = keyring.folder / "server.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"server\.json is damaged: bring it back"):
        Keyring.open(keyring.folder)
    assert path.read_text() == text


def test_damaged_keys_of_clients_let_nobody_in_and_can_be_revoked(keyring: Keyring) -> None:
    pair = keyring.new("good")
    clients = keyring.folder / "clients"
    for name, text in {
        "empty": "",
        "list": "[]",
        "short": json.dumps({"public_key": "x", "created": 1}),
        "date": json.dumps({"public_key": "x" * 40, "created": "yesterday"}),
        "deep": "[" * 4000,
        "-odd name": json.dumps({"public_key": "x" * 40, "created": 1}),
    }.items():
        (clients / f"{name}.json").write_text(text)
    (clients / "folder.json").mkdir()
    (clients / "link.json").symlink_to(clients / "good.json")
    for file in clients.glob("*.json"):
        file.chmod(0o700 if file.is_dir() else 0o600)
    again = Keyring.open(keyring.folder)
    assert [key.name for key in again.list()] == ["good"]
    assert again.name_of(pair.public) == "good"
    again.revoke("empty")
    assert not (clients / "empty.json").exists()


def test_without_its_folder_nobody_is_let_in(keyring: Keyring) -> None:
    pair = keyring.new("laptop")
    (keyring.folder / "clients").rename(keyring.folder / "elsewhere")
    keyring.refresh()
    assert keyring.name_of(pair.public) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../server",
        "a/b",
        "a\\b",
        "-rf",
        ".hidden",
        "a b",
        "a\n",
        "é",
        "x" * 64,
        "NUL",
        "con.json",
        "a\0",
    ],
)
def test_names_that_would_be_paths_or_worse_are_refused(keyring: Keyring, name: str) -> None:
    for use in (keyring.new, keyring.revoke):
        with pytest.raises(InputError, match="cannot be the name of a key"):
            use(name)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(max_size=70))
@example("../../evil")
def test_whatever_a_key_is_called_it_lies_in_its_folder(keyring: Keyring, name: str) -> None:
    outside = {path for path in keyring.folder.parent.rglob("*") if path.parent.name != "clients"}
    try:
        keyring.new(name)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        keyring.revoke(name)
    assert {path for path in keyring.folder.parent.rglob("*") if path.parent.name != "clients"} == outside


def test_a_folder_that_cannot_be_used_says_why(tmp_path: Path, read_only_folder: Path) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        Keyring.open(read_only_folder / "keys")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be used"):
        Keyring.open(tmp_path / "file" / "keys")


def test_what_a_crash_left_behind_is_removed_in_time(keyring: Keyring) -> None:
    old, young = keyring.folder / ".server.json-1.tmp", keyring.folder / "clients" / ".a.json-2.tmp"
    old.write_text("")
    young.write_text("")
    os.utime(old, (0, 0))
    Keyring.open(keyring.folder)
    assert not old.exists()
    assert young.exists()


# Listening.


def test_other_machines_are_let_in_on_purpose_only(keyring: Keyring) -> None:
    for own in ("127.0.0.1:5750", "127.8.9.1:80"):
        check_listen(own, keyring)
    keyring.new(LOCAL_KEY)
    for open_to_others in ("0.0.0.0:5750", "192.168.1.5:5750"):
        with pytest.raises(
            InputError, match=r"splinescape keys new NAME --host ADDRESS-OF-THIS-MACHINE:5750"
        ):
            check_listen(open_to_others, keyring)
    keyring.new("laptop")
    check_listen("0.0.0.0:5750", keyring)
    keyring.revoke("laptop")
    with pytest.raises(InputError):
        check_listen("0.0.0.0:5750", keyring)


# The command line.


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a service that has run before, and an empty folder to be in."""
    keyring = Keyring.open(tmp_path / "data" / "keys")
    local = keyring.new(LOCAL_KEY)
    connection = Connection("tcp://127.0.0.1:5750", keyring.server_public_text, local.public, local.secret)
    write_connection(tmp_path / "data" / "connection.json", connection)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "data"


def refused(ran: Ran) -> str:
    assert ran.code == 2, ran
    (line,) = ran.err.splitlines()
    assert line.startswith("error: ")
    return line


def test_a_new_key_is_a_connection_file_that_opens_the_service(cli: Cli, data: Path) -> None:
    ran = cli("keys", "new", "laptop", "--host", "studio.local:6000", "--data", data)
    assert ran.code == 0, ran
    path = Path("splinescape-laptop.json")
    connection = read_connection(path)
    keyring = Keyring.open(data / "keys")
    assert connection.endpoint == "tcp://studio.local:6000"
    assert connection.server_key == keyring.server_public_text
    assert (
        connection.public_key
        == keyring.public_key("laptop")
        == zmq.curve_public(connection.secret_key.encode()).decode()
    )
    assert connection.name == "laptop"
    assert connection.secret_key not in ran.out + ran.err
    assert os.name != "posix" or stat.S_IMODE(path.stat().st_mode) == 0o600
    for words in (str(path), "tcp://studio.local:6000", "--remote", "--listen 0.0.0.0:6000"):
        assert words in ran.out


@pytest.mark.parametrize(
    ("host", "endpoint"),
    [
        ((), "tcp://127.0.0.1:5750"),
        (("--host", "studio"), "tcp://studio:5750"),
        (("--host", "10.0.0.7:99"), "tcp://10.0.0.7:99"),
    ],
)
def test_what_is_not_said_of_the_address_comes_from_the_service(
    cli: Cli, data: Path, host: tuple[str, ...], endpoint: str
) -> None:
    assert cli("keys", "new", "laptop", *host, "--data", data, "--out", "key.json").code == 0
    assert read_connection("key.json").endpoint == endpoint


def test_a_service_that_never_ran_needs_the_port(cli: Cli, data: Path) -> None:
    (data / "connection.json").unlink()
    assert "--host HOST:PORT" in refused(cli("keys", "new", "laptop", "--data", data))
    assert "--host HOST:PORT" in refused(cli("keys", "new", "laptop", "--host", "studio", "--data", data))
    assert not Keyring.open(data / "keys").knows("laptop")
    assert cli("keys", "new", "laptop", "--host", "studio:5750", "--data", data).code == 0


@pytest.mark.parametrize(
    "host", ["", ":5", "a:b", "a:0", "a:70000", "tcp://a:5", "a b:5", "[::1]:5", "a:5:6", "ä:5", "-x:5"]
)
def test_an_address_that_is_none_is_refused(cli: Cli, data: Path, host: str) -> None:
    refused(cli("keys", "new", "laptop", f"--host={host}", "--data", data))
    assert not Keyring.open(data / "keys").knows("laptop")


def test_a_key_does_not_overwrite_a_file(cli: Cli, data: Path) -> None:
    Path("key.json").write_text("precious")
    assert "key.json is there already" in refused(
        cli("keys", "new", "laptop", "--data", data, "--out", "key.json")
    )
    assert Path("key.json").read_text() == "precious"
    assert not Keyring.open(data / "keys").knows("laptop")


def test_a_key_that_cannot_be_written_is_not_let_in(cli: Cli, data: Path, read_only_folder: Path) -> None:
    refused(cli("keys", "new", "laptop", "--data", data, "--out", read_only_folder / "key.json"))
    assert not Keyring.open(data / "keys").knows("laptop")


def test_names_that_cannot_be_are_refused(cli: Cli, data: Path) -> None:
    assert "cannot be the name of a key" in refused(cli("keys", "new", "../laptop", "--data", data))
    assert "the service makes the key 'local' itself" in refused(cli("keys", "new", "local", "--data", data))
    assert list(Path().iterdir()) == []


def test_keys_are_listed_and_revoked(cli: Cli, data: Path) -> None:
    cli("keys", "new", "laptop", "--data", data)
    Keyring.open(data / "keys").mark_seen("laptop")
    ran = cli("keys", "list", "--data", data)
    assert ran.code == 0
    lines = {line.split()[0]: line for line in ran.out.splitlines()}
    assert Keyring.open(data / "keys").public_key("laptop") in lines["laptop"]
    assert "never" in lines["local"]
    assert "never" not in lines["laptop"]
    ran = cli("keys", "revoke", "laptop", "--data", data)
    assert ran.code == 0
    assert "laptop" in ran.out
    assert "laptop" not in cli("keys", "list", "--data", data).out
    assert "there is no key laptop; there are: local" in refused(
        cli("keys", "revoke", "laptop", "--data", data)
    )


def test_listing_makes_nothing(cli: Cli, tmp_path: Path) -> None:
    ran = cli("keys", "list", "--data", tmp_path / "none")
    assert ran.code == 0
    assert "no keys" in ran.out
    assert not (tmp_path / "none").exists()


def test_the_file_of_the_connection_tells_where_to_go_on(cli: Cli, data: Path) -> None:
    out = cli("keys", "new", "laptop", "--data", data).out
    assert "127.0.0.1" in out and "ssh" in out
