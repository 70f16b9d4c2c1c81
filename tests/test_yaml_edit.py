from __future__ import annotations

import copy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.yaml_edit import amend, is_same, match_items
from workbench.yaml_render import render_block, render_inline
from workbench.yaml_tree import load_tree, to_plain

PLAIN = """\
# top

# about the list
items:
  # the first
  - name: a   # named a
    size: 1
    text: |
      one
      two

  # the second
  - name: b
    size: 2
    tags: [x, y]   # inline
    empty:

# about the rest
rest:
  long: "quoted: text"
  'odd key': 0x10
last: done
# the end
"""
STYLES = {
    "as it is": PLAIN,
    "with carriage returns": PLAIN.replace("\n", "\r\n"),
    "lists not indented": PLAIN.replace("\n  #", "\n#")
    .replace("\n  - ", "\n- ")
    .replace("\n    ", "\n  ")
    .replace("\n      ", "\n    "),
    "deeply indented": re.sub("(?m)^ +", lambda spaces: spaces[0] * 2, PLAIN).replace("- ", "-   "),
    "as a marked document": "%YAML 1.2\n---\n" + PLAIN,
    "without a last line break": PLAIN.rstrip("\n") + "\nextra: 1",
    "on few lines": "# top\n{items: [{name: a, size: 1}, {name: b}], rest: {long: x}, last: done} # the end\n",
    "with an anchor": PLAIN.replace("tags: [x, y]", "tags: &tags [x, y]").replace("last: done", "last: *tags"),
    "with a merge": "# top\nbase: &base {size: 1}\nitems:\n  - <<: *base\n    name: a\nlast: done\n",
}
TEXT = st.text(max_size=20)
LEAF = st.none() | st.booleans() | st.integers(-99, 99) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)
ITEM = st.fixed_dictionaries({"name": st.sampled_from("abcd")}, optional={"size": LEAF, "text": TEXT, "new": VALUE})
ITEMS = st.lists(ITEM, min_size=1, max_size=4, unique_by=lambda item: item["name"])


def held(text):
    return to_plain(load_tree(text))


@pytest.mark.parametrize("style", STYLES)
def test_what_is_already_there_changes_nothing(style):
    assert amend(STYLES[style], held(STYLES[style])) == STYLES[style]


@pytest.mark.parametrize("style", STYLES)
@given(data=st.data())
def test_an_amended_text_holds_what_is_wanted_and_keeps_its_comments(style, data):
    text = STYLES[style]
    wanted = copy.deepcopy(held(text))
    for key in data.draw(st.sets(st.sampled_from(["items", "rest", "last", "added"]), min_size=1)):
        wanted[key] = data.draw(ITEMS if key == "items" else VALUE)
    amended = amend(text, wanted)
    if amended is None:
        assert style in ("with an anchor", "with a merge")
        return
    assert is_same(held(amended), wanted)
    assert amended.count("# top") == 1
    assert amended.count("# the end") == text.count("# the end")
    assert amended.count("# about the rest") == text.count("# about the rest")


@pytest.mark.parametrize("style", ["as it is", "with carriage returns", "lists not indented", "deeply indented"])
def test_one_changed_value_changes_one_line(style):
    text = STYLES[style]
    wanted = held(text)
    wanted["items"][1]["size"] = 3
    assert amend(text, wanted) == text.replace("size: 2", "size: 3")


def test_an_item_takes_the_comments_above_it_along():
    wanted = held(PLAIN)
    wanted["items"].reverse()
    amended = amend(PLAIN, wanted)
    order = ["# the second", "- name: b", "# inline", "# the first", "- name: a   # named a", "# about the rest"]
    assert sorted(order, key=amended.index) == order


def test_a_closed_item_leaves_with_its_comments_and_with_no_others():
    wanted = held(PLAIN)
    del wanted["items"][0]
    amended = amend(PLAIN, wanted)
    assert "# the first" not in amended
    assert "# the second" in amended
    assert "# about the rest" in amended


def test_new_keys_come_after_the_ones_there_are():
    wanted = held(PLAIN)
    wanted["items"][0]["more"] = {"deep": [1]}
    wanted["also"] = "x"
    amended = amend(PLAIN, wanted)
    assert "      two\n    more:\n      deep:\n        - 1\n" in amended
    assert "last: done\nalso: x\n# the end\n" in amended


def test_a_value_before_a_comment_stays_on_its_line():
    wanted = held(PLAIN)
    wanted["items"][0]["name"] = "a\nb"
    wanted["items"][1]["tags"] = {"k": "v"}
    amended = amend(PLAIN, wanted)
    assert '- name: "a\\nb"   # named a\n' in amended
    assert "tags: {k: v}   # inline\n" in amended


INLINE = """\
first: {name: 'a', tags: ["x", 'y'], size: 0x10}   # one
second: {name: b}
third: "quoted"
fourth: 'it''s'
"""


@pytest.mark.parametrize(
    ("keys", "value", "before", "after"),
    [
        (("first", "name"), "c", "name: 'a'", "name: 'c'"),
        (("first", "tags", 0), "z", '"x"', '"z"'),
        (("first", "size"), 3, "0x10", "3"),
        (("second", "size"), 1, "{name: b}", "{name: b, size: 1}"),
        (("second", "note"), "a, b", "{name: b}", "{name: b, note: 'a, b'}"),
        (("third",), "other", '"quoted"', '"other"'),
        (("third",), 5, '"quoted"', "5"),
        (("fourth",), "that's", "'it''s'", "'that''s'"),
    ],
)
def test_a_value_changes_in_its_place_and_keeps_its_quotes(keys, value, before, after):
    wanted = copy.deepcopy(held(INLINE))
    inner = wanted
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    assert amend(INLINE, wanted) == INLINE.replace(before, after)


@pytest.mark.parametrize("text", ["...\n", "---\n", "a\n...\nb", "- x\n", "? y", "#\nz", "\t\n\ta", "a\n\n\n", "%A\nb"])
def test_text_that_looks_like_yaml_stays_text(text):
    wanted = held(PLAIN) | {"last": text}
    wanted["items"][0]["text"] = text
    assert is_same(held(amend(PLAIN, wanted)), wanted)
    assert amend(PLAIN, wanted).startswith("# top")


def test_items_continue_those_of_their_name_or_their_place():
    old = [{"name": "a"}, {"name": "b"}, {"name": "c"}]
    assert match_items(old, [{"name": "c"}, {"name": "x"}, {"name": "a"}]) == [2, 1, 0]
    assert match_items(["x", "y"], ["y", "z", "w"]) == [0, 1, None]


@given(VALUE)
def test_rendered_values_read_as_they_were(value):
    assert is_same(held(render_block({"key": value}))["key"], value)
    assert is_same(held(f"key: {render_inline(value)}\n")["key"], value)
    assert "\n" not in render_inline(value)


@pytest.mark.parametrize(
    ("left", "right", "same"), [(1, 1.0, True), (1, True, False), ([1], (1,), True), ({}, [], False)]
)
def test_true_is_not_one(left, right, same):
    assert is_same(left, right) is same
