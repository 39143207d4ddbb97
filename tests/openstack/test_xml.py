"""XML: the hardened parser, and templates (spec openstack-core.md 8, 11.1 row 5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from nova_api import limits
from nova_api.openstack.xml import (
    Element,
    MalformedXML,
    Template,
    attribute,
    local_name,
    parse,
    plain_document,
    safe_text,
    text_of,
    to_plain,
)

BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;">]><server name="&b;"/>"""


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"text",
        b"<a",
        b"<a></b>",
        b"<a>&undefined;</a>",
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"),
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        b"\xff\xfe",
        BOMB,
        b"<a>" * (limits.MAX_XML_DEPTH + 1) + b"</a>" * (limits.MAX_XML_DEPTH + 1),
        b"<a>" + b"<b/>" * limits.MAX_XML_NODES + b"</a>",
    ],
)
def test_what_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedXML):
        parse(text)


@given(st.binary(max_size=200))
def test_bytes_are_a_document_or_are_refused(text: bytes) -> None:
    try:
        root = parse(text)
    except MalformedXML:
        return
    assert local_name(root)


@given(st.text(max_size=60))
def test_every_text_can_be_written(text: str) -> None:
    document = Template(Element("a", attributes=("x",), text="x")).serialize({"x": text})
    # A parser turns every end of line into one line feed.
    expected = safe_text(text).replace("\r\n", "\n").replace("\r", "\n")
    assert (etree.fromstring(document).text or "").replace("\r\n", "\n").replace("\r", "\n") == expected


def test_reading() -> None:
    root = parse(b'<!-- c --><s xmlns="urn:x" a="1" b=""><k>v<i/>w</k><many><one>1</one><one>2</one></many></s>')
    assert (local_name(root), attribute(root, "a"), attribute(root, "b")) == ("s", "1", None)
    assert text_of(root[0]) == "vw"
    assert to_plain(root, {"many": "one"}) == {"a": "1", "b": "", "k": {"i": ""}, "many": ["1", "2"]}


MASTER = Template(
    Element(
        "servers",
        Element("server", Element("fault", select="fault", text="text"), select="servers", attributes=("id", "name")),
    ),
    {None: "urn:x"},
)


def test_templates() -> None:
    data = {"servers": [{"id": 1, "name": None}, {"id": 2, "fault": {"text": "boom"}}]}
    root = etree.fromstring(MASTER.serialize(data))
    assert [dict(one.attrib) for one in root] == [{"id": "1", "name": "None"}, {"id": "2"}]
    assert [len(one) for one in root] == [0, 1]
    assert root[1][0].text == "boom"


def test_the_declaration_is_that_of_2012() -> None:
    assert MASTER.serialize({"servers": []}) == b"<?xml version='1.0' encoding='UTF-8'?>\n<servers xmlns=\"urn:x\"/>"


def test_slaves_add_to_elements_of_the_same_tag() -> None:
    slave = Template(
        Element("servers", Element("server", Element("more", text="more"), attributes={"{urn:e}x": "E:x"})),
        {"E": "urn:e"},
    )
    root = etree.fromstring(MASTER.serialize({"servers": [{"id": 1, "E:x": "y", "more": "m"}]}, [slave]))
    assert root.nsmap == {None: "urn:x", "E": "urn:e"}
    assert root[0].get("{urn:e}x") == "y"
    assert root[0].findtext("{urn:x}more") == "m"


def test_a_slave_of_another_document() -> None:
    with pytest.raises(ValueError, match="cannot extend"):
        MASTER.serialize({"servers": []}, [Template(Element("flavors"))])


def test_a_root_shows_one_thing() -> None:
    with pytest.raises(ValueError, match="one thing"):
        Template(Element("servers", select="servers")).serialize({"servers": [1, 2]})


def test_documents_without_a_template() -> None:
    text = plain_document({"hosts": [{"name": "a", "up": True}, {"name": "b c"}]})
    assert text == b"<hosts><host><name>a</name><up>True</up></host><host><name>b c</name></host></hosts>"
    assert plain_document({"x": {"not a tag": 1}}) == b'<x><item key="not a tag">1</item></x>'


@pytest.mark.parametrize("namespace", [None, "http://docs.openstack.org/compute/api/v1.1"])
@pytest.mark.parametrize("key", ["", "{x}y", "{http://www.w3.org/XML/1998/namespace}lang", "a:b", "a{", "1", "a\x00"])
def test_free_keys_that_are_no_tags(key: str, namespace: str | None) -> None:
    root = etree.fromstring(plain_document({"x": {key: 1}}, namespace=namespace))
    (one,) = root
    assert (local_name(one), etree.QName(one).namespace, one.text) == ("item", namespace, "1")
    assert one.get("key") == safe_text(key)
