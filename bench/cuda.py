"""Times PyTorch on the GPU for bench/cuda.mjs: cuda.py ASKED

ASKED: JSON with task, folder, rounds and what the task takes. The folder holds the arrays, row after row: vectors and
queries float32, all others int32. Prints seconds (the median round) and the share of the right neighbors that are found
(share) as JSON: of the graph for each precision, with the TFLOP/s of large products in that precision (roof).
"""

import json
import statistics
import sys
from pathlib import Path

import numpy as np
import torch

BLOCK = 4096
TIMED_BLOCKS = 24
QUERIES = 64
LARGE = 8192
PRECISIONS = {
    "fp32": ("highest", torch.float32),
    "tf32": ("high", torch.float32),
    "bf16": ("high", torch.bfloat16),
    "fp16": ("high", torch.float16),
}


def timed(work, rounds):
    """Median seconds of the device, after a round that warms up."""
    work()
    seconds = []
    for _ in range(rounds):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        result = work()
        end.record()
        torch.cuda.synchronize()
        seconds.append(start.elapsed_time(end) / 1e3)
    return statistics.median(seconds), result


def share_of(found, right):
    return float(np.mean([len(np.intersect1d(a, b)) / len(b) for a, b in zip(found, right)]))


def roof(kind, rounds):
    a, b = (torch.randn(LARGE, LARGE, device="cuda").to(kind) for _ in range(2))
    seconds, _ = timed(lambda: a @ b, rounds)
    return 2 * LARGE**3 / seconds / 1e12


def graph_of(points, norms, starts, neighbors):
    """Squared distances without the query's own norm, a block of rows with all points; then the smallest. In the type of the
    points, as PyTorch writes a product of 16-bit floats."""
    found = []
    for start in starts:
        rows = points[start : start + BLOCK]
        distances = torch.addmm(norms, rows, points.T, alpha=-2)
        own = torch.arange(len(rows), device="cuda")
        distances[own, own + start] = torch.inf
        found.append(distances.topk(neighbors, largest=False).indices)
    return torch.cat(found)


def graph(asked, read):
    """In full, reckoned from some blocks, as all take the same."""
    neighbors, rounds = asked["neighbors"], asked["rounds"]
    vectors = read("vectors", np.float32, asked["dimensions"])
    right = read("ids", np.int32, neighbors)
    starts = range(0, len(vectors), BLOCK)
    chosen = list(starts[:: -(-len(starts) // TIMED_BLOCKS)])
    report = {}
    for name in asked["precisions"]:
        how, kind = PRECISIONS[name]
        torch.set_float32_matmul_precision(how)
        points = torch.from_numpy(vectors).cuda()
        points /= points.norm(dim=1).max()  # squared lengths in the range of 16-bit floats
        norms = (points * points).sum(1).to(kind)
        points = points.to(kind)
        seconds, found = timed(lambda: graph_of(points, norms, chosen, neighbors), rounds)
        rows = np.concatenate([np.arange(start, min(start + BLOCK, len(vectors))) for start in chosen])
        sample = np.linspace(0, len(rows) - 1, min(len(rows), 2000)).astype(int)
        report[name] = {
            "seconds": seconds * len(vectors) / len(rows),
            "share": share_of(found.cpu().numpy()[sample], right[rows[sample]]),
            "roof": roof(kind, rounds),
        }
    return report


def search_in(points, norms, members, queries, chosen, neighbors):
    found = []
    for start in range(0, len(queries), QUERIES):
        rows = members[chosen[start : start + QUERIES]].flatten(1)
        products = torch.bmm(points[rows], queries[start : start + QUERIES, :, None])[:, :, 0]
        distances = (norms[rows] - 2 * products).masked_fill(rows < 0, torch.inf)
        best = distances.topk(neighbors, largest=False).indices
        found.append(rows.gather(1, best))
    return torch.cat(found)


def search(asked, read):
    dimensions, neighbors, probes = asked["dimensions"], asked["neighbors"], asked["probes"]
    points, queries = (torch.from_numpy(read(name, np.float32, dimensions)).cuda() for name in ("vectors", "queries"))
    chosen = torch.from_numpy(read("chosen", np.int32, probes)).cuda().long()
    members = torch.from_numpy(read("members", np.int32, asked["largest"])).cuda().long()
    norms = (points * points).sum(1)
    torch.set_float32_matmul_precision("high")
    seconds, found = timed(lambda: search_in(points, norms, members, queries, chosen, neighbors), asked["rounds"])
    return {"seconds": seconds, "share": share_of(found.cpu().numpy(), read("truth", np.int32, neighbors))}


def main():
    asked = json.loads(sys.argv[1])
    folder = Path(asked["folder"])

    def read(name, kind, columns):
        return np.fromfile(folder / name, kind).reshape(-1, columns)

    print(json.dumps({"graph": graph, "search": search}[asked["task"]](asked, read)))


main()
