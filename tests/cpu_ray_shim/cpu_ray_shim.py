"""Lets vLLM's CPU build run over Ray nodes, for tests: it refuses that, having no name for a Ray resource.

Leans on private parts of vLLM 0.32. It tests our launch, cluster and meters against vLLM's real Ray executor,
and says nothing about GPUs. vLLM loads it as a plugin where this folder is in PYTHONPATH.
"""

import os

RESOURCE = "vllm_cpu_slot"


def register():
    if not os.environ.get("CPU_RAY_SHIM"):
        return
    import vllm.v1.executor.ray_executor_v2 as executor
    from vllm.platforms.cpu import CpuPlatform

    CpuPlatform.ray_device_key = RESOURCE  # Ray refuses "CPU" as the name of a resource
    if executor.RayWorkerProc.__name__ != "CpuRayWorkerProc":
        from cpu_ray_worker import CpuRayWorkerProc

        executor.RayWorkerProc = CpuRayWorkerProc
