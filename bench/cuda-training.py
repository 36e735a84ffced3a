"""Times PyTorch's training on the GPU: cuda-training.py TRAINING

TRAINING: JSON with widths, batchNorm, dropout, rows, epochs, batchSize and precision. Prints the epochs' seconds as JSON.
"""

import json
import sys
import time

import torch

training = json.loads(sys.argv[1])
widths = training["widths"]
torch.backends.cuda.matmul.allow_tf32 = training["precision"] == "tf32"

layers = []
for inputs, outputs in zip(widths[:-2], widths[1:-1]):
    layers.append(torch.nn.Linear(inputs, outputs))
    if training["batchNorm"]:
        layers.append(torch.nn.BatchNorm1d(outputs))
    layers.append(torch.nn.ReLU())
    if training["dropout"]:
        layers.append(torch.nn.Dropout(training["dropout"]))
model = torch.nn.Sequential(*layers, torch.nn.Linear(widths[-2], widths[-1])).cuda()

rows = training["rows"]
vectors = torch.randn(rows, widths[0], device="cuda")
labels = torch.randint(widths[-1], (rows,), device="cuda")
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
loss_of = torch.nn.CrossEntropyLoss()

seconds = []
for _ in range(training["epochs"]):
    torch.cuda.synchronize()
    start = time.perf_counter()
    total = torch.zeros((), device="cuda")
    for batch in torch.randperm(rows, device="cuda").split(training["batchSize"]):
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16, enabled=training["precision"] == "bf16"):
            loss = loss_of(model(vectors[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        total += loss.detach()
    total.item()
    seconds.append(time.perf_counter() - start)
print(json.dumps(seconds))
