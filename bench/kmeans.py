"""faiss' k-means over all rows on all cores: kmeans.py '{"file", "dimensions", "bins": [...], "iterations": [...]}'

`file` holds rows x dimensions float32. Prints a list of {bins, iterations, seconds, error, balance}; the seconds include
the last assignment.
"""

import json
import sys
import time

import faiss
import numpy as np


def measure(vectors, bins, iterations):
    start = time.perf_counter()
    model = faiss.Kmeans(vectors.shape[1], bins, niter=iterations, seed=1, max_points_per_centroid=len(vectors))
    model.train(vectors)
    errors, labels = model.index.search(vectors, 1)
    seconds = time.perf_counter() - start
    balance = np.bincount(labels[:, 0], minlength=bins).max() * bins / len(vectors)
    error = float(errors.mean(dtype=np.float64))
    return {"bins": bins, "iterations": iterations, "seconds": seconds, "error": error, "balance": float(balance)}


def main():
    request = json.loads(sys.argv[1])
    vectors = np.fromfile(request["file"], np.float32).reshape(-1, request["dimensions"])
    results = [measure(vectors, bins, rounds) for bins in request["bins"] for rounds in request["iterations"]]
    print(json.dumps(results))


main()
