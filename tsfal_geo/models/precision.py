"""The choice between bfloat16 and float32 on a CPU."""

from __future__ import annotations

from typing import Any, cast

import torch


def cpu_bf16() -> tuple[bool, str]:
    """Decide if this CPU computes a network faster in bfloat16 than in float32.

    Measurements (docs/benchmarks.md): with AVX-512-BF16 an AMD EPYC is faster, but an Intel Xeon without AMX
    is slower, by a fifth to a third. CPUs without either instruction set emulate bfloat16.

    Returns:
        True for bfloat16, and the reason in a few words.
    """
    features = cast(dict[str, Any], torch.cpu.get_capabilities())
    if features.get("amx_bf16"):
        return True, "the CPU has AMX"
    if not features.get("avx512_bf16"):
        return False, "the CPU has neither AMX nor AVX-512-BF16"
    if str(features.get("cpu_name", "")).startswith("AMD"):
        return True, "the CPU is AMD's with AVX-512-BF16"
    return False, "AVX-512-BF16 without AMX is slower than float32 on this CPU"
