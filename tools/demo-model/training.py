"""What every training here shares: clock, learning rate, moving average, and checkpoints."""

import math
import os
import time
from dataclasses import dataclass

import torch

CHECKPOINT_SECONDS = 120
REPORT_STEPS = 50


@dataclass(frozen=True)
class Length:
    """How long to train: so many minutes, or so many steps when given."""

    minutes: float
    steps: int | None = None

    def fraction(self, steps, seconds):
        """How much of the training is done, 0..1."""
        if self.steps is not None:
            return 1.0 if steps >= self.steps else steps / self.steps
        return min(1.0, seconds / (self.minutes * 60))


@dataclass(frozen=True)
class Rate:
    """A learning rate that warms up and then falls along a cosine to a last share of its peak."""

    peak: float
    warmup_steps: int = 200
    last_share: float = 0.03

    def at(self, fraction, step):
        cosine = max(self.last_share, 0.5 * (1 + math.cos(math.pi * fraction)))
        return self.peak * cosine * min(1.0, (step + 1) / self.warmup_steps)


class Run:
    """One training of some modules, resumable from its checkpoint file.

    The checkpoint holds weights, optimiser, moving average, random state and the time spent, so
    a stopped training goes on as if it had not been stopped. `beside` names other things with a
    state that the checkpoint keeps.
    """

    def __init__(self, path, modules, optimizer, length, rate, beside=None):
        self.path, self.modules, self.optimizer = path, modules, optimizer
        self.length, self.rate, self.beside = length, rate, beside or {}
        self.parameters = [p for module in modules.values() for p in module.parameters()]
        self.average = [p.detach().clone() for p in self.parameters]
        self.step_count, self.seconds, self.losses = 0, 0.0, []
        self.last_tick = self.last_checkpoint = time.monotonic()
        if path.exists():
            self._restore()

    def fraction(self):
        return self.length.fraction(self.step_count, self.seconds)

    def is_done(self):
        return self.fraction() >= 1

    def step(self, loss):
        """One step of the optimiser along the loss, with everything that goes with it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate.at(self.fraction(), self.step_count)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self._update_average()
        self._tick(float(loss.detach()))

    def finish(self):
        """Writes the last checkpoint and puts the averaged weights into the modules."""
        self.save()
        with torch.no_grad():
            for parameter, mean in zip(self.parameters, self.average):
                parameter.copy_(mean)
        for module in self.modules.values():
            module.eval()

    def recent_loss(self):
        recent = self.losses[-500:]
        return sum(recent) / max(1, len(recent))

    def _update_average(self):
        decay = min(0.999, (1 + self.step_count) / (10 + self.step_count))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.parameters, 1 - decay)

    def _tick(self, loss):
        now = time.monotonic()
        self.seconds += now - self.last_tick
        self.last_tick = now
        self.step_count += 1
        self.losses = [*self.losses[-999:], loss]
        if self.step_count % REPORT_STEPS == 0:
            spent = f"{self.seconds / 60:.1f} min"
            print(f"step {self.step_count} {spent} loss {self.recent_loss():.4f}", flush=True)
        if now - self.last_checkpoint > CHECKPOINT_SECONDS:
            self.save()
            self.last_checkpoint = now

    def save(self):
        """Writes the checkpoint; a crash in between leaves the former one."""
        partial = self.path.with_suffix(".partial")
        torch.save(
            {
                "modules": {name: m.state_dict() for name, m in self.modules.items()},
                "beside": {name: one.state_dict() for name, one in self.beside.items()},
                "optimizer": self.optimizer.state_dict(),
                "average": self.average,
                "random": torch.get_rng_state(),
                "step_count": self.step_count,
                "seconds": self.seconds,
                "losses": self.losses,
            },
            partial,
        )
        os.replace(partial, self.path)

    def _restore(self):
        state = torch.load(self.path, map_location=self.parameters[0].device)
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        for name, one in self.beside.items():
            one.load_state_dict(state["beside"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = state["average"]
        torch.set_rng_state(state["random"].cpu())
        self.step_count, self.seconds = state["step_count"], state["seconds"]
        self.losses = state["losses"]
        print(f"goes on at step {self.step_count}, {self.seconds / 60:.1f} min", flush=True)
