#!/usr/bin/python3
"""Train the small digit classifier that the repository carries.

    train_digits.py

writes tests/golden/digits/: digits.onnx (opset 13, dynamic batch), images.npy
(float32 [N,1,8,8], 0..1) and labels.npy (int64 [N]). The images are a held-out
fifth that training never saw. Needs python3-torch, python3-sklearn and
python3-onnx; takes a minute. Seeded, so that it can be repeated.
"""
import os

import numpy as np
import onnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
import torch
import torch.nn as nn

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "digits")


def network():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(256, 10))


def shifted(images):
    """Each image moved by up to one pixel: a larger training set for free."""
    padded = nn.functional.pad(images, (1, 1, 1, 1))
    dy, dx = torch.randint(0, 3, (2,))
    return padded[:, :, dy:dy + 8, dx:dx + 8]


def train(model, images, labels):
    optimiser = torch.optim.Adam(model.parameters(), 2e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, 40 * 23)
    loss = nn.CrossEntropyLoss()
    model.train()
    for _ in range(40):
        order = torch.randperm(len(images))
        for batch in order.split(64):
            optimiser.zero_grad()
            loss(model(shifted(images[batch])), labels[batch]).backward()
            optimiser.step()
            schedule.step()
    model.eval()


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    data, target = load_digits(return_X_y=True)
    data = (data / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    target = target.astype(np.int64)
    seen, held, seen_y, held_y = train_test_split(
        data, target, test_size=0.2, random_state=0, stratify=target)
    model = network()
    train(model, torch.from_numpy(seen), torch.from_numpy(seen_y))
    with torch.no_grad():
        right = model(torch.from_numpy(held)).argmax(1).numpy() == held_y
    path = os.path.join(HERE, "digits.onnx")
    torch.onnx.export(
        model, torch.from_numpy(held[:1]), path, opset_version=13,
        training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=True,
        input_names=["image"], output_names=["scores"],
        dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}})
    onnx.checker.check_model(path)
    np.save(os.path.join(HERE, "images.npy"), held)
    np.save(os.path.join(HERE, "labels.npy"), held_y)
    print("%d of %d held-out images right (%.2f %%), %d bytes of ONNX"
          % (right.sum(), len(held), 100 * right.mean(), os.path.getsize(path)))


if __name__ == "__main__":
    main()
