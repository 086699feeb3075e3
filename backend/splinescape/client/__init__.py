"""Talking to the service, from Blender, scripts and the command line.

    from splinescape.client import connect

    with connect() as service:
        job = service.submit("room.jpg", settings={"stage": "coarse"})
        for event in service.watch(job):
            print(event.kind, event.data)
        service.fetch(job, "gf.ply", "room.ply")

`Client` does the same without ever waiting. Standard library, numpy and pyzmq only.
"""

from splinescape.client.calls import Call
from splinescape.client.client import Client
from splinescape.client.infos import (
    FINAL_STATES,
    Capabilities,
    Device,
    Engine,
    Event,
    FileInfo,
    JobInfo,
    Limits,
    LogPart,
    Preview,
    Rendering,
)
from splinescape.client.places import default_connection
from splinescape.client.service import Service, connect
from splinescape.protocol.connection import Connection, read_connection
from splinescape.protocol.errors import ServiceError

__all__ = [
    "FINAL_STATES",
    "Call",
    "Capabilities",
    "Client",
    "Connection",
    "Device",
    "Engine",
    "Event",
    "FileInfo",
    "JobInfo",
    "Limits",
    "LogPart",
    "Preview",
    "Rendering",
    "Service",
    "ServiceError",
    "connect",
    "default_connection",
    "read_connection",
]
