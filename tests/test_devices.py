"""Free memory of devices that are not here, from what torch says of them."""

from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest
import torch

from splinescape.devices import free_bytes, memory

GPU = torch.device("xpu", 0)


@pytest.fixture
def intel(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of Intel's GPUs: 16 GB, of which the driver calls 6 taken; torch uses 3 and keeps 1 more."""
    monkeypatch.setattr(torch.xpu, "mem_get_info", lambda _device: (10, 16))
    monkeypatch.setattr(torch.xpu, "memory_allocated", lambda _device: 3)
    monkeypatch.setattr(torch.xpu, "memory_reserved", lambda _device: 4)
    monkeypatch.setattr(torch.xpu, "get_device_properties", lambda _device: SimpleNamespace(total_memory=16))


@pytest.mark.usefixtures("intel")
def test_what_torch_keeps_for_nobody_is_free() -> None:
    assert memory(GPU) == (11, 16)


@pytest.mark.usefixtures("intel")
def test_a_gpu_that_cannot_be_asked_is_free_but_for_what_we_took(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_device: torch.device) -> None:
        raise RuntimeError("The device doesn't support querying the available free memory")

    monkeypatch.setattr(torch.xpu, "mem_get_info", refuse)
    assert memory(GPU) == (13, 16)
    monkeypatch.setattr(torch.cuda, "mem_get_info", refuse)
    with pytest.raises(RuntimeError):
        memory(torch.device("cuda"))


@pytest.mark.parametrize(("available", "free"), [(100, 9), (2, 3)])
def test_apples_gpu_has_what_the_machine_has(
    available: int, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 12)
    monkeypatch.setattr(torch.mps, "current_allocated_memory", lambda: 3)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 4)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=available))
    assert memory(torch.device("mps")) == (free, 12)


def test_the_machine_itself() -> None:
    free, total = memory(torch.device("cpu"))
    assert 0 < free < total == psutil.virtual_memory().total
    assert free_bytes(torch.device("cpu")) > 0
