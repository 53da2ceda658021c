//! COPY data: cut anywhere it says the same, and without its witness fields it is what a reader says
//! that knows all of the data at once and nothing of scanners.

use std::sync::Arc;

use bytes::BytesMut;

use super::incoming::Incoming;
use super::out::Outgoing;
use super::split::{BadData, Kind, Splitter, value};
use crate::fuzzing::{choices, pieces};
use crate::policy::KeyType;
use crate::session::server::layout::Layout;
use crate::sql::copy::{CopyFormat, CopyIn, Forced, KeyForm};

/// Bytes that stand in witness fields, and nowhere else in data that the target writes itself.
const SECRET: &[u8] = b"WITNESS";

/// Bytes: choices (format, cuts, columns, where the witness stands, form), then the data; in the second
/// form the fields of rows, each up to a byte 0xfe, which are written as PostgreSQL writes them.
pub fn copy(data: &[u8]) {
    let ([format, small, large, columns, at, form], rest) = choices::<6>(data);
    let format = format_of(format);
    // Pieces of two sizes by turns, or of one.
    let cut = [usize::from(small), if large == 0 { usize::from(small) } else { usize::from(large) * 16 }];
    let columns = usize::from(columns % 4);
    let at = usize::from(at) % (columns + 1);
    let stream = match form % 2 {
        0 => rest.to_vec(),
        _ => written(&format, rest, columns, at),
    };
    cuts_alike(&format, &stream, &cut);
    stripped(&format, &stream, &cut, columns, at, form % 2 == 1);
    taken_in(&format, &stream, &cut, columns, at);
}

fn format_of(choice: u8) -> CopyFormat {
    let header = choice & 4 != 0;
    let delimiter = [b'\t', b',', b'|', b';'][usize::from(choice >> 3 & 3)];
    match choice % 4 {
        0 => CopyFormat::Text { delimiter, null: b"\\N".to_vec(), header },
        1 => CopyFormat::Csv { delimiter, quote: b'"', escape: b'"', null: Vec::new(), header },
        2 => CopyFormat::Csv { delimiter, quote: b'\'', escape: b'\\', null: b"NULL".to_vec(), header },
        _ => CopyFormat::Binary,
    }
}

/// Pieces of one kind after the other: what a splitter says of data.
type Pieces = Vec<(Kind, Vec<u8>, Vec<Option<Vec<u8>>>)>;

fn split(format: &CopyFormat, stream: &[u8], cut: &[usize]) -> (Pieces, Result<bool, BadData>) {
    let mut splitter = Splitter::new(format);
    let mut out = Pieces::new();
    for (piece, last) in pieces(stream, cut).map(|p| (p, false)).chain([(&[][..], true)]) {
        splitter.push(piece);
        loop {
            match splitter.next(last) {
                Ok(Some(cut)) => {
                    assert!(!cut.raw.is_empty());
                    let values = cut.spans.iter().map(|s| value(format, cut.raw, *s)).collect();
                    out.push((cut.kind, cut.raw.to_vec(), values));
                }
                Ok(None) => break,
                Err(error) => return (out, Err(error)),
            }
        }
    }
    (out, Ok(splitter.is_complete()))
}

fn cuts_alike(format: &CopyFormat, stream: &[u8], cut: &[usize]) {
    let (whole, end) = split(format, stream, &[0]);
    assert_eq!(split(format, stream, cut), (whole.clone(), end), "{format:?} cut by {cut:?}");
    let joined: Vec<u8> = whole.iter().flat_map(|(_, raw, _)| raw.iter().copied()).collect();
    assert!(stream.starts_with(&joined), "bytes were lost or made");
    assert!(end.is_err() || joined == stream, "bytes were lost");
}

/// A name for every column, the witness's where `at` says.
fn layout(columns: usize, at: usize) -> Arc<Layout> {
    let mut names: Vec<String> = (0..columns).map(|i| format!("c{i}")).collect();
    names.insert(at, "__glass_k1".to_owned());
    let mut body = (names.len() as u16).to_be_bytes().to_vec();
    for name in names {
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&[0; 19]);
    }
    Arc::new(Layout::split(&body).unwrap().0)
}

/// Runs data for the client through the session's reader: what the client gets and the keys, or an error.
fn strip(
    format: &CopyFormat,
    stream: &[u8],
    cut: &[usize],
    layout: &Arc<Layout>,
) -> (Vec<u8>, Vec<String>, Option<BadData>) {
    let mut out = Outgoing::new(format, Arc::clone(layout));
    let (mut window, mut keys) = (BytesMut::new(), Vec::new());
    let mut error = None;
    for (piece, last) in pieces(stream, cut).map(|p| (p, false)).chain([(&[][..], true)]) {
        let before = window.len();
        match if last { out.finish(&mut window) } else { out.take(piece, &mut window) } {
            Ok(taken) => keys.extend(taken.keys),
            Err(e) => {
                assert!(last || window.len() == before, "a part of what failed is shown");
                error = Some(e);
                break;
            }
        }
    }
    let mut shown = Vec::new();
    let mut rest = &window[..];
    while let Some((head, after)) = rest.split_first_chunk::<5>() {
        assert_eq!(head[0], b'd');
        let (body, next) = after.split_at(u32::from_be_bytes(*head.last_chunk().unwrap()) as usize - 4);
        assert!(!body.is_empty());
        shown.extend_from_slice(body);
        rest = next;
    }
    assert!(rest.is_empty());
    (shown, keys, error)
}

fn stripped(format: &CopyFormat, stream: &[u8], cut: &[usize], columns: usize, at: usize, honest: bool) {
    let layout = layout(columns, at);
    let (shown, keys, error) = strip(format, stream, &[0], &layout);
    let (in_parts, some, failed) = strip(format, stream, cut, &layout);
    assert_eq!(failed, error, "{format:?} cut by {cut:?}");
    if error.is_none() {
        assert_eq!((&in_parts, &some), (&shown, &keys));
    }
    let naive = naive(format, stream, columns, at);
    match (&naive, error) {
        (Some((expected, witnesses)), None) => {
            assert_eq!(shown, *expected, "{format:?}");
            assert_eq!(keys, *witnesses);
        }
        (None, Some(_)) => {
            // What came through before the error is the beginning of what there is.
            assert!(in_parts.len() >= shown.len());
        }
        (naive, error) => panic!("{format:?} {stream:?}: {error:?}, naively {naive:?}"),
    }
    if honest {
        assert!(!in_parts.windows(SECRET.len()).any(|w| w == SECRET), "a witness came through");
        assert!(error.is_none(), "{error:?}: {}", String::from_utf8_lossy(stream));
    }
}

fn taken_in(format: &CopyFormat, stream: &[u8], cut: &[usize], columns: usize, at: usize) {
    let spec = CopyIn {
        format: format.clone(),
        columns: columns + 1,
        key: at,
        forced: Forced::default(),
        key_form: [KeyForm::Integer, KeyForm::Text, KeyForm::Uuid][columns % 3],
        key_type: [KeyType::Int8, KeyType::Text, KeyType::Uuid][columns % 3],
        check: true,
    };
    let read = |cut: &[usize]| {
        let mut incoming = Incoming::new(&spec, [150_000, 180_000][at % 2]);
        let (mut bytes, mut keys, mut nobody) = (Vec::new(), std::collections::BTreeSet::new(), None);
        for (piece, last) in pieces(stream, cut).map(|p| (p, false)).chain([(&[][..], true)]) {
            let batch = incoming.take(piece, last)?;
            bytes.extend_from_slice(&batch.bytes);
            keys.extend(batch.keys);
            nobody = nobody.or(batch.nobody);
        }
        Ok::<_, BadData>((bytes, keys, nobody))
    };
    let whole = read(&[0]);
    assert_eq!(read(cut), whole, "{format:?} cut by {cut:?}");
    if let Ok((bytes, ..)) = whole {
        // What follows the end of the data is not sent; all before it is as it was.
        let (sent, after) = stream.split_at_checked(bytes.len()).expect("no more than came");
        assert_eq!(bytes, sent, "what the client sent is changed");
        let line = sent.strip_suffix(b"\n").unwrap_or(sent);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        assert!(after.is_empty() || line.ends_with(b"\\."), "rows are not sent");
    }
}

// --- the naive reader ---------------------------------------------------------------------------

/// One field: where it stands, and whether it is quoted (csv) or present (binary).
type Field = (std::ops::Range<usize>, bool);

/// The client's part of the data and the keys; `None` for data that must fail.
fn naive(format: &CopyFormat, data: &[u8], columns: usize, at: usize) -> Option<(Vec<u8>, Vec<String>)> {
    match format {
        CopyFormat::Binary => naive_binary(data, columns, at),
        CopyFormat::Text { delimiter, header, .. } => {
            naive_lines(format, data, *delimiter, *header, columns, at)
        }
        CopyFormat::Csv { delimiter, header, .. } => {
            naive_lines(format, data, *delimiter, *header, columns, at)
        }
    }
}

/// For every byte, whether it is a sign of the format: neither in quotes nor escaped. `None` when the
/// data ends inside either.
fn plain(format: &CopyFormat, line: &[u8]) -> Vec<bool> {
    let mut plain = vec![true; line.len()];
    let mut i = 0;
    let mut inside = false;
    while i < line.len() {
        match format {
            CopyFormat::Text { .. } if line[i] == b'\\' => {
                plain[i] = false;
                if i + 1 < line.len() {
                    plain[i + 1] = false;
                }
                i += 1;
            }
            CopyFormat::Csv { quote, escape, .. } if inside && line[i] == *escape && escape != quote => {
                plain[i] = false;
                if i + 1 < line.len() {
                    plain[i + 1] = false;
                }
                i += 1;
            }
            CopyFormat::Csv { quote, .. } if line[i] == *quote => {
                inside = !inside;
                plain[i] = false;
            }
            CopyFormat::Csv { .. } if inside => plain[i] = false,
            _ => {}
        }
        i += 1;
    }
    plain
}

fn ends_open(format: &CopyFormat, line: &[u8]) -> bool {
    // A sign more is read as a plain one where nothing is open.
    let more = [line, b"x"].concat();
    plain(format, &more).last() == Some(&false)
}

fn naive_lines(
    format: &CopyFormat,
    data: &[u8],
    delimiter: u8,
    header: bool,
    columns: usize,
    at: usize,
) -> Option<(Vec<u8>, Vec<String>)> {
    let (mut out, mut keys) = (Vec::new(), Vec::new());
    let signs = plain(format, data);
    let mut start = 0;
    let mut first = true;
    while start < data.len() {
        let stop = (start..data.len()).find(|i| signs[*i] && matches!(data[*i], b'\n' | b'\r'));
        let end = stop.unwrap_or(data.len());
        let line = &data[start..end];
        let mut next = end + usize::from(stop.is_some());
        let crlf = stop.is_some_and(|i| data[i] == b'\r') && data.get(next) == Some(&b'\n');
        next += usize::from(crlf);
        if stop.is_none() && ends_open(format, line) {
            return None;
        }
        let names = header && std::mem::take(&mut first);
        let marked = matches!(format, CopyFormat::Text { .. })
            && (1..line.len()).any(|i| {
                line[i] == b'.' && line[i - 1] == b'\\' && !signs[start + i] && escape_at(line, i - 1)
            });
        if !names && (line == b"\\." || marked) {
            return None;
        }
        let mut fields: Vec<Field> = Vec::new();
        let mut from = start;
        for i in (start..end).filter(|i| signs[*i] && data[*i] == delimiter).chain([end]) {
            let quote = match format {
                CopyFormat::Csv { quote, .. } => Some(*quote),
                _ => None,
            };
            let quoted = quote.is_some_and(|q| data[from..i].contains(&q));
            fields.push((from..i, quoted));
            from = i + 1;
        }
        if fields.len() != columns + 1 {
            return None;
        }
        if names {
            let name = |f: &Field| naive_value(format, &data[f.0.clone()], f.1).unwrap_or_default();
            for (i, field) in fields.iter().enumerate() {
                if name(field).starts_with(b"__glass_") != (i == at) {
                    return None;
                }
            }
        } else if let Some(key) = naive_value(format, &data[fields[at].0.clone()], fields[at].1) {
            keys.push(String::from_utf8(key).ok()?);
        }
        fields.remove(at);
        let mut parts: Vec<Vec<u8>> = fields.iter().map(|f| data[f.0.clone()].to_vec()).collect();
        if let (CopyFormat::Csv { quote, .. }, [only]) = (format, parts.as_mut_slice())
            && only == b"\\."
        {
            *only = [*quote, b'\\', b'.', *quote].to_vec();
        }
        out.extend(parts.join(&delimiter));
        out.extend_from_slice(&data[end..next]);
        start = next;
    }
    Some((out, keys))
}

/// Whether the backslash at `i` begins an escape: an even number of them stands before it.
fn escape_at(line: &[u8], i: usize) -> bool {
    line[..i].iter().rev().take_while(|b| **b == b'\\').count() % 2 == 0
}

fn naive_value(format: &CopyFormat, field: &[u8], quoted: bool) -> Option<Vec<u8>> {
    match format {
        CopyFormat::Binary => Some(field.to_vec()),
        CopyFormat::Text { null, .. } => {
            if field == null {
                return None;
            }
            let mut out = Vec::new();
            let mut i = 0;
            while i < field.len() {
                if field[i] != b'\\' {
                    out.push(field[i]);
                    i += 1;
                    continue;
                }
                let rest = &field[i + 1..];
                let octal = rest.iter().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
                let hex = rest.iter().skip(1).take(2).take_while(|b| b.is_ascii_hexdigit()).count();
                let number = |digits: &[u8], radix| {
                    let digits = std::str::from_utf8(digits).unwrap();
                    (u32::from_str_radix(digits, radix).unwrap() & 0xff) as u8
                };
                i += 1;
                if octal > 0 {
                    out.push(number(&rest[..octal], 8));
                    i += octal;
                } else if rest.first() == Some(&b'x') && hex > 0 {
                    out.push(number(&rest[1..=hex], 16));
                    i += 1 + hex;
                } else if let Some(b) = rest.first() {
                    let known = b"bfnrtv".iter().position(|k| k == b);
                    out.push(known.map_or(*b, |k| b"\x08\x0c\n\r\t\x0b"[k]));
                    i += 1;
                }
            }
            Some(out)
        }
        CopyFormat::Csv { quote, escape, null, .. } => {
            if !quoted && field == null {
                return None;
            }
            let mut out = Vec::new();
            let mut inside = false;
            let mut i = 0;
            while i < field.len() {
                let next = field.get(i + 1);
                if inside && field[i] == *escape && next.is_some_and(|n| n == quote || n == escape) {
                    out.push(field[i + 1]);
                    i += 2;
                } else {
                    if field[i] == *quote {
                        inside = !inside;
                    } else {
                        out.push(field[i]);
                    }
                    i += 1;
                }
            }
            Some(out)
        }
    }
}

fn naive_binary(data: &[u8], columns: usize, at: usize) -> Option<(Vec<u8>, Vec<String>)> {
    let int = |i: usize| Some(i32::from_be_bytes(*data.get(i..)?.first_chunk()?));
    let (mut out, mut keys) = (Vec::new(), Vec::new());
    let extension = usize::try_from(int(15)?).ok()?;
    let mut i = 19 + extension;
    let known = data.starts_with(super::binary::SIGNATURE) && int(11)? & !0xffff == 0;
    out.extend_from_slice(data.get(..i).filter(|_| known)?);
    loop {
        let count = i16::from_be_bytes(*data.get(i..)?.first_chunk()?);
        i += 2;
        if count == -1 {
            out.extend_from_slice(&[0xff, 0xff]);
            return (i == data.len()).then_some((out, keys));
        }
        if usize::try_from(count).ok()? != columns + 1 {
            return None;
        }
        out.extend_from_slice(&(columns as u16).to_be_bytes());
        for column in 0..=columns {
            let length = int(i)?;
            let size = if length == -1 { 0 } else { usize::try_from(length).ok()? };
            let field = data.get(i + 4..)?.get(..size)?;
            if column != at {
                out.extend_from_slice(data.get(i..i + 4 + size)?);
            } else if length >= 0 {
                keys.push(std::str::from_utf8(field).ok()?.to_owned());
            }
            i += 4 + size;
        }
    }
}

// --- rows as PostgreSQL writes them -----------------------------------------------------------------

fn written(format: &CopyFormat, fields: &[u8], columns: usize, at: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let header = match format {
        CopyFormat::Text { header, .. } | CopyFormat::Csv { header, .. } => *header,
        CopyFormat::Binary => {
            out.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
            false
        }
    };
    // 0xff alone is NULL. One letter of the witnesses is theirs alone; not the first, which a length may look like.
    let fields: Vec<Option<Vec<u8>>> = fields
        .split(|b| *b == 0xfe)
        .map(|f| (f != [0xff]).then(|| f.iter().map(|b| if *b == b'T' { b't' } else { *b }).collect()))
        .collect();
    let mut rows: Vec<Vec<Option<Vec<u8>>>> = Vec::new();
    if header {
        rows.push((0..columns).map(|i| Some(format!("c{i}").into_bytes())).collect());
    }
    rows.extend(fields.chunks(columns.max(1)).filter(|r| r.len() == columns).map(<[_]>::to_vec));
    for (n, mut row) in rows.into_iter().enumerate() {
        let names = header && n == 0;
        row.insert(
            at,
            Some(if names { b"__glass_k1".to_vec() } else { [SECRET, n.to_string().as_bytes()].concat() }),
        );
        row_written(format, &row, &mut out);
    }
    if *format == CopyFormat::Binary {
        out.extend((-1_i16).to_be_bytes());
    }
    out
}

/// `CopyAttributeOutText`, `CopyAttributeOutCSV`, and the binary format.
fn row_written(format: &CopyFormat, row: &[Option<Vec<u8>>], out: &mut Vec<u8>) {
    let delimiter = match format {
        CopyFormat::Binary => {
            out.extend((row.len() as u16).to_be_bytes());
            for field in row {
                out.extend(field.as_ref().map_or(-1, |f| f.len() as i32).to_be_bytes());
                out.extend(field.iter().flatten());
            }
            return;
        }
        CopyFormat::Text { delimiter, .. } | CopyFormat::Csv { delimiter, .. } => *delimiter,
    };
    for (i, field) in row.iter().enumerate() {
        if i > 0 {
            out.push(delimiter);
        }
        match (format, field) {
            (CopyFormat::Text { null, .. } | CopyFormat::Csv { null, .. }, None) => out.extend(null),
            (CopyFormat::Text { .. }, Some(field)) => field.iter().for_each(|b| match b {
                b'\n' => out.extend(b"\\n"),
                b'\r' => out.extend(b"\\r"),
                b'\\' => out.extend(b"\\\\"),
                b if *b == delimiter => out.extend([b'\\', *b]),
                other => out.push(*other),
            }),
            (CopyFormat::Csv { quote, escape, null, .. }, Some(field)) => {
                let special = |b: &u8| [delimiter, *quote, b'\n', b'\r'].contains(b);
                let alone = row.len() == 1 && field == b"\\.";
                if field != null && !field.iter().any(special) && !alone {
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
            (CopyFormat::Binary, _) => {}
        }
    }
    out.push(b'\n');
}
