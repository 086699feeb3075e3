"""Weights into a network, strictly: every one that it needs, none that it does not know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from splinescape.depth.pretrained.folder import INSTALL, ModelFolder
from splinescape.errors import EngineUnavailableError, InputError, is_out_of_memory

if TYPE_CHECKING:
    import torch


def working_dtype(device: torch.device) -> torch.dtype:
    """Half precision on CUDA (and ROCm); float32 elsewhere, where half is slow or not everywhere there."""
    import torch

    return torch.float16 if device.type == "cuda" else torch.float32


def load_network(folder: ModelFolder, family: str, device: torch.device) -> Any:
    """Build transformers' `family`ForDepthEstimation and load its weights from `folder` onto `device`, ready to run.

    Weights come from `model.safetensors` alone, the internet is never asked, and no code of the folder runs.

    Raises:
        EngineUnavailableError: the installed transformers does not have it, or cannot be imported.
        InputError: the settings describe no such network, or the weights are not exactly those that it needs.
    """
    config_class, network_class = _classes(folder.title, family)
    config = _checked_config(folder, config_class)
    try:
        with _quiet_transformers():
            network, found = network_class.from_pretrained(
                folder.path,
                config=config,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=working_dtype(device),
                ignore_mismatched_sizes=True,  # they are reported like the missing ones, and refused below
                output_loading_info=True,
            )
    except (RuntimeError, ValueError, TypeError, KeyError, ImportError, OSError) as error:
        if is_out_of_memory(error):
            raise
        raise InputError(
            f"{_weights(folder)} cannot be loaded ({_in_one_line(error)}); download the model again"
        ) from error
    _check_keys(folder, found)
    return network.to(device).eval().requires_grad_(False)


def last_in_float32(layer: torch.nn.Module) -> None:
    """Let `layer` compute in float32 in a network of half precision.

    For the layer that turns features into one number: in half precision a depth has steps of 0.05 to 0.1 %,
    centimetres at ten metres, which show as terraces.
    """
    layer.float()
    layer.register_forward_pre_hook(lambda _layer, inputs: tuple(value.float() for value in inputs))


def _classes(title: str, family: str) -> tuple[Any, Any]:
    try:
        import transformers

        return getattr(transformers, f"{family}Config"), getattr(transformers, f"{family}ForDepthEstimation")
    except (
        ImportError,
        AttributeError,
        RuntimeError,
    ) as error:  # a library of transformers' own may be broken
        raise EngineUnavailableError(
            f"{title} cannot run here: the installed transformers does not offer it ({_in_one_line(error)}); {INSTALL}"
        ) from error


def _checked_config(folder: ModelFolder, config_class: Any) -> Any:
    try:
        return config_class.from_dict(folder.config)
    except Exception as error:  # transformers' validation has exceptions of its own
        place = folder.path / "config.json"
        raise InputError(
            f"{place} does not describe {folder.title} ({_in_one_line(error)}); download the model again"
        ) from error


def _check_keys(folder: ModelFolder, found: dict[str, Any]) -> None:
    """transformers fills missing weights with random numbers and drops those it does not know."""
    for what, keys in (
        ("lacks", found["missing_keys"]),
        ("has wrong sizes for", [key[0] for key in found["mismatched_keys"]]),
        ("has, unknown to the network,", found["unexpected_keys"]),
    ):
        if keys:
            names = sorted(keys)
            some = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            raise InputError(
                f"{_weights(folder)} does not fit its config.json: it {what} {some}; download the model again"
            )


def _weights(folder: ModelFolder) -> str:
    return f"{folder.path / 'model.safetensors'} ({folder.title})"


def _in_one_line(error: Exception) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 200 else words[:200] + "..."


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No bars and tables of transformers between our own progress; what they say is checked and raised here."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
