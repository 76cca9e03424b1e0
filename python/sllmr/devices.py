"""What this machine computes on."""

from __future__ import annotations

import pandas as pd

from sllmr import _core


def devices() -> pd.DataFrame:
    """A row for the CPU and for each GPU that can be used: device, name, memory in GiB, units (CPU threads, or streaming
    multiprocessors). attrs["remark"] says why there is no GPU where there is none."""
    frame = pd.DataFrame(_core.devices(), columns=["device", "name", "memory_gib", "units"])
    if not (frame.device == "cuda").any():
        frame.attrs["remark"] = (
            "no CUDA driver or device was found"
            if _core.WITH_CUDA
            else "built without CUDA, as there was no nvcc: install the CUDA toolkit, then pip install again"
        )
    return frame
