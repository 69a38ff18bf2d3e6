//! The specification's own examples, its edges, and round trips of anything.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::model::{AttrValue, Message};

fn decode_text(text: &str) -> Result<Message, EventError> {
    decode(text.as_bytes(), &Bounds::default())
}

fn encoded(message: &Message) -> String {
    let mut out = Vec::new();
    encode(message, &mut out);
    String::from_utf8(out).unwrap()
}

/// An event with `members` beside the required ones.
fn with(members: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t"{members}}}"#)
}

#[test]
fn the_examples_of_the_specification_round_trip() {
    // json-format.md 3.2: text, JSON object, binary, JSON string; extensions and null
    for (text, body) in [
        (
            r#"{"specversion":"1.0","type":"com.example.someevent","source":"/mycontext","subject":null,"id":"C234-1234-1234","time":"2018-04-05T17:31:00Z","comexampleextension1":"value","comexampleothervalue":5,"datacontenttype":"application/json","data":{"appinfoA" : "abc","appinfoB":123, "appinfoC" : true}}"#,
            r#"{"appinfoA" : "abc","appinfoB":123, "appinfoC" : true}"#,
        ),
        (
            r#"{"specversion":"1.0","type":"com.example.someevent","source":"/mycontext","id":"B234-1234-1234","time":"2018-04-05T17:31:00Z","comexampleextension1":"value","comexampleothervalue":5,"unsetextension":null,"datacontenttype":"application/xml","data":"<much wow=\"xml\"/>"}"#,
            "<much wow=\"xml\"/>",
        ),
        (
            r#"{"specversion":"1.0","type":"com.example.someevent","source":"/mycontext","id":"D234-1234-1234","datacontenttype":"application/vnd.apache.thrift.binary","data_base64":"AAECAw=="}"#,
            "\0\u{1}\u{2}\u{3}",
        ),
        (
            r#"{"specversion":"1.0","type":"t","source":"/mycontext","id":"1","datacontenttype":"application/json","data":"I'm just a string"}"#,
            r#""I'm just a string""#,
        ),
        (
            r#"{"specversion":"1.0","type":"t","source":"/mycontext","id":"1","data":1.50}"#,
            "1.50",
        ),
    ] {
        let message = decode_text(text).unwrap();
        assert_eq!(message.body, body.as_bytes(), "{text}");
        assert_eq!(decode_text(&encoded(&message)), Ok(message), "{text}");
    }
}

#[test]
fn types_and_nulls_of_extensions() {
    let message = decode_text(&with(r#","a":"x","b":-7,"c":true,"d":null,"time":null"#)).unwrap();
    let extensions: Vec<_> = message.envelope.extensions.into_iter().collect();
    assert_eq!(
        extensions,
        [
            ("a".to_owned(), AttrValue::String("x".to_owned())),
            ("b".to_owned(), AttrValue::Integer(-7)),
            ("c".to_owned(), AttrValue::Boolean(true)),
        ]
    );
    assert_eq!(message.envelope.time, None);
}

#[test]
fn every_broken_rule_names_its_attribute() {
    for (text, error) in [
        (
            r#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#.to_owned(),
            "the attribute 'specversion' must be \"1.0\"",
        ),
        (
            r#"{"id":"1","source":"/s","type":"t"}"#.to_owned(),
            "the attribute 'specversion' must be \"1.0\"",
        ),
        (
            r#"{"specversion":"1.0","source":"/s","type":"t"}"#.to_owned(),
            "the attribute 'id' is required and must not be empty",
        ),
        (
            r#"{"specversion":"1.0","id":null,"source":"/s","type":"t"}"#.to_owned(),
            "the attribute 'id' is required and must not be empty",
        ),
        (
            r#"{"specversion":"1.0","id":7,"source":"/s","type":"t"}"#.to_owned(),
            "the attribute 'id' must be a string",
        ),
        (
            r#"{"specversion":"1.0","id":"1","source":"a b","type":"t"}"#.to_owned(),
            "the attribute 'source' is not a URI reference",
        ),
        (with(r#","id":"2""#), "the attribute 'id' appears twice"),
        (
            with(r#","time":"noon""#),
            "the attribute 'time' is not an RFC 3339 time",
        ),
        (
            with(r#","subject":"""#),
            "the attribute 'subject' must not be empty",
        ),
        (
            with(r#","dataschema":"rel""#),
            "the attribute 'dataschema' is not an absolute URI",
        ),
        (
            with(r#","datacontenttype":"x""#),
            "the attribute 'datacontenttype' is not a media type",
        ),
        (
            with(r#","datacontenttype":"text/xml","data":{}"#),
            "the attribute 'data' must be a JSON string, because 'datacontenttype' is not JSON",
        ),
        (
            with(r#","data":1,"data_base64":"AA==""#),
            "the attribute 'data_base64' must not stand beside 'data'",
        ),
        (
            with(r#","data_base64":"A*""#),
            "the attribute 'data_base64' is not base64 (RFC 4648)",
        ),
        (
            with(r#","n":1.5"#),
            "the attribute 'n' is a number that is not a 32-bit whole number",
        ),
        (
            with(r#","n":2147483648"#),
            "the attribute 'n' is a number that is not a 32-bit whole number",
        ),
        (
            with(r#","n":{}"#),
            "the attribute 'n' must be a string, a 32-bit whole number or a boolean",
        ),
        (
            with(r#","Bad":1"#),
            "'Bad' is not an attribute name: lower-case letters and digits only",
        ),
        (
            with(r#","subject":"a\u0007b""#),
            "the attribute 'subject' has control characters",
        ),
        ("[]".to_owned(), "not a JSON object (line 1, column 0)"),
        ("{".to_owned(), "not a JSON object (line 1, column 1)"),
    ] {
        assert_eq!(decode_text(&text).unwrap_err().to_string(), error, "{text}");
    }
}

#[test]
fn size_depth_and_count_are_bounded() {
    let bounds = Bounds {
        bytes: 400,
        events: 2,
        depth: 5,
    };
    let deep = with(&format!(r#","data":{}1{}"#, "[".repeat(5), "]".repeat(5)));
    assert_eq!(
        decode(deep.as_bytes(), &bounds),
        Err(EventError::TooDeep { max: 5 })
    );
    let in_text = with(r#","data":"[[[[[[[[[""#);
    assert!(decode(in_text.as_bytes(), &bounds).is_ok());
    let large = with(&format!(r#","data":"{}""#, "x".repeat(400)));
    assert!(
        decode(large.as_bytes(), &bounds)
            .unwrap_err()
            .is_too_large()
    );
    let one = with("");
    let batch = |n| format!("[{}]", vec![one.as_str(); n].join(","));
    assert_eq!(decode_batch(batch(2).as_bytes(), &bounds).unwrap().len(), 2);
    assert_eq!(
        decode_batch(batch(3).as_bytes(), &bounds),
        Err(EventError::TooMany { max: 2 })
    );
    assert_eq!(decode_batch(b"[]", &bounds).unwrap(), []);
    let very_deep = "[".repeat(300);
    assert!(decode_batch(very_deep.as_bytes(), &bounds).is_err());
    let many: Vec<String> = (0..100).map(|n| format!(r#","x{n}":1"#)).collect();
    assert!(decode_text(&with(&many.concat())).is_err());
}

#[test]
fn an_error_in_a_batch_says_where() {
    let text = format!("[{},{}]", with(""), with(r#","time":"noon""#));
    assert_eq!(
        decode_batch(text.as_bytes(), &Bounds::default())
            .unwrap_err()
            .to_string(),
        "event 1 of the batch: the attribute 'time' is not an RFC 3339 time"
    );
}

#[test]
fn errors_never_show_the_body() {
    for text in [
        with(r#","data":{"pin":"4711"#),
        with(r#","data_base64":"secret4711""#),
        with(r#","datacontenttype":"text/plain","data":{"pin":4711}"#),
    ] {
        let error = decode_text(&text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("4711"), "{error:?}");
    }
}

#[test]
fn headers_follow_the_http_binding() {
    let envelope = decode_headers([
        ("ce-specversion", b"1.0".as_slice()),
        ("ce-type", b"com.example.someevent"),
        ("ce-id", b"1234-1234-1234"),
        ("ce-source", b"/mycontext/subcontext"),
        ("ce-subject", b"Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ("ce-comment", br#""a \"quoted\" 50%25""#),
        ("ce-severitynumber", b"17"),
        ("content-type", b"application/json; charset=utf-8"),
        ("accept", b"*/*"),
    ])
    .unwrap();
    assert_eq!(envelope.subject.as_deref(), Some("Euro \u{20ac} \u{1f600}"));
    assert_eq!(envelope.extension("comment"), Some("a \"quoted\" 50%"));
    assert_eq!(
        envelope.extensions.get("severitynumber"),
        Some(&AttrValue::Integer(17))
    );
    assert_eq!(
        envelope.content_type.as_deref(),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(
        encode_value("Euro \u{20ac} \u{1f600}"),
        "Euro%20%E2%82%AC%20%F0%9F%98%80"
    );

    let required = [
        ("ce-specversion", b"1.0".as_slice()),
        ("ce-type", b"t"),
        ("ce-id", b"1"),
        ("ce-source", b"/s"),
    ];
    for (header, value, error) in [
        ("ce-id", b"2".as_slice(), "the attribute 'id' appears twice"),
        (
            "ce-subject",
            b"%C0%A0",
            "the attribute 'subject' is not UTF-8 after percent-decoding",
        ),
        (
            "ce-subject",
            b"50%",
            "the attribute 'subject' has a '%' without two hexadecimal digits",
        ),
        (
            "ce-subject",
            b"\"open",
            "the attribute 'subject' is a quoted string that does not end",
        ),
        (
            "ce-subject",
            b"caf\xc3\xa9",
            "the attribute 'subject' has bytes that must be percent-encoded in a header",
        ),
        (
            "ce-datacontenttype",
            b"text/xml",
            "the attribute 'datacontenttype' must be sent as the Content-Type header",
        ),
        (
            "ce-severitynumber",
            b"high",
            "the attribute 'severitynumber' must be a 32-bit whole number",
        ),
        (
            "ce-with-dash",
            b"x",
            "'with-dash' is not an attribute name: lower-case letters and digits only",
        ),
        (
            "ce-data",
            b"x",
            "'data' is not an attribute name: lower-case letters and digits only",
        ),
    ] {
        let refused = decode_headers(required.into_iter().chain([(header, value)])).unwrap_err();
        assert_eq!(refused.to_string(), error, "{header}");
    }
    assert_eq!(decode_headers([]), Err(EventError::SpecVersion));
}

#[test]
fn a_position_is_added_but_never_replaces() {
    let mut out = Vec::new();
    let mut message = decode_text(&with("")).unwrap();
    encode_with(&message, &[("qcseq", "7")], &mut out);
    let back = decode(&out, &Bounds::default()).unwrap();
    assert_eq!(back.envelope.extension("qcseq"), Some("7"));
    message
        .envelope
        .extensions
        .insert("qcseq".to_owned(), AttrValue::Integer(1));
    out.clear();
    encode_with(&message, &[("qcseq", "7")], &mut out);
    assert_eq!(decode(&out, &Bounds::default()), Ok(message));
}

fn any_message() -> impl Strategy<Value = Message> {
    let text = "[^\\p{Cc}]{1,40}";
    let value = prop_oneof![
        text.prop_map(AttrValue::String),
        any::<i32>().prop_map(AttrValue::Integer),
        any::<bool>().prop_map(AttrValue::Boolean),
    ];
    let content_type = prop_oneof![
        Just(None),
        Just(Some("application/json".to_owned())),
        Just(Some("application/problem+json; charset=utf-8".to_owned())),
        Just(Some("text/plain".to_owned())),
        Just(Some("application/octet-stream".to_owned())),
    ];
    let body = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        ".{0,40}".prop_map(String::into_bytes),
        Just(b"{\"a\" : [1.0, 1e5, \"\\u00e9\"]}".to_vec()),
        Just(b" {\"a\":1}\n".to_vec()),
        Just(b"null".to_vec()),
        Just("[".repeat(70).into_bytes()),
        Just([[b'['; 64], [b']'; 64]].concat()),
    ];
    (
        (text, "[a-z/:.?=-]{1,30}", text, content_type),
        proptest::option::of(Just("2026-11-21T03:22:07.123456+01:00".to_owned())),
        proptest::option::of(text),
        proptest::collection::btree_map("x[a-z0-9]{0,19}", value, 0..8),
        body,
    )
        .prop_map(
            |((id, source, kind, content_type), time, subject, extensions, body)| Message {
                envelope: Envelope {
                    time,
                    subject,
                    content_type,
                    extensions,
                    ..Envelope::new(id, source, kind)
                },
                body: Bytes::from(body),
            },
        )
}

proptest! {
    #[test]
    fn json_loses_nothing(message in any_message()) {
        let text = encoded(&message);
        prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
        prop_assert_eq!(decode_text(&text).unwrap(), message.clone());
        let batch = format!("[{text} , {text}]");
        prop_assert_eq!(
            decode_batch(batch.as_bytes(), &Bounds::default()).unwrap(),
            [message.clone(), message]
        );
    }

    #[test]
    fn headers_lose_only_types(message in any_message()) {
        let headers = encode_headers(&message.envelope);
        let back = decode_headers(headers.iter().map(|(n, v)| (n.as_ref(), v.as_bytes()))).unwrap();
        let mut expected = message.envelope;
        for value in expected.extensions.values_mut() {
            *value = AttrValue::String(match &*value {
                AttrValue::String(text) => text.clone(),
                AttrValue::Integer(number) => number.to_string(),
                AttrValue::Boolean(flag) => flag.to_string(),
            });
        }
        prop_assert_eq!(back, expected);
    }

    #[test]
    fn any_bytes_are_refused_or_decoded(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _either = decode(&bytes, &Bounds::default());
        let _either = decode_batch(&bytes, &Bounds::default());
        let _either = decode_value("x", &bytes);
    }
}
