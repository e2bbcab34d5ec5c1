"""The learner: collects a rollout, then makes one gradient step on it.

What `Learner.update` computes, if all of it were done at once and in one place:

    output, _ = agent.unroll(obs, last_action, last_reward, is_first, core_state)
    a2c = a2c_loss(output.logits, output.value, action, reward, discount, ...).total  # a sum
    aux_loss, _ = aux(z, c, action, is_first, generator)  # a mean; z, c: embedding, context
    (a2c + T * B * aux_loss).backward()  # of it, aux_weight times what enters z and c
    clip(agent.parameters()); optimizer.step()

On a CPU both are done in shards: each core acts in some of the environments, carries them through
the network and back, and the shards' gradients are summed. On small networks this uses the cores
better than splitting every single operation over them. The losses see the whole batch.

Where torchrun started several ranks (agents.parallel.ranks), each has a part of the batch; losses
are sums over it, and so is the gradient over the ranks.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.a2c import A2CLoss, RMSprop, a2c_loss, whole_loss
from agents.actor import Shard
from agents.batched_env import BatchedEnv
from agents.config import AgentConfig
from agents.devices import new_generator, one_thread, restore_generator
from agents.episodes import Episode
from agents.fast.choose import choose_pass
from agents.fast.rmsprop import OnePassRMSprop
from agents.joined_state import join, part
from agents.networks import Agent
from agents.parallel.gradient_sum import GradientSum
from agents.parallel.ranks import ALONE, Ranks
from agents.parallel.shards import Shards, split
from agents.rollout import Batch
from agents.running_means import RunningMeans
from agents.state_check import load_optimizer, require_between, require_form, require_parts
from episode_seeds import FIRST_EVALUATION_SEED

RMSPROP_DECAY = 0.99  # IMPALA's code, --decay
# The two losses' gradient norms need a backward pass each: measured on one update out of so many.
NORM_INTERVAL = 256


def _norm(gradients: Iterable[Tensor]) -> Tensor:
    """Euclidean norm of all gradients together, a scalar."""
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))


class Learner:
    """Batched A2C with an optional auxiliary loss on embeddings and contexts.

    Args:
        config: hyper-parameters.
        make_envs: makes the environments, given how many. With more threads than one it is called
            in other processes: then it must be picklable, and the main module importable.
        num_envs: the batch size, of all ranks together.
        make_aux: builds the auxiliary head from (embedding size, context size, number of
            actions), or returns None for plain A2C. The head is a module (embedding [T+1,B,E],
            context [T+1,B,H], action [T,B], is_first [T+1,B], generator) -> (mean loss, metrics).
        aux_weight: scales the gradient of the auxiliary loss on embeddings and contexts.
        total_frames: environment frames to train.
        seed: of parameters, environments, actions and the auxiliary loss.
        device: where the network runs.
        num_threads: cores that share the work on a CPU, at most one per environment.
        frames_per_step: environment frames in an agent step (the action repeat).
        fast: let agents/fast compute what it computes exactly as plain PyTorch does; False: plain
            PyTorch alone, on a CPU too.
        ranks: the processes that share the batch. Then `metrics`, `state_dict` and all that
            changes the learner are called on every one of them, in the same order.

    `passes` says what the agent and the auxiliary loss took, in words for the run's record.

    Raises ValueError, in one sentence, if there are more ranks or threads than environments.
    """

    def __init__(
        self,
        config: AgentConfig,
        make_envs: Callable[[int], BatchedEnv],
        num_envs: int,
        make_aux: Callable[[int, int, int], nn.Module | None],
        aux_weight: float,
        total_frames: int,
        seed: int,
        device: torch.device,
        num_threads: int = 1,
        frames_per_step: int = 4,
        fast: bool = True,
        ranks: Ranks = ALONE,
    ) -> None:
        own = ranks.part(num_envs)  # the environments of this rank
        B, T, size = own.stop - own.start, config.unroll_length, config.network.hidden_size
        if not 1 <= num_threads <= B:
            limit = (
                f"env.num_envs = {B}" if ranks.world_size == 1 else f"{B}, a rank's environments"
            )
            raise ValueError(f"threads is {num_threads}; it must lie between 1 and {limit}.")
        self.config = config
        self.aux_weight = aux_weight
        self.total_frames = total_frames
        self.frames = 0
        self.updates = 0
        self.frames_per_rollout = T * num_envs * frames_per_step
        self._seed = seed
        self._device = device
        self._ranks, self._own, self._num_envs = ranks, own, num_envs

        shards = num_threads if device.type == "cpu" else 1  # one stream of work keeps a GPU busy
        envs_of = split(B, shards)
        envs = make_envs(envs_of[0].stop)
        obs_space, num_actions = envs.single_observation_space, int(envs.single_action_space.n)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.agent = Agent(obs_space, num_actions, config.network).to(device)
            aux = make_aux(size, size, num_actions)
            self.aux = None if aux is None else aux.to(device)
        chosen = choose_pass(self.agent, obs_space, B, fast=fast, graph=config.compile)
        self.passes = {"agent": chosen.name}
        if self.aux is not None:
            self.passes["aux"] = getattr(self.aux, "pass_name", "plain")
        self._a2c_loss = a2c_loss
        if config.compile:  # the core stays as it is: torch.compile leaves nn.LSTM to cuDNN
            self.agent.encoder.compile(dynamic=False)
            self._a2c_loss = torch.compile(a2c_loss, dynamic=False)
            if self.aux is not None:
                self.aux.compile(dynamic=False)
        self._parameters = list(self.agent.parameters())
        # Encoder and core, which both losses train, come before the heads.
        self._trunk = slice(len(self._parameters) - len(list(self.agent.head_parameters())))
        of_aux = () if self.aux is None else self.aux.parameters()
        self._aux_parameters = [p for p in of_aux if p.requires_grad]
        # The auxiliary head has a group of its own: it learns at full weight, outside the clip.
        parameter_groups: list[Any] = [
            {"params": p} for p in (self._parameters, self._aux_parameters) if p
        ]
        rmsprop = OnePassRMSprop if fast else RMSprop
        self._optimizer = rmsprop(
            parameter_groups,
            lr=config.learning_rate,
            alpha=RMSPROP_DECAY,
            eps=config.rmsprop_epsilon,
            bias_correction=config.rmsprop_bias_correction,
        )
        self._batch = Batch.allocate(T, B, num_actions, size, device)
        self._noise = self._batch.exponential_noise.new_empty(T, num_envs, num_actions)
        self._shards: Shard | Shards
        if shards == 1:
            gradients = [torch.zeros_like(p) for p in self._parameters]
            self._shards = Shard(envs, config, self.agent, chosen.make, self._batch, gradients)
        else:
            self._shards = Shards(
                envs_of, envs, make_envs, config, self.agent, chosen.make, self._batch
            )
        self._action_generator = new_generator(seed, 0, device)
        self._aux_generator = new_generator(seed, 1, device)
        self._sum = GradientSum(ranks, num_envs, device)
        self._means = RunningMeans()

    @property
    def finished(self) -> bool:
        """Whether total_frames have been collected."""
        return self.frames >= self.total_frames

    @property
    def learning_rate(self) -> float:
        """Falls linearly to 0 over total_frames (IMPALA's code), or stays as it is.

        An update takes the rate after its own rollout, one rollout further than IMPALA's does: the
        last one's is 0.
        """
        if not self.config.learning_rate_decay:
            return self.config.learning_rate
        return self.config.learning_rate * max(0.0, 1 - self.frames / self.total_frames)

    def start(self) -> None:
        """Reset every environment; the first call compiles the engine's kernels."""
        sequence = np.random.SeedSequence([self._seed, self._num_envs])
        seeds = (sequence.generate_state(self._num_envs) % FIRST_EVALUATION_SEED).tolist()
        self._shards.start(seeds[self._own])
        # Drawn alike by all ranks, but for what other processors round.
        self._ranks.broadcast_([*self._parameters, *self._aux_parameters])

    @one_thread()
    def collect(self) -> list[Episode]:
        """Fill the batch; return the episodes that ended meanwhile in this rank's environments."""
        self._noise.exponential_(generator=self._action_generator)
        self._batch.exponential_noise.copy_(self._noise[:, self._own])
        episodes = self._shards.collect()
        self.frames += self.frames_per_rollout
        return episodes

    @one_thread()
    def update(self) -> None:
        """One gradient step on the rollout just collected.

        Raises FloatingPointError, before any parameter changes, if a loss is not finite.
        """
        batch = self._batch
        # Leaves: the losses' gradients stop here, and each shard carries its part on from here.
        outputs = (batch.logits, batch.value, batch.embedding, batch.context)
        logits, value, z, c = (x.detach().requires_grad_() for x in outputs)
        loss, (grad_logits, grad_value) = self._a2c_gradients(logits, value)
        aux_loss, metrics, (grad_z, grad_c), aux_gradients = self._aux_gradients(z, c)
        of_outputs = grad_logits, grad_value, grad_z, grad_c
        if self.aux is not None and self.updates % NORM_INTERVAL == 0:
            self._measure_trunk_norms(*of_outputs)
        gradients = self._backward(*of_outputs)
        losses, aux_losses, metrics = self._sum.add_up(
            [*gradients, *aux_gradients], loss, aux_loss, metrics
        )
        norm = _norm(gradients)
        if not self._check_finite(losses, aux_losses, norm):
            return  # every environment was lost in every step: nothing to learn from
        loss = whole_loss(losses)
        self._means.add(
            policy_loss=loss.policy_loss,
            value_loss=loss.value_loss,
            entropy=loss.entropy,
            explained_variance=loss.explained_variance,
            grad_norm=norm,
            **metrics,
        )
        self._step(gradients, aux_gradients, norm)

    def _measure_trunk_norms(
        self, grad_logits: Tensor, grad_value: Tensor, grad_z: Tensor, grad_c: Tensor
    ) -> None:
        """Measure the norm of the gradient that each loss alone leaves on encoder and core."""
        zero = grad_value.new_zeros(())
        for name, of_outputs in (
            ("grad_norm_a2c_trunk", (grad_logits, grad_value, zero, zero)),
            ("grad_norm_aux_trunk", (zero, zero, grad_z, grad_c)),
        ):
            of_trunk = self._backward(*of_outputs, retain_graph=True)[self._trunk]
            gradients = [gradient.clone() for gradient in of_trunk]
            self._ranks.all_reduce_(gradients)
            self._means.add(**{name: _norm(gradients)})

    def _a2c_gradients(self, logits: Tensor, value: Tensor) -> tuple[A2CLoss, Sequence[Tensor]]:
        """The A2C losses and their gradient on logits and value."""
        config, batch = self.config, self._batch
        # Given only where needed: choosing rows makes a GPU wait, and shapes depend on it.
        valid = None if batch.valid.all() else batch.valid.to(self._device)
        # The ranks' meeting for the advantages' mean cannot be compiled.
        meet = config.normalize_advantages and self._ranks.world_size > 1
        if not batch.valid.any():
            if meet:  # the others wait
                self._ranks.mean_and_deviation(value.new_zeros(0))
            nothing = A2CLoss(*value.new_zeros(len(A2CLoss._fields)))
            return nothing, (torch.zeros_like(logits), torch.zeros_like(value))
        loss_of = self._a2c_loss if valid is None and not meet else a2c_loss
        loss = loss_of(
            logits,
            value,
            batch.action,
            batch.reward,
            batch.discount,
            gae_lambda=config.gae_lambda,
            value_cost=config.value_cost,
            entropy_cost=config.entropy_cost,
            normalize_advantages=config.normalize_advantages,
            valid=valid,
            mean_and_deviation=self._ranks.mean_and_deviation if meet else None,
        )
        return loss, torch.autograd.grad(loss.total, (logits, value))

    def _aux_gradients(
        self, embedding: Tensor, context: Tensor
    ) -> tuple[Tensor, dict[str, Tensor], Sequence[Tensor], Sequence[Tensor]]:
        """The auxiliary loss, what it measured, and its gradients on (z, c) and on its head.

        The head's mean loss counts as often as there are agent steps, like the summed A2C loss:
        under RMSProp's large epsilon a mean gradient would leave the head untrained.
        """
        if self.aux is None:
            zero = embedding.new_zeros(())
            return zero, {}, (zero, zero), ()
        loss, metrics = self.aux(
            embedding,
            context,
            self._batch.action,
            self._batch.is_first.to(self._device, non_blocking=True),
            self._aux_generator,
        )
        total = loss * self._batch.action.numel()
        inputs = (embedding, context, *self._aux_parameters)
        grad_z, grad_c, *head = torch.autograd.grad(total, inputs, materialize_grads=True)
        measured = {f"aux/{name}": x.float() for name, x in metrics.items()}
        return loss, measured, (grad_z, grad_c), head

    def _backward(
        self,
        grad_logits: Tensor,
        grad_value: Tensor,
        grad_embedding: Tensor,
        grad_context: Tensor,
        retain_graph: bool = False,
    ) -> Sequence[Tensor]:
        """Gradients of the agent's parameters, given those of its outputs.

        Those of embedding and context are the auxiliary loss's, before they are weighted. Each is
        of its output's shape, or a 0 for all of it. The next call overwrites the result.
        """
        batch = self._batch
        batch.grad_logits.copy_(grad_logits)
        batch.grad_value.copy_(grad_value)
        of_aux = (grad_embedding, batch.grad_embedding), (grad_context, batch.grad_context)
        for gradient, out in of_aux:
            torch.mul(gradient.expand_as(out), self.aux_weight, out=out)
        self._shards.backward(retain_graph)
        gradients = self._shards.gradients
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            if not parameter.requires_grad:  # frozen since: compiled passes and shards go on
                gradient.zero_()
        return gradients

    def _check_finite(self, losses: A2CLoss, aux_losses: Tensor, norm: Tensor) -> bool:
        """Whether there is a valid row. Raises FloatingPointError that names what is not finite.

        Losses: [R], of each rank. Waits for the device once per update; acting has done so at
        every step already.
        """
        of_losses = {
            "policy_loss": losses.policy_loss,
            "value_loss": losses.value_loss,
            "entropy": losses.entropy,
            "aux loss": aux_losses,
        }
        num_valid = losses.num_valid.sum()
        *values, valid = torch.cat([*of_losses.values(), norm.view(1), num_valid.view(1)]).tolist()
        ranks = range(self._ranks.world_size)
        of = [f" of rank {k}" for k in ranks] if len(ranks) > 1 else [""]
        names = [*(name + rank for name in of_losses for rank in of), "grad_norm"]
        bad = [name for name, x in zip(names, values, strict=True) if not math.isfinite(x)]
        if bad:
            raise FloatingPointError(
                f"update {self.updates + 1} at {self.frames} frames: not finite: {', '.join(bad)}"
            )
        return valid > 0

    def _step(
        self, gradients: Sequence[Tensor], aux_gradients: Sequence[Tensor], norm: Tensor
    ) -> None:
        """Clip the agent's gradient of that norm if configured, and let the optimiser step."""
        if self.config.max_grad_norm is not None:
            scale = (self.config.max_grad_norm / (norm + 1e-6)).clamp(max=1.0)
            for gradient in gradients:
                gradient *= scale
        parameters = [*self._parameters, *self._aux_parameters]
        for parameter, gradient in zip(parameters, [*gradients, *aux_gradients], strict=True):
            parameter.grad = gradient
        for group in self._optimizer.param_groups:
            group["lr"] = self.learning_rate
        self._optimizer.step()
        self.updates += 1

    def metrics(self) -> dict[str, float | list[float]]:
        """Means since the last call, and the learning rate; per-horizon values as lists.

        nan stands where nothing was measured. From environments in worker processes also
        "env/worker_restarts": how many of these were replaced since the run began.
        """
        rate = {"learning_rate": self.learning_rate}
        of_envs = self._shards.metrics()
        totals = self._ranks.all_reduce(
            torch.tensor([*of_envs.values()], dtype=torch.float64)
        ).tolist()
        return {**rate, **dict(zip(of_envs, totals, strict=True)), **self._means.pop()}

    def state_dict(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on; tensors, numbers, lists and dicts.

        On the first rank the environments are all ranks', on others their own.
        """
        state = self._own_state()
        envs = self._ranks.gather(state["envs"])
        return {**state, "envs": join(envs)} if len(envs) > 1 else state

    def _own_state(self) -> dict[str, Any]:
        """`state_dict`, but with this rank's environments alone."""
        return {
            "agent": self.agent.state_dict(),
            "aux": {} if self.aux is None else self.aux.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "frames": self.frames,
            "updates": self.updates,
            "action_generator": self._action_generator.get_state(),
            "aux_generator": self._aux_generator.get_state(),
            "envs": self._shards.state_dict(),
            "means": self._means.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue as the learner that `state` was taken from would have.

        Bit for bit with the same number of threads and ranks; with another one, sums are rounded
        otherwise, and on another kind of device the random numbers of actions and anchors differ.
        Raises ValueError, or an error of PyTorch's: `state` is not of such a learner.
        """
        own_check = ("optimizer", "action_generator", "aux_generator", "means")
        own = self._own_state()
        require_parts(state, own)
        require_parts(state["envs"], own["envs"], "envs")
        num_envs = len(state["envs"]["last_action"])
        if num_envs != self._num_envs:
            raise ValueError(f"envs are {num_envs}, not {self._num_envs}")
        state = {**state, "envs": part(state["envs"], self._own)}
        require_form(state, own, unlike=own_check, any_number="envs.envs")
        last_action, num_actions = state["envs"]["last_action"], self.agent.num_actions
        require_between(last_action, -1, num_actions - 1, "envs.last_action")
        self.agent.load_state_dict(state["agent"])
        if self.aux is not None:
            self.aux.load_state_dict(state["aux"])
        load_optimizer(self._optimizer, state["optimizer"])
        self.frames, self.updates = state["frames"], state["updates"]
        restore_generator(self._action_generator, state["action_generator"])
        restore_generator(self._aux_generator, state["aux_generator"])
        self._shards.load_state_dict(state["envs"])
        self._means.load_state_dict(state["means"], self._device)

    def close(self) -> None:
        """End the processes and close the environments."""
        self._shards.close()
