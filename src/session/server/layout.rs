//! Hidden columns of a guarded reply: where they stand, what they carry, and the row without them.
//! Works on message bodies; knows nothing of records or sockets.

use bytes::{BufMut, BytesMut};

use crate::policy::RESERVED_PREFIX;
use crate::sql::Origin;

/// What a hidden column carries; the letter after the reserved prefix (see `sql::GuardedPlan`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carries {
    /// `k`: one patient key as text.
    Key,
    /// `s`: a set of keys as `text[]`.
    Keys,
    /// `m`: true for a real row, NULL for a row that carries only witnesses.
    Marker,
    /// `c` and anything else of ours: nothing.
    Nothing,
}

/// One column of a RowDescription as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Column {
    carries: Option<Carries>,
    binary: bool,
}

/// The columns of one reply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::session) struct Layout {
    columns: Vec<Column>,
    hidden: usize,
}

/// What one row says to the ledger.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::session) struct Witness {
    /// Patient keys.
    pub(in crate::session) keys: Vec<String>,
    /// False for a row that carries witnesses only and is not shown.
    pub(in crate::session) visible: bool,
}

/// A message that is not what the protocol says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed message from the server: {0}")]
pub(in crate::session) struct Malformed(pub(in crate::session) &'static str);

/// Reads big-endian integers and slices off a body; every step is checked.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.0.split_at_checked(n).ok_or(Malformed("too short"))?;
        self.0 = tail;
        Ok(head)
    }

    fn int16(&mut self) -> Result<u16, Malformed> {
        let b = self.take(2)?;
        Ok(u16::from_be_bytes([b[0], b[1]]))
    }

    fn int32(&mut self) -> Result<i32, Malformed> {
        let b = self.take(4)?;
        Ok(i32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    fn cstr(&mut self) -> Result<&'a [u8], Malformed> {
        let end = self.0.iter().position(|b| *b == 0).ok_or(Malformed("string without end"))?;
        let text = self.take(end)?;
        self.take(1)?;
        Ok(text)
    }

    /// A field of a DataRow or an array element: `None` for NULL.
    fn value(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.int32()? {
            -1 => Ok(None),
            n => Ok(Some(self.take(usize::try_from(n).map_err(|_| Malformed("negative length"))?)?)),
        }
    }
}

/// What a column of this name carries, or `None` for a column of the client's own.
fn carries(name: &[u8]) -> Option<Carries> {
    let rest = name.strip_prefix(RESERVED_PREFIX.as_bytes())?;
    Some(match rest.first() {
        Some(b'k') => Carries::Key,
        Some(b's') => Carries::Keys,
        Some(b'm') => Carries::Marker,
        _ => Carries::Nothing,
    })
}

impl Layout {
    /// Reads a RowDescription body and returns the layout and the body without hidden columns.
    pub(in crate::session) fn split(body: &[u8]) -> Result<(Layout, BytesMut), Malformed> {
        let mut at = Cursor(body);
        let count = at.int16()?;
        let mut layout = Layout::default();
        let mut shown = BytesMut::with_capacity(body.len());
        shown.put_u16(0);
        let mut visible: u16 = 0;
        for _ in 0..count {
            let before = at.0;
            let name = at.cstr()?;
            // table OID, attnum, type OID, typlen, typmod
            at.take(16)?;
            let binary = at.int16()? == 1;
            let carries = carries(name);
            layout.columns.push(Column { carries, binary });
            if carries.is_some() {
                layout.hidden += 1;
            } else {
                visible += 1;
                shown.extend_from_slice(&before[..before.len() - at.0.len()]);
            }
        }
        shown[..2].copy_from_slice(&visible.to_be_bytes());
        Ok((layout, shown))
    }

    /// All columns.
    pub(in crate::session) fn len(&self) -> usize {
        self.columns.len()
    }

    /// True for a column of ours.
    pub(in crate::session) fn is_hidden(&self, column: usize) -> bool {
        self.columns.get(column).is_some_and(|c| c.carries.is_some())
    }

    /// Reads the value of a hidden column.
    pub(in crate::session) fn take_value(
        &self,
        column: usize,
        value: Option<&[u8]>,
        binary: bool,
        witness: &mut Witness,
    ) -> Result<(), Malformed> {
        let carries = self.columns.get(column).and_then(|c| c.carries);
        match (carries, value) {
            (Some(Carries::Key), Some(key)) => witness.keys.push(text(key)?),
            (Some(Carries::Keys), Some(set)) if binary => binary_array(set, &mut witness.keys)?,
            (Some(Carries::Keys), Some(set)) => text_array(set, &mut witness.keys)?,
            (Some(Carries::Marker), None) => witness.visible = false,
            (Some(Carries::Key | Carries::Keys | Carries::Marker | Carries::Nothing) | None, _) => {}
        }
        Ok(())
    }

    /// Columns of the client's own.
    pub(in crate::session) fn visible(&self) -> usize {
        self.columns.len() - self.hidden
    }

    /// The result format codes for the whole row, from those the client gave for its own columns:
    /// none, one for all, or one each. Hidden columns are always text. `None` when the count fits
    /// neither.
    pub(in crate::session) fn result_formats(&self, client: &[i16]) -> Option<Vec<i16>> {
        if self.hidden == 0 {
            return Some(client.to_vec());
        }
        if client.len() > 1 && client.len() != self.visible() {
            return None;
        }
        let mut own = 0;
        Some(
            self.columns
                .iter()
                .map(|c| {
                    if c.carries.is_some() {
                        return 0;
                    }
                    let format = match client {
                        [] => 0,
                        [all] => *all,
                        each => each.get(own).copied().unwrap_or(0),
                    };
                    own += 1;
                    format
                })
                .collect(),
        )
    }

    /// The same layout with the formats a Bind asked for.
    pub(in crate::session) fn with_formats(&self, formats: &[i16]) -> Layout {
        let mut layout = self.clone();
        for (i, column) in layout.columns.iter_mut().enumerate() {
            column.binary = match formats {
                [] => false,
                [all] => *all == 1,
                each => each.get(i) == Some(&1),
            };
        }
        layout
    }

    /// Reads the witnesses of a DataRow body and appends the row without them, as a whole message,
    /// to `out`, unless it is not to be shown.
    pub(in crate::session) fn take_row(&self, body: &[u8], out: &mut BytesMut) -> Result<Witness, Malformed> {
        let mut at = Cursor(body);
        if usize::from(at.int16()?) != self.columns.len() {
            return Err(Malformed("row and description differ"));
        }
        let start = out.len();
        let mut witness = Witness { keys: Vec::new(), visible: true };
        out.put_u8(b'D');
        out.put_u32(0);
        out.put_u16(u16::try_from(self.visible()).map_err(|_| Malformed("too many columns"))?);
        for (i, column) in self.columns.iter().enumerate() {
            let before = at.0;
            let value = at.value()?;
            if column.carries.is_some() {
                self.take_value(i, value, column.binary, &mut witness)?;
            } else {
                out.extend_from_slice(&before[..before.len() - at.0.len()]);
            }
        }
        // `SELECT FROM t` has rows without columns; whether those are shown is the caller's.
        if witness.visible {
            let length = u32::try_from(out.len() - start - 1).map_err(|_| Malformed("row too long"))?;
            out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
        } else {
            out.truncate(start);
        }
        Ok(witness)
    }
}

/// The type of a row without a type of its own.
const RECORD: u32 = 2249;
/// Types from here on are not built in (`FirstNormalObjectId`): row types of users' tables among them.
const FIRST_NORMAL_OID: u32 = 16_384;

/// A RowDescription body from which the hidden columns were taken, with the names, tables, column numbers and
/// type modifiers of the client's own text. A column whose type differs keeps what the server said of it: the
/// values that follow are of that type. A whole row of a derived table is a record where the table's own is of its
/// row type; both have the same forms, in text and in binary (rowtypes.c).
pub(in crate::session) fn restored(shown: BytesMut, origin: &Origin) -> Result<BytesMut, Malformed> {
    let mut at = Cursor(&shown);
    let count = at.int16()?;
    if usize::from(count) != origin.columns.len() {
        return Ok(shown);
    }
    let mut body = BytesMut::with_capacity(shown.len());
    body.put_u16(count);
    for column in &origin.columns {
        let name = at.cstr()?;
        let place = at.take(6)?;
        let type_oid = at.take(4)?;
        let type_size = at.take(2)?;
        let type_modifier = at.take(4)?;
        let format = at.take(2)?;
        let whole_row = type_oid == RECORD.to_be_bytes() && column.type_oid >= FIRST_NORMAL_OID;
        let same = whole_row || type_oid == column.type_oid.to_be_bytes();
        let own_type = column.type_oid.to_be_bytes();
        body.extend_from_slice(if same { column.name.as_bytes() } else { name });
        body.put_u8(0);
        if same {
            body.put_u32(column.table);
            body.put_i16(column.attribute);
        } else {
            body.extend_from_slice(place);
        }
        body.extend_from_slice(if whole_row { &own_type } else { type_oid });
        body.extend_from_slice(type_size);
        if same {
            body.put_i32(column.type_modifier);
        } else {
            body.extend_from_slice(type_modifier);
        }
        body.extend_from_slice(format);
    }
    Ok(body)
}

fn text(value: &[u8]) -> Result<String, Malformed> {
    std::str::from_utf8(value).map(str::to_owned).map_err(|_| Malformed("key is not UTF-8"))
}

/// The text form of a one-dimensional `text[]` (manual, section 8.15.6); NULLs are left out.
fn text_array(value: &[u8], keys: &mut Vec<String>) -> Result<(), Malformed> {
    const BAD: Malformed = Malformed("array literal");
    let value = std::str::from_utf8(value).map_err(|_| BAD)?;
    let mut rest = value.strip_prefix('{').and_then(|v| v.strip_suffix('}')).ok_or(BAD)?.chars().peekable();
    while rest.peek().is_some() {
        let mut item = String::new();
        let quoted = rest.next_if_eq(&'"').is_some();
        loop {
            match rest.next() {
                None if quoted => return Err(BAD),
                None => break,
                Some('\\') => item.push(rest.next().ok_or(BAD)?),
                Some('"') if quoted => {
                    if !matches!(rest.next(), None | Some(',')) {
                        return Err(BAD);
                    }
                    break;
                }
                Some(',') if !quoted => break,
                Some(c) => item.push(c),
            }
        }
        if quoted || item != "NULL" {
            keys.push(item);
        }
    }
    Ok(())
}

/// The binary form of a one-dimensional array (`array_send`); NULLs are left out.
fn binary_array(value: &[u8], keys: &mut Vec<String>) -> Result<(), Malformed> {
    let mut at = Cursor(value);
    match at.int32()? {
        0 => return Ok(()),
        1 => {}
        _ => return Err(Malformed("array dimensions")),
    }
    at.take(8)?;
    let count = at.int32()?;
    at.take(4)?;
    for _ in 0..count {
        if let Some(key) = at.value()? {
            keys.push(text(key)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(names: &[&str]) -> Vec<u8> {
        let mut body = u16::try_from(names.len()).unwrap().to_be_bytes().to_vec();
        for name in names {
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(&[0; 19]);
        }
        body
    }

    fn row(values: &[Option<&str>]) -> Vec<u8> {
        let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
        for value in values {
            match value {
                None => body.extend_from_slice(&(-1i32).to_be_bytes()),
                Some(v) => {
                    body.extend_from_slice(&i32::try_from(v.len()).unwrap().to_be_bytes());
                    body.extend_from_slice(v.as_bytes());
                }
            }
        }
        body
    }

    #[test]
    fn hidden_columns_are_stripped_wherever_they_stand() {
        let (layout, shown) =
            Layout::split(&description(&["__glass_k1", "a", "__glass_s2", "b", "__glass_m1"])).unwrap();
        assert_eq!(shown, description(&["a", "b"]));
        let mut out = BytesMut::new();
        let witness = layout
            .take_row(
                &row(&[Some("7"), Some("x"), Some(r#"{1,"a,\"b",NULL,"NULL"}"#), None, Some("t")]),
                &mut out,
            )
            .unwrap();
        assert_eq!(
            witness,
            Witness { keys: ["7", "1", "a,\"b", "NULL"].map(String::from).to_vec(), visible: true }
        );
        assert_eq!(&out[5..], row(&[Some("x"), None]));
        assert_eq!(out[0], b'D');
        assert_eq!(u32::from_be_bytes(out[1..5].try_into().unwrap()) as usize, out.len() - 1);
    }

    #[test]
    fn a_row_without_its_marker_is_not_shown_but_its_witnesses_count() {
        let (layout, _) = Layout::split(&description(&["a", "__glass_s1", "__glass_m1"])).unwrap();
        let mut out = BytesMut::new();
        let witness = layout.take_row(&row(&[None, Some("{4,5}"), None]), &mut out).unwrap();
        assert_eq!(witness, Witness { keys: vec!["4".into(), "5".into()], visible: false });
        assert!(out.is_empty());
    }

    #[test]
    fn a_restored_description_is_that_of_the_original_where_the_type_is_the_same() {
        use crate::sql::ColumnOrigin;
        use crate::wire::message::{Field, decode_row_description, encode_row_description};
        let field = |name: &str, table, attribute, type_oid, type_modifier| Field {
            name: name.into(),
            table,
            attribute,
            type_oid,
            type_size: -1,
            type_modifier,
            format: 1,
        };
        let derived = [field("a", 0, 0, 1043, -1), field("b", 0, 0, 25, -1)];
        let body = BytesMut::from(&encode_row_description(&derived).unwrap()[5..]);
        let origin = |name: &str, table, attribute, type_oid, type_modifier| ColumnOrigin {
            name: name.into(),
            table,
            attribute,
            type_oid,
            type_modifier,
        };
        let columns = vec![origin("own", 70_000, 3, 1043, 24), origin("other", 70_000, 4, 1042, 9)];
        let body = restored(body, &Origin { columns }).unwrap();
        let got = decode_row_description(&body).unwrap();
        assert_eq!(got, [field("own", 70_000, 3, 1043, 24), field("b", 0, 0, 25, -1)]);
        // A description of something else is left alone; half a one is an error.
        let other = Origin { columns: vec![origin("c", 1, 1, 1043, 1)] };
        assert_eq!(restored(body.clone(), &other).unwrap(), body);
        let two = Origin { columns: vec![origin("c", 1, 1, 1, 1), origin("d", 1, 1, 1, 1)] };
        for cut in 0..body.len() {
            assert!(restored(BytesMut::from(&body[..cut]), &two).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn lying_rows_are_errors() {
        let (layout, _) = Layout::split(&description(&["a", "__glass_k1"])).unwrap();
        let whole = row(&[Some("abc"), Some("9")]);
        for cut in 0..whole.len() {
            assert!(layout.take_row(&whole[..cut], &mut BytesMut::new()).is_err(), "cut at {cut}");
        }
        assert!(layout.take_row(&row(&[Some("abc")]), &mut BytesMut::new()).is_err());
    }

    #[test]
    fn formats_skip_hidden_columns() {
        let (layout, _) = Layout::split(&description(&["a", "__glass_k1", "b"])).unwrap();
        assert_eq!(layout.result_formats(&[]), Some(vec![0, 0, 0]));
        assert_eq!(layout.result_formats(&[1]), Some(vec![1, 0, 1]));
        assert_eq!(layout.result_formats(&[0, 1]), Some(vec![0, 0, 1]));
        assert_eq!(layout.result_formats(&[0, 1, 1]), None);
    }
}
