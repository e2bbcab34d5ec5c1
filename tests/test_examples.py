"""The examples run, on sound that is made here."""

import json
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def example(monkeypatch):
    """The modules audio_cpc and speech, imported as their commands import them."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import audio_cpc
    import speech

    return audio_cpc, speech


@pytest.fixture
def corpus(tmp_path):
    """Two speakers' sentences of two phones, each a tone and 53 rows long, with noise."""
    draw = np.random.default_rng(0)
    length, sentences = 53 * 160, 7
    phones = np.arange(2 * sentences) % 2  # two in each sentence
    tone = np.repeat(np.array([0.05, 0.31])[phones], length)
    sound = np.sin(np.cumsum(tone)) + draw.normal(0, 0.1, len(tone))
    path = tmp_path / "tones.npz"
    np.savez(
        path,
        sound=(3000 * sound).astype(np.int16),
        starts=np.arange(sentences + 1) * 2 * length,
        speaker=np.array([0, 0, 0, 0, 1, 1, 1]),
        is_test=np.array([0, 0, 1, 1, 0, 0, 1], bool),
        phone_start=np.arange(2 * sentences) * length,
        phone=phones,
        phone_names=np.array(["a", "o"]),
    )
    return path


def test_audio_example_trains_probes_draws_and_does_only_what_is_left(
    example, corpus, tmp_path, monkeypatch, capsys
):
    audio_cpc, _ = example
    names = ["CPC", "CPC, own sequence only", "supervised, phone"]
    monkeypatch.setattr(
        audio_cpc, "RUNS", {name: audio_cpc.RUNS[name]._replace(updates=2) for name in names}
    )
    monkeypatch.setattr(audio_cpc, "BATCH", 3)
    out = tmp_path / "results"
    monkeypatch.setattr(sys, "argv", ["audio_cpc.py", str(corpus), "--out", str(out)])
    with joblib.parallel_config(backend="sequential"):  # other processes would not see the changes
        audio_cpc.main()
    done = json.loads(out.with_suffix(".json").read_text())
    assert list(done["rows"]) == ["random", "MFCC without slopes", "MFCC", *names]
    assert done["rows"]["MFCC"]["phone"] > 0.95
    cpc = done["rows"][names[0]]
    assert len(cpc["accuracy_by_step"]) == 12
    assert cpc["chance"] == pytest.approx(1 / (3 * 16), rel=0.3)  # its last steps have fewer pairs
    assert out.with_suffix(".png").exists()
    monkeypatch.setattr(audio_cpc, "measure", None)  # nothing is left to do
    audio_cpc.main()
    assert capsys.readouterr().out.count("supervised, phone") == 2
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--share", "0.5"])
    with pytest.raises(SystemExit):
        audio_cpc.main()
    assert "--share 1, not 0.5" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["audio_cpc.py", str(tmp_path / "nothing.npz")])
    with pytest.raises(SystemExit):
        audio_cpc.main()
    assert "is no file that examples/speech.py has written" in capsys.readouterr().err


def test_labels_and_mfcc_belong_to_the_middle_of_a_row(example, corpus):
    _, speech = example
    with np.load(corpus) as arrays:
        corpus = speech.Speech(dict(arrays))
    assert len(corpus.phones[0]) == (2 * 53 * 160 - 450) // 160 + 1
    change = int(np.argmax(corpus.phones[0]))  # the first row of the second phone
    assert change * 160 + 225 >= 53 * 160 > (change - 1) * 160 + 225
    sound = np.random.default_rng(0).normal(size=(3, 160 * 10 + 450)).astype(np.float32)
    before = speech.mfcc(sound)
    sound[:, : 5 * 160 + 24] = 0  # row 5 looks at its samples 25 .. 424, and one before them
    sound[:, 5 * 160 + 425 :] = 0
    after = speech.mfcc(sound)
    assert before.shape == (11, 3, 39)
    np.testing.assert_array_equal(before[5, :, :13], after[5, :, :13])
    assert not np.allclose(before[4, :, :13], after[4, :, :13])


def test_speech_without_espeak_is_one_sentence(example, monkeypatch, tmp_path, capsys):
    _, speech = example
    monkeypatch.setattr(speech.ctypes.util, "find_library", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["speech.py", str(tmp_path / "speech.npz")])
    assert speech.main() == 1
    assert "apt install espeak-ng" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
