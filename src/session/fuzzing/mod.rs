//! What the fuzz targets reach of a session (see `crate::fuzzing`): the target that drives a whole one
//! between two peers made of bytes, and single functions that are private here.

mod pipe;
mod rig;
mod script;
mod server;

use std::collections::BTreeMap;

use bytes::BytesMut;

use crate::policy::RESERVED_PREFIX;
use crate::session::server::layout::Layout;
use crate::wire::message::{DataRow, Field, Report, decode_row_description, encode_row_description};

pub use super::copy::fuzzing::copy;
pub use script::session;
#[cfg(test)]
pub(crate) use script::{TEXTS, play};

/// The policy of startup parameters.
pub(crate) fn police(parameters: &BTreeMap<String, String>) -> Result<(), Report> {
    crate::session::login::police(parameters)
}

/// A RowDescription that can be read: the client's part of it is the one of its own columns.
pub(crate) fn description(body: &[u8], fields: &[Field]) {
    let (layout, shown) = Layout::split(body).expect("what one reader can read the other can");
    assert_eq!(layout.len(), fields.len());
    let own: Vec<&Field> = fields.iter().filter(|f| !f.name.starts_with(RESERVED_PREFIX)).collect();
    assert_eq!(layout.visible(), own.len());
    assert_eq!(shown[..], encode_row_description(own.iter().copied()).unwrap()[5..]);
    assert!(decode_row_description(&shown).is_ok_and(|f| f.iter().eq(own.iter().copied())));
    for formats in [&[][..], &[1], &vec![1; own.len()], &vec![1; own.len() + 1]] {
        let all = layout.result_formats(formats);
        let fits = formats.len() <= 1 || formats.len() == own.len() || own.len() == fields.len();
        assert_eq!(all.is_some(), fits);
        if let (Some(all), true) = (all, own.len() < fields.len()) {
            for (i, format) in all.iter().enumerate() {
                assert!(!layout.is_hidden(i) || *format == 0, "a witness in binary");
            }
        }
    }
}

/// Bytes as a DataRow of a reply, columns of which are ours: what is shown is the row of the others.
pub(crate) fn row(body: &[u8], choice: u8) {
    let count = body.first_chunk().map_or(0, |c| u16::from_be_bytes(*c)).min(64);
    let letters = [None, Some('k'), Some('s'), Some('m'), Some('c')];
    let letter = |i: u16| letters[(usize::from(choice) + usize::from(i) * 7) % letters.len()];
    let fields: Vec<Field> = (0..count)
        .map(|i| Field {
            name: letter(i).map_or_else(|| format!("c{i}"), |l| format!("{RESERVED_PREFIX}{l}{i}")),
            table: 0,
            attribute: 0,
            type_oid: 25,
            type_size: -1,
            type_modifier: -1,
            format: i16::from(choice & 1),
        })
        .collect();
    let described = encode_row_description(&fields).unwrap();
    let (layout, _) = Layout::split(&described[5..]).unwrap();
    let mut out = BytesMut::from(&b"before"[..]);
    let Ok(witness) = layout.take_row(body, &mut out) else { return };
    let shown = &out[6..];
    assert_eq!(shown.is_empty(), !witness.visible);
    let Ok(whole) = DataRow::decode(body) else { return };
    let values: Vec<_> = whole.values().collect();
    let own: Vec<_> = values.iter().zip(0..).filter(|(_, i)| letter(*i).is_none()).map(|(v, _)| *v).collect();
    let marked = values.iter().zip(0..).all(|(v, i)| letter(i) != Some('m') || v.is_some());
    assert_eq!(witness.visible, marked);
    if witness.visible {
        assert_eq!(shown, &crate::wire::message::encode_data_row(&own).unwrap()[..]);
    }
    let single = values.iter().zip(0..).filter(|(_, i)| letter(*i) == Some('k')).filter_map(|(v, _)| *v);
    for key in single {
        assert!(witness.keys.iter().any(|k| k.as_bytes() == key), "a key is not told");
    }
}

/// A report as it is shown to a restricted user, of a guarded statement.
pub(crate) fn redacted(report: &Report) {
    let shown = crate::session::server::report::server_error(report, true, &Default::default());
    let shown = Report::decode(&shown.slice(5..)).expect("our own");
    for field in *b"PpqWD" {
        assert!(shown.field(field).is_none(), "field {field} is shown");
    }
    let (code, message) = (report.code(), report.message());
    assert_eq!(shown.code(), code);
    let of_rows = matches!(code.get(..2), Some("22" | "23"));
    if of_rows && message.contains(|c: char| c == '"' || c.is_ascii_digit()) {
        assert_ne!(shown.message(), message, "a message about a row is shown");
    }
    let notice = crate::session::server::report::redacted_notice(report);
    assert!(Report::decode(&notice.slice(5..)).is_ok_and(|n| n.field(b'D').is_none()));
}
