"""Reads an index file as any Python user would and prints what it finds as JSON.

    python python-reader.py index.nlsh query,query,... query,query,...

The logits are computed with NumPy and, where it is installed, with PyTorch after a strict load_state_dict.
"""
import json
import sys

import numpy
from safetensors import safe_open

path, *queries = sys.argv[1:]
with safe_open(path, framework="numpy") as file:
    metadata = file.metadata()
    tensors = {name: file.get_tensor(name) for name in file.keys()}

weights = {name.removeprefix("classifier."): tensor for name, tensor in tensors.items() if name.startswith("classifier.")}
inputs = numpy.array([query.split(",") for query in queries], numpy.float32)
inputs = (inputs - tensors["input.mean"]) * tensors["input.scale"]
layers = sorted({int(name.split(".")[0]) for name in weights})

activations = inputs
for layer in layers:
    activations = activations @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"]
    if layer != layers[-1]:
        activations = numpy.maximum(activations, 0)
result = {"format": metadata["format"], "numpy": activations.tolist()}

try:
    import torch
except ImportError:
    pass
else:
    modules = []
    for layer in layers:
        outputs, width = weights[f"{layer}.weight"].shape
        modules += [torch.nn.Linear(width, outputs), torch.nn.ReLU()]
    model = torch.nn.Sequential(*modules[:-1])
    model.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in weights.items()}, strict=True)
    with torch.no_grad():
        result["torch"] = model(torch.from_numpy(inputs)).tolist()

bytes_, offsets = tensors["words.bytes"].tobytes(), tensors["words.offsets"]
result["words"] = [bytes_[begin:end].decode() for begin, end in zip(offsets, offsets[1:])]
# What bin b holds: the row numbers and their vectors.
edges = tensors["bins.offsets"]
result["bins"] = [tensors["bins.ids"][begin:end].tolist() for begin, end in zip(edges, edges[1:])]
result["vectorSum"] = float(tensors["bins.vectors"].astype(numpy.float64).sum())
print(json.dumps(result))
