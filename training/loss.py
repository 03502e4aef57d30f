"""The loss: weighted pinball over all quantile levels, steps ahead and both heads; missing samples count nothing."""

from __future__ import annotations

import torch
from torch import Tensor


def pinball_loss(quantiles: Tensor, target: Tensor, weight: Tensor, levels: Tensor) -> Tensor:
    """Mean pinball loss, a scalar.

    quantiles: (batch, time, head, horizon, level).  target: (batch, time, head, horizon), NaN where not observed.
    weight: (batch, time).  levels: (level,).
    """
    known = torch.isfinite(target)
    error = torch.nan_to_num(target).unsqueeze(-1) - quantiles
    pinball = torch.maximum(levels * error, (levels - 1) * error).sum(dim=-1)
    share = weight[..., None, None] * known
    return (pinball * share).sum() / share.sum().clamp_min(1e-6)
