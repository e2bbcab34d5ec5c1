"""An agent alone in a file: the same numbers, half as wide, and no damage unnoticed."""

import pytest
import torch
from safetensors.torch import save_file

from records import checkpoint
from records.file_names import AGENT_FILE
from records.weights import Weights, find_weights, load_weights, save_weights

WEIGHTS = Weights(
    7_000,
    {"a.b": torch.tensor([[1.0, 0.1, -3e4]])},
    {"maps": torch.ones(2, 3), "k": torch.tensor(5)},
)


def test_what_is_saved_is_loaded_in_half_precision(tmp_path):
    save_weights(tmp_path / AGENT_FILE, WEIGHTS)
    loaded = load_weights(find_weights(tmp_path))
    assert loaded.frames == 7_000
    assert torch.equal(loaded.agent["a.b"], WEIGHTS.agent["a.b"].half().float())
    assert torch.equal(loaded.aux["maps"], WEIGHTS.aux["maps"])
    assert loaded.aux["k"].dtype == torch.int64
    assert loaded.agent.keys() == WEIGHTS.agent.keys()


def test_a_run_has_its_checkpoints_weights(tmp_path):
    state = {"learner": {"frames": 3, "agent": {"w": torch.ones(2)}}, "metrics": {}}
    checkpoint.save(tmp_path / "latest.pt", state)
    save_weights(tmp_path / AGENT_FILE, WEIGHTS)
    assert load_weights(find_weights(tmp_path)).frames == 3
    assert load_weights(tmp_path / AGENT_FILE).frames == 7_000
    assert load_weights(find_weights(tmp_path)).aux == {}


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda content: content[:-1], "cannot be read: it is truncated"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "its numbers are not those"),
        (lambda content: b"", "cannot be read"),
        (lambda content: b"\xff" * 97, "cannot be read"),
        (lambda content: content.replace(b"7000", b"8x00"), "is not of the format"),
    ],
)
def test_damage_is_told_in_a_sentence(damage, sentence, tmp_path):
    path = tmp_path / AGENT_FILE
    save_weights(path, WEIGHTS)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=sentence):
        load_weights(path)


def test_other_tensors_are_no_agent(tmp_path):
    save_file({"w": torch.ones(2)}, tmp_path / AGENT_FILE)
    with pytest.raises(ValueError, match="is not of the format"):
        load_weights(tmp_path / AGENT_FILE)
    with pytest.raises(ValueError, match="There is no file"):
        load_weights(tmp_path / "no.safetensors")


def test_numbers_beyond_float16_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"agent\.w holds numbers that float16 has not"):
        save_weights(tmp_path / AGENT_FILE, Weights(1, {"w": torch.tensor([1e6])}, {}))
    assert not list(tmp_path.iterdir())
