"""Reads an index file as any Python user would and prints what it finds as JSON.

    python python-reader.py index.nlsh [query,query,... query,query,...]

The probabilities of the queries' bins are computed with NumPy (linear layers and ReLU only) and, where it is installed,
with PyTorch after a strict load_state_dict.
"""
import json
import sys

import numpy
from safetensors import safe_open

path, *queries = sys.argv[1:]
with safe_open(path, framework="numpy") as file:
    metadata = file.metadata()
    tensors = {name: file.get_tensor(name) for name in file.keys()}

network = json.loads(metadata["network"])
weights = {name.removeprefix("classifier."): tensor for name, tensor in tensors.items() if name.startswith("classifier.")}
result = {
    "format": metadata["format"],
    "weights": {name: {"shape": tensor.shape, "values": tensor.flatten().tolist()} for name, tensor in weights.items()},
}

inputs = numpy.array([query.split(",") for query in queries], numpy.float32)
if metadata["input"] == "unit-length":
    inputs /= numpy.linalg.norm(inputs, axis=1, keepdims=True)
if queries:
    inputs = (inputs - tensors["input.mean"]) * tensors["input.scale"]
    activations = inputs
    for index, layer in enumerate(network["layers"]):
        if layer["type"] == "linear":
            activations = activations @ weights[f"{index}.weight"].T + weights[f"{index}.bias"]
        else:
            assert layer["type"] == "relu", layer
            activations = numpy.maximum(activations, 0)
    exponentials = numpy.exp(activations / tensors["output.temperature"])
    result["numpy"] = (exponentials / exponentials.sum(axis=1, keepdims=True)).tolist()


def module(layer, shape):
    """The layer as one of PyTorch's, for rows (without the batch) of this shape."""
    nn = torch.nn
    kind = layer["type"]
    if kind == "linear":
        return nn.Linear(shape[0], layer["outputs"], layer["bias"])
    if kind == "conv2d":
        windows = (layer["kernel"], layer["stride"], layer["padding"])
        return nn.Conv2d(shape[0], layer["channels"], *windows, bias=layer["bias"])
    if kind == "max-pool2d":
        return nn.MaxPool2d(layer["kernel"], layer["stride"], layer["padding"])
    if kind == "batch-norm":
        kind = nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d
        return kind(shape[0], layer["epsilon"], layer["momentum"])
    return {"flatten": nn.Flatten, "relu": nn.ReLU, "dropout": nn.Dropout}[kind]()


try:
    import torch
except ImportError:
    pass
else:
    shape = network["inputShape"] if network["inputShape"][1:] != [1, 1] else network["inputShape"][:1]
    row = torch.zeros(1, *shape)
    modules = []
    for layer in network["layers"]:
        modules.append(module(layer, row.shape[1:]).eval())
        row = modules[-1](row)
    model = torch.nn.Sequential(*modules)
    state = {name: torch.from_numpy(tensor) for name, tensor in weights.items()}
    result["missing"], result["unexpected"] = model.load_state_dict(state, strict=True)
    if queries:
        with torch.no_grad():
            outputs = model(torch.from_numpy(inputs).reshape(len(queries), *shape))
            result["torch"] = (outputs / float(tensors["output.temperature"][0])).softmax(1).tolist()

if "words.bytes" in tensors:
    bytes_, offsets = tensors["words.bytes"].tobytes(), tensors["words.offsets"]
    result["words"] = [bytes_[begin:end].decode() for begin, end in zip(offsets, offsets[1:])]
# What bin b holds: the row numbers and their vectors.
edges = tensors["bins.offsets"]
result["bins"] = [tensors["bins.ids"][begin:end].tolist() for begin, end in zip(edges, edges[1:])]
result["vectorSum"] = float(tensors["bins.vectors"].astype(numpy.float64).sum())
print(json.dumps(result))
