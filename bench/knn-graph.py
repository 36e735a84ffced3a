"""Times scikit-learn's exact k-NN graph and checks ours: knn-graph.py IMAGES IDS NEIGHBORS OUR_SECONDS

IMAGES: an idx file of images. IDS: rows x NEIGHBORS int32, our graph. Exits with 1 if a sampled row differs.
"""

import sys
import time

import numpy as np
from sklearn.neighbors import NearestNeighbors

SAMPLE = 1000


def read_images(path):
    raw = np.fromfile(path, np.uint8)
    rows = int.from_bytes(raw[4:8].tobytes(), "big")
    return raw[16:].reshape(rows, -1).astype(np.float32)


def exact_rows(images, sample, neighbors):
    """The neighbors of the sampled rows: squared distances in double precision, self excluded, ties by id."""
    doubles = images.astype(np.float64)
    norms = (doubles**2).sum(1)
    found = np.empty((len(sample), neighbors), np.int64)
    for start in range(0, len(sample), 100):
        rows = sample[start : start + 100]
        # Pixels are integers: every sum below is exact.
        distances = norms + norms[rows, None] - 2 * (doubles[rows] @ doubles.T)
        distances[np.arange(len(rows)), rows] = np.inf
        last = np.partition(distances, neighbors - 1, 1)[:, neighbors - 1]
        for i in range(len(rows)):
            near = np.flatnonzero(distances[i] <= last[i])  # By id; more than enough where there are ties.
            found[start + i] = near[np.argsort(distances[i, near], kind="stable")][:neighbors]
    return found


def main():
    images = read_images(sys.argv[1])
    neighbors, our_seconds = int(sys.argv[3]), float(sys.argv[4])
    ours = np.fromfile(sys.argv[2], np.int32).reshape(len(images), neighbors)

    start = time.perf_counter()
    model = NearestNeighbors(n_neighbors=neighbors, algorithm="brute", n_jobs=-1).fit(images)
    model.kneighbors()  # Without arguments: of the fitted rows, self excluded.
    seconds = time.perf_counter() - start
    print(f"scikit-learn brute force: {seconds:.2f} s; neural-lsh takes {our_seconds / seconds:.3f} of it")

    sample = np.sort(np.random.default_rng(1).choice(len(images), SAMPLE, replace=False))
    differing = int((exact_rows(images, sample, neighbors) != ours[sample]).any(1).sum())
    print(f"{SAMPLE - differing} of {SAMPLE} sampled rows are identical to brute force in double precision, ties by id")
    sys.exit(1 if differing else 0)


main()
