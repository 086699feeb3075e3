"""The Generate panel: settings, the button, and what the job is doing."""

import time

import bpy

from ..backend import connect
from ..panels import SidebarPanel
from . import jobs, offers, presets, thumbnails, timer
from .job_view import JobView
from .request import shown_name
from .summary import Table, read_summary
from .wording import headline, lines, progress_text, scene_text

_iface = bpy.app.translations.pgettext_iface

_ROWS_SHOWN = 12
_WARNINGS_SHOWN = 3


def _sentence(layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str = "NONE") -> None:
    """A sentence over as many lines as it takes."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    scale = context.preferences.system.ui_scale
    for i, line in enumerate(lines(_iface(text), context.region.width if context.region else 300, scale)):
        column.label(
            text=line, icon=icon if i == 0 else "BLANK1" if icon != "NONE" else "NONE", translate=False
        )


class GeneratePanel(SidebarPanel, bpy.types.Panel):
    """Settings of the scene, and the job that makes it."""

    bl_idname = "SPLINESCAPE_PT_generate"
    bl_label = "Generate"

    def draw(self, context: bpy.types.Context) -> None:
        timer.seen()
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        view = jobs.view_of(context.scene)
        if view is None or view.ended:
            self._draw_settings(context)
            row = layout.row()
            row.scale_y = 1.6
            row.operator("splinescape.generate", icon="OUTLINER_OB_POINTCLOUD")
        if view is not None:
            _draw_job(layout, context, view)
        elif context.scene.splinescape.generate.dismissed:
            layout.operator("splinescape.reattach_job").job = context.scene.splinescape.generate.job
        _draw_backend(layout, context, view)
        _draw_offer(layout, context)

    def _draw_settings(self, context: bpy.types.Context) -> None:
        own = context.scene.splinescape.generate
        layout = self.layout
        quality = presets.quality_of(own)
        names = {"DRAFT": "Draft", "PREVIEW": "Preview", "HIGH": "High", "": "Custom"}
        split = layout.split(factor=0.4)
        label = split.row()
        label.alignment = "RIGHT"
        label.label(text="Quality")
        split.operator_menu_enum("splinescape.set_quality", "quality", text=names[quality])
        column = layout.column()
        column.prop(own, "stage")
        column.prop(own, "max_resolution")
        if own.stage in ("coarse", "fine"):
            column.prop(own, "n_frames")
        column.prop(own, "seed")
        column.prop(own, "prompt")


def _draw_job(layout: bpy.types.UILayout, context: bpy.types.Context, view: JobView) -> None:
    box = layout.box()
    column = box.column()
    title = column.row()
    title.label(text=headline(view), icon=_ICONS.get(view.state, "NONE"))
    if not view.ended:
        _draw_progress(column, view)
        _draw_thumbnails(column, view)
    text = scene_text(view)
    if text:
        column.label(text=text, icon="OUTLINER_OB_POINTCLOUD", translate=False)
    problem = jobs.problem_of(context.scene)
    if problem:
        _sentence(column, context, problem, "ERROR")
    backend = context.scene.splinescape.generate.backend
    if view.state == "gone" and backend:
        _sentence(column, context, f"{_iface('It was sent to')}: {backend}")
    for warning in view.warnings[-_WARNINGS_SHOWN:]:
        _sentence(column, context, warning, "INFO")
    _draw_buttons(column, context, view)


_ICONS = {"done": "CHECKMARK", "failed": "ERROR", "refused": "ERROR", "gone": "QUESTION", "paused": "PAUSE"}


def _draw_progress(layout: bpy.types.UILayout, view: JobView) -> None:
    fraction = view.fraction
    text = progress_text(view, time.monotonic())
    if fraction is not None:
        layout.progress(factor=fraction, text=text)
    elif view.detail:
        layout.label(text=view.detail, translate=False)


def _draw_thumbnails(layout: bpy.types.UILayout, view: JobView) -> None:
    icons = [thumbnails.icon_of(view, which) for which in ("rgb", "depth")]
    if any(icons):
        row = layout.row(align=True)
        for icon in icons:
            row.template_icon(icon_value=icon, scale=5.0)


def _draw_buttons(layout: bpy.types.UILayout, context: bpy.types.Context, view: JobView) -> None:
    row = layout.row(align=True)
    if not view.ended:
        if view.state == "paused":
            row.operator("splinescape.resume_job", icon="PLAY")
        else:
            row.operator("splinescape.pause_job", icon="PAUSE")
        row.operator("splinescape.cancel_job", icon="CANCEL")
    elif view.state in ("failed", "cancelled") and view.job:
        row.operator("splinescape.resume_job", icon="PLAY")
    elif view.state == "done" and not context.scene.splinescape.generate.delivered:
        row.operator("splinescape.import_result", icon="IMPORT")
    if view.state in ("failed", "gone") or view.connection == "lost":
        row = layout.row(align=True)
        row.operator("splinescape.open_log", icon="TEXT")
        row.operator("splinescape.reconnect", icon="FILE_REFRESH")


def _draw_backend(layout: bpy.types.UILayout, context: bpy.types.Context, view: JobView | None) -> None:
    if view is not None and view.connection == "lost" and jobs.problem_of(context.scene):
        return  # it is said with the job
    _sentence(layout, context, connect.status_text(), "NETWORK_DRIVE")
    client = connect.current_client()
    if client is not None and client.state == "lost":
        layout.operator("splinescape.reconnect", icon="FILE_REFRESH")


def _draw_offer(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """A job of this scene that the .blend does not know, after Blender has crashed."""
    if jobs.is_working(context.scene):
        return
    found = offers.offer(context.scene, jobs.followed())
    if found is None:
        return
    box = layout.box()
    state = (
        "Ready"
        if found.state == "done"
        else "Running"
        if found.state == "running"
        else found.state.capitalize()
    )
    _sentence(
        box, context, f"{_iface(state)} {_iface('at the backend')}: {shown_name(found.name)}", "RECOVER_LAST"
    )
    box.operator("splinescape.reattach_job").job = found.id


class EnginesPanel(SidebarPanel, bpy.types.Panel):
    """Which engines and models make the scene."""

    bl_idname = "SPLINESCAPE_PT_generate_engines"
    bl_parent_id = "SPLINESCAPE_PT_generate"
    bl_label = "Engines"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        own = context.scene.splinescape.generate
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        for name in ("inpaint", "depth", "raster"):
            layout.prop(own, name)
        column = layout.column(align=True)
        column.prop(own, "num_steps")
        column.prop(own, "guidance")
        column.prop(own, "model_memory")


class ExpansionPanel(SidebarPanel, bpy.types.Panel):
    """How the scene grows along the path."""

    bl_idname = "SPLINESCAPE_PT_generate_expansion"
    bl_parent_id = "SPLINESCAPE_PT_generate"
    bl_label = "Expansion"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        own = context.scene.splinescape.generate
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(own, "expansion_percent")
        column = layout.column()
        column.active = own.stage in ("coarse", "fine")
        column.prop(own, "coarse_min_inpaint_ratio")
        column.prop(own, "coarse_max_inpaint_ratio")
        column.prop(own, "coarse_fallback_mode")
        column.prop(own, "coarse_dense_multiplier")
        column.prop(own, "coarse_adjacent_exclusion")
        column.prop(own, "coarse_margin")
        layout.prop(own, "match_resolution")


class SpiralPanel(SidebarPanel, bpy.types.Panel):
    """The path that is taken when there is no other."""

    bl_idname = "SPLINESCAPE_PT_generate_spiral"
    bl_parent_id = "SPLINESCAPE_PT_generate"
    bl_label = "Spiral"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.scene.splinescape.path.object is None

    def draw(self, context: bpy.types.Context) -> None:
        own = context.scene.splinescape.generate
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.label(text="Without a path the camera walks a spiral", icon="INFO")
        for name in (
            "traj_forward_ratio",
            "traj_backward_ratio",
            "traj_min_percentage",
            "traj_max_percentage",
        ):
            layout.prop(own, name)


class SummaryPanel(SidebarPanel, bpy.types.Panel):
    """What the expansion has done."""

    bl_idname = "SPLINESCAPE_PT_generate_summary"
    bl_parent_id = "SPLINESCAPE_PT_generate"
    bl_label = "Summary"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(context.scene.splinescape.generate.summary)

    def draw(self, context: bpy.types.Context) -> None:
        table = read_summary(context.scene.splinescape.generate.summary)
        layout = self.layout
        if table is None:
            layout.label(text="The summary is damaged", icon="ERROR")
            return
        _draw_table(layout, table)
        _sentence(layout, context, table.totals)
        for fact in table.facts:
            _sentence(layout, context, fact)
        if table.advice:
            _sentence(layout, context, table.advice, "INFO")
        layout.operator("splinescape.show_summary", icon="TEXT")


def _draw_table(layout: bpy.types.UILayout, table: Table) -> None:
    if not table.rows:
        layout.label(text="No frame was added along the path")
        return
    grid = layout.box().column(align=True)
    grid.scale_y = 0.8
    _draw_row(grid, ("Frame", "Pose", "Uncovered", "Splats"), True)
    for row in table.rows[:_ROWS_SHOWN]:
        _draw_row(grid, (row.name, row.pose, row.uncovered, row.splats), False)
    if len(table.rows) > _ROWS_SHOWN:
        grid.label(text=f"... and {len(table.rows) - _ROWS_SHOWN} more", translate=False)


def _draw_row(layout: bpy.types.UILayout, cells: tuple[str, ...], translate: bool) -> None:
    row = layout.row()
    for cell in cells:
        row.label(text=cell, translate=translate)


_CLASSES = (GeneratePanel, EnginesPanel, ExpansionPanel, SpiralPanel, SummaryPanel)


def register() -> None:
    for each in _CLASSES:
        bpy.utils.register_class(each)


def unregister() -> None:
    for each in reversed(_CLASSES):
        if each.is_registered:
            bpy.utils.unregister_class(each)
