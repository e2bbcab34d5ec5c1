"""DeepMind Lab's settings: text for text, as its module wants them."""

from collections.abc import Mapping

from envs.config import HEIGHT, WIDTH

Setting = str | int | float | bool

# What engine/code/deepmind/dmlab_connect.c does with `minimalUI`: cg_draw2D 0, which takes away
# scores, clocks, icons and everything that scripts draw; the crosshair stays. The rectangles of
# scripts (the held key's colour in rooms_keys_doors_puzzle is one) come back with a variable of
# the client (RELEASE_NOTES.md; cg_Draw2D in cg_draw.c), for which there is no setting of its own.
NO_HUD = {"minimalUI": "true", "appendCommand": "+set cg_drawScriptRectanglesAlways 1"}
HUDS: dict[str, dict[str, str]] = {"none": NO_HUD, "full": {}}

# Settings that the environment chooses itself, and by what the user chooses instead.
RESERVED = {
    "width": "the size of the picture is fixed",
    "height": "the size of the picture is fixed",
    "fps": "the length of a frame is fixed",
    "levelName": "the level is chosen by its name",
    "mixerSeed": "it has an argument of its own, mixer_seed",
    "minimalUI": "it is chosen by hud",
    "reducedUI": "it is chosen by hud",
    "gadgetSelect": "it would add an action",
    "gadgetSwitch": "it would add an action",
}

# Levels whose scripts (game_scripts/factories) take this setting and do not look at it.
IGNORING = {"episodeLengthSeconds": ("seekavoid_arena_01", "rooms_keys_doors_puzzle")}


def lab_config(hud: str, mixer_seed: int, settings: Mapping[str, Setting]) -> dict[str, str]:
    """Return the `config` of deepmind_lab.Lab; raise ValueError, in one sentence, if out of range.

    Values become text: DeepMind Lab reads truth only as "true" and "false". An `appendCommand` of
    the user's follows that of the HUD.
    """
    if hud not in HUDS:
        raise ValueError(f"unknown hud '{hud}': allowed are {', '.join(HUDS)}")
    if not 0 <= mixer_seed < 2**32:
        raise ValueError(f"mixer_seed is {mixer_seed}, but must be in 0 .. 2^32 - 1")
    config = {
        "width": str(WIDTH),
        "height": str(HEIGHT),
        "mixerSeed": str(mixer_seed),
        **HUDS[hud],
    }
    for name, value in settings.items():
        if name in RESERVED:
            raise ValueError(f"the DeepMind Lab setting '{name}' is not free: {RESERVED[name]}")
        text = _text(name, value)
        if name == "appendCommand" and name in config:
            text = f"{config[name]} {text}"
        config[name] = text
    return config


def _text(name: str, value: Setting) -> str:
    if isinstance(value, bool):  # before int, which a bool is too
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise ValueError(
            f"the DeepMind Lab setting '{name}' is {value!r}, but must be text, a number or a bool"
        )
    return str(value)


def ignored(level: str, settings: Mapping[str, Setting]) -> list[str]:
    """Return those of `settings` that change nothing on `level` (this project's name)."""
    return [name for name in settings if level in IGNORING.get(name, ())]
