"""Figures as text: unknown ones are dashes, and JSON has only numbers that every parser reads."""

import json
import math

import pytest

from tsfal_geo.figures import figure, json_text


def refuse(name):
    raise ValueError(name)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [1, v], lambda v: {"a": {"b": (v, "x")}}])
def test_numbers_that_json_lacks_are_null(value, wrap):
    text = json_text(wrap(value))
    assert json.loads(text, parse_constant=refuse) == json.loads(json.dumps(wrap(None)))


def test_other_values_are_as_json_has_them():
    values = {"a": [1, 2.5, True, None, "ä"], "b": {}}
    assert json.loads(json_text(values, indent=1)) == values
    assert "ä" in json_text(values)


@pytest.mark.parametrize(("value", "form", "text"), [(None, ".1f", "–"), (0, "", "0"), (1.25, ".1f", "1.2")])
def test_an_unknown_figure_is_a_dash(value, form, text):
    assert figure(value, form) == text
