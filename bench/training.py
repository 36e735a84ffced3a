"""Prints PyTorch's training throughput in samples a second, that of its best epoch after the first:
training.py ROWS INPUTS HIDDEN... BINS BATCH EPOCHS THREADS
"""

import sys
import time

import torch
from torch import nn


def network(widths):
    layers = []
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def best_epoch(inputs, labels, widths, batch, epochs, fused):
    net = network(widths)
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
    rows, *widths, batch, epochs, threads = map(int, sys.argv[1:])
    torch.set_num_threads(threads)
    inputs, labels = torch.randn(rows, widths[0]), torch.randint(0, widths[-1], (rows,))
    print(rows / min(best_epoch(inputs, labels, widths, batch, epochs, fused) for fused in (False, True)))


main()
