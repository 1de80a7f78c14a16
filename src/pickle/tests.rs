//! Pickles of CPython 3.11 and hand-written ones.

use super::*;

const MEMORY: usize = 1 << 20;

/// `value` as Python would print it, calls as they would be written.
fn shown<'a>(pickle: &Pickle<'a>, value: Value<'a>) -> String {
    let list =
        |items: &[Value<'a>]| items.iter().map(|&item| shown(pickle, item)).collect::<Vec<_>>().join(" ");
    let pairs = |pairs: &[(Value<'a>, Value<'a>)]| {
        let pair = |&(key, value): &(_, _)| format!("{}: {}", shown(pickle, key), shown(pickle, value));
        pairs.iter().map(pair).collect::<Vec<_>>().join(", ")
    };
    match value {
        Value::None => "None".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Long(digits) => format!("long{digits:?}"),
        Value::Float(value) => format!("{value:?}"),
        Value::Text(text) => format!("{text:?}"),
        Value::Bytes(bytes) => format!("b{bytes:?}"),
        Value::Node(_) => match pickle.node(value).unwrap() {
            Node::Text(text) => format!("{text:?}"),
            Node::Bytes(bytes) => format!("b{bytes:?}"),
            Node::Tuple(items) => format!("({})", list(items)),
            Node::List(items) => format!("[{}]", list(items)),
            Node::Set(items) => format!("{{{}}}", list(items)),
            Node::Dict(entries) => format!("{{{}}}", pairs(entries)),
            Node::Global { module, name } => format!("{module}.{name}"),
            Node::Object(object) => {
                let Object { class, args, state, entries, items } = &**object;
                let mut text = shown(pickle, *class) + &shown(pickle, *args);
                if let Some(state) = state {
                    text += &format!("<{}>", shown(pickle, *state));
                }
                if !entries.is_empty() {
                    text += &format!("{{{}}}", pairs(entries));
                }
                if !items.is_empty() {
                    text += &format!("[{}]", list(items));
                }
                text
            }
            Node::Persistent(id) => format!("@{}", shown(pickle, *id)),
        },
    }
}

fn parsed(text: &[u8]) -> Result<String, String> {
    read(text, MEMORY).map(|pickle| shown(&pickle, pickle.root()))
}

/// Written by `pickle.dumps(value, protocol)`, one for each protocol; the first two without 2 to the 70th.
const PROTOCOLS: [&[u8]; 6] = [
        b"(dp0\nVname\np1\nV\xe9\\u000a\np2\nsVn\np3\n(lp4\nI0\naI-1\naI255\naI65535\naI-70000\naL1099511627776L\naL-9223372036854775808L\nasVf\np5\n(F1.5\nF-inf\ntp6\nsVb\np7\nc_codecs\nencode\np8\n(V\\u0000\xff\np9\nVlatin1\np10\ntp11\nRp12\nsVt\np13\n(I01\nI00\nNtp14\nsVe\np15\n(lp16\n(ta(I1\ntp17\na(I1\nI2\ntp18\na(I1\nI2\nI3\ntp19\na(I1\nI2\nI3\nI4\ntp20\nasVd\np21\nccollections\nOrderedDict\np22\n(tRp23\nVa\np24\nI1\nsg7\nI2\nssVsame\np25\ng4\ns.",
        b"}q\x00(X\x04\x00\x00\x00nameq\x01X\x03\x00\x00\x00\xc3\xa9\nq\x02X\x01\x00\x00\x00nq\x03]q\x04(K\x00J\xff\xff\xff\xffK\xffM\xff\xffJ\x90\xee\xfe\xffL1099511627776L\nL-9223372036854775808L\neX\x01\x00\x00\x00fq\x05(G?\xf8\x00\x00\x00\x00\x00\x00G\xff\xf0\x00\x00\x00\x00\x00\x00tq\x06X\x01\x00\x00\x00bq\x07c_codecs\nencode\nq\x08(X\x03\x00\x00\x00\x00\xc3\xbfq\x09X\x06\x00\x00\x00latin1q\ntq\x0bRq\x0cX\x01\x00\x00\x00tq\x0d(I01\nI00\nNtq\x0eX\x01\x00\x00\x00eq\x0f]q\x10()(K\x01tq\x11(K\x01K\x02tq\x12(K\x01K\x02K\x03tq\x13(K\x01K\x02K\x03K\x04tq\x14eX\x01\x00\x00\x00dq\x15ccollections\nOrderedDict\nq\x16)Rq\x17(X\x01\x00\x00\x00aq\x18K\x01h\x07K\x02uX\x04\x00\x00\x00sameq\x19h\x04u.",
        b"\x80\x02}q\x00(X\x04\x00\x00\x00nameq\x01X\x03\x00\x00\x00\xc3\xa9\nq\x02X\x01\x00\x00\x00nq\x03]q\x04(K\x00J\xff\xff\xff\xffK\xffM\xff\xffJ\x90\xee\xfe\xff\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@eX\x01\x00\x00\x00fq\x05G?\xf8\x00\x00\x00\x00\x00\x00G\xff\xf0\x00\x00\x00\x00\x00\x00\x86q\x06X\x01\x00\x00\x00bq\x07c_codecs\nencode\nq\x08X\x03\x00\x00\x00\x00\xc3\xbfq\x09X\x06\x00\x00\x00latin1q\n\x86q\x0bRq\x0cX\x01\x00\x00\x00tq\x0d\x88\x89N\x87q\x0eX\x01\x00\x00\x00eq\x0f]q\x10()K\x01\x85q\x11K\x01K\x02\x86q\x12K\x01K\x02K\x03\x87q\x13(K\x01K\x02K\x03K\x04tq\x14eX\x01\x00\x00\x00dq\x15ccollections\nOrderedDict\nq\x16)Rq\x17(X\x01\x00\x00\x00aq\x18K\x01h\x07K\x02uX\x04\x00\x00\x00sameq\x19h\x04u.",
        b"\x80\x03}q\x00(X\x04\x00\x00\x00nameq\x01X\x03\x00\x00\x00\xc3\xa9\nq\x02X\x01\x00\x00\x00nq\x03]q\x04(K\x00J\xff\xff\xff\xffK\xffM\xff\xffJ\x90\xee\xfe\xff\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@eX\x01\x00\x00\x00fq\x05G?\xf8\x00\x00\x00\x00\x00\x00G\xff\xf0\x00\x00\x00\x00\x00\x00\x86q\x06X\x01\x00\x00\x00bq\x07C\x02\x00\xffq\x08X\x01\x00\x00\x00tq\x09\x88\x89N\x87q\nX\x01\x00\x00\x00eq\x0b]q\x0c()K\x01\x85q\x0dK\x01K\x02\x86q\x0eK\x01K\x02K\x03\x87q\x0f(K\x01K\x02K\x03K\x04tq\x10eX\x01\x00\x00\x00dq\x11ccollections\nOrderedDict\nq\x12)Rq\x13(X\x01\x00\x00\x00aq\x14K\x01h\x07K\x02uX\x04\x00\x00\x00sameq\x15h\x04u.",
        b"\x80\x04\x95\xd2\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x04name\x94\x8c\x03\xc3\xa9\n\x94\x8c\x01n\x94]\x94(K\x00J\xff\xff\xff\xffK\xffM\xff\xffJ\x90\xee\xfe\xff\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@e\x8c\x01f\x94G?\xf8\x00\x00\x00\x00\x00\x00G\xff\xf0\x00\x00\x00\x00\x00\x00\x86\x94\x8c\x01b\x94C\x02\x00\xff\x94\x8c\x01t\x94\x88\x89N\x87\x94\x8c\x01e\x94]\x94()K\x01\x85\x94K\x01K\x02\x86\x94K\x01K\x02K\x03\x87\x94(K\x01K\x02K\x03K\x04t\x94e\x8c\x01d\x94\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94(\x8c\x01a\x94K\x01h\x07K\x02u\x8c\x04same\x94h\x04u.",
        b"\x80\x05\x95\xd2\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x04name\x94\x8c\x03\xc3\xa9\n\x94\x8c\x01n\x94]\x94(K\x00J\xff\xff\xff\xffK\xffM\xff\xffJ\x90\xee\xfe\xff\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@e\x8c\x01f\x94G?\xf8\x00\x00\x00\x00\x00\x00G\xff\xf0\x00\x00\x00\x00\x00\x00\x86\x94\x8c\x01b\x94C\x02\x00\xff\x94\x8c\x01t\x94\x88\x89N\x87\x94\x8c\x01e\x94]\x94()K\x01\x85\x94K\x01K\x02\x86\x94K\x01K\x02K\x03\x87\x94(K\x01K\x02K\x03K\x04t\x94e\x8c\x01d\x94\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94(\x8c\x01a\x94K\x01h\x07K\x02u\x8c\x04same\x94h\x04u.",
];

#[test]
fn every_protocol_says_the_same() {
    let small = "0 -1 255 65535 -70000 1099511627776 -9223372036854775808";
    for (protocol, text) in PROTOCOLS.into_iter().enumerate() {
        let numbers = match protocol {
            0 | 1 => format!("[{small}]"),
            _ => format!("[{small} long[0, 0, 0, 0, 0, 0, 0, 0, 64]]"),
        };
        let bytes = match protocol {
            0..=2 => "_codecs.encode(\"\\0ÿ\" \"latin1\")",
            _ => "b[0, 255]",
        };
        let expected = format!(
            "{{\"name\": \"é\\n\", \"n\": {numbers}, \"f\": (1.5 -inf), \"b\": {bytes}, \"t\": (true false None), \
             \"e\": [() (1) (1 2) (1 2 3) (1 2 3 4)], \"d\": collections.OrderedDict(){{\"a\": 1, \"b\": 2}}, \"same\": {numbers}}}"
        );
        assert_eq!(parsed(text).unwrap(), expected, "protocol {protocol}");
    }
}

#[test]
fn calls_are_kept_and_not_made() {
    assert_eq!(parsed(b"cos\nsystem\n(S'true'\ntR.").unwrap(), "os.system(b[116, 114, 117, 101])");
    // A class of its own with a state, in protocol 2 and as Python 2 wrote it in protocols 0 and 1.
    assert_eq!(parsed(b"\x80\x02c__main__\nO\n)\x81}U\x01xK\x05sb.").unwrap(), "__main__.O()<{b[120]: 5}>");
    assert_eq!(parsed(b"(i__main__\nO\n(dS'x'\nI5\nsb.").unwrap(), "__main__.O()<{b[120]: 5}>");
    assert_eq!(parsed(b"(c__main__\nO\nK\x07o.").unwrap(), "__main__.O(7)");
    assert_eq!(parsed(b"(S'storage'\nI1\ntQ.").unwrap(), "@(b[115, 116, 111, 114, 97, 103, 101] 1)");
    assert_eq!(parsed(b"Pname\n.").unwrap(), "@\"name\"");
    assert_eq!(parsed(b"\x8f(K\x01K\x02\x90.").unwrap(), "{1 2}");
    assert_eq!(parsed(b"(K\x01K\x02\x91.").unwrap(), "{1 2}");
    let pickle = read(b"(cos\nsystem\nc__builtin__\nprint\nt.", MEMORY).unwrap();
    assert_eq!(pickle.globals().collect::<Vec<_>>(), [("os", "system"), ("__builtin__", "print")]);
}

#[test]
fn the_ordered_dictionaries_of_python_2_and_3_are_mappings() {
    for text in [
        &b"ccollections\nOrderedDict\n((lp1\n(lp2\nS'a'\naI1\naatR."[..],
        b"ccollections\nOrderedDict\n)RU\x01aK\x01s.",
        b"}X\x01\0\0\0aK\x01s.",
    ] {
        let pickle = read(text, MEMORY).unwrap();
        let [(key, value)] = pickle.mapping(pickle.root()).unwrap()[..] else { panic!("{pickle:?}") };
        assert_eq!((pickle.text(key), value), (Some("a"), Value::Int(1)));
    }
    let other = read(b"ccollections\ndeque\n)R.", MEMORY).unwrap();
    assert!(other.mapping(other.root()).is_none());
}

#[test]
fn strings_of_python_2_may_have_escapes() {
    let text = b"S'a\\'\\\\\\n\\x41\\0\\101\"'\n.";
    let pickle = read(text, MEMORY).unwrap();
    assert_eq!(pickle.bytes(pickle.root()), Some(&b"a'\\\nA\0A\""[..]));
    assert_eq!(pickle.text(pickle.root()), Some("a'\\\nA\0A\""));
    for wrong in
        [&b"S'a\n."[..], b"Sa\n.", b"S'\\x4'\n.", b"S'\\q'\n.", b"S'\\777'\n.", b"S'\\'\n.", b"S'\n."]
    {
        let message = read(wrong, MEMORY).unwrap_err();
        assert!(message.starts_with("the pickle: expected"), "{message}");
    }
    let pickle = read(b"V\\u00e9\\U0001f600\xe9\\x\n.", MEMORY).unwrap();
    assert_eq!(pickle.text(pickle.root()), Some("é😀é\\x"));
    assert!(read(b"V\\ud800\n.", MEMORY).is_err() && read(b"V\\u00\n.", MEMORY).is_err());
}

#[test]
fn the_next_pickle_begins_behind_the_first() {
    let text = b"\x80\x02K\x01.\x80\x02K\x02.";
    let first = read(text, MEMORY).unwrap();
    assert_eq!((first.root(), first.length()), (Value::Int(1), 5));
    assert_eq!(read(&text[first.length()..], MEMORY).unwrap().root(), Value::Int(2));
}

#[test]
fn what_is_no_pickle_is_an_error_at_its_byte() {
    for (text, says) in [
        (&b""[..], "expected 1 bytes at byte 0, found 0 before the end"),
        (b"N", "expected 1 bytes at byte 1"),
        (b".", "expected a value on the stack"),
        (b"N(.", "expected a value on the stack"),
        (b"(N0.", "expected a value on the stack"),
        (b"NNt.", "expected a mark"),
        (b"(Nu.", "expected a value for each key"),
        (b"N(NNu.", "expected a container"),
        (b")Na.", "expected a container"),
        (b"]}b.", "expected an object"),
        (b"h\x07.", "memorised at byte 2, found 7"),
        (b"\x80\x06N.", "found protocol 6"),
        (b"\x95\xff\0\0\0\0\0\0\0N.", "found 255 bytes"),
        (b"X\xff\xff\xff\xffab", "expected 4294967295 bytes at byte 5, found 2"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffab", "found 2 before the end"),
        (b"\x8b\xff\xff\xff\xff1", "expected 4294967295 bytes"),
        (b"X\x01\0\0\0\xff.", "UTF-8"),
        (b"Iabc\n.", "expected an integer"),
        (b"I12", "expected a line"),
        (b"F1,5\n.", "expected a number"),
        (b"\x82\x01.", "found 0x82"),
        (b"N\x97.", "at byte 1, found 0x97"),
    ] {
        let message = read(text, MEMORY).unwrap_err();
        assert!(message.contains(says) && message.starts_with("the pickle: "), "{text:?}: {message}");
    }
}

#[test]
fn memory_and_depth_are_bounded() {
    for piece in
        [&b"N"[..], b"(", b"]", b"]\x85", b"Nq\0", b"}\x94", b"cx\ny\n", b"N)R", b"N2", b"(Nt", b"NQ"]
    {
        let text = piece.repeat(1 << 16);
        let message = read(&text, 1 << 16).unwrap_err();
        assert!(message.contains("at most 65536 bytes"), "{message}");
    }
    // One list in another, and one in itself.
    let deep = [b"]".repeat(1000), b"a".repeat(999), b".".to_vec()].concat();
    assert_eq!(read(&deep, MEMORY).unwrap().nodes().len(), 1000);
    let own = read(b"]q\0h\0a.", MEMORY).unwrap();
    assert_eq!(own.sequence(own.root()), Some(&[own.root()][..]));
}
