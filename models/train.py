"""One training loop for every model: minibatches, Adam, a checkpoint to go on from.

Conventions
    loss         a function of ``(rows, step, generator)``: which rows of the data, (batch,) int64; the step,
                 from 1; the source of random numbers. It returns a table of scalars; ``total`` is minimised.
    determinism  equal seeds give equal weights to the bit, interrupted or not, on one kind of machine and
                 with one number of threads: sums in another order differ in their last digit.
    checkpoint   a file that is replaced every ``every`` steps; holds weights, moments, step and the state of
                 the generator. ``key`` names the training: another one's checkpoint is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from audio_distance.storage import replacing

Loss = Callable[[Tensor, int, torch.Generator], Mapping[str, Tensor]]
WARM_UP = 0.05  # share of the steps in which the learning rate rises
LARGEST_GRADIENT = 100.0  # norm; larger ones are scaled down to it
BETAS = (0.9, 0.99)  # second moments over 100 steps; with Adam's .999 over 1,000, a whole training here


def train(
    module: nn.Module,
    loss: Loss,
    *,
    rows: int,
    steps: int,
    batch: int,
    learning_rate: float,
    seed: int,
    weight_decay: float = 0.0,
    checkpoint: Path | None = None,
    every: int = 100,
    key: str = "",
) -> Iterator[tuple[int, dict[str, float]]]:
    """Minimise ``loss`` over the parameters of ``module`` by AdamW (Loshchilov and Hutter 2019).

    The learning rate rises over the first steps and falls to 0 along a cosine.

    Parameters
    ----------
    rows : int
        Of the data; each minibatch is ``batch`` of them, drawn with replacement.
    learning_rate : float
        Its highest.
    seed : int
        Of the minibatches and of all that ``loss`` draws.
    checkpoint : path, optional
        If it is there, training goes on from it, and its step is yielded again.
    every : int
        Steps after which it is written.
    key : str
        Names the training.

    Yields
    ------
    step, parts
        From 1, and the scalars of ``loss`` as floats. Nothing with 0 steps.

    Raises
    ------
    ValueError
        For numbers that train nothing, for a loss that is not finite, for another training's checkpoint and
        for what is no checkpoint.
    """
    if rows < 1 or steps < 0 or batch < 1 or not learning_rate > 0:
        raise ValueError(
            f"rows {rows}, steps {steps}, batch {batch}, learning_rate {learning_rate}: nothing to train with"
        )
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(
        module.parameters(), lr=learning_rate, betas=BETAS, weight_decay=weight_decay
    )
    first = 1
    if checkpoint is not None and checkpoint.exists():
        done, parts = _restore(checkpoint, key, module, optimiser, generator)
        first = done + 1
        yield done, parts
    for step in range(first, steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate * schedule(step, steps)
        module.train()  # again and again: who looks at the model between two steps may have changed it
        losses = loss(torch.randint(rows, (batch,), generator=generator), step, generator)
        parts = {name: float(value.detach()) for name, value in losses.items() if value.ndim == 0}
        if not math.isfinite(parts["total"]):
            raise ValueError(
                f"the loss is {parts['total']} at step {step} ({parts}); likely the learning rate, "
                f"{learning_rate}, is too high"
            )
        optimiser.zero_grad(set_to_none=True)
        losses["total"].backward()
        nn.utils.clip_grad_norm_(module.parameters(), LARGEST_GRADIENT)
        optimiser.step()
        # Not after the last: what is done is kept as a model.
        if checkpoint is not None and step % every == 0 and step < steps:
            _keep(checkpoint, key, module, optimiser, generator, step, parts)
        yield step, parts


def schedule(step: int, steps: int) -> float:
    """Share of the learning rate at a step from 1: linear to 1, then half a cosine down to 0 at the last."""
    rise = max(1, round(WARM_UP * steps))
    if step <= rise:
        return step / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _keep(path: Path, key: str, module, optimiser, generator, step: int, parts: dict) -> None:
    state = {
        "key": key,
        "step": step,
        "parts": parts,
        "module": module.state_dict(),
        "optimiser": optimiser.state_dict(),
        "generator": generator.get_state(),
    }
    with replacing(path) as stage:
        torch.save(state, stage)


def _restore(path: Path, key: str, module, optimiser, generator) -> tuple[int, dict[str, float]]:
    try:
        kept = torch.load(path, weights_only=True)  # nothing in it is run
    except Exception as error:  # whatever a damaged archive raises
        raise ValueError(
            f"{path} is no checkpoint ({type(error).__name__}); delete it to begin anew"
        ) from None
    if kept["key"] != key:
        raise ValueError(f"{path} is the checkpoint of another training; delete it, or give another name=")
    module.load_state_dict(kept["module"])
    optimiser.load_state_dict(kept["optimiser"])
    generator.set_state(kept["generator"])
    return kept["step"], kept["parts"]
