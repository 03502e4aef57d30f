"""Rivals for the forecast benchmark: LightGBM quantile regression and DLinear, given the network's own inputs.

Both forecast log-relative demand from exactly the features that the network reads, weight errors as it does, and stop
early on the same validation span.  They give the median at the last step ahead, which is what is compared.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import lightgbm
import numpy as np
import numpy.typing as npt
import torch

from predictor.series import FloatArray
from training.dataset import Example

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One series for a rival: the features of every minute, and which rows may be used for what."""

    example: Example  # over the whole series; its offset comes from the training span
    train_end: int  # rows before split train, [split, train_end) stop early
    judged: slice  # rows to forecast from

    def train(self, first: int = 0) -> Rows:
        """Rows to fit on."""
        return self._known(max(self.example.first, first), self.example.split)

    def valid(self) -> Rows:
        """Rows to stop early on."""
        return self._known(self.example.split, self.train_end)

    def _known(self, first: int, last: int) -> Rows:
        """Rows of [first, last) whose outcome is known and lies before `last`."""
        index = np.arange(first, last - self.example.ahead.shape[1])
        known: Rows = index[np.isfinite(self.example.target[index, 0, -1])]
        return known


@dataclass(frozen=True, slots=True, eq=False)
class RivalResult:
    """Median demand at the last step ahead for the judged origins, and what it cost."""

    median: FloatArray  # (origin,)
    seconds: float


def fit_lightgbm(task: Task, seed: int) -> RivalResult:
    """Quantile regression by boosted trees on the flattened inputs of the last step ahead."""
    started = time.perf_counter()
    example = task.example
    inputs = np.concatenate([example.origin, example.ahead.reshape(len(example), -1)], axis=1)
    target, weight = example.target[:, 0, -1], example.weight
    train, valid = task.train(), task.valid()
    data = lightgbm.Dataset(inputs[train], target[train], weight=weight[train])
    held = lightgbm.Dataset(inputs[valid], target[valid], weight=weight[valid], reference=data)
    parameters = {
        "objective": "quantile",
        "alpha": 0.5,
        "num_leaves": 31,
        "learning_rate": 0.05,
        "min_data_in_leaf": 100,
        "feature_fraction": 0.8,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "num_threads": 1,
        "seed": seed,
        "verbosity": -1,
    }
    stop = lightgbm.early_stopping(30, verbose=False)
    booster = lightgbm.train(parameters, data, 400, valid_sets=[held], callbacks=[stop])
    seconds = time.perf_counter() - started
    return RivalResult(_demand(task, np.asarray(booster.predict(inputs[task.judged], num_threads=1))), seconds)


def fit_dlinear(task: Task, seed: int, *, context: int, epochs: int = 40) -> RivalResult:
    """One linear map of the decomposed context (trend and remainder) and of the season's shape."""
    started = time.perf_counter()
    torch.manual_seed(seed)
    example, back = task.example, context - 1
    level = torch.from_numpy(np.nan_to_num(example.log_level).astype(np.float32))
    fine = level + torch.from_numpy(example.steps[:, 0])  # log demand; the level itself where it was not observed
    history = fine.unfold(0, context, 1) - level[back:, None]  # (origin, context) relative to the present level
    padded = torch.nn.functional.pad(history[:, None], (12, 12), mode="replicate")
    trend = torch.nn.functional.avg_pool1d(padded, 25, stride=1)[:, 0]
    ahead = torch.from_numpy(example.ahead.reshape(len(example), -1))[back:]
    inputs = torch.cat([trend, history - trend, ahead], dim=1)
    target, weight = torch.from_numpy(example.target[:, 0, -1]), torch.from_numpy(example.weight)
    train, valid = task.train(first=back), task.valid()
    model = torch.nn.Linear(inputs.shape[1], 1)
    torch.nn.init.zeros_(model.weight)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def error(rows: Rows) -> torch.Tensor:
        loss: torch.Tensor = ((target[rows] - model(inputs[rows - back])[:, 0]).abs() * weight[rows]).mean()
        return loss

    best, best_loss, worse = model.state_dict(), float("inf"), 0
    for _ in range(epochs):
        order = torch.randperm(len(train)).numpy()
        for start in range(0, len(order), 1024):
            loss = error(train[order[start : start + 1024]])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            value = float(error(valid))
        worse += 1
        if value < best_loss:
            best, best_loss, worse = copy.deepcopy(model.state_dict()), value, 0
        if worse >= 4:
            break
    model.load_state_dict(best)
    seconds = time.perf_counter() - started
    with torch.no_grad():
        median = model(inputs[np.arange(len(example))[task.judged] - back])[:, 0].numpy()
    return RivalResult(_demand(task, median), seconds)


def _demand(task: Task, relative: FloatArray) -> FloatArray:
    return np.maximum(np.exp(relative + task.example.log_level[task.judged]) - task.example.offset, 0.0)
