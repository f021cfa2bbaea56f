"""vLLM's worker on a Ray node, which asks Ray for GPUs; here there are none."""

import ray
from vllm.v1.executor.ray_executor_v2 import RayWorkerProc


class CpuRayWorkerProc(RayWorkerProc):
    """Says that it has a first device."""

    def get_node_and_physical_gpu_ids(self):
        """Return the node, and the devices on it."""
        return ray.get_runtime_context().get_node_id(), [0]
