"""The buttons of the preferences. In background, where no timer runs, they wait for the end."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import bpy

from .. import preferences as prefs
from . import connect, environment, processes, ticking
from .errors import BackendError

_INSTALL_S, _START_S, _STOP_S, _CONNECT_S, _MODEL_S = 7200.0, 130.0, 30.0, 15.0, 86400.0


def _backend() -> connect.Backend:
    backend = connect.current_backend()
    if backend is None:
        raise BackendError("The extension is being switched off")
    return backend


class SPLINESCAPE_OT_install_backend(bpy.types.Operator):
    """Download PyTorch and the backend's other parts into a Python environment of their own. About 3 GB of disk, \
12 GB with an NVIDIA GPU. Blender stays usable meanwhile"""

    bl_idname = "splinescape.install_backend"
    bl_label = "Install Backend"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        backend = connect.current_backend()
        if backend is None or backend.installer.running:
            cls.poll_message_set("The backend is being installed")
            return False
        reason = prefs.no_network_reason()
        if reason:
            cls.poll_message_set(f"{reason}, or choose My Own Environment, which needs no download")
        return not reason

    def execute(self, _context: bpy.types.Context) -> set[str]:
        try:
            plan, python = prefs.installation()
            installer = _backend().installer
            installer.begin(plan, python)
        except BackendError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if not bpy.app.background:
            ticking.wake()
            return {"FINISHED"}
        ticking.wait_for(lambda: not installer.running, _INSTALL_S)
        if installer.state != "done":
            self.report({"ERROR"}, f"{installer.text} (log: {installer.log_file})")
            return {"CANCELLED"}
        return {"FINISHED"}


class SPLINESCAPE_OT_cancel_install(bpy.types.Operator):
    """Stop installing. What has been downloaded is kept for the next time, an environment that was there stays"""

    bl_idname = "splinescape.cancel_install"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        backend = connect.current_backend()
        if backend is None or not backend.installer.running:
            cls.poll_message_set("Nothing is being installed")
            return False
        return True

    def execute(self, _context: bpy.types.Context) -> set[str]:
        _backend().installer.cancel()
        ticking.wake()
        return {"FINISHED"}


class SPLINESCAPE_OT_remove_backend(bpy.types.Operator):
    """Delete the backend's Python environment. Jobs, scenes and models stay"""

    bl_idname = "splinescape.remove_backend"
    bl_label = "Remove"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        backend = connect.current_backend()
        if backend is None or backend.installer.running:
            cls.poll_message_set("The backend is being installed: cancel that first")
            return False
        if environment.installed(prefs.environment_folder()) is None:
            cls.poll_message_set("There is no environment to remove")
            return False
        if backend.runs():
            cls.poll_message_set("The backend runs: stop it first")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, _context: bpy.types.Context) -> set[str]:
        home = prefs.environment_folder()
        try:
            _delete(environment.remove(home), home)
        except OSError as error:
            self.report(
                {"ERROR"}, f"The environment is in use ({error.strerror}): stop the backend and try again"
            )
            return {"CANCELLED"}
        return {"FINISHED"}


def _delete(folders: list[Path], home: Path) -> None:
    """Delete large folders; with a window in a process of its own, for it takes many seconds."""
    if bpy.app.background:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    elif folders:
        code = "import shutil, sys\nfor folder in sys.argv[1:]: shutil.rmtree(folder, ignore_errors=True)"
        names = [str(folder) for folder in folders]
        python = environment.pythons()[0]
        processes.spawn((str(python), "-I", "-c", code, *names), subprocess.DEVNULL, subprocess.DEVNULL, home)


class SPLINESCAPE_OT_start_backend(bpy.types.Operator):
    """Start the backend on this machine. It goes on when Blender is closed, until its jobs are done"""

    bl_idname = "splinescape.start_backend"
    bl_label = "Start Backend"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        backend = connect.current_backend()
        local = backend.local() if backend is not None else None
        if backend is None or local is None:
            cls.poll_message_set("A connection file is chosen: that backend is started where it runs")
            return False
        if backend.connected() or local.state == "starting":
            cls.poll_message_set("The backend runs already")
            return False
        reason = backend.why_unavailable()
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def execute(self, _context: bpy.types.Context) -> set[str]:
        backend = _backend()
        try:
            backend.start()
        except BackendError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if not bpy.app.background:
            ticking.wake()
            return {"FINISHED"}
        local = backend.local()

        def settled() -> bool:
            failed = local is None or local.state == "failed"
            return backend.connected() or failed or not backend.busy

        ticking.wait_for(settled, _START_S)
        if not backend.connected():
            self.report({"ERROR"}, backend.status())
            return {"CANCELLED"}
        return {"FINISHED"}


class SPLINESCAPE_OT_stop_backend(bpy.types.Operator):
    """End the backend on this machine. A running job stops after its present step and goes on with the next start"""

    bl_idname = "splinescape.stop_backend"
    bl_label = "Stop Backend"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        backend = connect.current_backend()
        local = backend.local() if backend is not None else None
        if backend is None or local is None:
            cls.poll_message_set("A connection file is chosen: that backend is stopped where it runs")
            return False
        if not backend.runs():
            cls.poll_message_set("The backend does not run")
            return False
        return True

    def execute(self, _context: bpy.types.Context) -> set[str]:
        backend = _backend()
        backend.stop()
        ticking.wake()
        if bpy.app.background:
            ticking.wait_for(lambda: not backend.runs(), _STOP_S)
        return {"FINISHED"}


class SPLINESCAPE_OT_open_backend_log(bpy.types.Operator):
    """Open a log of the backend with the program that your system opens text with"""

    bl_idname = "splinescape.open_backend_log"
    bl_label = "Open Log"

    which: bpy.props.EnumProperty(
        name="Log",
        description="Which log to open",
        items=(
            ("SERVICE", "Backend", "What the backend does"),
            ("START", "Start", "What the backend said when it was started"),
            ("INSTALL", "Installation", "What pip said"),
        ),
    )

    def execute(self, _context: bpy.types.Context) -> set[str]:
        file = _log_file(_backend(), self.which)
        if not file.exists():
            self.report({"ERROR"}, f"There is no log {file} yet: start or install the backend first")
            return {"CANCELLED"}
        if bpy.app.background:
            self.report({"INFO"}, str(file))
            return {"FINISHED"}
        return bpy.ops.wm.path_open(filepath=str(file))


def _log_file(backend: connect.Backend, which: str) -> Path:
    local = backend.local()
    if which == "INSTALL" or local is None:
        return prefs.environment_folder() / "install.log"
    return local.start_log if which == "START" else local.log_file


class SPLINESCAPE_OT_test_connection(bpy.types.Operator):
    """Connect anew and say how it went"""

    bl_idname = "splinescape.test_connection"
    bl_label = "Test Connection"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        backend = connect.current_backend()
        if backend is None or backend.client() is None:
            cls.poll_message_set(backend.status() if backend is not None else "")
            return False
        return True

    def execute(self, _context: bpy.types.Context) -> set[str]:
        backend = _backend()
        backend.reconnect()
        ticking.wake(looking=True)
        if bpy.app.background:
            ticking.wait_for(lambda: backend.connected() or backend.refused(), _CONNECT_S)
            if not backend.connected():
                self.report({"ERROR"}, backend.status())
                return {"CANCELLED"}
            self.report({"INFO"}, backend.status())
        return {"FINISHED"}


class _ModelOperator:
    """Mix-in: something that is done with a model of the connected backend."""

    poll_message_set: Any  # of the operators that this is mixed into

    model: bpy.props.StringProperty(
        name="Model", description="Id of the model", options={"HIDDEN", "SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        backend = connect.current_backend()
        if backend is None or not backend.connected():
            cls.poll_message_set("The backend does not run: start it first")
            return False
        return True


class SPLINESCAPE_OT_download_model(_ModelOperator, bpy.types.Operator):
    """Have the backend fetch this model's files. An interrupted download goes on where it was"""

    bl_idname = "splinescape.download_model"
    bl_label = "Download"

    accept_licence: bpy.props.BoolProperty(
        name="I have read the licence and accept it",
        description="Needed once for licences that forbid commercial use",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        model = _backend().models.get(self.model)
        if model is None or model.accepted:
            return self.execute(context)
        return context.window_manager.invoke_props_dialog(self, width=450)

    def draw(self, _context: bpy.types.Context) -> None:
        model = _backend().models.get(self.model)
        if model is None:
            return
        self.layout.label(text=f"{model.id}: {model.licence}", icon="ERROR")
        self.layout.label(text="It forbids commercial use; read what it says about what you make with it")
        self.layout.operator("wm.url_open", text="Read the licence", icon="URL").url = model.licence_url
        if model.gated:
            self.layout.label(
                text="Gated: ask for access on the model's page, store a token with 'hf auth login'"
            )
        self.layout.prop(self, "accept_licence")

    def execute(self, _context: bpy.types.Context) -> set[str]:
        backend = _backend()
        reason = prefs.no_network_reason() if backend.local() is not None else ""
        if reason:
            self.report({"ERROR"}, reason)
            return {"CANCELLED"}
        try:
            call = backend.models.download(self.model, self.accept_licence)
        except BackendError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        ticking.wake(looking=True, at_models=True)
        if not bpy.app.background:
            return {"FINISHED"}
        ticking.wait_for(lambda: call.done, _CONNECT_S)
        if call.error is None:
            ticking.wait_for(lambda: not backend.models.fetching, _MODEL_S)
        model = backend.models.get(self.model)
        problem = str(call.error or (model.error if model is not None else ""))
        if problem:
            self.report({"ERROR"}, problem)
        return {"CANCELLED"} if problem else {"FINISHED"}


class SPLINESCAPE_OT_remove_model(_ModelOperator, bpy.types.Operator):
    """Delete this model's files where the backend runs, or stop its download. Files of your own are never deleted"""

    bl_idname = "splinescape.remove_model"
    bl_label = "Remove"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        try:
            call = _backend().models.remove(self.model)
        except BackendError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        ticking.wake(looking=True, at_models=True)
        if bpy.app.background:
            ticking.wait_for(lambda: call.done, _CONNECT_S)
            if call.error is not None:
                self.report({"ERROR"}, str(call.error))
                return {"CANCELLED"}
        return {"FINISHED"}


_CLASSES = (
    SPLINESCAPE_OT_install_backend,
    SPLINESCAPE_OT_cancel_install,
    SPLINESCAPE_OT_remove_backend,
    SPLINESCAPE_OT_start_backend,
    SPLINESCAPE_OT_stop_backend,
    SPLINESCAPE_OT_open_backend_log,
    SPLINESCAPE_OT_test_connection,
    SPLINESCAPE_OT_download_model,
    SPLINESCAPE_OT_remove_model,
)


def register() -> None:
    for each in _CLASSES:
        bpy.utils.register_class(each)


def unregister() -> None:
    ticking.stop()
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)
