"""Adam and AdamW: torch's own step without the classes of `torch.optim`.

Those import torch's compiler when they are made, and with it sympy and triton: 150 MB and two
seconds of every run, though hardly one is compiled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim.adam import adam

from vae_core.config import TrainConfig


class Adam:
    """Equals `torch.optim.Adam` step by step, and `torch.optim.AdamW` where decay is `decoupled`.

    One pass over the weights (`fused`): ×1.03 to ×1.06 of a whole step, course net, CPU.

    Source: Kingma and Ba, Adam (2015), algorithm 1; Loshchilov and Hutter, Decoupled weight decay
    regularization (2019), algorithm 2.
    """

    def __init__(
        self,
        parameters: list[Parameter],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        """`lr` may be set anew before any step."""
        self.parameters = parameters
        self.lr, self.betas, self.eps = lr, betas, eps
        self.weight_decay, self.decoupled = weight_decay, decoupled
        self.state = [
            {
                "step": torch.zeros((), device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
            for parameter in parameters
        ]

    @property
    def param_groups(self) -> list[dict[str, list[Parameter]]]:
        """Its parameters, where `torch.amp.GradScaler` looks for them."""
        return [{"params": self.parameters}]

    @torch.no_grad()
    def step(self, found_inf: Tensor | None = None, grad_scale: Tensor | None = None) -> None:
        """Move every parameter that has a gradient.

        Args:
            found_inf: a scalar on the parameters' device; where it is 1.0, nothing is moved and no
                average and no count of steps changes. Nobody waits for it.
            grad_scale: a scalar there, such as what the loss was multiplied by before its backward
                pass; the gradients are divided by it in place.
        """
        pairs = zip(self.parameters, self.state, strict=True)
        moved = [(parameter, state) for parameter, state in pairs if parameter.grad is not None]
        adam(
            [parameter for parameter, _ in moved],
            [parameter.grad for parameter, _ in moved if parameter.grad is not None],
            [state["exp_avg"] for _, state in moved],
            [state["exp_avg_sq"] for _, state in moved],
            [],
            [state["step"] for _, state in moved],
            fused=True,
            found_inf=found_inf,
            grad_scale=grad_scale,
            decoupled_weight_decay=self.decoupled,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=self.lr,
            weight_decay=self.weight_decay,
            eps=self.eps,
            maximize=False,
        )

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes; the tensors are the very ones in use."""
        return {"state": dict(enumerate(self.state))}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from a state of this class or of `torch.optim.Adam`. A KeyError when it is that of
        fewer parameters, a ValueError when of other shapes."""
        for number, state in enumerate(self.state):
            for name, tensor in state.items():
                theirs = saved["state"][number][name]
                if theirs.shape != tensor.shape:  # copying would stretch it
                    message = f"{name} of parameter {number} is {tuple(theirs.shape)}"
                    raise ValueError(f"{message}, not {tuple(tensor.shape)}")
                tensor.copy_(theirs)


def make_optimizer(
    train: TrainConfig, parameters: Iterable[Parameter], overrides: Mapping[str, Any]
) -> Adam:
    """The optimiser of one player; `overrides` come before what the configuration says."""
    settings: dict[str, Any] = {
        "lr": train.learning_rate,
        "betas": train.adam_betas,
        "eps": train.adam_epsilon,
        "weight_decay": train.weight_decay,
        "decoupled": train.optimizer == "adamw",
    }
    return Adam(list(parameters), **settings | dict(overrides))
