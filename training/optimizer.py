"""Muon for matrices and AdamW for the rest.

Muon (Keller Jordan, https://kellerjordan.github.io/posts/muon/) makes every update of a matrix
nearly orthogonal, so that no direction is learned much later than the others; scaled as by Liu et
al. (Muon is Scalable for LLM Training, 2025) it takes AdamW's learning rate.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

_MOMENTUM = 0.95
_DECAY = 0.03
_LIKE_ADAM = 0.2  # Liu et al.: root mean square of AdamW's usual updates
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan's quintic iteration
_ROUNDS = 5


class Muon(torch.optim.Optimizer):
    """For parameters of two dimensions."""

    def __init__(self, parameters: Iterable[nn.Parameter], rate: float) -> None:
        super().__init__(parameters, {"lr": rate})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].lerp_(parameter.grad, 1 - _MOMENTUM)
                update = orthogonal(parameter.grad.lerp(momentum, _MOMENTUM))
                scale = _LIKE_ADAM * max(parameter.shape) ** 0.5
                parameter.mul_(1 - group["lr"] * _DECAY)
                parameter.add_(update, alpha=-group["lr"] * scale)


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix with all its singular values near 1, by Newton and Schulz."""
    turned = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    result = (turned / (turned.norm() + 1e-7)).bfloat16()
    for _ in range(_ROUNDS):
        first, second, third = _COEFFICIENTS
        square = result @ result.T
        result = first * result + (second * square + third * square @ square) @ result
    result = result.to(matrix.dtype)
    return result.T if matrix.shape[0] > matrix.shape[1] else result


class Optimizer:
    """Both together; the matrices of the layers are Muon's."""

    def __init__(self, network: nn.Module, rate: float) -> None:
        matrices: list[nn.Parameter] = []
        decayed: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, parameter in network.named_parameters():
            if name.startswith(("encoder.", "decoder.")) and parameter.ndim == 2:
                matrices.append(parameter)
            else:
                (decayed if parameter.ndim > 1 else others).append(parameter)
        groups = [{"params": decayed, "weight_decay": _DECAY}, {"params": others}]
        self._parts: list[torch.optim.Optimizer] = [
            Muon(matrices, rate),
            torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
        ]

    def step(self, rate: float) -> None:
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = rate
            part.step()
            part.zero_grad()

    def state(self) -> list[dict[str, object]]:
        return [part.state_dict() for part in self._parts]

    def restore(self, states: list[dict[str, object]]) -> None:
        for part, state in zip(self._parts, states, strict=True):
            part.load_state_dict(state)
