"""The network: a linear skip plus an LSTM residual, direct quantiles for two heads, at every step of a sequence."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from predictor.forecast import MEDIAN, level_index

HEADS = 2  # path: demand at each step ahead; peak: the highest demand up to that step


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """Sizes of one network; stored beside its weights."""

    step_features: int
    origin_features: int
    ahead_features: int
    horizon: int
    levels: tuple[float, ...]
    units: int = 88
    width: int = 104
    ahead_width: int = 64


class QuantileLSTM(nn.Module):
    """Quantiles of log-relative demand, for each step ahead and for the running maximum.

    `forward` reads one context per workload; `forward_all` treats every step of a long sequence as an origin, which
    trains on all of them for the price of one pass.
    """

    def __init__(self, shape: NetworkShape, dropout: float = 0.1) -> None:
        super().__init__()
        self.shape = shape
        levels = len(shape.levels)
        self.middle = level_index(shape.levels, MEDIAN)
        for name, size in (
            ("step", shape.step_features),
            ("origin", shape.origin_features),
            ("ahead", shape.ahead_features),
        ):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_scale", torch.ones(size))
        self.register_buffer("target_scale", torch.ones(()))
        self.lstm = nn.LSTM(shape.step_features, shape.units, batch_first=True)
        self.mix = nn.Linear(shape.units + shape.origin_features, shape.width)
        self.dropout = nn.Dropout(dropout)
        self.from_mix = nn.Linear(shape.width, shape.ahead_width)
        self.from_ahead = nn.Linear(shape.ahead_features, shape.ahead_width)
        self.position = nn.Parameter(torch.randn(shape.horizon, shape.ahead_width) * 0.1)
        self.out = nn.Linear(shape.ahead_width, HEADS * levels)
        flat = shape.origin_features + shape.horizon * shape.ahead_features
        self.skip = nn.Linear(flat, HEADS * shape.horizon)
        nn.init.zeros_(self.skip.weight)
        nn.init.zeros_(self.skip.bias)

    def normalize(self, name: str, values: Tensor) -> Tensor:
        """Inputs of one kind in units of their deviation in training; what lies far outside is cut off."""
        mean, scale = self.get_buffer(f"{name}_mean"), self.get_buffer(f"{name}_scale")
        return ((values - mean) / scale).clamp(-6, 6)

    def forward(self, steps: Tensor, origin: Tensor, ahead: Tensor) -> Tensor:
        """(batch, context, step feature), (batch, origin feature), (batch, horizon, ahead feature)
        to log-relative quantiles (batch, head, horizon, level)."""
        state, _ = self.lstm(self.normalize("step", steps))
        return self.decode(state[:, -1], origin, ahead)

    def forward_all(self, steps: Tensor, origin: Tensor, ahead: Tensor, warm: int) -> Tensor:
        """Like `forward` for every step after the first `warm`: (batch, time - warm, head, horizon, level)."""
        state, _ = self.lstm(self.normalize("step", steps))
        return self.decode(state[:, warm:], origin[:, warm:], ahead[:, warm:])

    def decode(self, state: Tensor, origin: Tensor, ahead: Tensor) -> Tensor:
        origin, ahead = self.normalize("origin", origin), self.normalize("ahead", ahead)
        mixed = self.dropout(torch.relu(self.mix(torch.cat([state, origin], dim=-1))))
        hidden = self.from_mix(mixed).unsqueeze(-2) + self.from_ahead(ahead) + self.position
        raw = self.out(torch.relu(hidden))  # (..., horizon, head * level)
        raw = raw.unflatten(-1, (HEADS, len(self.shape.levels)))
        skip = self.skip(torch.cat([origin, ahead.flatten(-2)], dim=-1)).unflatten(-1, (self.shape.horizon, HEADS))
        middle = raw[..., self.middle] + skip  # (..., horizon, head)
        # Quantiles must not cross: each further level adds a positive gap to the one nearer the median.
        gaps = nn.functional.softplus(raw) * 0.5
        above = torch.cumsum(gaps[..., self.middle + 1 :], dim=-1)
        below = torch.cumsum(gaps[..., : self.middle].flip(-1), dim=-1).flip(-1)
        centre = middle.unsqueeze(-1)
        quantiles = torch.cat([centre - below, centre, centre + above], dim=-1)
        return quantiles.transpose(-2, -3) * self.get_buffer("target_scale")  # (..., head, horizon, level)
