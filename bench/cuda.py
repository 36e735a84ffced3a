"""Times PyTorch's exact k-NN graph on the GPU: cuda.py VECTORS IDS DIMENSIONS NEIGHBORS ROUNDS

VECTORS: float32, row after row. IDS: the right graph, rows x NEIGHBORS int32. Prints for each precision of the matrix
products the seconds of the best round, and the share of the right neighbors that it finds, as JSON.
"""

import json
import sys
import time

import numpy as np
import torch

BLOCK = 4096


def graph(points, neighbors):
    """Squared distances without the query's own norm, a block of rows with all points; then the smallest."""
    norms = (points * points).sum(1)
    found = torch.empty((len(points), neighbors), dtype=torch.int32, device="cuda")
    for start in range(0, len(points), BLOCK):
        rows = points[start : start + BLOCK]
        distances = torch.addmm(norms, rows, points.T, alpha=-2)
        own = torch.arange(len(rows), device="cuda")
        distances[own, own + start] = torch.inf
        found[start : start + BLOCK] = distances.topk(neighbors, largest=False).indices.int()
    return found


def timed(points, neighbors, rounds):
    best = float("inf")
    for _ in range(rounds):
        torch.cuda.synchronize()
        start = time.perf_counter()
        found = graph(points, neighbors)
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best, found.cpu().numpy()


def main():
    dimensions, neighbors, rounds = (int(argument) for argument in sys.argv[3:6])
    points = torch.from_numpy(np.fromfile(sys.argv[1], np.float32).reshape(-1, dimensions)).cuda()
    right = np.fromfile(sys.argv[2], np.int32).reshape(-1, neighbors)
    report = {}
    for name, precision in (("TF32", "high"), ("FP32", "highest")):
        torch.set_float32_matmul_precision(precision)
        seconds, found = timed(points, neighbors, rounds)
        sample = np.linspace(0, len(right) - 1, min(len(right), 2000)).astype(int)
        share = np.mean([len(np.intersect1d(found[i], right[i])) / neighbors for i in sample])
        report[name] = {"seconds": seconds, "share": float(share)}
    print(json.dumps(report))


main()
