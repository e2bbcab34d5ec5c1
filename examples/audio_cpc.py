"""Contrastive Predictive Coding of raw speech, with `cpc_aux` as a library.

After section 3.1 of van den Oord, Li, Vinyals 2018, arXiv 1807.03748, in small: a strided
convolutional encoder makes an embedding z of every 10 ms of sound, a GRU a context c of all up to
there, and c predicts the z of the next 12 steps. Linear probes then read phone and speaker from c.

    python examples/speech.py speech.npz       # makes the data
    python examples/audio_cpc.py speech.npz    # trains, probes, writes audio_cpc.json and .png

Stopped, the same command does the rest. docs/audio.md has the results beside the paper's.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from speech import ROWS, Speech, mfcc
from torch import Tensor, nn

from cpc_aux import CPC, AuxConfig

# The paper: kernels 10, 8, 4, 4, 4, strides 5, 4, 2, 2, 2, 512 channels each, context of 256.
KERNELS, STRIDES = (20, 8, 4, 4), (10, 4, 2, 2)
CHANNELS, CONTEXT_SIZE = (32, 64, 64, 64), 128
BATCH, LEARNING_RATE = 16, 4e-3
PROBED, HEARD = 20, 24  # rows of each sentence's window that are probed; all lie after the first 24


class Run(NamedTuple):
    """What a network is trained on."""

    steps: int = 12  # K
    negatives: str = "pool"  # of cpc_aux.negatives
    same_speaker: bool = False  # the windows of a batch are one speaker's
    label: str = ""  # "phone" or "speaker": learn to tell these, in place of CPC
    anchors: int = 16  # rows of each window to predict from, drawn anew
    updates: int = 300


# The rows of the paper's tables 1 and 2. `pool` takes its wrong answers from all windows of the
# batch, `others` from all but the own one, `sequence` from the own one alone.
RUNS = {
    "CPC": Run(updates=8000),
    "CPC, own sequence only": Run(negatives="sequence", anchors=32, updates=2500),
    **{f"supervised, {label}": Run(label=label, updates=600) for label in ("phone", "speaker")},
    "12 steps, mixed speakers": Run(),
    "same speaker": Run(same_speaker=True),
    "mixed, own sequence excluded": Run(negatives="others"),
    "same, own sequence excluded": Run(negatives="others", same_speaker=True),
    "own sequence only": Run(negatives="sequence"),
    **{f"{steps} steps": Run(steps) for steps in (2, 4, 8, 16)},
}


class Network(nn.Module):
    """Sound f32 [B, samples] -> embeddings z [T, B, E] and contexts c [T, B, H]."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        # BatchNorm is not the paper's: with it CPC leaves chance within a hundred updates.
        for size in zip((1, *CHANNELS), CHANNELS, KERNELS, STRIDES, strict=False):
            layers += [nn.Conv1d(*size, bias=False), nn.BatchNorm1d(size[1]), nn.ReLU()]
        self.encoder = nn.Sequential(*layers[:-1])
        self.core = nn.GRU(CHANNELS[-1], CONTEXT_SIZE)

    def forward(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and c."""
        z = self.encoder(sound.unsqueeze(1)).permute(2, 0, 1)  # [B, E, T] -> [T, B, E]
        return z, self.core(z)[0]


def probe(speech: Speech, code: Callable[[Tensor], Tensor]) -> dict[str, float]:
    """Accuracies on new sentences of linear classifiers of `code`: sound -> [ROWS, B, D]."""
    draw, everything = np.random.default_rng(2), np.arange(len(speech.sounds))
    rows = HEARD + np.sort(draw.choice(ROWS - HEARD, PROBED, replace=False))
    sound, labels = speech.windows(everything, draw)
    features = torch.cat([code(part)[rows] for part in sound.split(64)], 1).flatten(0, 1)
    x, test = features.numpy().astype(np.float32), np.tile(speech.is_test, PROBED)
    scores = {}
    for name, of_rows in labels.items():
        truth = of_rows[rows].flatten().numpy()
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        classifier.fit(x[~test], truth[~test])
        scores[name] = round(float(classifier.score(x[test], truth[test])), 4)
    return scores


def train(speech: Speech, run: Run, name: str) -> tuple[Network, dict]:
    """A trained network; of CPC also the accuracy by step on new sentences, with its chance."""
    torch.manual_seed(0)
    network, draw = Network(), np.random.default_rng(0)
    config = AuxConfig(horizon=run.steps, negatives=run.negatives, anchors=run.anchors)
    head: nn.Module = CPC(config, CHANNELS[-1], CONTEXT_SIZE)
    if run.label:
        head = nn.Linear(CONTEXT_SIZE, int(speech.num_classes[run.label]))
    optimizer = torch.optim.Adam([*network.parameters(), *head.parameters()])
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=run.updates, pct_start=0.1
    )
    for update in range(1, run.updates + 1):
        sound, labels = speech.batch(draw, BATCH, run.same_speaker)
        z, c = network(sound)
        if run.label:
            loss = nn.functional.cross_entropy(head(c).flatten(0, 1), labels[run.label].flatten())
        else:
            loss, _ = head(z, c)  # no actions, and no window opens in its middle
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if update % 100 == 0:
            print(f"{name:32} {update} of {run.updates}, loss {loss.item():.3f}", flush=True)
    network.eval()
    if run.label:
        return network, {}
    batches = (speech.batch(draw, BATCH, run.same_speaker, test=True)[0] for _ in range(16))
    with torch.no_grad():
        tests = [head(*network(sound))[1] for sound in batches]
    by_step = torch.stack([metrics["accuracy_by_horizon"] for metrics in tests]).mean(0)
    return network, {"accuracy_by_step": by_step.tolist(), "chance": float(tests[0]["chance"])}


def measure(speech: Speech, name: str, share: float) -> tuple[str, dict]:
    """The name of a row of the tables, and all that is measured of it."""
    torch.set_num_threads(1)  # other rows have the other cores, and rounding is alike on any number
    if name.startswith("MFCC"):
        size = 39 if name == "MFCC" else 13
        return name, probe(speech, lambda x: torch.from_numpy(mfcc(x.numpy())[..., :size]))
    found: dict = {}
    if name in RUNS:
        updates = max(1, round(share * RUNS[name].updates))
        network, found = train(speech, RUNS[name]._replace(updates=updates), name)
    else:
        torch.manual_seed(0)
        network = Network()  # random; it normalises by the batch that it is shown
    with torch.no_grad():
        return name, {**probe(speech, lambda sound: network(sound)[1]), **found}


def plot(results: dict[str, dict], path: Path) -> None:
    """Accuracy by step, as in the paper's figure 4, and the probes of every row."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    for name in ("CPC", "CPC, own sequence only"):
        steps = range(1, RUNS[name].steps + 1)
        (line,) = left.plot(steps, results[name]["accuracy_by_step"], "o-", label=name)
        left.axhline(results[name]["chance"], color=line.get_color(), linestyle=":")
    left.set(xlabel="steps of 10 ms ahead (dotted: chance)", ylabel="accuracy", ylim=0)
    left.legend()
    y = np.arange(len(results))
    for shift, name in ((-0.2, "phone"), (0.2, "speaker")):
        right.barh(y + shift, [row[name] for row in results.values()], 0.4, label=name)
    right.set_yticks(y, list(results))
    right.invert_yaxis()
    right.set(xlabel="accuracy of a linear probe, new sentences", xlim=(0, 1))
    right.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure what the .json does not have yet, and draw the figure."""
    parser = argparse.ArgumentParser(description="CPC of raw speech: docs/audio.md")
    parser.add_argument("corpus", type=Path, help="what examples/speech.py has written")
    parser.add_argument("--out", default="audio_cpc", help="name of what is written (%(default)s)")
    parser.add_argument("--share", type=float, default=1, help="of all updates (%(default)s)")
    args = parser.parse_args()
    if not 0 < args.share <= 100:
        parser.error(f"--share is {args.share}; it must be above 0, and at most 100.")
    store = Path(f"{args.out}.json")
    done = json.loads(store.read_text()) if store.exists() else {"share": args.share}
    if done["share"] != args.share:
        parser.error(f"{store} was made with --share {done['share']}, not {args.share}.")
    try:
        with np.load(args.corpus) as arrays:
            speech = Speech(dict(arrays))
    except (OSError, ValueError, KeyError):
        parser.error(f"{args.corpus} is no file that examples/speech.py has written.")
    rows, names = done.setdefault("rows", {}), ("random", "MFCC without slopes", "MFCC", *RUNS)
    left = (delayed(measure)(speech, name, args.share) for name in names if name not in rows)
    for name, row in Parallel(-1, return_as="generator_unordered")(left):
        rows[name] = row
        store.with_suffix(".partial").write_text(json.dumps(done, indent=1))
        store.with_suffix(".partial").replace(store)
    for name in names:
        print(f"{name:32} phone {rows[name]['phone']:.1%}, speaker {rows[name]['speaker']:.1%}")
    plot({name: rows[name] for name in names}, store.with_suffix(".png"))


if __name__ == "__main__":
    main()
