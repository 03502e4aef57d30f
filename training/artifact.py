"""Turn a trained network into the ONNX file that serving runs, and prove that both say the same."""

from __future__ import annotations

import io
import warnings

import numpy as np
import torch
from torch import Tensor

from predictor.errors import BundleError
from predictor.features import FeatureSchema
from predictor.runtime import INPUTS, OUTPUT, Runtime
from training.network import QuantileLSTM

TOLERANCE = 1e-5  # log units
_OPSET = 17


def export_onnx(network: QuantileLSTM, schema: FeatureSchema) -> bytes:
    """Export with a free batch size, then compare ONNX Runtime with torch on random inputs; raises BundleError."""
    network = network.eval()
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter warns that it is the older of two, and about batch sizes that the check below covers.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            _sample(network, schema, 2),
            buffer,  # type: ignore[arg-type]  # torch takes any binary stream
            dynamo=False,
            opset_version=_OPSET,
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_axes={name: {0: "batch"} for name in (*INPUTS, OUTPUT)},
        )
    onnx = buffer.getvalue()
    runtime = Runtime(onnx, schema, network.shape.levels)
    for batch in (1, 7):
        inputs = _sample(network, schema, batch)
        with torch.no_grad():
            expected = network(*inputs).numpy()
        found = runtime.run(*(tensor.numpy() for tensor in inputs))
        apart = float(np.abs(expected - found).max())
        if apart > TOLERANCE:
            raise BundleError(f"the exported network differs from the trained one by {apart:.1e}; report this as a bug")
    return onnx


def _sample(network: QuantileLSTM, schema: FeatureSchema, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(batch)
    shape = network.shape
    return (
        torch.randn(batch, schema.context, shape.step_features, generator=generator),
        torch.randn(batch, shape.origin_features, generator=generator),
        torch.randn(batch, schema.horizon, shape.ahead_features, generator=generator),
    )
