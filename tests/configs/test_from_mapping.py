"""Mappings to dataclasses: what converts, and the sentence for what does not."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs import from_mapping


@dataclass(frozen=True)
class Inner:
    width: float = 2.0


@dataclass(frozen=True)
class Outer:
    count: int
    name: str = "x"
    flag: bool = False
    mode: Literal["a", "b"] = "a"
    limit: float | None = None
    inner: Inner = field(default_factory=Inner)
    sizes: list[int] | None = None
    extras: dict[str, Any] = field(default_factory=dict)
    chosen: Literal["auto", False, 1] = "auto"


def test_values_are_converted_to_the_types_of_the_fields():
    made = from_mapping(
        Outer,
        {"count": 1e9, "name": 3, "flag": True, "mode": "b", "limit": 7, "inner": {"width": 5}},
    )
    assert made == Outer(10**9, "3", True, "b", 7.0, Inner(5.0))
    assert type(made.count) is int
    assert type(made.limit) is float
    assert from_mapping(Outer, {"count": 1, "limit": None}).limit is None
    made = from_mapping(Outer, {"count": 1, "sizes": [3.0, 5], "extras": {"a": "b", "c": 1.5}})
    assert (made.sizes, made.extras) == ([3, 5], {"a": "b", "c": 1.5})
    assert from_mapping(Outer, {"count": 1, "extras": {3: 7, 1e-3: 5}}).extras == {
        "3": 7,
        "0.001": 5,
    }


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"count": 1, "nmae": "y"}, "nmae is not a setting; allowed here: count, name, flag"),
        ({"count": 1, "inner": {"w": 1}}, "inner.w is not a setting; allowed here: inner.width."),
        ({}, "count has no value"),
        ({"count": 1, "sizes": 3}, "sizes is 3; it must be a list, as in sizes=[A,B]."),
        ({"count": 1, "sizes": [3, 1.5]}, "sizes[1] is 1.5; it must be a whole number."),
        ({"count": 1, "extras": {True: 3}}, "extras has the name True; a name must be a text"),
        ({"count": 1, "extras": {None: 3}}, "extras has the name None; a name must be a text"),
        ({"count": 1, "extras": 3}, "extras is 3; set its parts, as in extras.NAME=VALUE."),
        ({"count": 1.5}, "count is 1.5; it must be a whole number."),
        ({"count": True}, "count is True; it must be a whole number."),
        ({"count": "many"}, "count is 'many'; it must be a whole number."),
        ({"count": None}, "count is None; it must be a whole number."),
        ({"count": 1, "limit": 1e300}, "limit is 1e+300; it must be at most 1e+30."),
        ({"count": 10**400}, "it must be at most 9007199254740992."),
        ({"count": float("inf")}, "count is inf; it must be a whole number."),
        ({"count": 1, "limit": float("nan")}, "limit is nan; it must be a finite number."),
        ({"count": 1, "flag": 1}, "flag is 1; it must be true or false."),
        ({"count": 1, "mode": "c"}, "mode is 'c'; allowed: a, b."),
        ({"count": 1, "chosen": 0}, "chosen is 0; allowed: auto, false, 1."),
        ({"count": 1, "chosen": True}, "chosen is True; allowed: auto, false, 1."),
        ({"count": 1, "chosen": 1.0}, "chosen is 1.0; allowed: auto, false, 1."),
        ({"count": 1, "inner": 3}, "inner is 3; set its parts"),
        ({"count": 1, "name": [1]}, "name is [1]; it must be a text."),
    ],
)
def test_what_does_not_fit_is_named_in_one_sentence(values, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as caught:
        from_mapping(Outer, values)
    assert "\n" not in str(caught.value)


@given(st.integers(-(2**53), 2**53))
def test_whole_numbers_survive_as_floats(number):
    assert from_mapping(Outer, {"count": float(number)}).count == number


@dataclass(frozen=True)
class Other:
    width: float = 3.0
    depth: int = 1
    height: int = 1


@dataclass(frozen=True)
class Either:
    part: Inner | Other


@pytest.mark.parametrize(
    ("keys", "made"),
    [
        ({"width": 5}, Inner(5.0)),
        ({"width": 5, "depth": 7}, Other(5.0, 7)),
        ({}, Inner()),
    ],
)
def test_of_two_dataclasses_the_one_that_knows_most_keys_is_made(keys, made):
    assert from_mapping(Either, {"part": keys}).part == made


def test_mistake_among_the_keys_of_one_dataclass_is_told_in_its_terms():
    with pytest.raises(ValueError, match=r"^part.size is not a setting; allowed here: part.width"):
        from_mapping(Either, {"part": {"depth": 5, "height": 3, "size": 1}})
    with pytest.raises(ValueError, match=r"^part is 3; set its parts"):
        from_mapping(Either, {"part": 3})
