"""A process that embeds from many threads at once, right after the network was loaded.

usage: many_threads.py CACHE
"""

import sys
import threading

import numpy as np

from imgcluster.networks.choice import NetworkChoice
from imgcluster.networks.selection import choose
from imgcluster.networks.weights import NetworkPlaces

sys.setswitchinterval(1e-6)
choice = NetworkChoice("efficientnet_lite0", runtime="openvino", batch_size=1)
network = choose(choice, print, places=NetworkPlaces(cache=sys.argv[1])).load()
ready = threading.Barrier(8)


def embed() -> None:
    ready.wait()
    network.embed(np.zeros((1, 224, 224, 3), np.uint8))


threads = [threading.Thread(target=embed, daemon=True) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(30)
sys.exit(any(thread.is_alive() for thread in threads))
