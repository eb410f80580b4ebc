"""Capture functions of tensors as CUDA graphs, so that a GPU replays thousands of kernels with one launch.

Runs on the CPU do not use this module. The first calls of a function run normally on the stream of the capture, so a
captured run executes the same steps in the same order as one without capture.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3
"""Calls before the capture; libraries choose their algorithms and optimizers create their state in them."""

Outputs = list[Tensor]


class CudaGraphs:
    """Records CUDA graphs that share one memory pool; two of them must never run at the same time."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()

    def warm_up(self, function: Callable[[], Outputs]) -> Outputs:
        """Call the function once on the stream of the recording."""
        main = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(main)
        with torch.cuda.stream(self.stream):
            outputs = function()
        main.wait_stream(self.stream)
        return outputs

    def record(self, function: Callable[[], Outputs]) -> Callable[[], Outputs]:
        """Record the function and return a function that replays it on the same memory; recording computes nothing."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device), torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            outputs = function()

        def replay() -> Outputs:
            graph.replay()
            return outputs

        return replay


class Captured:
    """A function of tensors that is recorded after a few calls and then replayed: ``function = Captured(function, recorder)``.

    The function may change tensors, but only in place, because a recording refers to memory and not to variables. After
    replacing tensors, e.g. by loading an optimizer, call :meth:`forget`.

    Args:
        function: tensors -> tensors. Other input shapes cause a new recording.
        recorder: records the graph.
    """

    def __init__(self, function: Callable[..., Outputs], recorder: CudaGraphs) -> None:
        self.function, self.recorder = function, recorder
        self.forget()

    def forget(self) -> None:
        """Discard the recording and start again with the warm-up."""
        self._shapes: list[torch.Size] = []
        self._calls = 0
        self._inputs: list[Tensor] = []
        self._replay: Callable[[], Outputs] | None = None

    @property
    def recorded(self) -> bool:
        """Whether calls are replayed."""
        return self._replay is not None

    def __call__(self, *inputs: Tensor) -> Outputs:
        """Call or replay the function; later calls do not change the returned tensors."""
        shapes = [tensor.shape for tensor in inputs]
        if shapes != self._shapes:
            self.forget()
            self._shapes = shapes
        self._calls += 1
        if self._calls <= WARM_UP:
            return self.recorder.warm_up(lambda: self.function(*inputs))
        if self._replay is None:
            self._inputs = [torch.empty_like(tensor) for tensor in inputs]
            self._replay = self.recorder.record(lambda: self.function(*self._inputs))
        for static, tensor in zip(self._inputs, inputs, strict=True):
            static.copy_(tensor)
        # Another recording may overwrite a result, because all recordings share the pool.
        return [output.clone() for output in self._replay()]
