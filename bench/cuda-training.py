"""Times PyTorch's training on the GPU: cuda-training.py TRAININGS

TRAININGS: JSON, a list of widths, batchNorm, dropout, rows, epochs, batchSize, precision and graphs; rows is a multiple of
batchSize. Prints for each the seconds of its epochs, as JSON.
"""

import json
import sys
import time

import torch
from torch import nn


def network(widths, batch_norm, dropout):
    layers = []
    for inputs, outputs in zip(widths, widths[1:-1]):
        layers.append(nn.Linear(inputs, outputs))
        if batch_norm:
            layers.append(nn.BatchNorm1d(outputs))
        layers.append(nn.ReLU())
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(*widths[-2:])).cuda()


def recorded(step):
    """The same step as a CUDA graph, after what PyTorch asks for before: a few steps on another stream."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def seconds_of_epochs(training):
    widths, rows, precision = training["widths"], training["rows"], training["precision"]
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    net = network(widths, training["batchNorm"], training["dropout"])
    inputs = torch.randn(rows, widths[0], device="cuda")
    labels = torch.randint(widths[-1], (rows,), device="cuda")
    optimizer = torch.optim.Adam(net.parameters(), fused=True, capturable=training["graphs"])
    cross_entropy = nn.CrossEntropyLoss()
    batch = torch.arange(training["batchSize"], device="cuda")
    total = torch.zeros((), device="cuda")

    def step():
        # Autocast's copies of the weights must not outlive a step that is recorded.
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16", cache_enabled=not training["graphs"]):
            loss = cross_entropy(net(inputs[batch]), labels[batch])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total.add_(loss.detach())

    run = recorded(step) if training["graphs"] else step
    seconds = []
    for _ in range(training["epochs"]):
        torch.cuda.synchronize()
        start = time.perf_counter()
        total.zero_()
        for rows_of_batch in torch.randperm(rows, device="cuda").split(training["batchSize"]):
            batch.copy_(rows_of_batch)
            run()
        total.item()
        seconds.append(time.perf_counter() - start)
    return seconds


print(json.dumps([seconds_of_epochs(training) for training in json.loads(sys.argv[1])]))
