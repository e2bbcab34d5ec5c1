"""Synthetic speech of many voices, with the phone spoken at every moment, for audio_cpc.py.

Run as `python examples/speech.py speech.npz`: about half a minute, 110 MB. It needs the library of
eSpeak NG, a formant synthesiser (Debian, Ubuntu: apt install espeak-ng). The sentences are those of
Python's own help texts, so nothing is downloaded.
"""

import argparse
import ctypes
import ctypes.util
import itertools
import os
import random
import re
import sys
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.signal import resample_poly
from torch import Tensor

RATE = 16_000  # samples per second
# Row t of a window stands for its samples t STEP .. t STEP + FIELD, as audio_cpc's
# convolutions have it: every 10 ms, 28 ms long.
STEP, FIELD, ROWS = 160, 450, 64
VOICES = (  # eSpeak NG's variants of its American English voice that sound like people
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5"),
    *("Alex", "Alicia", "Andrea", "Andy", "Annie", "Denis", "Gene", "Jacky", "Lee", "Mario"),
    *("Michael", "adam", "belinda", "ed", "linda", "steph", "travis"),
)
SENTENCES = 30  # by each voice
TEST_SHARE = 0.25  # of the sentences: those that nothing is trained on, whoever speaks
MIN_SECONDS = 1.5
PHONEME_EVENT, SYNCHRONOUS, WANT_PHONEMES, RATE_PARAMETER, PITCH_PARAMETER = 7, 2, 1, 1, 3


class Event(ctypes.Structure):
    """espeak_EVENT of espeak-ng/speak_lib.h."""

    _fields_ = (
        *(("type", ctypes.c_int), ("id", ctypes.c_uint), ("text_position", ctypes.c_int)),
        *(("length", ctypes.c_int), ("ms", ctypes.c_int), ("sample", ctypes.c_int)),
        *(("user_data", ctypes.c_void_p), ("name", ctypes.c_char * 8)),
    )


CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event)
)


class Synthesiser:
    """eSpeak NG, one sentence at a time."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("espeak-ng")
        if name is None:
            raise OSError(
                "eSpeak NG's library was not found; Debian has it: apt install espeak-ng."
            )
        self.library = ctypes.CDLL(name)
        self.rate = self.library.espeak_Initialize(SYNCHRONOUS, 0, None, WANT_PHONEMES)
        if self.rate <= 0:
            raise OSError("eSpeak NG did not start: its voices' files are missing.")
        self._callback = CALLBACK(self._receive)  # kept: the library does not own it
        self.library.espeak_SetSynthCallback(self._callback)

    def speak(
        self, text: str, voice: str, words_per_minute: int, pitch: int
    ) -> tuple[NDArray[np.int16], list[tuple[int, str]]]:
        """The sound at RATE, and where each phone begins: (sample, eSpeak's name of it)."""
        if self.library.espeak_SetVoiceByName(f"en-us+{voice}".encode()) != 0:
            raise OSError(f"this eSpeak NG has no voice en-us+{voice}.")
        self.library.espeak_SetParameter(RATE_PARAMETER, words_per_minute, 0)
        self.library.espeak_SetParameter(PITCH_PARAMETER, pitch, 0)
        self._chunks: list[NDArray[np.int16]] = []
        self._phones: list[tuple[int, str]] = []
        data = text.encode()
        self.library.espeak_Synth(data, len(data) + 1, 0, 1, 0, 1, None, None)
        sound = resample_poly(np.concatenate(self._chunks).astype(np.float32), RATE, self.rate)
        starts = [(round(at * RATE / self.rate), name) for at, name in self._phones]
        return np.clip(sound, -32768, 32767).astype(np.int16), starts

    def _receive(self, wave, size, events) -> int:  # type: ignore[no-untyped-def]
        if wave and size:
            self._chunks.append(np.ctypeslib.as_array(wave, (size,)).copy())
        i = 0
        while events[i].type:  # 0 ends the list
            if events[i].type == PHONEME_EVENT:
                self._phones.append((events[i].sample, events[i].name.decode()))
            i += 1
        return 0


def sentences() -> list[str]:
    """Plain sentences of Python's help texts, sorted."""
    text = re.sub(r"\s+", " ", " ".join(topics.values()))
    parts = re.split(r"(?<=[.:;!?])\s+", re.sub(r"[*`\"“”|()]", "", text))
    plain = re.compile(r"[A-Z]?[a-z'-]*,?( [a-zA-Z][a-z'-]+,?| a)+[.:;!?]")
    return sorted({s for s in parts if plain.fullmatch(s) and 30 <= len(s) <= 100})


def make_corpus(num_voices: int = len(VOICES), num_sentences: int = SENTENCES) -> dict:
    """Let every voice say sentences of its own choice; the arrays of a `Speech`.

    Each voice has one speed and one pitch of its own.
    """
    draw, synthesiser = random.Random(0), Synthesiser()
    texts = sentences()
    draw.shuffle(texts)
    num_test = round(TEST_SHARE * num_sentences)
    of_test = round(TEST_SHARE * len(texts))
    sounds, starts, speakers, tests, phones = [], [0], [], [], []
    for speaker, voice in enumerate(VOICES[:num_voices]):
        manner = draw.randint(140, 190), draw.randint(35, 65)  # words per minute, pitch of 0..99
        chosen = draw.sample(texts[:of_test], num_test)
        chosen += draw.sample(texts[of_test:], num_sentences - num_test)
        for i, text in enumerate(chosen):
            sound, spoken = synthesiser.speak(text, voice, *manner)
            if len(sound) < MIN_SECONDS * RATE:
                continue
            phones += [(starts[-1] + at, "_" if name[0] == "_" else name) for at, name in spoken]
            starts.append(starts[-1] + len(sound))
            sounds.append(sound)
            speakers.append(speaker)
            tests.append(i < num_test)
    names, phone = np.unique([name for _, name in phones], return_inverse=True)
    return {
        "sound": np.concatenate(sounds),
        "starts": np.array(starts),
        "speaker": np.array(speakers),
        "is_test": np.array(tests),
        "phone_start": np.array([at for at, _ in phones]),
        "phone": phone,
        "phone_names": names,
    }


class Speech:
    """Sentences of many voices, cut into windows of ROWS rows; a row's phone is its middle's."""

    def __init__(self, arrays: dict[str, NDArray]) -> None:
        starts, self.speaker, self.is_test = arrays["starts"], arrays["speaker"], arrays["is_test"]
        self.num_classes = {"phone": len(arrays["phone_names"]), "speaker": max(self.speaker) + 1}
        self.sounds, self.phones = [], []
        for start, end in itertools.pairwise(starts):
            sound = arrays["sound"][start:end].astype(np.float32)
            self.sounds.append(sound / sound.std())
            middles = np.arange(start + FIELD // 2, end - FIELD // 2, STEP)
            at = np.searchsorted(arrays["phone_start"], middles, side="right") - 1
            self.phones.append(arrays["phone"][at])

    def windows(
        self, sentences: NDArray, draw: np.random.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Sound f32 [B, samples] of a window of each sentence, and labels i64 [ROWS, B]."""
        samples = (ROWS - 1) * STEP + FIELD
        sounds, phones = [], []
        for i in sentences:
            t = draw.integers(len(self.phones[i]) - ROWS + 1)
            sounds.append(self.sounds[i][t * STEP : t * STEP + samples])
            phones.append(self.phones[i][t : t + ROWS])
        speaker = torch.from_numpy(self.speaker[sentences]).expand(ROWS, -1)
        phone = torch.from_numpy(np.stack(phones, 1))
        return torch.from_numpy(np.stack(sounds)), {"phone": phone, "speaker": speaker}

    def batch(
        self, draw: np.random.Generator, size: int, same_speaker: bool = False, test: bool = False
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """`windows` of `size` sentences, of one speaker or of any, for training or for testing."""
        allowed = self.is_test == test
        if same_speaker:
            allowed &= self.speaker == draw.choice(self.speaker)
        sentences = np.flatnonzero(allowed)
        return self.windows(draw.choice(sentences, size, replace=len(sentences) < size), draw)


def mfcc(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mel-frequency cepstral coefficients of the middle 25 ms of each row.

    [B, samples] -> [rows, B, 39]: 13 coefficients of 40 bands, and first and second slopes.
    """
    width, bands = 400, np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), 42)
    emphasised = np.diff(sound, prepend=0) * 0.97 + 0.03 * sound  # x_t - 0.97 x_{t-1}
    first = (FIELD - width) // 2
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, width, axis=1)[:, first::STEP]
    frames = frames[:, : (sound.shape[1] - FIELD) // STEP + 1]  # [B, rows, width]
    power = np.abs(np.fft.rfft(frames * np.hamming(width), 512)) ** 2
    edges, hertz = 700 * (10 ** (bands[:, None] / 2595) - 1), np.fft.rfftfreq(512, 1 / RATE)
    rise = (hertz - edges[:-1]) / np.diff(edges, axis=0)  # 0 to 1 between two edges
    triangles = np.maximum(0, np.minimum(rise[:-1], 1 - rise[1:]))  # [bands, hertz]
    coefficients = dct(np.log(power @ triangles.T + 1e-8), norm="ortho")[..., :13]
    slopes = np.gradient(coefficients, axis=1)
    every = np.concatenate([coefficients, slopes, np.gradient(slopes, axis=1)], -1)
    return every.transpose(1, 0, 2).astype(np.float32)


def main() -> int:
    """Write the corpus."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path, help="the .npz file to write")
    path = parser.parse_args().corpus
    temporary = path.with_name(f".{path.name}.npz")
    try:
        arrays = make_corpus()
        np.savez(temporary, **arrays)
        os.replace(temporary, path)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    minutes = len(arrays["sound"]) / RATE / 60
    print(f"{path}: {len(arrays['speaker'])} sentences, {minutes:.0f} minutes.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
