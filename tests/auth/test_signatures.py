import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_api import errors
from nova_api.auth.signatures import Claim, SignaturePolicy, SignedRequest, check_freshness, parse_claim
from tests.auth.received import EVERYTHING, FORM, HOSTILE, accepted, each_character, received, survivors
from tests.conformance import replay

SECRET = "s3cr3t"
HOST = "cloud.example.net:8773"
PATH = "/services/Cloud/"
STAMP = "2012-04-05T10:11:12Z"
SIGNED_AT = datetime(2012, 4, 5, 10, 11, 12, tzinfo=UTC)
BASE = {
    "Action": "DescribeRegions",
    "AWSAccessKeyId": "AKEXAMPLE:proj",
    "Timestamp": STAMP,
    "Version": "2010-08-31",
}
V2 = {"SignatureMethod": "HmacSHA256", "SignatureVersion": "2"}
V2_SHA256 = "Si7wQId3DS5d9eVGnWS7uuI47etMVbAv45mpSEs8RzM="
GROUP = {"Action": "CreateSecurityGroup", "GroupName": "x-y_z.1", "GroupDescription": "a b~c*é/+"}

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
awkward = st.text(st.sampled_from("aZ0 ~*+/=&%é漢.-_"), max_size=8)
arguments = st.dictionaries((any_text | awkward).map("P.{}".format), any_text | awkward, max_size=6)


def request(params: dict[str, str], method: str = "GET", host: str = HOST, path: str = PATH) -> SignedRequest:
    return SignedRequest(
        method=method,
        host=host,
        path=path,
        query="",
        headers={},
        body=b"",
        pairs=list(params.items()),
    )


def signed(scheme: str = "v2-sha256", **params: str) -> dict[str, str]:
    """Parameters with the signature that the runner of the recordings makes."""
    every = BASE | V2 | {"SignatureMethod": "HmacSHA1" if "sha1" in scheme else "HmacSHA256"} | params
    if scheme in ("v0", "v1"):
        every["SignatureVersion"] = scheme[1]
    return every | {"Signature": replay.sign_query(every, SECRET, scheme, "GET", HOST, PATH)}


def claimed(params: dict[str, str], policy: SignaturePolicy = EVERYTHING) -> Claim:
    return parse_claim(request(params), policy)


# -- vectors of the original (spec ec2.md 2.6 and 10, item 15) ---------------------------------------------


@pytest.mark.parametrize(
    ("signature", "params", "method"),
    [
        (V2_SHA256, V2, "GET"),
        # The host without its port, sent with it.
        ("OzDmcqAeeru04cZ+lugQ+63y4S1kYbCRBYle9spabRQ=", V2, "GET"),
        ("mOTHwSCN9dbgqvNoTd0xceWR/BGTvDQtcEWB5xasMh8=", V2, "POST"),
        ("Xh9Cf+Navr8iH2i1w71+s/5NPks=", V2 | {"SignatureMethod": "HmacSHA1"}, "GET"),
        ("/iwqjw3pbHiZAYplBjvTZor7HFkkQfEYFsg8DtzBYTk=", V2 | GROUP, "GET"),
        ("XsS7dzAE7TWUdIIxyRyOf4J7LjY=", {"SignatureVersion": "1"}, "GET"),
        # 2012.1: version 0 is SHA1 whatever SignatureMethod says.
        ("X6SgzqbYHC12HxwHZ1UDnFsS2ao=", V2 | {"SignatureVersion": "0"}, "GET"),
    ],
)
def test_a_vector_of_the_original_signer(signature: str, params: dict[str, str], method: str) -> None:
    claim = parse_claim(request(BASE | params | {"Signature": signature}, method), EVERYTHING)
    assert claim.verify(SECRET)
    assert not claim.verify(SECRET + "x")
    assert not claim.verify("")


@pytest.mark.parametrize(
    ("method", "signature"),
    [
        ("HmacSHA256", "clXalhbLZXxEuI32OoX+OeXsN6Mr2q4jzGyIDAr4RZg="),
        ("HmacSHA1", "uJTByiDIcgB65STrS5i2egQgd+U="),
    ],
)
def test_a_vector_of_the_originals_own_tests(method: str, signature: str) -> None:
    # It signs nothing but these two parameters: no request that parse_claim lets through, so the claim is put
    # together from one that is.
    claim = claimed(signed("v2-sha1" if method == "HmacSHA1" else "v2-sha256"))
    bare = request({"SignatureVersion": "2", "SignatureMethod": method}, host="server", path="/foo")
    claim = replace(claim, request=bare, signature=signature)
    assert claim.verify("uV3F3YluFJax1cknvbcGwgjvx4QpvB+leU8dUj2o")
    assert not claim.verify("uV3F3YluFJax1cknvbcGwgjvx4QpvB+leU8dUj2O")


@pytest.mark.parametrize("scheme", ["v0", "v1", "v2-sha1", "v2-sha256"])
def test_what_the_runner_of_the_recordings_signs(scheme: str) -> None:
    assert claimed(signed(scheme, GroupDescription="a b~c*é/+")).verify(SECRET)


# -- what a claim says -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access_key", "key_id", "project"),
    [("AK", "AK", None), ("AK:", "AK", None), ("AK:p", "AK", "p"), ("AK:p:q", "AK", "p:q"), (":p", "", "p")],
)
def test_the_project_stands_behind_the_first_colon(access_key: str, key_id: str, project: str | None) -> None:
    claim = claimed(signed(AWSAccessKeyId=access_key))
    assert (claim.key_id, claim.project) == (key_id, project)


def test_arguments_are_what_is_not_about_the_signature() -> None:
    claim = claimed(signed(Expires="2012-04-05T10:15:00Z", **GROUP))
    assert dict(claim.arguments) == GROUP | {"Version": "2010-08-31"}
    assert claim.version == "2"
    assert (claim.timestamp, claim.expires) == (SIGNED_AT, datetime(2012, 4, 5, 10, 15, tzinfo=UTC))


def test_a_claim_does_not_print_its_signature() -> None:
    assert V2_SHA256 not in repr(claimed(BASE | V2 | {"Signature": V2_SHA256}))


# -- what is refused for its form --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["AWSAccessKeyId", "Signature", "SignatureVersion", "SignatureMethod", "Timestamp", "Version", "Action"],
)
def test_each_of_the_seven_parameters_is_required(name: str) -> None:
    params = signed(Expires="2012-04-05T10:15:00Z")
    del params[name]
    with pytest.raises(errors.MissingParameter, match=f"parameter {name}$"):
        claimed(params)


def test_version_1_needs_no_method() -> None:
    params = BASE | {"SignatureVersion": "1", "Signature": "XsS7dzAE7TWUdIIxyRyOf4J7LjY="}
    assert claimed(params).verify(SECRET)


@pytest.mark.parametrize(
    ("scheme", "policy"),
    [
        ("v0", SignaturePolicy()),
        ("v1", SignaturePolicy()),
        ("v0", SignaturePolicy(allow_v1=True)),
        ("v1", SignaturePolicy(allow_v0=True)),
        ("v2-sha1", SignaturePolicy(allow_sha1=False)),
    ],
)
def test_what_is_switched_off_is_refused(scheme: str, policy: SignaturePolicy) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="not supported") as refusal:
        claimed(signed(scheme), policy)
    assert refusal.value.status == 400


def test_sha1_is_on_by_default() -> None:
    assert claimed(signed("v2-sha1"), SignaturePolicy()).verify(SECRET)


@pytest.mark.parametrize("version", ["3", "4", "02", "2.0", "", "two", "２"])
def test_an_unknown_version_is_refused(version: str) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="signature version"):
        claimed(signed() | {"SignatureVersion": version})


@pytest.mark.parametrize("method", ["", "HmacMD5", "hmacsha256", "HmacSHA512"])
def test_an_unknown_method_is_refused(method: str) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="signature method"):
        claimed(signed() | {"SignatureMethod": method})


@pytest.mark.parametrize("name", ["Action", "Signature", "AWSAccessKeyId", "GroupName"])
def test_a_repeated_parameter_is_refused_even_with_the_same_value(name: str) -> None:
    params = signed(**GROUP)
    twice = replace(request(params), pairs=[*params.items(), (name, params[name])])
    with pytest.raises(errors.InvalidParameterCombination, match=f"parameter {name} is given twice"):
        parse_claim(twice, EVERYTHING)


def test_a_parameter_in_query_and_body_is_a_repeated_one() -> None:
    both = received(
        "POST", f"http://{HOST}{PATH}?Action=TerminateInstances", {"Content-Type": FORM}, urlencode(signed())
    )
    with pytest.raises(errors.InvalidParameterCombination, match="parameter Action"):
        parse_claim(both, EVERYTHING)


def test_a_session_token_is_refused() -> None:
    with pytest.raises(errors.InvalidClientToken, match="Session tokens") as refusal:
        claimed(signed(**{"X-Amz-Security-Token": "t"}))
    assert refusal.value.ec2_code == "InvalidClientTokenId"


def test_the_token_of_earlier_versions_is_a_parameter_like_any_other() -> None:
    assert claimed(signed(SecurityToken="t")).access_key == claimed(signed()).access_key


def test_a_session_token_in_a_header_is_refused() -> None:
    with pytest.raises(errors.InvalidClientToken):
        parse_claim(replace(request(signed()), headers={"x-amz-security-token": "t"}), EVERYTHING)


# -- what a version 2 signature covers, and in which forms -------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "signed_host"),
    [
        ("h.example:8773", "h.example:8773"),
        ("h.example:8773", "h.example"),
        ("H.Example:8773", "h.example:8773"),
        ("H.Example:8773", "h.example"),
        ("[::1]:8773", "[::1]:8773"),
        ("[::1]:8773", "::1"),
        ("::1", "::1"),
    ],
)
def test_the_host_may_be_signed_without_port_and_in_lower_case(sent: str, signed_host: str) -> None:
    params = BASE | V2
    params["Signature"] = replay.sign_query(params, SECRET, "v2-sha256", "GET", signed_host, PATH)
    assert parse_claim(request(params, host=sent), EVERYTHING).verify(SECRET)


@pytest.mark.parametrize("signed_host", ["h.example:80", "example", "h.example:87", "h.example:", ""])
def test_another_host_is_not_accepted(signed_host: str) -> None:
    params = BASE | V2
    params["Signature"] = replay.sign_query(params, SECRET, "v2-sha256", "GET", signed_host, PATH)
    assert not parse_claim(request(params, host="h.example:8773"), EVERYTHING).verify(SECRET)


def test_a_second_reading_is_noted_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    signature = "OzDmcqAeeru04cZ+lugQ+63y4S1kYbCRBYle9spabRQ="
    with caplog.at_level(logging.DEBUG, "nova_api.auth.claims"):
        assert claimed(BASE | V2 | {"Signature": V2_SHA256}).verify(SECRET)
        assert not caplog.records
        assert claimed(BASE | V2 | {"Signature": signature}).verify(SECRET)
    assert len(caplog.records) == 1
    assert SECRET not in caplog.text and signature not in caplog.text


@pytest.mark.parametrize(
    ("sent", "signed_path"),
    [
        ("/services/Cloud", "/services/Cloud"),
        ("/services/Cloud/", "/services/Cloud/"),
        ("/services/Cloud/x%20y", "/services/Cloud/x%20y"),
        ("/services/%43loud/", "/services/%43loud/"),
        ("/services/%43loud/", "/services/Cloud/"),
    ],
)
def test_the_path_is_signed_as_sent_or_encoded_anew(sent: str, signed_path: str) -> None:
    params = BASE | V2
    params["Signature"] = replay.sign_query(params, SECRET, "v2-sha256", "GET", HOST, signed_path)
    assert parse_claim(request(params, path=sent), EVERYTHING).verify(SECRET)


@pytest.mark.parametrize("encoded_name", ["a~b", "a%7Eb"])
def test_a_tilde_in_a_name_is_signed_either_way(encoded_name: str) -> None:
    params = BASE | V2
    query = "&".join(f"{quote(n, safe='')}={quote(params[n], safe='-_.~')}" for n in sorted(params))
    text = f"GET\n{HOST}\n{PATH}\n{query}&{encoded_name}=~"
    signature = replay.base64.b64encode(replay.hmac.digest(SECRET.encode(), text.encode(), "sha256")).decode()
    assert claimed(params | {"a~b": "~", "Signature": signature}).verify(SECRET)


def _changes() -> list[tuple[str, SignedRequest]]:
    params = signed(**GROUP)
    given = request(params)
    changed = [
        ("method", replace(given, method="POST")),
        ("method's case", replace(given, method="get")),
        ("path without slash", replace(given, path="/services/Cloud")),
        ("another path", replace(given, path="/services/Cloud/x")),
        ("host", replace(given, host="cloud.example.org:8773")),
        ("port", replace(given, host="cloud.example.net:8774")),
        ("one more", request(params | {"DryRun": "true"})),
        ("one more, nameless", request(params | {"": "x"})),
        ("one more, empty", request(params | {"x": ""})),
    ]
    for name in params:
        changed.append((f"{name} dropped", request({n: v for n, v in params.items() if n != name})))
        changed.append((f"{name} renamed", request({(n + "x" if n == name else n): v for n, v in params.items()})))

        def put(text: str, name: str = name) -> SignedRequest:
            return request(params | {name: text})

        changed += each_character(params[name], put, name)
    return changed


def test_no_change_to_a_version_2_request_survives() -> None:
    assert accepted(request(signed(**GROUP)), SECRET)
    assert survivors(_changes(), SECRET) == []


def test_the_same_signature_written_otherwise_is_another_one() -> None:
    # The last character before "=" carries two bits that base64 decoders ignore.
    assert V2_SHA256[-2] == "M"
    for text in (V2_SHA256[:-2] + "N=", V2_SHA256.rstrip("="), V2_SHA256 + "\n", " " + V2_SHA256):
        assert not claimed(BASE | V2 | {"Signature": text}).verify(SECRET)


# -- clients' own signers ----------------------------------------------------------------------------------


@given(secret=any_text.filter(bool), params=arguments, method=st.sampled_from(["GET", "POST"]))
def test_what_botocore_signs_by_version_2(secret: str, params: dict[str, str], method: str) -> None:
    every = BASE | params
    url = "http://cloud.example.net:8773/services/Cloud/"
    asked = botocore.awsrequest.AWSRequest(method, url, params=every)
    botocore.auth.SigV2Auth(botocore.credentials.Credentials("AK", secret)).add_auth(asked)
    claim = parse_claim(request(dict(asked.params), method), EVERYTHING)
    assert claim.verify(secret)
    assert not claim.verify(secret + "x")
    assert {n: v for n, v in claim.arguments if n.startswith("P.")} == params


def boto_sends(access: str, secret: str, method: str, params: dict[str, str], host: str, port: int, **how: Any) -> Any:
    connection = pytest.importorskip("boto.ec2.connection", exc_type=ImportError)
    regioninfo = pytest.importorskip("boto.regioninfo", exc_type=ImportError)
    kind = type("Connection", (connection.EC2Connection,), {"_required_auth_capability": lambda _: [how["auth"]]})
    client = kind(
        access,
        secret,
        is_secure=port == 443,
        port=port,
        path="/services/Cloud",
        region=regioninfo.RegionInfo(None, "nova", host),
    )
    made = client.build_base_http_request(method, "/services/Cloud/", None, dict(params), {}, "", host)
    made.authorize(connection=client)
    netloc = host if port in (80, 443) else f"{host}:{port}"
    return received(method, f"http://{netloc}{made.path}", made.headers, made.body)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 8773), ("Cloud.Example", 8773), ("cloud.example", 80)])
def test_what_boto_signs_by_version_2(method: str, host: str, port: int) -> None:
    params = GROUP | {"Version": "2010-08-31"}
    sent = boto_sends("AK:proj", "secrét", method, params, host, port, auth="ec2")
    claim = parse_claim(sent, SignaturePolicy())
    assert (claim.version, claim.access_key) == ("2", "AK:proj")
    assert claim.verify("secrét")
    assert not claim.verify("secret")
    assert dict(claim.arguments) == params


# -- the clock ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [-900, -1, 0, 1, 900])
def test_inside_of_the_window(seconds: int) -> None:
    claim = claimed(signed())
    check_freshness(claim, SIGNED_AT + timedelta(seconds=seconds), SignaturePolicy())
    assert claim.timestamp == SIGNED_AT


@pytest.mark.parametrize("seconds", [-901, 901, -(10**9), 10**9])
def test_outside_of_the_window(seconds: int) -> None:
    with pytest.raises(errors.RequestExpired) as refusal:
        check_freshness(claimed(signed()), SIGNED_AT + timedelta(seconds=seconds), SignaturePolicy())
    assert (refusal.value.ec2_code, refusal.value.status) == ("RequestExpired", 400)


def test_the_window_is_a_setting_of_any_size() -> None:
    claim = claimed(signed())
    with pytest.raises(errors.RequestExpired):
        check_freshness(claim, SIGNED_AT + timedelta(seconds=6), SignaturePolicy(window=5))
    check_freshness(claim, datetime.max.replace(tzinfo=UTC), SignaturePolicy(window=10**18))


def test_a_passed_expires_ends_a_request_inside_of_the_window() -> None:
    claim = claimed(signed(Expires="2012-04-05T10:11:42Z"))
    check_freshness(claim, SIGNED_AT + timedelta(seconds=29), SignaturePolicy())
    with pytest.raises(errors.RequestExpired, match="valid until 2012-04-05T10:11:42Z"):
        check_freshness(claim, SIGNED_AT + timedelta(seconds=30), SignaturePolicy())


def test_a_late_expires_does_not_widen_the_window() -> None:
    claim = claimed(signed(Expires="2030-01-01T00:00:00Z"))
    with pytest.raises(errors.RequestExpired, match="window"):
        check_freshness(claim, SIGNED_AT + timedelta(seconds=901), SignaturePolicy())


@pytest.mark.parametrize(
    "text",
    ["2012-04-05T10:11:12", "2012-04-05T10:11:12.000Z", "2012-04-05T12:11:12+02:00", "20120405T101112Z"],
)
def test_forms_of_a_time_stamp(text: str) -> None:
    assert claimed(signed(Timestamp=text)).timestamp == SIGNED_AT


@pytest.mark.parametrize("name", ["Timestamp", "Expires"])
@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE,
        "2012-13-01T00:00:00Z",
        "2012-04-31T00:00:00Z",
        "2012-04-05T25:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "２０１２-04-05T10:11:12Z",
        "2012-04-05T10:11:12ZZ",
    ],
)
def test_what_is_no_time_stamp(name: str, text: str) -> None:
    with pytest.raises(errors.InvalidParameterValue, match=f"parameter {name} is invalid"):
        claimed(signed() | {name: text})


# -- hostile input: a refusal or a plain no, and nothing else ------------------------------------------------


@pytest.mark.parametrize("scheme", ["v0", "v1", "v2-sha256"])
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_values_anywhere(scheme: str, text: str) -> None:
    params = signed(scheme)
    changed = [(name, request(params | {name: text})) for name in params if name not in ("Action", "Version")]
    changed += [("host", request(params, host=text)), ("path", request(params, path=text))]
    if scheme == "v0":  # 2012.1: it signs Action and Timestamp, and nothing else can be noticed.
        changed = [(name, r) for name, r in changed if name in ("Signature", "SignatureVersion", "Timestamp")]
    if scheme == "v1":  # 2012.1: nor does version 1 sign where it goes.
        changed = [(name, r) for name, r in changed if name not in ("host", "path")]
    assert survivors(changed, SECRET) == []


@pytest.mark.parametrize("text", ["", "a\x00b", "a\nb", "\x7f", "\x85", "\ud800", "x" * 256])
def test_what_cannot_be_an_access_key_never_reaches_the_datastore(text: str) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="access key"):
        claimed(signed() | {"AWSAccessKeyId": text})


@pytest.mark.parametrize("secret", HOSTILE)
def test_any_secret_can_be_compared_with(secret: str) -> None:
    assert claimed(signed()).verify(secret) is False


loose = st.text(max_size=20)


@given(
    params=st.dictionaries(st.sampled_from([*BASE, *V2, "Signature", "Expires", "X"]) | loose, loose),
    host=loose,
    path=loose,
    method=loose,
    version=st.sampled_from("0124"),
)
def test_no_request_raises_anything_but_a_refusal(
    params: dict[str, str], host: str, path: str, method: str, version: str
) -> None:
    mixed = signed() | params | {"SignatureVersion": version, "Timestamp": STAMP, "SignatureMethod": "HmacSHA1"}
    assert accepted(request(mixed, method, host, path), "another secret") is False
