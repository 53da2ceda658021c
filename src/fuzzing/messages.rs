//! Every message that is taken apart: what is read is written again as the same bytes, a row without some
//! of its columns is the row of the others, and nothing of what is withheld stays in a report.

use bytes::{Bytes, BytesMut};

use super::{choices, scram};
use crate::wire::message::{
    Bind, Columns, CommandTag, DataRow, Execute, Parse, Report, Status, Target, backend_key_data,
    command_complete, decode_authentication, decode_backend_key, decode_negotiate,
    decode_parameter_description, decode_parameter_status, decode_query, decode_row_description,
    drop_columns, encode_data_row, encode_parameter_description, encode_row_description, parameter_status,
    query, ready_for_query,
};

/// The kinds, in the order of the choice that is the first byte.
pub(super) const KINDS: u8 = 18;

/// Bytes: which message, a choice, its body.
pub fn messages(data: &[u8]) {
    let ([kind, choice], body) = choices::<2>(data);
    let bytes = Bytes::copy_from_slice(body);
    // The body as it is written again, where it could be read.
    let again: Option<Bytes> = match kind % KINDS {
        0 => Parse::decode(body).ok().map(|m| m.encode().unwrap()),
        1 => Bind::decode(&bytes).ok().map(|m| m.encode().unwrap()),
        2 => Execute::decode(body).ok().map(|m| m.encode().unwrap()),
        3 => {
            Target::decode(body).ok().map(|m| if choice % 2 == 0 { m.describe() } else { m.close() }.unwrap())
        }
        4 => decode_query(body).ok().map(|text| query(text).unwrap()),
        5 => decode_row_description(body).ok().map(|fields| {
            crate::session::fuzzing::description(body, &fields);
            encode_row_description(&fields).unwrap()
        }),
        6 => {
            decode_parameter_description(body).ok().map(|types| encode_parameter_description(&types).unwrap())
        }
        7 => row(body, choice),
        8 => Report::decode(&bytes).ok().map(|report| reported(&report)),
        9 => Status::decode(body).ok().map(ready_for_query),
        10 => decode_parameter_status(body).ok().map(|(name, value)| parameter_status(name, value).unwrap()),
        11 => CommandTag::decode(body).ok().map(|tag| {
            assert!(tag.tag.starts_with(tag.command));
            assert!(
                tag.rows.is_none_or(|rows| tag.tag.ends_with(&rows.to_string()) || tag.tag.contains('0'))
            );
            command_complete(tag.tag).unwrap()
        }),
        12 => decode_backend_key(&bytes).ok().map(|(pid, secret)| backend_key_data(pid, &secret)),
        13 => {
            let _ = (decode_authentication(body), decode_negotiate(body, u16::from(choice)));
            None
        }
        14 => {
            crate::session::fuzzing::row(body, choice);
            None
        }
        15 => {
            scram::server(body, choice);
            None
        }
        16 => {
            scram::client(body, choice);
            None
        }
        _ => {
            scram::verifier(body);
            None
        }
    };
    if let Some(again) = again {
        let length = u32::from_be_bytes(again[1..5].try_into().unwrap()) as usize;
        assert_eq!(length, again.len() - 1);
        assert_eq!(&again[5..], body, "written again");
    }
}

/// A DataRow, and the same without the columns of which the choice has a bit.
fn row(body: &[u8], choice: u8) -> Option<Bytes> {
    let mut out = BytesMut::from(&b"before"[..]);
    let dropped = |column: u16| choice & (1 << (column % 8)) != 0;
    let decoded = DataRow::decode(body);
    let count = decoded.map_or(8, |row| row.columns());
    let columns: Columns = (0..count).filter(|c| dropped(*c)).collect();
    let done = drop_columns(body, &columns, &mut out);
    let Ok(row) = decoded else {
        assert!(done.is_err() && &out[..] == b"before");
        return None;
    };
    let values: Vec<_> = row.values().collect();
    assert_eq!(values.len(), usize::from(row.columns()));
    let kept: Vec<_> = (0..count).zip(&values).filter(|(i, _)| !dropped(*i)).map(|(_, v)| *v).collect();
    assert_eq!(done, Ok(()));
    assert_eq!(&out[6..], &encode_data_row(&kept).unwrap()[..]);
    // A column that the row does not have.
    let beyond: Columns = [count].into_iter().collect();
    assert!(drop_columns(body, &beyond, &mut BytesMut::new()).is_err());
    Some(encode_data_row(&values).unwrap())
}

fn reported(report: &Report) -> Bytes {
    let redacted = report.redacted("withheld");
    assert_eq!(redacted.message(), "withheld");
    assert_eq!(redacted.code(), report.code());
    for field in 0..=255_u8 {
        let stays = matches!(field, b'S' | b'V' | b'C' | b'M');
        assert!(stays || redacted.field(field).is_none(), "field {field} stays");
    }
    assert_eq!(redacted.is_fatal(), report.is_fatal());
    crate::session::fuzzing::redacted(report);
    report.error_response()
}
