"""Which backend the user wants, as plain data: what the preferences say, after a look at the disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["LOCAL", "FILE"]


@dataclass(frozen=True)
class Choice:
    """The backend to use.

    Attributes:
        kind: "LOCAL" is started on this machine, "FILE" runs wherever its connection file says.
        data_dir: folder of the local service: jobs, keys, logs.
        connection_file: of kind "FILE"; None while none is chosen.
        python: interpreter of a complete environment to start the local service with, None when there is none.
        trouble: why there is no such interpreter, for people.
        own: the interpreter is that of the user's own environment, which has to be looked at before it is used.
        device: "auto", "cpu" or "cuda:N".
        offline: why no other machine may be talked to, for people; "" when one may.
    """

    kind: Kind
    data_dir: Path
    connection_file: Path | None = None
    python: Path | None = None
    trouble: str = ""
    own: bool = False
    device: str = "auto"
    offline: str = ""

    @property
    def connection(self) -> Path | None:
        """The connection file that the client reads."""
        return self.data_dir / "connection.json" if self.kind == "LOCAL" else self.connection_file
