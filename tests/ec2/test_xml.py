"""Rendering by the table of spec ec2.md 1.7."""

from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from nova_api.ec2.xml import Markup, element_name, escape, render, render_error, timestamp

HEAD = '<?xml version="1.0" ?><XResponse xmlns="http://ec2.amazonaws.com/doc/v/"><requestId>r</requestId>'


@pytest.mark.parametrize(
    ("result", "body"),
    [
        (True, "<return>true</return>"),
        ({"instance_id": "i-1", "InstanceId2": 5}, "<instanceId>i-1</instanceId><instanceId2>5</instanceId2>"),
        ({"a": {}}, "<a/>"),
        ({"a": []}, "<a/>"),
        ({"a": [{}]}, "<a><item/></a>"),
        ({"a": [["b"]]}, "<a><item><item>b</item></item></a>"),
        ({"a": None, "b": ""}, "<a/><b></b>"),
        ({"a": False}, "<a>false</a>"),
        ({"a": Markup("<item>x</item>"), "b": Markup("")}, "<a><item>x</item></a><b/>"),
        ({"a": datetime(2011, 2, 21, 20, 14, 10, 634_999, UTC)}, "<a>2011-02-21T20:14:10.634Z</a>"),
    ],
)
def test_values(result: Any, body: str) -> None:
    assert render("X", "v", "r", result).decode() == f"{HEAD}{body}</XResponse>"


def test_milliseconds_are_cut_off() -> None:
    assert timestamp(datetime(2011, 2, 21, 20, 14, 18, 999, UTC)) == "2011-02-21T20:14:18.000Z"


def test_error() -> None:
    assert render_error("C", "m", "r") == (
        b'<?xml version="1.0"?>\n<Response><Errors><Error><Code>C</Code><Message>m</Message></Error></Errors>'
        b"<RequestID>r</RequestID></Response>"
    )


@given(st.text())
def test_every_text_makes_well_formed_xml(text: str) -> None:
    document = etree.fromstring(render("X", "v", "r", {"a": text, "b": [{"c": text}]}))
    assert len(document) == 3
    assert etree.fromstring(render_error(text, text, text)).tag == "Response"
    # The version ends up in a namespace that need not be a URI: lxml minds that, the parsers of clients do not.
    assert ElementTree.fromstring(render("X", text, "r", True))[1].text == "true"


def test_quotes_are_written_as_2012_1_did() -> None:
    assert escape("""a"b'c&#39;<d>&amp;""") == "a&quot;b'c&amp;#39;&lt;d&gt;&amp;amp;"


def test_what_xml_has_no_character_for_is_left_out() -> None:
    assert escape("a\x00\x1b<\ud800b\ufffe") == "a&lt;b"


@pytest.mark.parametrize("key", ["instance_id", "InstanceId", "instanceId"])
def test_element_names(key: str) -> None:
    assert element_name(key) == "instanceId"


def test_markup_reads_itself() -> None:
    markup = Markup("<item><a>1</a><b/><c><item>x</item></c></item>")
    assert list(markup) == [{"a": "1", "b": None, "c": ["x"]}]
    assert markup[0]["a"] == "1"
    assert len(markup) == 1
