"""Runs a bundle's network with onnxruntime, on the CPU, many workloads in one call."""

from __future__ import annotations

import numpy as np

from predictor.errors import BundleError, InputError
from predictor.features import Features32, FeatureSchema
from predictor.forecast import Float32Array

INPUTS = ("steps", "origin", "ahead")
OUTPUT = "quantiles"
_BATCH = 256  # larger batches leave the cache and gain nothing


class Runtime:
    """One loaded network.  Safe to call from several threads."""

    def __init__(self, onnx: bytes, schema: FeatureSchema, levels: tuple[float, ...], *, threads: int = 1) -> None:
        import onnxruntime  # half a second that readers of a card do not need

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # it would keep for ever what the largest batch took
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises types of its own that are not exported
            raise BundleError(f"model.onnx cannot be loaded ({error}); train again") from error
        names = tuple(entry.name for entry in self._session.get_inputs())
        shapes = {entry.name: tuple(entry.shape[1:]) for entry in self._session.get_inputs()}
        outputs = {entry.name: tuple(entry.shape[1:]) for entry in self._session.get_outputs()}
        if names != INPUTS or outputs.get(OUTPUT) != (2, schema.horizon, len(levels)):
            raise BundleError(
                f"model.onnx reads {names} and gives {outputs}; the card promises {INPUTS} and "
                f"{OUTPUT} of (2, {schema.horizon}, {len(levels)}): the two files do not belong together"
            )
        if shapes["steps"][0] != schema.context or shapes["ahead"][0] != schema.horizon:
            raise BundleError(f"model.onnx reads {shapes}, which does not fit the card's context and horizon")
        self._shapes = shapes

    def run(self, steps: Features32, origin: Features32, ahead: Features32) -> Float32Array:
        """Log-relative quantiles (batch, head, horizon, level).

        steps: (batch, context, step feature).  origin: (batch, origin feature).
        ahead: (batch, horizon, ahead feature).
        """
        for name, array in zip(INPUTS, (steps, origin, ahead), strict=True):
            if array.shape[1:] != self._shapes[name]:
                raise InputError(
                    f"the model reads {name} of shape {self._shapes[name]}, got {array.shape[1:]}; "
                    "give the same covariates and events as in training"
                )
            # The network clips its inputs, and clipping turns NaN into a number: it would pass for a forecast.
            if not np.isfinite(array).all():
                raise InputError(f"the model's input {name} holds values that are not finite; this is a bug: report it")
        parts = []
        for start in range(0, len(steps), _BATCH):
            rows = slice(start, start + _BATCH)
            feed = {"steps": steps[rows], "origin": origin[rows], "ahead": ahead[rows]}
            parts.append(self._session.run([OUTPUT], feed)[0])
        quantiles: Float32Array = np.concatenate(parts)
        if not np.isfinite(quantiles).all():
            raise BundleError("the network gave values that are not finite; the model is damaged: train again")
        return quantiles
