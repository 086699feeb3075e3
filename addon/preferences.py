"""The extension's preferences: which backend, where it lies, what it may use."""

from pathlib import Path

import bpy

from .backend import connect, environment, ticking
from .backend.choice import Choice
from .backend.draw import columns_in, draw_backend, draw_models
from .backend.errors import BackendError

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


def _changed(_preferences: bpy.types.AddonPreferences, _context: bpy.types.Context) -> None:
    """Something else is wanted: look at it, so that the status is true."""
    backend = connect.current_backend()
    if backend is not None:
        backend.check_own()
        ticking.wake(looking=True)


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
        update=_changed,
    )
    connection_file: bpy.props.StringProperty(
        name="Connection File",
        description="The file that 'splinescape keys new' made on the machine where the service runs",
        subtype="FILE_PATH",
        update=_changed,
    )
    environment: bpy.props.EnumProperty(
        name="Environment",
        description="Which Python environment the backend on this machine runs in",
        items=(
            ("INSTALLED", "Installed Here", "One that Install Backend makes, apart from everything else"),
            (
                "OWN",
                "My Own Environment",
                "One that has Splinescape already, such as on a machine without network",
            ),
        ),
        default="INSTALLED",
        update=_changed,
    )
    python: bpy.props.StringProperty(
        name="Python",
        description="Python interpreter of your own environment, such as .venv/bin/python",
        subtype="FILE_PATH",
        update=_changed,
    )
    device: bpy.props.EnumProperty(
        name="Device",
        description="What the backend on this machine works on; holds from its next start on",
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
        update=_changed,
    )
    environment_folder: bpy.props.StringProperty(
        name="Install In",
        description="Folder for the backend's environment, 3 to 12 GB; empty: the extension's own folder",
        subtype="DIR_PATH",
        update=_changed,
    )
    base_python: bpy.props.StringProperty(
        name="Made With",
        description="Python 3.11 or newer to make the environment with; empty: Blender's own",
        subtype="FILE_PATH",
    )
    build: bpy.props.EnumProperty(
        name="Build",
        description="Which build of PyTorch Install Backend fetches",
        items=(
            ("auto", "Automatic", "CUDA if there is an NVIDIA driver, otherwise CPU"),
            ("cpu", "CPU", "Smaller; runs everywhere"),
            ("cuda", "CUDA", "For NVIDIA GPUs"),
        ),
        default="auto",
    )
    show_folders: bpy.props.BoolProperty(
        name="Folders and Build", description="Show where things lie and what Install Backend fetches"
    )
    show_models: bpy.props.BoolProperty(
        name="Models", description="Show the models that the backend can fetch, with their licences"
    )

    def draw(self, context: bpy.types.Context) -> None:
        ticking.wake(looking=True, at_models=self.show_models)
        backend = connect.current_backend()
        if backend is None:
            return
        columns = columns_in(context.region.width, context.preferences.system.ui_scale)
        draw_backend(self.layout, self, backend, environment_folder(), columns)
        self.layout.prop(self, "quality")
        draw_models(self.layout, self, backend, columns)


def preferences() -> SplinescapePreferences | None:
    """This extension's preferences; None while it is being switched on or off."""
    addon = bpy.context.preferences.addons.get(__package__)
    return addon.preferences if addon is not None else None


def environment_folder() -> Path:
    """The folder that holds the backend's environment, whether it exists or not."""
    wanted = preferences()
    chosen = _path(wanted.environment_folder) if wanted is not None else None
    return chosen or Path(bpy.utils.extension_path_user(__package__, path="backend", create=False))


def data_folder() -> Path:
    """The folder of the local service's jobs."""
    from splinescape.client import default_connection

    wanted = preferences()
    chosen = _path(wanted.data_folder) if wanted is not None else None
    return chosen or default_connection().parent


def read_choice() -> Choice | None:
    """The backend that the preferences ask for; None while the extension is being switched on or off."""
    from splinescape import __version__

    wanted = preferences()
    if wanted is None:
        return None
    own = wanted.environment == "OWN"
    if own:
        python = _path(wanted.python)
        trouble = "" if python else "No Python chosen: choose the one of your environment in the preferences"
    else:
        found = environment.installed(environment_folder())
        trouble = environment.trouble_with(found, __version__)
        python = found.python if found is not None and not trouble else None
    return Choice(
        kind=wanted.backend,
        data_dir=data_folder(),
        connection_file=_path(wanted.connection_file),
        python=python,
        trouble=trouble,
        own=own,
        device=wanted.device,
        offline=no_network_reason(),
    )


def no_network_reason() -> str:
    """Why no other machine may be talked to, with what to do; "" when one may."""
    if bpy.app.online_access:
        return ""
    if bpy.app.online_access_override:
        return "Blender was started in offline mode: start it without --offline-mode"
    return "Online access is off: switch on Preferences > System > Allow Online Access"


def installation() -> tuple[environment.Plan, Path]:
    """What Install Backend would install, and the Python to do it with.

    Raises:
        BackendError: the extension's files are incomplete, or there is no Python.
    """
    from splinescape import __version__

    wanted = preferences()
    source = environment.find_source(Path(__file__))
    if source is None or wanted is None:
        raise BackendError("The extension's own files are incomplete: install the extension again")
    pythons = environment.pythons(_path(wanted.base_python))
    if not pythons:
        raise BackendError("There is no Python to make an environment with: choose one at Made With")
    kind = wanted.build
    if kind == "auto":
        kind = "cuda" if environment.has_nvidia() else "cpu"
    return environment.make_plan(environment_folder(), __version__, source, kind), pythons[0]


def _path(text: str) -> Path | None:
    return Path(bpy.path.abspath(text)) if text.strip() else None


def register() -> None:
    bpy.utils.register_class(SplinescapePreferences)
    connect.open_backend(read_choice)


def unregister() -> None:
    connect.close_backend()
    bpy.utils.unregister_class(SplinescapePreferences)
