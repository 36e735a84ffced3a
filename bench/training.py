"""Prints PyTorch's training throughput in samples a second, that of its best epoch after the first:
training.py '{"widths": [784, 512, 256], "batchNorm": false, "dropout": 0, "rows": ..., "batchSize": ..., "epochs": ...,
"threads": ...}'
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
    return nn.Sequential(*layers, nn.Linear(*widths[-2:]))


def best_epoch(net, inputs, labels, batch, epochs, fused):
    optimizer = torch.optim.Adam(net.parameters(), fused=fused)
    cross_entropy = nn.CrossEntropyLoss()
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        order = torch.randperm(len(inputs))
        for first in range(0, len(inputs), batch):
            rows = order[first : first + batch]
            loss = cross_entropy(net(inputs[rows]), labels[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def main():
    training = json.loads(sys.argv[1])
    widths, rows = training["widths"], training["rows"]
    torch.set_num_threads(training["threads"])
    torch.set_flush_denormal(True)  # as neural-lsh does: else many CPUs are slowed down several times over
    inputs, labels = torch.randn(rows, widths[0]), torch.randint(0, widths[-1], (rows,))
    best = min(
        best_epoch(
            network(widths, training["batchNorm"], training["dropout"]),
            inputs,
            labels,
            training["batchSize"],
            training["epochs"],
            fused,
        )
        for fused in (False, True)
    )
    print(rows / best)


main()
