"""Importing, exporting and transforming splats from Blender's menus."""

import contextlib
from pathlib import Path

import bpy
from bpy_extras.io_utils import ExportHelper, ImportHelper

from splinescape.errors import InputError
from splinescape.io.formats import SUFFIXES, suffix_of

from .applying import apply_transform
from .exporting import export_objects
from .importing import import_file
from .notices import collected_warnings
from .pointcloud import is_splats

_rpt = getattr(bpy.app.translations, "pgettext_rpt", bpy.app.translations.pgettext_tip)

_GLOB = "*.ply;*.spz;*.splat"
_LABEL = "Gaussian Splats (.ply/.spz/.splat)"
_SUFFIX_OF_FORMAT = {"PLY": ".ply", "COMPRESSED_PLY": ".compressed.ply", "SPZ": ".spz", "SPLAT": ".splat"}


class ImportSplats(bpy.types.Operator, ImportHelper):
    """Import files with 3D Gaussian splats as point cloud objects"""

    bl_idname = "splinescape.import_splats"
    bl_label = "Import Splats"
    bl_options = {"REGISTER", "UNDO", "PRESET"}

    filter_glob: bpy.props.StringProperty(
        default=_GLOB, options={"HIDDEN"}, description="Which files the browser shows"
    )
    files: bpy.props.CollectionProperty(
        type=bpy.types.OperatorFileListElement,
        options={"HIDDEN", "SKIP_SAVE"},
        description="Names of the files, when there are several",
    )
    directory: bpy.props.StringProperty(
        subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"}, description="Folder of the files"
    )
    axes: bpy.props.EnumProperty(
        name="Axes",
        description="Which way the axes of the file point",
        items=(
            (
                "AUTO",
                "Automatic",
                "Scenes of Splinescape stand in front of the input camera, other files upright with Y down",
            ),
            ("Y_DOWN", "Y Down", "Z points forward and Y down, as in most splat files"),
            ("Y_UP", "Y Up", "Z points back and Y up"),
            ("Z_UP", "Z Up", "As in Blender: nothing is turned"),
        ),
        default="AUTO",
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.mode == "OBJECT":
            return True
        cls.poll_message_set("Switch to Object Mode to import splats")
        return False

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:  # noqa: ARG002
        return self.invoke_popup(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        paths = self._paths()
        if not paths:
            self.report({"ERROR"}, _rpt("No file was chosen: choose a .ply, .spz or .splat file"))
            return {"CANCELLED"}
        made = []
        context.window_manager.progress_begin(0, len(paths))
        try:
            for number, path in enumerate(paths):
                context.window_manager.progress_update(number)
                made += self._import(context, path)
        finally:
            context.window_manager.progress_end()
        if not made:
            return {"CANCELLED"}
        _select(context, made)
        return {"FINISHED"}

    def _import(self, context: bpy.types.Context, path: str) -> list[bpy.types.Object]:
        try:
            with collected_warnings() as warnings:
                made = import_file(context, path, axes=self.axes)
        except (InputError, MemoryError) as error:
            self.report({"ERROR"}, _sentence(error, path))
            return []
        for warning in warnings:
            self.report({"WARNING"}, warning)
        self.report({"INFO"}, _rpt("{}: {:,} splats").format(made.name, len(made.data.points)))
        return [made]

    def _paths(self) -> list[str]:
        names = [each.name for each in self.files if each.name]
        if names:
            folder = self.directory or str(Path(self.filepath).parent)
            return [str(Path(bpy.path.abspath(folder)) / name) for name in names]
        return [self.filepath] if self.filepath else []


class ExportSplats(bpy.types.Operator, ExportHelper):
    """Export point cloud objects with 3D Gaussian splats; rotation and scale turn and enlarge the splats too"""

    bl_idname = "splinescape.export_splats"
    bl_label = "Export Splats"
    bl_options = {"REGISTER", "PRESET"}

    filename_ext = ".ply"
    filepath: bpy.props.StringProperty(subtype="FILE_PATH", description="Where the splats are written")
    filter_glob: bpy.props.StringProperty(
        default=_GLOB, options={"HIDDEN"}, description="Which files the browser shows"
    )
    file_format: bpy.props.EnumProperty(
        name="Format",
        description="Format of the file; another suffix in the file's name goes before it",
        items=(
            ("PLY", "PLY (.ply)", "Exact; every program with Gaussian splats reads it"),
            ("COMPRESSED_PLY", "Compressed PLY (.compressed.ply)", "A quarter of the size, for SuperSplat"),
            ("SPZ", "SPZ (.spz)", "A tenth of the size; positions, shapes and colours are rounded"),
            (
                "SPLAT",
                "SPLAT (.splat)",
                "For viewers in browsers; colours that depend on the view are left out",
            ),
        ),
        default="PLY",
    )
    use_selection: bpy.props.BoolProperty(
        name="Selected Only",
        description="Export the selected splat objects; otherwise all of the scene. Several are joined",
        default=True,
    )
    collection: bpy.props.StringProperty(
        options={"HIDDEN", "SKIP_SAVE"},
        description="Name of the collection whose splats are written, when one of its exporters asks",
    )
    apply_transform: bpy.props.BoolProperty(
        name="Apply Transform",
        description="What was moved, turned or scaled since the import is so in the file; otherwise it is ignored",
        default=True,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        shown = context.collection  # in the Properties editor it may be pinned, and of another scene
        if any(map(is_splats, context.scene.objects)) or any(
            map(is_splats, shown.all_objects if shown else ())
        ):
            return True
        cls.poll_message_set("There are no splats in this scene: import a file or generate a scene first")
        return False

    def check(self, context: bpy.types.Context) -> bool:  # noqa: ARG002
        wanted = _with_suffix(self.filepath, _SUFFIX_OF_FORMAT[self.file_format])
        changed = bool(Path(self.filepath).name) and wanted != self.filepath
        if changed:
            self.filepath = wanted
        return changed

    def execute(self, context: bpy.types.Context) -> set[str]:
        path = self.filepath
        if bpy.path.basename(path).lower() in {"", *SUFFIXES}:
            self.report({"ERROR"}, _rpt("No file was chosen: choose a file to write"))
            return {"CANCELLED"}
        objects = self._objects(context)
        if not objects:
            self.report({"ERROR"}, self._nothing())
            return {"CANCELLED"}
        if not Path(path).name.lower().endswith(SUFFIXES):
            path = _with_suffix(path, _SUFFIX_OF_FORMAT[self.file_format])
        context.window_manager.progress_begin(0, 1)
        try:
            with collected_warnings() as warnings:
                count = export_objects(objects, path, apply_transform=self.apply_transform)
        except (InputError, MemoryError) as error:
            self.report({"ERROR"}, _sentence(error, path))
            return {"CANCELLED"}
        finally:
            context.window_manager.progress_end()
        for warning in warnings:
            self.report({"WARNING"}, warning)
        self.report({"INFO"}, _rpt("{}: {:,} splats").format(path, count))
        return {"FINISHED"}

    def _objects(self, context: bpy.types.Context) -> list[bpy.types.Object]:
        if not self.collection:
            return _splat_objects(context, selected=self.use_selection)
        wanted = bpy.data.collections.get(self.collection)
        return list(filter(is_splats, wanted.all_objects)) if wanted is not None else []

    def _nothing(self) -> str:
        if self.collection:
            return _rpt("The collection {} holds no splats: move a splat object into it").format(
                self.collection
            )
        return _rpt("No splat object is selected: select one, or switch off Selected Only")


class ApplySplatTransform(bpy.types.Operator):
    """Move the object's location, rotation and scale into its splats, their shapes and view-dependent colours too. Blender's own Apply would only spread their centres"""  # noqa: E501 - a tooltip

    bl_idname = "splinescape.apply_splat_transform"
    bl_label = "Transform of Splats"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.mode == "OBJECT" and _splat_objects(context, selected=True):
            return True
        cls.poll_message_set("Select an object with splats, in Object Mode")
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        done = 0
        for each in _splat_objects(context, selected=True):
            try:
                apply_transform(each)
                done += 1
            except (ValueError, RuntimeError, MemoryError) as error:
                self.report(
                    {"ERROR"}, _rpt("{} stays as it was: {}").format(each.name, _sentence(error, each.name))
                )
        return {"FINISHED"} if done else {"CANCELLED"}


class SplatFiles(bpy.types.FileHandler):
    """Splat files can be dropped on the 3D viewport."""

    bl_idname = "SPLINESCAPE_FH_splats"
    bl_label = "Gaussian Splats"
    bl_import_operator = ImportSplats.bl_idname
    bl_export_operator = ExportSplats.bl_idname
    bl_file_extensions = ".ply;.spz;.splat"

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type == "VIEW_3D"


def _sentence(error: Exception, subject: str) -> str:
    if isinstance(error, MemoryError):
        return _rpt("There is not enough memory for {}: close other files or programs").format(subject)
    return " ".join(str(error).split())


def _with_suffix(path: str, suffix: str) -> str:
    with contextlib.suppress(InputError):  # it has no suffix of a scene yet
        path = path[: -len(suffix_of(path))]
    return path + suffix


def _splat_objects(context: bpy.types.Context, *, selected: bool) -> list[bpy.types.Object]:
    """Splat objects, the active one first: its axes are those of an exported file."""
    if selected:
        found = list(filter(is_splats, context.selected_objects))
    else:
        found = list(filter(is_splats, context.scene.objects))
    if not found and selected and is_splats(context.active_object):
        found = [context.active_object]
    return sorted(found, key=lambda each: (each != context.active_object, each.name))


def _select(context: bpy.types.Context, objects: list[bpy.types.Object]) -> None:
    for each in context.selected_objects:
        each.select_set(False)
    for each in objects:
        each.select_set(True)
    context.view_layer.objects.active = objects[0]


def _import_entry(self: bpy.types.Menu, context: bpy.types.Context) -> None:  # noqa: ARG001
    self.layout.operator(ImportSplats.bl_idname, text=_LABEL)


def _export_entry(self: bpy.types.Menu, context: bpy.types.Context) -> None:  # noqa: ARG001
    self.layout.operator(ExportSplats.bl_idname, text=_LABEL)


def _apply_entry(self: bpy.types.Menu, context: bpy.types.Context) -> None:  # noqa: ARG001
    self.layout.separator()
    self.layout.operator(ApplySplatTransform.bl_idname)


_CLASSES = (ImportSplats, ExportSplats, ApplySplatTransform, SplatFiles)
_ENTRIES = (
    ("TOPBAR_MT_file_import", _import_entry),
    ("TOPBAR_MT_file_export", _export_entry),
    ("VIEW3D_MT_object_apply", _apply_entry),
)


def register() -> None:
    for each in _CLASSES:
        bpy.utils.register_class(each)
    for menu, entry in _ENTRIES:
        getattr(bpy.types, menu).append(entry)


def unregister() -> None:
    for menu, entry in _ENTRIES:
        getattr(bpy.types, menu).remove(entry)
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)
