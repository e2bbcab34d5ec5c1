"""Acting as a CUDA graph and the compiled update: the same numbers as the plain code.

Without a GPU a stand-in records and repeats the operations of a step, as a graph would; the tests
that need a real one are skipped.
"""

import os
import shutil
import warnings
from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from agents.config import AgentConfig, NetworkConfig
from agents.fast import cuda_graph
from agents.fast.cuda_graph import CudaGraphPass
from agents.learner import Learner
from agents.networks import Agent, CoreState
from agents.rollout import Rollout
from cpc_aux import AuxConfig, make_aux
from tests.known_answer_envs import Grouped, RandomEnds, SmallImages

pytestmark = pytest.mark.slow  # captures and compiles

T, B, A, HIDDEN = 11, 3, 7, 13
CPU = torch.device("cpu")
# What makes the host wait for a GPU: reading a value, or a shape that depends on values.
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "bincount")

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a GPU: captures and replays a real CUDA graph"
)
needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None,
    reason="needs a C++ compiler: torch.compile writes C++ on a CPU",
)


class Tape(TorchDispatchMode):
    """Records operations as they run. `replay` repeats them where they left their results.

    As with a graph, Python and what it decided are not repeated.
    """

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        self.operations.append((operation, args, kwargs or {}, result))
        return result

    @torch.no_grad()
    def replay(self):
        for operation, args, kwargs, result in self.operations:
            again = operation(*args, **kwargs)
            for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


@pytest.fixture
def tapes(monkeypatch):
    """Steps are recorded on tapes, as on a GPU in graphs; these are listed here."""
    made = []

    def record(work, device):
        for _ in range(cuda_graph.WARM_UPS):
            work()
        tape = Tape()
        with tape:
            work()
        made.append(tape)
        return tape.replay

    if not torch.cuda.is_available():
        monkeypatch.setattr(cuda_graph, "capture", record)
    return made


def filled_rollout(device, space, seed: int) -> Rollout:
    """Rows of random inputs on `device`, with episodes that begin at random."""
    g = torch.Generator().manual_seed(seed)
    rollout = Rollout.allocate(T, B, space, HIDDEN, CPU)
    if space.dtype == np.uint8:
        rollout.obs.random_(0, 256, generator=g)
    else:
        rollout.obs.uniform_(-1, 1, generator=g)
    rollout.is_first.copy_(torch.rand(T + 1, B, generator=g) < 0.3)
    rollout.last_action.random_(0, A, generator=g).masked_fill_(rollout.is_first, -1)
    rollout.last_reward.uniform_(-1, 1, generator=g).masked_fill_(rollout.is_first, 0)
    return rollout._replace(
        obs=rollout.obs.to(device),
        last_action=rollout.last_action.to(device),
        last_reward=rollout.last_reward.to(device),
        action=rollout.action.to(device),
        hidden=rollout.hidden.to(device),
        cell=rollout.cell.to(device),
        embedding=rollout.embedding.to(device),
    )


def check_step(device, encoder: str, core: str, precision: str) -> None:
    """Two rollouts row by row against `Agent.unroll_core`, with other parameters in the second."""
    vectors = gymnasium.spaces.Box(-1, 1, (5,), np.float32)
    space = vectors if encoder == "mlp" else gymnasium.spaces.Box(0, 255, (44, 36, 3), np.uint8)
    torch.manual_seed(3)
    agent = Agent(space, A, NetworkConfig(encoder, HIDDEN, core, precision)).to(device)
    rollout = filled_rollout(device, space, seed=0)
    step = CudaGraphPass(agent, rollout).select_envs(0, B)
    core_state = CoreState(*torch.randn(2, B, HIDDEN, device=device).unbind())
    expected_state = CoreState(*(x.clone() for x in core_state))
    for seed in (5, 6):
        for own, new in zip(rollout[:4], filled_rollout(device, space, seed)[:4], strict=True):
            own.copy_(new)
        rollout.is_first[2, 1] = True
        rollout.embedding.fill_(torch.nan)
        step.begin(core_state)
        noise = torch.empty(T + 1, B, A, device=device).exponential_()
        with torch.no_grad():
            for parameter in agent.parameters():
                parameter.mul_(1.3)
        for t in range(T):
            if t == 2:  # a dead episode's memory must not survive, whatever is in it
                core_state.hidden[1], core_state.cell[1] = torch.nan, torch.inf
            core_state = step.act(t, noise[t])
            row = slice(t, t + 1)
            with torch.no_grad():
                embedding = agent.encode(rollout.obs[row])
                last = rollout.last_action[row], rollout.last_reward[row]
                expected, expected_state = agent.unroll_core(
                    embedding, *last, rollout.is_first[row], expected_state
                )
            assert torch.equal(
                rollout.action[t], (expected.logits[0].softmax(-1) / noise[t]).argmax(-1)
            )
            torch.testing.assert_close(rollout.embedding[row], embedding)
            if core == "lstm":  # without one nobody reads the memory
                torch.testing.assert_close(tuple(core_state), tuple(expected_state))


@pytest.mark.parametrize("core", ["lstm", "none"])
@pytest.mark.parametrize("encoder", ["mlp", "shallow", "deep"])
def test_step_equals_unrolling_the_core(encoder, core, tapes):
    check_step(CPU, encoder, core, "float32")


def test_step_that_runs_eagerly_is_the_same():
    check_step(CPU, "mlp", "lstm", "float32")


def test_step_in_bfloat16_converts_the_weights_of_the_moment(tapes):
    check_step(CPU, "shallow", "lstm", "bfloat16")


def test_step_never_waits_for_the_device(tapes):
    check_step(CPU, "shallow", "lstm", "float32")
    (tape,) = tapes
    names = [operation._schema.name.removeprefix("aten::") for operation, *_ in tape.operations]
    assert len(names) > 10
    assert not [name for name in names if name in WAITS]
    for operation, args, *_ in tape.operations:
        if operation._schema.name == "aten::index":
            assert all(i.dtype == torch.int64 for i in args[1] if i is not None), "a mask waits"


def make_learner(env, compile: bool, device=CPU, bootstrap: bool = True) -> Learner:
    learner = Learner(
        AgentConfig(
            network=NetworkConfig("auto", HIDDEN, precision="float32"),
            unroll_length=5,
            learning_rate=1e-3,
            bootstrap_on_timeout=bootstrap,
            compile=compile,
        ),
        make_envs=env,
        num_envs=5,
        make_aux=partial(make_aux, AuxConfig(horizon=2, anchors=3)),
        aux_weight=0.1,
        total_frames=10**6,
        seed=1,
        device=device,
    )
    learner.start()
    return learner


def check_learners(env, device, tmp_path) -> None:
    """Three updates with and without the switch, then two more after a resume."""
    plain, compiled = (make_learner(env, compile, device) for compile in (False, True))
    for update in range(5):
        if update == 3:
            torch.save(compiled.state_dict(), tmp_path / "state.pt")
            compiled.close()
            compiled = make_learner(env, True, device)
            compiled.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
        for learner in (plain, compiled):
            learner.collect()
        for name in ("action", "is_first", "reward"):
            torch.testing.assert_close(*(getattr(x._batch, name) for x in (plain, compiled)))
        for learner in (plain, compiled):
            learner.update()
        expected, found = plain.metrics(), compiled.metrics()
        assert expected.keys() == found.keys()
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], 1e-4, 1e-5, err_msg=name)
    assert plain.aux is not None
    assert compiled.aux is not None
    for one, two in [(plain.agent, compiled.agent), (plain.aux, compiled.aux)]:
        assert one.state_dict().keys() == two.state_dict().keys()
        for p, q in zip(one.parameters(), two.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)
    plain.close()
    compiled.close()


@needs_compiler
@pytest.mark.parametrize("env", [SmallImages, Grouped])
def test_compiled_learner_is_the_plain_one(env, tapes, tmp_path):
    check_learners(env, CPU, tmp_path)
    # For each learner one to compare with plain PyTorch, then one for each actor.
    assert len(tapes) == 2 * (1 + (2 if env is Grouped else 1))


@needs_gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_step_on_a_gpu(precision):
    check_step(torch.device("cuda"), "shallow", "lstm", precision)


@needs_gpu
@pytest.mark.parametrize("env", [SmallImages, Grouped])
def test_compiled_learner_on_a_gpu(env, tmp_path):
    check_learners(env, torch.device("cuda"), tmp_path)


@needs_gpu
@pytest.mark.parametrize("compile", [False, True])
def test_host_waits_for_actions_and_for_the_finite_check_only(compile):
    learner = make_learner(RandomEnds, compile, torch.device("cuda"), bootstrap=False)
    for _ in range(2):  # the first compiles, and measures both losses' gradient norms
        learner.collect()
        learner.update()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as waits:
            warnings.simplefilter("always")
            learner.collect()
            assert len(waits) == learner.config.unroll_length
            waits.clear()
            learner.update()
            assert len(waits) == 1
    finally:
        torch.cuda.set_sync_debug_mode("default")
        learner.close()
