"""Fit the network: seeded, with averaged weights, early stopping on a later span, and checkpoints that resume."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from predictor.errors import InputError
from predictor.forecast import DEFAULT_LEVELS
from training.dataset import Example
from training.loss import pinball_loss
from training.network import NetworkShape, QuantileLSTM

_VALIDATION_STRIDE = 128  # steps of loss per validation sequence


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How the network is trained; the defaults were chosen on validation spans."""

    levels: tuple[float, ...] = DEFAULT_LEVELS
    seed: int = 0
    updates: int = 200
    batch: int = 24
    warm_steps: int = 64  # steps read before the first loss: the context the model has in service
    loss_steps: int = 128
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-3
    dropout: float = 0.1
    averaging: float = 0.98  # decay of the running mean of the weights
    check_every: int = 30
    patience: int = 5  # checks without improvement before stopping
    threads: int = 1  # more than one collapses beside any other load
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at a running fit."""

    update: int
    updates: int
    loss: float
    validation_loss: float
    skill: float  # 1 - WAPE / WAPE of "no change" at the last step ahead, on the validation span
    best_validation_loss: float
    seconds: float
    seconds_left: float


@dataclass(frozen=True, slots=True, eq=False)
class FitResult:
    """The best averaged weights and how they came about."""

    network: QuantileLSTM
    history: tuple[Progress, ...]
    updates: int
    best_update: int
    seconds: float
    interrupted: bool


def choose_device(wanted: str) -> torch.device:
    """CUDA when there is one and nothing else was asked for."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise InputError(f"--device {wanted}: {error}; use auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch finds no CUDA device here; use --device cpu or auto")
    return device


def fit(
    examples: Sequence[Example],
    settings: FitSettings,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> FitResult:
    """Train one network over all examples.

    An interrupt (Ctrl-C) ends training early and returns the best weights so far; `checkpoint` is written at every
    check and lets `resume=True` go on from there.
    """
    device = choose_device(settings.device)
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    run = _Run(examples, settings, device)
    if resume and checkpoint is not None:
        run.restore(checkpoint)
    history: list[Progress] = []
    interrupted = False
    started, first = time.monotonic(), run.update
    try:
        while run.update < settings.updates and run.checks_since_best < settings.patience:
            loss = run.step()
            if run.update % settings.check_every and run.update < settings.updates:
                continue
            validation, skill = run.validate()
            run.keep_if_best(validation)
            seconds = time.monotonic() - started
            left = seconds / (run.update - first) * (settings.updates - run.update)
            history.append(
                Progress(run.update, settings.updates, loss, validation, skill, run.best_loss, seconds, left)
            )
            if checkpoint is not None:
                run.save(checkpoint)
            on_progress(history[-1])
    except KeyboardInterrupt:
        if run.best_update == 0:
            raise
        interrupted = True
    run.average.load_state_dict(run.best)
    network = run.average.to("cpu").eval()
    return FitResult(network, tuple(history), run.update, run.best_update, time.monotonic() - started, interrupted)


class _Run:
    """The moving parts of one fit."""

    def __init__(self, examples: Sequence[Example], settings: FitSettings, device: torch.device) -> None:
        self.examples, self.settings, self.device = examples, settings, device
        first = examples[0]
        shape = NetworkShape(
            step_features=first.steps.shape[-1],
            origin_features=first.origin.shape[-1],
            ahead_features=first.ahead.shape[-1],
            horizon=first.ahead.shape[1],
            levels=settings.levels,
        )
        self.network = QuantileLSTM(shape, settings.dropout)
        _set_normalization(self.network, examples)
        self.network.to(device)
        self.average = copy.deepcopy(self.network)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.random = np.random.default_rng(settings.seed)
        self.levels = torch.tensor(settings.levels, device=device)
        self.data = [_Tensors.of(example, device) for example in examples]
        room = np.array([max(e.split - e.first - self._length, 1) for e in examples], dtype=np.float64)
        self.share = room / room.sum()
        self.update, self.best_update, self.checks_since_best = 0, 0, 0
        self.best_loss, self.best = math.inf, self.average.state_dict()

    @property
    def _length(self) -> int:
        return self._span + int(self.examples[0].ahead.shape[1])

    def step(self) -> float:
        """One update on a fresh batch of stretches from the training spans."""
        settings = self.settings
        self.update += 1
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * _schedule(self.update, settings.updates)
        self.network.train()
        loss = self._loss(self.network, self._batch())
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        decay = min(settings.averaging, (1 + self.update) / (10 + self.update))
        with torch.no_grad():
            for mean, new in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(new, 1 - decay)
        return float(loss.detach())

    def _batch(self) -> _Tensors:
        """Stretches spread evenly over each training span, so that every batch sees every hour."""
        settings = self.settings
        chosen = np.sort(self.random.choice(len(self.examples), size=settings.batch, p=self.share))
        parts = []
        for index in np.unique(chosen):
            example, count = self.examples[index], int((chosen == index).sum())
            high = max(example.split - self._length, example.first + 1)
            place = (np.arange(count) + self.random.random(count)) / count
            parts.append(self.data[index].cut((example.first + place * (high - example.first)).astype(int), self._span))
        return _Tensors.join(parts)

    @property
    def _span(self) -> int:
        return self.settings.warm_steps + self.settings.loss_steps

    def _loss(self, network: QuantileLSTM, batch: _Tensors) -> Tensor:
        warm = self.settings.warm_steps
        quantiles = network.forward_all(batch.steps, batch.origin, batch.ahead, warm)
        loss = pinball_loss(quantiles, batch.target[:, warm:], batch.weight[:, warm:], self.levels)
        return loss / network.get_buffer("target_scale")

    @torch.no_grad()
    def validate(self) -> tuple[float, float]:
        """Loss and skill over "no change" of the averaged weights on the validation spans."""
        self.average.eval()
        warm, span = self.settings.warm_steps, self._span
        losses, errors, stays = [], 0.0, 0.0
        for example, data in zip(self.examples, self.data, strict=True):
            starts = np.arange(example.split - warm, len(example) - span, _VALIDATION_STRIDE)
            if starts.size == 0:
                starts = np.array([max(len(example) - span, 0)])
            batch = data.cut(starts, min(span, len(example)))
            losses.append(float(self._loss(self.average, batch)))
            quantiles = self.average.forward_all(batch.steps, batch.origin, batch.ahead, warm)
            actual = torch.exp(batch.target[:, warm:, 0, -1])
            weight = batch.weight[:, warm:] * torch.isfinite(actual)
            actual = torch.nan_to_num(actual)
            now = torch.exp(batch.origin[:, warm:, 0])  # the newest sample relative to the level
            median = torch.exp(quantiles[:, :, 0, -1, self.average.middle])
            errors += float((weight * (actual - median).abs()).sum())
            stays += float((weight * (actual - now).abs()).sum())
        return float(np.mean(losses)), 1 - errors / max(stays, 1e-12)

    def keep_if_best(self, loss: float) -> None:
        self.checks_since_best += 1
        if loss < self.best_loss:
            self.best_loss, self.best_update, self.checks_since_best = loss, self.update, 0
            self.best = copy.deepcopy(self.average.state_dict())

    def save(self, path: Path) -> None:
        """Write everything that `restore` needs, atomically."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        torch.save(
            {
                "settings": _comparable(self.settings),
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "best": self.best,
                "optimizer": self.optimizer.state_dict(),
                "random": self.random.bit_generator.state,
                "torch_random": torch.get_rng_state(),
                "counts": [self.update, self.best_update, self.checks_since_best],
                "best_loss": self.best_loss,
            },
            partial,
        )
        partial.replace(path)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint of the same settings; tensors only, nothing in it is executed."""
        try:
            state: dict[str, Any] = torch.load(path, weights_only=True, map_location=self.device)
        except FileNotFoundError as error:
            raise InputError(f"{path}: no checkpoint to resume from; train without --resume first") from error
        except Exception as error:  # torch raises half a dozen types for a damaged file
            raise InputError(f"{path}: this checkpoint cannot be read ({error}); delete it and train anew") from error
        if state["settings"] != _comparable(self.settings):
            raise InputError(f"{path}: made with other settings; repeat them, or train without --resume")
        try:
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
        except RuntimeError as error:
            raise InputError(f"{path}: made for other data ({error}); train without --resume") from error
        self.best = state["best"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.random.bit_generator.state = state["random"]
        torch.set_rng_state(state["torch_random"].cpu())
        self.update, self.best_update, self.checks_since_best = state["counts"]
        self.best_loss = state["best_loss"]


@dataclass(frozen=True, slots=True, eq=False)
class _Tensors:
    """An example, or a batch of stretches of examples, on the device."""

    steps: Tensor
    origin: Tensor
    ahead: Tensor
    target: Tensor
    weight: Tensor

    @classmethod
    def of(cls, example: Example, device: torch.device) -> _Tensors:
        arrays = (example.steps, example.origin, example.ahead, example.target, example.weight)
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))

    def cut(self, starts: npt.NDArray[np.int64], length: int) -> _Tensors:
        """Stretches of `length` steps: (start, length, ...)."""
        index = torch.from_numpy(starts[:, None] + np.arange(length)).to(self.steps.device)
        return _Tensors(*(getattr(self, name)[index] for name in self.__slots__))

    @classmethod
    def join(cls, parts: Sequence[_Tensors]) -> _Tensors:
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in cls.__slots__))


def _set_normalization(network: QuantileLSTM, examples: Sequence[Example]) -> None:
    """Mean and deviation of every input over the training spans, and the scale of the target."""
    spans = [(example, slice(example.first, example.split)) for example in examples]
    for name in ("step", "origin", "ahead"):
        field = "steps" if name == "step" else name
        rows = [getattr(example, field)[span] for example, span in spans]
        stacked = np.concatenate([row.reshape(-1, row.shape[-1]) for row in rows])
        # Shapes keep their zero: "no change" must stay the neutral value.
        mean = np.zeros(stacked.shape[1], np.float32) if name == "ahead" else stacked.mean(axis=0)
        getattr(network, f"{name}_mean").copy_(torch.from_numpy(mean))
        getattr(network, f"{name}_scale").copy_(torch.from_numpy(stacked.std(axis=0) + 1e-2))
    last = np.concatenate([example.target[span, 0, -1] for example, span in spans])
    network.get_buffer("target_scale").copy_(torch.tensor(float(np.nanstd(last)) + 1e-3))


def _schedule(update: int, updates: int) -> float:
    """Warm up over 30 updates, then a half cosine down to 3 %."""
    return min(1.0, update / 30) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * update / updates)))


def _comparable(settings: FitSettings) -> dict[str, Any]:
    """Settings that must be equal to resume; more updates or patience, or another device, are fine."""
    free = ("updates", "patience", "threads", "device", "check_every")
    return {key: value for key, value in asdict(settings).items() if key not in free}
