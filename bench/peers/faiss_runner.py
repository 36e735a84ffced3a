"""faiss as a runner of bench/peers.mjs (runner.mjs says how one speaks): faiss_runner.py build | serve <JSON>.

A query is one call of the library's own `search` with pointers that were made beforehand, so that hardly anything of
Python is in it; what is, a search in an empty index shows (callNanoseconds).
"""

import json
import os
import sys
import time

import faiss
import numpy as np


def floats(path, dimensions):
    return np.fromfile(path, dtype="<f4").reshape(-1, dimensions)


def own_bytes():
    """Resident pages that no file stands behind."""
    with open("/proc/self/statm") as file:
        _, resident, of_files = map(int, file.read().split()[:3])
    return (resident - of_files) * os.sysconf("SC_PAGESIZE")


def build(job):
    base = floats(job["base"], job["dimensions"])
    metric = faiss.METRIC_INNER_PRODUCT if job["metric"] == "cosine" else faiss.METRIC_L2
    start, process_start = time.perf_counter(), time.process_time()
    index = faiss.index_factory(job["dimensions"], job["build"]["factory"], metric)
    if "efConstruction" in job["build"]:
        index.hnsw.efConstruction = job["build"]["efConstruction"]
    index.train(base)
    index.add(base)
    seconds, process_seconds = time.perf_counter() - start, time.process_time() - process_start
    faiss.write_index(index, job["index"])
    print(json.dumps({"buildSeconds": seconds, "buildCpuSeconds": process_seconds}))


def set_parameters(index, parameters):
    inverted = index
    if "rerank" in parameters:
        index.k_factor = parameters["rerank"]
        inverted = faiss.downcast_index(index.base_index)
    if "nprobe" in parameters:
        inverted.nprobe = parameters["nprobe"]
    if "ef" in parameters:
        index.hnsw.efSearch = parameters["ef"]


class Caller:
    """Searches one query a call; `ids` holds the last answer."""

    def __init__(self, index, queries, k):
        self.ids = np.empty(k, dtype=np.int64)
        self._queries, self._distances = queries, np.empty(k, dtype=np.float32)
        self._pointers = [faiss.swig_ptr(query) for query in queries]
        self._search, self._k = index.search_c, k
        self._out = faiss.swig_ptr(self._distances), faiss.swig_ptr(self.ids)

    def calls(self):
        """A function without arguments for each query."""
        search, k, (distances, ids) = self._search, self._k, self._out

        def call(pointer):
            return lambda: search(1, pointer, k, distances, ids)

        return [call(pointer) for pointer in self._pointers]


def timed(calls):
    clock, nanoseconds = time.perf_counter_ns, []
    for call in calls:
        start = clock()
        call()
        nanoseconds.append(clock() - start)
    return nanoseconds


def serve(job):
    k, dimensions = job["k"], job["dimensions"]
    faiss.omp_set_num_threads(1)
    queries = floats(job["queries"], dimensions)[: job["count"]]
    empty = Caller(faiss.IndexFlatL2(dimensions), queries, k).calls()
    call_nanoseconds = float(np.median([timed(empty) for _ in range(10)]))

    before = own_bytes()
    index = faiss.read_index(job["index"])
    caller = Caller(index, queries, k)
    calls = caller.calls()
    timed(calls)
    print(json.dumps({"memoryBytes": own_bytes() - before, "callNanoseconds": call_nanoseconds}), flush=True)

    for line in sys.stdin:
        request = json.loads(line)
        set_parameters(index, request)
        faiss.cvar.indexIVF_stats.reset()
        ids = []
        for call in calls:
            call()
            ids.extend(caller.ids.tolist())
        reply = {"ids": ids}
        if faiss.cvar.indexIVF_stats.ndis > 0:
            reply["candidates"] = faiss.cvar.indexIVF_stats.ndis / len(calls)
        reply["nanoseconds"] = [time for _ in range(request["passes"]) for time in timed(calls)]
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    {"build": build, "serve": serve}[sys.argv[1]](json.loads(sys.argv[2]))
