"""One network function for acting and learning: a fast unroll equals the plain loop."""

import gymnasium
import numpy as np
import pytest
import torch

from agents.config import NetworkConfig
from agents.encoders import ENCODER_CLASSES
from agents.networks import Agent, CoreState, fitting_encoder

A, HIDDEN = 7, 11


def vector_agent(size: int = 5) -> Agent:
    torch.manual_seed(3)
    space = gymnasium.spaces.Box(-1, 1, (size,), np.float32)
    return Agent(space, A, NetworkConfig(encoder="mlp", hidden_size=HIDDEN))


def image_agent(
    encoder: str = "shallow", precision: str = "auto", shape=(52, 61, 3), hidden: int = HIDDEN
) -> Agent:
    torch.manual_seed(3)
    space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
    return Agent(space, A, NetworkConfig(encoder=encoder, hidden_size=hidden, precision=precision))


def inputs(T: int, B: int, p_first: float, seed: int = 0, size: int = 5):
    g = torch.Generator().manual_seed(seed)
    is_first = torch.rand(T, B, generator=g) < p_first
    last_action = torch.randint(A, (T, B), generator=g).masked_fill(is_first, -1)
    last_reward = torch.randn(T, B, generator=g).masked_fill(is_first, 0.0)
    state = CoreState(torch.randn(B, HIDDEN, generator=g), torch.randn(B, HIDDEN, generator=g))
    return torch.randn(T, B, size, generator=g), last_action, last_reward, is_first, state


@pytest.mark.parametrize("p_first", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(("T", "B"), [(1, 3), (13, 2), (17, 5)])
def test_unroll_equals_step_by_step_with_random_resets(T, B, p_first):
    agent = vector_agent()
    obs, last_action, last_reward, is_first, state = inputs(T, B, p_first)
    output, final = agent.unroll(obs, last_action, last_reward, is_first, state)

    cell = torch.nn.LSTMCell(HIDDEN + A + 1, HIDDEN)  # the plain truth, one environment at a time
    cell.load_state_dict({k[:-3]: v for k, v in agent.core.state_dict().items()})
    for b in range(B):
        hidden, memory = state.hidden[b], state.cell[b]
        for t in range(T):
            if is_first[t, b]:
                hidden, memory = torch.zeros(HIDDEN), torch.zeros(HIDDEN)
            z = agent.encoder(obs[t, b].unsqueeze(0))[0]
            one_hot = torch.zeros(A)
            if last_action[t, b] >= 0:
                one_hot[last_action[t, b]] = 1.0
            hidden, memory = cell(
                torch.cat([z, one_hot, last_reward[t, b, None]]), (hidden, memory)
            )
            torch.testing.assert_close(output.embedding[t, b], z)
            torch.testing.assert_close(output.context[t, b], hidden)
            torch.testing.assert_close(output.logits[t, b], agent.policy(hidden))
            torch.testing.assert_close(output.value[t, b], agent.value(hidden)[0])
        torch.testing.assert_close(final.hidden[b], hidden)
        torch.testing.assert_close(final.cell[b], memory)


def test_garbage_before_an_episode_changes_nothing_in_it():
    agent = vector_agent()
    obs, last_action, last_reward, is_first, state = inputs(11, 3, 0.0)
    is_first[6, 1] = True
    before, _ = agent.unroll(obs, last_action, last_reward, is_first, state)
    obs[:6, 1], last_reward[:6, 1] = torch.nan, torch.inf
    state.hidden[1], state.cell[1] = torch.nan, torch.inf
    after, _ = agent.unroll(obs, last_action, last_reward, is_first, state)
    for x, y in zip(before, after, strict=True):
        assert torch.equal(x[6:, 1], y[6:, 1])
        assert torch.equal(x[:, [0, 2]], y[:, [0, 2]])


def test_shallow_network_is_the_published_one():
    agent = image_agent(shape=(72, 96, 3), hidden=256)
    images = torch.randint(256, (2, 72, 96, 3), dtype=torch.uint8)
    encoder = agent.encoder
    x = images.permute(0, 3, 1, 2) / 255
    x = torch.relu(torch.nn.functional.conv2d(x, encoder.conv1.weight, encoder.conv1.bias, 4))
    x = torch.relu(torch.nn.functional.conv2d(x, encoder.conv2.weight, encoder.conv2.bias, 2))
    assert x.shape == (2, 32, 7, 10)  # VALID convolutions
    expected = torch.relu(encoder.fc(x.permute(0, 2, 3, 1).flatten(1)))
    torch.testing.assert_close(encoder(images), expected)
    count = sum(p.numel() for p in agent.parameters())
    assert 1.1e6 < count < 1.2e6  # "1.2 M" in IMPALA's figure 3, which counts a language input


def test_deep_network_is_the_published_one():
    agent = image_agent("deep", shape=(72, 96, 3), hidden=256)
    convolutions = [m for m in agent.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 15
    assert [c.out_channels for c in convolutions] == 5 * [16] + 10 * [32]
    assert agent.encoder.fc.in_features == 32 * 9 * 12
    assert agent.encoder(torch.zeros(2, 72, 96, 3, dtype=torch.uint8)).shape == (2, 256)
    assert sum(p.numel() for p in agent.parameters()) == pytest.approx(1.6e6, rel=0.06)


def test_the_deep_encoder_computes_the_published_one():
    """Three sections: convolution, pooling, two residual blocks; a ReLU before and after fc."""
    F = torch.nn.functional
    encoder = image_agent("deep", shape=(29, 37, 3), hidden=11).encoder
    images = torch.randint(256, (2, 29, 37, 3), dtype=torch.uint8)
    convolutions = iter([m for m in encoder.modules() if isinstance(m, torch.nn.Conv2d)])

    def convolve(x):
        layer = next(convolutions)
        return F.conv2d(x, layer.weight, layer.bias, padding=1)

    x = images.permute(0, 3, 1, 2) / 255
    for _ in range(3):
        x = F.max_pool2d(convolve(x), 3, 2, 1)
        for _ in range(2):
            x = x + convolve(torch.relu(convolve(torch.relu(x))))
    expected = torch.relu(encoder.fc(torch.relu(x).permute(0, 2, 3, 1).flatten(1)))
    torch.testing.assert_close(encoder(images), expected)


def test_the_encoder_of_vectors_has_two_tanh_layers():
    encoder = vector_agent().encoder
    x = torch.randn(7, encoder.fc1.in_features)
    hidden = torch.tanh(x @ encoder.fc1.weight.T + encoder.fc1.bias)
    expected = torch.tanh(hidden @ encoder.fc2.weight.T + encoder.fc2.bias)
    torch.testing.assert_close(encoder(x), expected)


def test_bfloat16_is_close_to_float32_but_not_equal():
    exact, rounded = (image_agent(precision=p) for p in ("float32", "bfloat16"))
    rows = inputs(7, 3, 0.1)
    images = torch.randint(256, (7, 3, 52, 61, 3), dtype=torch.uint8)
    (a, state_a), (b, state_b) = (agent.unroll(images, *rows[1:]) for agent in (exact, rounded))
    for x, y in zip((*a, *state_a), (*b, *state_b), strict=True):
        assert y.dtype == torch.float32
        assert not torch.equal(x, y)
        assert torch.linalg.vector_norm(x - y) < 0.02 * torch.linalg.vector_norm(x)


def test_encoder_must_fit_the_observations():
    with pytest.raises(ValueError, match="mlp"):
        Agent(gymnasium.spaces.Box(-1, 1, (5,), np.float32), A, NetworkConfig(encoder="shallow"))


@pytest.mark.parametrize(
    ("shape", "encoder"),
    [((4,), "mlp"), ((7, 7, 3), "deep"), ((19, 96, 3), "deep"), ((20, 20, 1), "shallow")],
)
def test_auto_takes_the_encoder_that_fits(shape, encoder):
    dtype = np.float32 if len(shape) == 1 else np.uint8
    agent = Agent(gymnasium.spaces.Box(0, 1, shape, dtype), 3, NetworkConfig("auto", 11))
    assert type(agent.encoder) is ENCODER_CLASSES[encoder]
    obs = torch.zeros(2, 3, *shape, dtype=torch.from_numpy(np.empty(0, dtype)).dtype)
    assert agent.encode(obs).shape == (2, 3, 11)


def test_images_too_small_for_the_shallow_encoder_are_refused():
    for shape in ((19, 96, 3), (96, 19, 3)):
        with pytest.raises(ValueError, match="needs images of at least 20x20 pixels, but these"):
            fitting_encoder("shallow", gymnasium.spaces.Box(0, 255, shape, np.uint8))
    space = gymnasium.spaces.Box(0, 255, (20, 20, 3), np.uint8)
    assert fitting_encoder("shallow", space) == "shallow"


@pytest.mark.parametrize("encoder", ["auto", "shallow", "deep"])
def test_images_that_are_not_of_bytes_are_refused(encoder):
    with pytest.raises(ValueError, match="reads images of uint8, 0 to 255, but these are float32"):
        Agent(gymnasium.spaces.Box(0, 1, (41, 43, 3), np.float32), A, NetworkConfig(encoder))
