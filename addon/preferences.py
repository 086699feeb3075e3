"""The extension's preferences: which backend, where it lies, what it may use."""

from pathlib import Path

import bpy

from .backend import connect
from .backend.choice import Choice

QUALITIES = (
    ("DRAFT", "Draft", "Small and fast, to see whether picture and path go together"),
    ("PREVIEW", "Preview", "Enough to judge the scene"),
    ("HIGH", "High", "Large pictures, more frames and training; takes several times as long"),
)
DEVICES = (
    ("auto", "Automatic", "The NVIDIA GPU if there is one, otherwise the processor"),
    ("cpu", "Processor", "Work on the processor alone"),
    ("cuda:0", "First GPU", "The first NVIDIA GPU"),
    ("cuda:1", "Second GPU", "The second NVIDIA GPU"),
)


class SplinescapePreferences(bpy.types.AddonPreferences):
    """What holds for all .blend files of this user."""

    bl_idname = __package__

    backend: bpy.props.EnumProperty(
        name="Backend",
        description="Where scenes are made",
        items=(
            ("LOCAL", "This Machine", "A service on this machine, which is started when it is needed"),
            ("FILE", "Connection File", "A service that runs elsewhere, such as on a workstation with a GPU"),
        ),
        default="LOCAL",
    )
    connection_file: bpy.props.StringProperty(
        name="Connection File",
        description="The file that 'splinescape keys new' made on the machine where the service runs",
        subtype="FILE_PATH",
    )
    device: bpy.props.EnumProperty(
        name="Device",
        description="What the local backend works on; holds from its next start on",
        items=DEVICES,
        default="auto",
    )
    quality: bpy.props.EnumProperty(
        name="Quality",
        description="The settings that a new .blend begins with",
        items=QUALITIES,
        default="PREVIEW",
    )
    data_folder: bpy.props.StringProperty(
        name="Jobs",
        description="Folder of the local backend's jobs, results and logs; empty: a folder in your user account",
        subtype="DIR_PATH",
    )
    python: bpy.props.StringProperty(
        name="Python",
        description="Python interpreter of an environment in which Splinescape is installed already",
        subtype="FILE_PATH",
    )


def preferences() -> SplinescapePreferences | None:
    """This extension's preferences; None while it is being switched on or off."""
    addon = bpy.context.preferences.addons.get(__package__)
    return addon.preferences if addon is not None else None


def read_choice() -> Choice | None:
    """The backend that the preferences ask for."""
    from splinescape.client import default_connection

    wanted = preferences()
    if wanted is None:
        return None
    data = _path(wanted.data_folder) or default_connection().parent
    return Choice(
        kind=wanted.backend,
        data_dir=data,
        connection_file=_path(wanted.connection_file),
        python=_path(wanted.python),
        device=wanted.device,
    )


def _path(text: str) -> Path | None:
    return Path(bpy.path.abspath(text)) if text.strip() else None


def register() -> None:
    bpy.utils.register_class(SplinescapePreferences)
    connect.open_backend(read_choice)


def unregister() -> None:
    connect.close_backend()
    bpy.utils.unregister_class(SplinescapePreferences)
