"""Functions of tensors that a GPU replays as one CUDA graph, instead of launching their thousands of kernels one by one.

A run on the CPU never comes here. What is captured is the function itself: its first calls run as they are, on the stream of the
capture, so that a captured run carries out the same steps in the same order as one that is not.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3
"""Calls before the capture, in which libraries choose their algorithms and optimizers make their state."""

Outputs = list[Tensor]


class CudaGraphs:
    """Records CUDA graphs that share one pool of memory; no two of them run at the same time."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()

    def warm_up(self, function: Callable[[], Outputs]) -> Outputs:
        """Carry the function out once, as the recording will."""
        main = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(main)
        with torch.cuda.stream(self.stream):
            outputs = function()
        main.wait_stream(self.stream)
        return outputs

    def record(self, function: Callable[[], Outputs]) -> Callable[[], Outputs]:
        """What repeats the function on the same memory; recording alone computes nothing."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device), torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            outputs = function()

        def replay() -> Outputs:
            graph.replay()
            return outputs

        return replay


class Captured:
    """A function of tensors, recorded after a few calls and replayed from then on: ``function = Captured(function, recorder)``.

    The function may change whatever it likes, but in place: the recording knows the memory, not the variables. Whoever
    puts other tensors in their place (a loaded optimizer) calls :meth:`forget`.

    Args:
        function: tensors of the same shapes every time -> tensors.
        recorder: what it is recorded with.
    """

    def __init__(self, function: Callable[..., Outputs], recorder: CudaGraphs) -> None:
        self.function, self.recorder = function, recorder
        self.forget()

    def forget(self) -> None:
        """Begin again with the warm-up."""
        self._shapes: list[torch.Size] = []
        self._calls = 0
        self._inputs: list[Tensor] = []
        self._replay: Callable[[], Outputs] | None = None

    @property
    def recorded(self) -> bool:
        """Whether calls are replayed by now."""
        return self._replay is not None

    def __call__(self, *inputs: Tensor) -> Outputs:
        """The function's result; tensors that no later call changes."""
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
        # The memory of a result belongs to the pool, so another recording may write there.
        return [output.clone() for output in self._replay()]
