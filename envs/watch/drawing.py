"""Pictures of an agent at play: one agent in full, or several side by side."""

from collections import deque
from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from envs.actions import ACTION_NAMES
from envs.config import HEIGHT, WIDTH
from envs.frame_rate import STEPS_PER_SECOND
from envs.watch.moment import Moment, Picture

PAPER, INK, DIM = (24, 26, 30), (230, 230, 225), (120, 124, 130)
BLUE, GREEN, RED, GOLD = (96, 165, 250), (74, 190, 120), (230, 90, 80), (240, 190, 70)
PAD, LINE = 10, 20  # pixels between parts, and of a line of text
VALUE_STEPS = 20 * STEPS_PER_SECOND  # how far back values are shown
SHOWN_STEPS = (5, 15, 30)  # of CPC's predictions, the three that are nearest show what they picked

Box = tuple[int, int, int, int]  # left, top, width, height in pixels


class Score:
    """An agent's values and rewards, and its predictions' successes, in an episode so far."""

    def __init__(self, title: str, name: str, steps: Sequence[int], num_candidates: int) -> None:
        self.title, self.name = title, name
        self.steps, self.num_candidates = tuple(steps), num_candidates  # of CPC; () without it
        self.begin()

    def begin(self) -> None:
        """Forget the last episode."""
        self.values: deque[float] = deque(maxlen=VALUE_STEPS)
        self.rewards: deque[float] = deque(maxlen=VALUE_STEPS)
        self.right = np.zeros(len(self.steps))  # [S] how often a prediction ranked the truth first
        self.ranked = np.zeros(len(self.steps))  # [S] of how many

    def add(self, moment: Moment) -> None:
        """Account for the next moment; the first of an episode begins a new account."""
        if moment.step == 0:
            self.begin()
        self.values.append(moment.value)
        self.rewards.append(moment.reward)
        if moment.hits is not None:
            self.right += moment.hits.rank == 1
            self.ranked += moment.hits.rank > 0


def one_agent(score: Score, moment: Moment) -> Picture:
    """Draw view, map, value, policy and, if the agent has CPC, its predictions: u8 [H, W, 3]."""
    view, side = (5 * WIDTH, 5 * HEIGHT), 5 * HEIGHT
    width = 3 * PAD + view[0] + side
    top, low = PAD + LINE + PAD, PAD + LINE + PAD + side + PAD
    height = low + 170 + PAD + (160 + PAD if score.steps else 0)
    canvas = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(canvas)
    _text(draw, (PAD, PAD), f"{score.title}    {score.name}", size=16)
    _text(draw, (width - PAD, PAD), _status(moment), size=16, anchor="ra")
    canvas.paste(_resized(moment.view, view, Image.Resampling.NEAREST), (PAD, top))
    canvas.paste(_resized(moment.top_down, (side, side)), (2 * PAD + view[0], top))
    _draw_values(draw, score, (PAD, low, view[0], 170))
    _draw_policy(draw, moment, (2 * PAD + view[0], low, side, 170))
    if score.steps:
        low += 170 + PAD
        _draw_accuracy(draw, score, moment, (PAD, low, view[0], 160))
        _draw_picked(canvas, draw, score, moment, (2 * PAD + view[0], low, side, 160))
    return np.asarray(canvas)


def side_by_side(scores: Sequence[Score], moments: Sequence[Moment]) -> Picture:
    """Draw view, map and value of several agents, a column for each: u8 [H, W, 3]."""
    view, side = (2 * WIDTH, 2 * HEIGHT), 2 * WIDTH
    rows = (PAD, PAD + LINE, PAD + 2 * LINE, 2 * PAD + 2 * LINE + view[1])
    low = rows[3] + side + PAD
    width, height = PAD + len(scores) * (side + PAD), low + 70 + PAD
    canvas = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(canvas)
    for i, (score, moment) in enumerate(zip(scores, moments, strict=True)):
        left = PAD + i * (side + PAD)
        _text(draw, (left, rows[0]), score.title.removesuffix("_small"), size=13)
        _text(draw, (left, rows[1]), _status(moment), size=12, colour=DIM)
        canvas.paste(_resized(moment.view, view, Image.Resampling.NEAREST), (left, rows[2]))
        canvas.paste(_resized(moment.top_down, (side, side)), (left, rows[3]))
        _draw_values(draw, score, (left, low, side, 70))
    return np.asarray(canvas)


def _status(moment: Moment) -> str:
    return f"return {moment.earned:g}    {moment.step / STEPS_PER_SECOND:.1f} s"


def _draw_values(draw: ImageDraw.ImageDraw, score: Score, box: Box) -> None:
    """The value over the last seconds, on a scale that holds them; rewards as lines."""
    left, top, width, height = box
    _text(draw, (left, top), "value, and rewards as they come", size=12, colour=DIM)
    top, height = top + LINE, height - LINE
    low, high = min(*score.values, 0.0), max(*score.values, 1e-3)
    xs = [left + width * i / (VALUE_STEPS - 1) for i in range(len(score.values))]
    for x, reward in zip(xs, score.rewards, strict=True):
        if reward != 0:
            draw.line((x, top, x, top + height), GOLD if reward > 0 else RED, 2)
    ys = [top + height - height * (value - low) / (high - low) for value in score.values]
    draw.line((left, top + height, left + width, top + height), DIM)  # 0, or the lowest
    if len(xs) > 1:
        draw.line(list(zip(xs, ys, strict=True)), BLUE, 2)
    text = f"{score.values[-1]:.1f}"
    x = min(xs[-1] + 4, left + width - draw.textlength(text, font=_font(12)))
    y = ys[-1] - 16 if ys[-1] > top + 16 else ys[-1] + 4
    _text(draw, (round(x), round(y)), text, size=12)


def _draw_policy(draw: ImageDraw.ImageDraw, moment: Moment, box: Box) -> None:
    """A bar for the chance of each action; the one taken is bright."""
    left, top, width, height = box
    _text(draw, (left, top), "policy, and the action taken", size=12, colour=DIM)
    top, step, start = top + LINE, (height - LINE) // len(ACTION_NAMES), left + 140
    for i, (name, chance) in enumerate(zip(ACTION_NAMES, moment.policy.tolist(), strict=True)):
        y = top + i * step
        taken = i == moment.action
        _text(draw, (left, y), name, size=12, colour=INK if taken else DIM)
        end = start + max(1, round((left + width - start - 1) * chance))
        draw.rectangle((start, y + 2, end, y + step - 5), GOLD if taken else DIM)


def _draw_accuracy(draw: ImageDraw.ImageDraw, score: Score, moment: Moment, box: Box) -> None:
    """How often CPC was right in this episode so far, by steps ahead, and whether it is now."""
    left, top, width, height = box
    n, last = score.num_candidates, max(score.steps)
    title = f"CPC: how often a prediction so old picked the present among {n} views; red: chance"
    _text(draw, (left, top), title, size=12, colour=DIM)
    top, base = top + LINE, top + height - LINE
    step = width / last
    shares = np.divide(score.right, score.ranked, out=np.zeros_like(score.right),
                       where=score.ranked > 0)  # fmt: skip
    assert moment.hits is not None
    labelled = {score.steps[0], *(score.steps[i] for i in _shown(score))}
    for k, share, rank in zip(score.steps, shares, moment.hits.rank, strict=True):
        x = left + (k - 1) * step
        y = base - (base - top) * share
        draw.rectangle((x + 1, y, x + max(step - 2, 2), base), GREEN if rank == 1 else DIM)
        if k in labelled:
            label = f"{k / STEPS_PER_SECOND:.2g} s"
            anchor = "ra" if x > left + width / 2 else "la"
            at = round(x + step) if anchor == "ra" else round(x)
            _text(draw, (at, base + 4), label, size=12, colour=DIM, anchor=anchor)
    chance = base - (base - top) / n
    draw.line((left, chance, left + width, chance), RED)
    draw.line((left, top, left + width, top), DIM)
    _text(draw, (left + width, top + 3), "100 %", size=12, colour=DIM, anchor="ra")
    if not score.ranked.any():
        seconds = n / STEPS_PER_SECOND
        _text(draw, (left, top + 30), f"from {seconds:.1f} s on", size=12, colour=DIM)


def _draw_picked(
    canvas: Image.Image, draw: ImageDraw.ImageDraw, score: Score, moment: Moment, box: Box
) -> None:
    """The views that predictions of three ages picked for the present; green is the right one."""
    left, top, width, _ = box
    _text(draw, (left, top), "CPC: what the present was expected to look like", size=12, colour=DIM)
    assert moment.hits is not None
    shown = _shown(score)
    size = (width - 2 * PAD) // 3, round((width - 2 * PAD) / 3 * HEIGHT / WIDTH)
    for place, i in enumerate(shown):
        x, y = left + place * (size[0] + PAD), top + LINE + 3
        age = score.steps[i] / STEPS_PER_SECOND
        _text(draw, (x, y + size[1] + 6), f"{age:.2g} s before", size=12, colour=DIM)
        colour = DIM
        if moment.picked and moment.hits.rank[i]:
            canvas.paste(_resized(moment.picked[i], size), (x, y))
            colour = GREEN if moment.hits.rank[i] == 1 else RED
        frame = (x - 2, y - 2, x + size[0] + 1, y + size[1] + 1)
        draw.rectangle(frame, outline=colour, width=2)


def _shown(score: Score) -> list[int]:
    """Places in `steps` of those that are nearest to SHOWN_STEPS, each once."""
    steps = np.array(score.steps)
    return sorted({int(np.abs(steps - k).argmin()) for k in SHOWN_STEPS})


def _resized(
    picture: Picture, size: tuple[int, int], how: Image.Resampling = Image.Resampling.LANCZOS
) -> Image.Image:
    return Image.fromarray(picture).resize(size, how)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _text(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    size: int,
    colour: tuple[int, int, int] = INK,
    anchor: str = "la",
) -> None:
    draw.text(at, text, colour, font=_font(size), anchor=anchor)
