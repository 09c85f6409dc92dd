# SPDX-License-Identifier: Apache-2.0
"""Muon: momentum whose update is brought close to an orthogonal matrix.

Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks". Five steps of a
Newton-Schulz iteration push all singular values of the momentum towards 1. Matrices of one shape
are updated together, since a small matrix alone does not fill the cores.
"""
from collections import defaultdict

import torch


def orthogonalise(m, n_step=5):
    """Nearly U V^T of m = U S V^T, for each of m [n, rows, cols] with rows <= cols."""
    x = m.bfloat16()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(n_step):
        a = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.float()


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum=0.95, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = defaultdict(list)
            for p in group["params"]:
                shapes[tuple(sorted(p.shape))].append(p)
            for same in shapes.values():
                self._step_together(same, group)

    def _step_together(self, params, group):
        """Update matrices that are equal in shape up to transposition."""
        wide = lambda t: t if t.shape[0] <= t.shape[1] else t.T
        updates = []
        for p in params:
            velocity = self.state[p].setdefault("velocity", torch.zeros_like(p))
            velocity.lerp_(p.grad, 1 - group["momentum"])
            updates.append(wide(p.grad.lerp(velocity, group["momentum"])))
        for p, update in zip(params, orthogonalise(torch.stack(updates))):
            scale = max(1.0, p.shape[0] / p.shape[1]) ** 0.5
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.add_(update if p.shape == update.shape else update.T, alpha=-group["lr"] * scale)
