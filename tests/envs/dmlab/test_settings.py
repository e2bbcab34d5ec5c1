import pytest

from envs.dmlab.settings import lab_config


def test_values_become_the_text_that_deepmind_lab_reads():
    settings = {"use_pbos": True, "logToStdErr": False, "decalFrequency": 0.25, "roomCount": 3}
    config = lab_config("full", 2**32 - 1, settings | {"logLevel": "ERROR"})
    assert config == {
        "width": "96",
        "height": "72",
        "mixerSeed": "4294967295",
        "use_pbos": "true",
        "logToStdErr": "false",
        "decalFrequency": "0.25",
        "roomCount": "3",
        "logLevel": "ERROR",
    }


def test_commands_of_the_user_follow_those_of_the_hud():
    commands = "+set cg_drawCrosshairAlways 0"
    config = lab_config("none", 0, {"appendCommand": commands})
    assert config["appendCommand"] == f"+set cg_drawScriptRectanglesAlways 1 {commands}"
    # The engine appends in the order of the settings: the user's can undo the HUD's.
    assert list(config).index("minimalUI") < list(config).index("appendCommand")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("some", 0, {}), "unknown hud 'some'"),
        (("none", -1, {}), "mixer_seed is -1"),
        (("none", 2**32, {}), "mixer_seed is 4294967296"),
        (("none", 0, {"width": 84}), "'width' is not free: the size"),
        (("none", 0, {"minimalUI": False}), "'minimalUI' is not free: it is chosen by hud"),
        (("none", 0, {"mixerSeed": 3}), "an argument of its own"),
        (("none", 0, {"gadgetSelect": True}), "add an action"),
        (("none", 0, {"roomCount": [3]}), r"'roomCount' is \[3\], but must be text"),
        (("none", 0, {"roomCount": None}), "'roomCount' is None"),
    ],
)
def test_bad_settings_are_one_sentence(arguments, words):
    with pytest.raises(ValueError, match=words):
        lab_config(*arguments)
