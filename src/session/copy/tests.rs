//! Properties of the readers of COPY data: rows written as PostgreSQL writes them are read back,
//! however the data is cut; nothing that is sent makes them panic. What a real server writes and
//! reads is compared in `tests/promises/p2_copy.rs`.

use std::sync::Arc;

use bytes::BytesMut;
use proptest::prelude::*;

use super::incoming::Incoming;
use super::out::{Outgoing, Taken};
use super::split::{BadData, Kind, Splitter, value};
use crate::policy::KeyType;
use crate::session::server::layout::Layout;
use crate::sql::copy::{CopyFormat, CopyIn, Forced, KeyForm};

type Row = Vec<Option<Vec<u8>>>;

fn text(header: bool) -> CopyFormat {
    CopyFormat::Text { delimiter: b'\t', null: b"\\N".to_vec(), header }
}

fn csv(escape: u8, header: bool) -> CopyFormat {
    CopyFormat::Csv { delimiter: b',', quote: b'"', escape, null: Vec::new(), header }
}

/// `CopyAttributeOutText`, `CopyAttributeOutCSV` and the binary format.
fn write(format: &CopyFormat, rows: &[Row]) -> Vec<u8> {
    let mut out = Vec::new();
    if *format == CopyFormat::Binary {
        out.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
    }
    for row in rows {
        match format {
            CopyFormat::Binary => out.extend(u16::try_from(row.len()).unwrap().to_be_bytes()),
            CopyFormat::Text { .. } | CopyFormat::Csv { .. } => {}
        }
        for (i, field) in row.iter().enumerate() {
            match format {
                CopyFormat::Binary => {
                    let length = field.as_ref().map_or(-1, |f| i32::try_from(f.len()).unwrap());
                    out.extend(length.to_be_bytes());
                    out.extend(field.iter().flatten());
                }
                CopyFormat::Text { delimiter, null, .. } => {
                    if i > 0 {
                        out.push(*delimiter);
                    }
                    match field {
                        None => out.extend(null),
                        Some(field) => field.iter().for_each(|b| match b {
                            b'\n' => out.extend(b"\\n"),
                            b'\r' => out.extend(b"\\r"),
                            8 => out.extend(b"\\b"),
                            b'\t' => out.extend(b"\\t"),
                            b'\\' => out.extend(b"\\\\"),
                            other => out.push(*other),
                        }),
                    }
                }
                CopyFormat::Csv { delimiter, quote, escape, null, .. } => {
                    if i > 0 {
                        out.push(*delimiter);
                    }
                    let Some(field) = field else {
                        out.extend(null);
                        continue;
                    };
                    let plain = field != null
                        && !field.iter().any(|b| [*delimiter, *quote, b'\n', b'\r'].contains(b))
                        && !(row.len() == 1 && field == b"\\.");
                    if plain {
                        out.extend(field);
                        continue;
                    }
                    out.push(*quote);
                    for b in field {
                        if b == quote || b == escape {
                            out.push(*escape);
                        }
                        out.push(*b);
                    }
                    out.push(*quote);
                }
            }
        }
        if *format != CopyFormat::Binary {
            out.push(b'\n');
        }
    }
    if *format == CopyFormat::Binary {
        out.extend((-1_i16).to_be_bytes());
    }
    out
}

fn read(format: &CopyFormat, data: &[u8], cuts: &[usize]) -> Result<Vec<Row>, BadData> {
    let mut splitter = Splitter::new(format);
    let mut rows = Vec::new();
    let mut rest = data;
    let mut cuts = cuts.iter().cycle();
    let mut raw = Vec::new();
    loop {
        let n = (*cuts.next().unwrap_or(&usize::MAX)).clamp(1, rest.len().max(1)).min(rest.len());
        let last = rest.is_empty();
        splitter.push(&rest[..n]);
        rest = &rest[n..];
        while let Some(cut) = splitter.next(last)? {
            raw.extend_from_slice(cut.raw);
            if matches!(cut.kind, Kind::Row | Kind::Marker) {
                rows.push(cut.spans.iter().map(|s| value(format, cut.raw, *s)).collect());
            }
        }
        if last {
            assert_eq!(raw, data, "every byte is in one piece");
            return Ok(rows);
        }
    }
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let field = proptest::option::of(proptest::collection::vec(
        prop_oneof![4 => Just(b'a'), 1 => proptest::sample::select(&b"\t\n\r\\\",;.N\x08x0{}"[..])],
        0..8,
    ));
    (1_usize..4)
        .prop_flat_map(move |n| proptest::collection::vec(proptest::collection::vec(field.clone(), n), 0..6))
}

fn formats() -> impl Strategy<Value = CopyFormat> {
    proptest::sample::select(vec![text(false), csv(b'"', false), csv(b'\\', false), CopyFormat::Binary])
}

proptest! {
    // Property: what PostgreSQL writes is read back, however it is cut.
    #[test]
    fn written_rows_are_read_back(format in formats(), rows in rows(), cuts in proptest::collection::vec(1_usize..9, 1..5)) {
        let data = write(&format, &rows);
        prop_assert_eq!(read(&format, &data, &[usize::MAX]).unwrap(), rows.clone());
        prop_assert_eq!(read(&format, &data, &cuts).unwrap(), rows);
    }

    // Property: arbitrary bytes never panic, and cutting changes nothing.
    #[test]
    fn garbage_is_read_alike_however_it_is_cut(
        format in formats(),
        header in any::<bool>(),
        data in proptest::collection::vec(proptest::sample::select(&b"ab\t\n\r\\\",.N\0\xff"[..]), 0..60),
        cuts in proptest::collection::vec(1_usize..9, 1..5),
    ) {
        let format = match format {
            CopyFormat::Binary => CopyFormat::Binary,
            CopyFormat::Text { .. } => text(header),
            CopyFormat::Csv { escape, .. } => csv(escape, header),
        };
        let mut data = data;
        if format == CopyFormat::Binary {
            data.splice(0..0, *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
        }
        prop_assert_eq!(read(&format, &data, &[usize::MAX]).ok(), read(&format, &data, &cuts).ok());
    }

    // Property: the client's data is what it would be without the witness columns, wherever they
    // stand, and every key is told.
    #[test]
    fn witnesses_are_taken_out(format in formats(), rows in rows(), at in 0_usize..4, size in 1_usize..30) {
        let columns = rows.first().map_or(1, Vec::len);
        let at = at.min(columns);
        let mut names: Vec<String> = (0..columns).map(|i| format!("c{i}")).collect();
        names.insert(at, "__glass_k1".to_owned());
        let witnessed: Vec<Row> = rows
            .iter()
            .enumerate()
            .map(|(n, row)| {
                let mut row = row.clone();
                row.insert(at, Some(n.to_string().into_bytes()));
                row
            })
            .collect();
        let mut out = Outgoing::new(&format, layout(&names));
        let mut window = BytesMut::new();
        let mut keys = Vec::new();
        let mut count = 0;
        let mut note = |taken: Taken| {
            keys.extend(taken.keys);
            count += taken.rows;
        };
        for chunk in write(&format, &witnessed).chunks(size) {
            note(out.take(chunk, &mut window).unwrap());
        }
        note(out.finish(&mut window).unwrap());
        let expected = write(&format, &rows);
        prop_assert_eq!(unframed(&window), expected);
        prop_assert_eq!(keys, (0..rows.len()).map(|n| n.to_string()).collect::<Vec<_>>());
        prop_assert_eq!(count, rows.len() as u64);
    }
}

fn layout(names: &[String]) -> Arc<Layout> {
    let mut body = u16::try_from(names.len()).unwrap().to_be_bytes().to_vec();
    for name in names {
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&[0; 19]);
    }
    Arc::new(Layout::split(&body).unwrap().0)
}

/// The bodies of CopyData messages, joined.
fn unframed(mut messages: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let [b'd', rest @ ..] = messages {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        out.extend_from_slice(&rest[4..length]);
        messages = &rest[length..];
    }
    assert!(messages.is_empty());
    out
}

#[test]
fn a_row_that_only_carries_witnesses_is_not_shown() {
    let names = ["a", "__glass_m1", "__glass_s1"].map(String::from);
    for format in [text(true), csv(b'"', true)] {
        let d = if matches!(format, CopyFormat::Csv { .. }) { (',', "", "\"") } else { ('\t', "\\N", "") };
        let (d, null, q) = d;
        let data = format!("a{d}__glass_m1{d}__glass_s1\n{null}{d}{null}{d}{q}{{7,8}}{q}\nx{d}t{d}{null}\n");
        let mut out = Outgoing::new(&format, layout(&names));
        let mut window = BytesMut::new();
        let taken = out.take(data.as_bytes(), &mut window).unwrap();
        assert_eq!(taken, Taken { keys: vec!["7".into(), "8".into()], rows: 1 });
        assert_eq!(unframed(&window), b"a\nx\n");
    }
}

#[test]
fn data_that_does_not_fit_the_description_never_passes() {
    let names = ["a", "__glass_k1"].map(String::from);
    let bad: &[(CopyFormat, &[u8])] = &[
        (text(false), b"x\n"),
        (text(false), b"x\ty\tz\n"),
        (text(false), b"\\.\n"),
        (text(true), b"a\tb\n"),
        (text(true), b"__glass_x\t__glass_k1\n"),
        (csv(b'"', false), b"x,y,z\n"),
        (CopyFormat::Binary, b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0"),
        (CopyFormat::Binary, b"PGCOPY\n\xff\r\n\0\0\x01\0\0\0\0\0\0"),
        (CopyFormat::Binary, b"PGCOPX\n\xff\r\n\0\0\0\0\0\0\0\0\0"),
    ];
    for (format, data) in bad {
        let mut window = BytesMut::new();
        let mut out = Outgoing::new(format, layout(&names));
        assert!(out.take(data, &mut window).is_err(), "{}", String::from_utf8_lossy(data));
        assert!(window.is_empty());
    }
    let mut out = Outgoing::new(&text(false), layout(&names));
    assert!(out.response(&[0, 0, 2, 0, 0, 0, 0]).is_ok());
    for response in [&[0, 0, 1, 0, 0][..], &[1, 0, 2, 0, 1, 0, 1], &[0, 0, 2, 0, 0], &[]] {
        assert!(out.response(response).is_err(), "{response:?}");
    }
    out.take(b"x\\", &mut BytesMut::new()).unwrap();
    assert!(out.finish(&mut BytesMut::new()).is_err(), "it ends inside an escape");
    let mut binary = Outgoing::new(&CopyFormat::Binary, layout(&names));
    assert!(binary.finish(&mut BytesMut::new()).is_err(), "it has no end");
}

fn incoming(format: CopyFormat) -> Incoming {
    of_version(format, 150_018)
}

fn of_version(format: CopyFormat, version: u32) -> Incoming {
    Incoming::new(&spec(format), version)
}

fn spec(format: CopyFormat) -> CopyIn {
    CopyIn {
        format,
        columns: 2,
        key: 1,
        forced: Forced::default(),
        key_form: KeyForm::Integer,
        key_type: KeyType::Int8,
        check: true,
    }
}

#[test]
fn what_is_null_in_the_key_of_rows_that_are_sent() {
    // csv with NULL '7': what a field of the key is, without quotes and in them.
    for (null, not_null, bare, quoted) in [
        (false, false, None, Some("7")),
        (true, false, None, None),
        (false, true, Some("7"), Some("7")),
        (true, true, Some("7"), None),
    ] {
        let format = CopyFormat::Csv {
            delimiter: b',',
            quote: b'"',
            escape: b'"',
            null: b"7".to_vec(),
            header: false,
        };
        let spec = CopyIn { forced: Forced { null, not_null }, ..spec(format) };
        for (data, key) in [(&b"x,7\n"[..], bare), (b"x,\"7\"\n", quoted), (b"x,8\n", Some("8"))] {
            let batch = Incoming::new(&spec, 150_018).take(data, true).unwrap();
            assert_eq!(batch.keys.first().map(String::as_str), key, "{null} {not_null}");
            assert_eq!(batch.nobody.is_some(), key.is_none(), "{null} {not_null}");
        }
    }
}

#[test]
fn keys_of_rows_that_are_sent() {
    for (format, data, keys, nobody) in [
        (text(false), &b"x\t7\ny\t 08\n\\.\n"[..], &["7", "8"][..], None),
        (text(false), b"x\t\\N\n", &[], Some("")),
        (text(false), b"x\t\\067\r\ny\t\\x38\r\n", &["7", "8"], None),
        (text(false), b"x\t7", &["7"], None),
        (text(true), b"a\tb\nx\t7\n", &["7"], None),
        (text(false), b"x\t7x\n", &[], None),
        (text(false), b"x\t0x7\ny\t1_0\n", &["10", "7"], None),
        (csv(b'"', false), b"\"a\nb\",\"7\"\nx,8\n", &["7", "8"], None),
        (csv(b'"', false), b"x,7\n\\.\n", &["7"], None),
        (csv(b'"', false), b"x,\"\"\n", &[], None),
        (csv(b'"', false), b"x,\n", &[], Some("")),
        (csv(b'\\', false), b"\"\\\",1\",7\n", &["7"], None),
    ] {
        let batch = incoming(format).take(data, true).unwrap();
        let shown = String::from_utf8_lossy(data);
        assert_eq!(batch.keys.iter().map(String::as_str).collect::<Vec<_>>(), keys, "{shown}");
        assert_eq!(batch.nobody.as_deref(), nobody, "{shown}");
        assert_eq!(&batch.bytes[..], data, "{shown}");
    }
    for (format, data) in [
        (text(false), &b"x\n"[..]),
        (text(false), b"x\t7\\.\n"),
        (text(false), b"x\t7\ty\n"),
        (text(false), b"x\t7\\"),
        (csv(b'"', false), b"x,\"7\n"),
        (CopyFormat::Binary, b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\0"),
    ] {
        assert!(incoming(format).take(data, true).is_err(), "{}", String::from_utf8_lossy(data));
    }
    // What stands behind the end of the data is no row, and is not sent.
    for (format, version, data, sent, keys) in [
        (text(false), 180_000, &b"x\t7\n\\.\ny\t8\nz"[..], &b"x\t7\n\\.\n"[..], &["7"][..]),
        (csv(b'"', false), 170_000, b"x,7\n\\.\ny,8\n", b"x,7\n\\.\n", &["7"]),
        (csv(b'"', false), 180_000, b"x,7\n\\.\ny,8\n", b"x,7\n\\.\ny,8\n", &["7", "8"]),
    ] {
        let mut one = of_version(format, version);
        let mut batch = one.take(data, false).unwrap();
        let more = one.take(b"w\t9\n", true);
        assert_eq!(batch.bytes.split().as_ref(), sent);
        assert_eq!(batch.keys.iter().map(String::as_str).collect::<Vec<_>>(), keys);
        if keys.len() == 1 {
            assert!(more.unwrap().bytes.is_empty());
        }
    }
    // A row is not handed on before it is whole.
    let mut cut = incoming(text(false));
    assert!(cut.take(b"x\t", false).unwrap().bytes.is_empty());
    assert_eq!(&cut.take(b"7\ny", false).unwrap().bytes[..], b"x\t7\n");
}
