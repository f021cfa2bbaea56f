"""Two Ray nodes on this machine, run by the engine's Python; prints their address, ends with its standard input."""

import sys

from cpu_ray_shim import RESOURCE
from ray.cluster_utils import Cluster

NODE = {
    "num_cpus": 1,
    "resources": {RESOURCE: 1},
    "object_store_memory": 80 * 2**20,
    "include_dashboard": False,
}

cluster = Cluster()
try:
    for host in ("127.0.0.2", "127.0.0.3"):
        cluster.add_node(node_ip_address=host, **NODE)
    print(cluster.address, flush=True)
    sys.stdin.read()
finally:
    cluster.shutdown()
