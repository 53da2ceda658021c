//! Rows and their description: RowDescription, DataRow, ParameterDescription.
//!
//! DataRow is the hot one: columns are dropped over the bytes, without decoding values.
//! Not here: which columns are hidden (the session knows by name).

use bytes::{BufMut, Bytes, BytesMut};

use super::body::{Body, MessageError, message, put_count, put_message, put_text, put_value};

/// One column of a RowDescription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The column's name in the result.
    pub name: String,
    /// The table it comes from, as an OID; 0 if none.
    pub table: u32,
    /// Its attribute number in that table; 0 if none.
    pub attribute: i16,
    /// Its type, as an OID.
    pub type_oid: u32,
    /// The type's size, bytes; negative for variable width.
    pub type_size: i16,
    /// The type modifier.
    pub type_modifier: i32,
    /// 0 is text, 1 is binary.
    pub format: i16,
}

/// The columns in a RowDescription's body.
///
/// # Errors
/// [`MessageError`] for a body that is not one.
pub fn decode_row_description(body: &[u8]) -> Result<Vec<Field>, MessageError> {
    let mut body = Body::new(body);
    let count = body.u16()?;
    let fields = (0..count)
        .map(|_| {
            Ok(Field {
                name: body.text()?.to_owned(),
                table: body.u32()?,
                attribute: body.i16()?,
                type_oid: body.u32()?,
                type_size: body.i16()?,
                type_modifier: body.i32()?,
                format: body.i16()?,
            })
        })
        .collect::<Result<_, MessageError>>()?;
    body.end()?;
    Ok(fields)
}

/// A RowDescription of these columns.
///
/// # Errors
/// [`MessageError::Nul`] for a NUL in a text; `TooMany` beyond the protocol's counts.
pub fn encode_row_description<'a>(
    fields: impl IntoIterator<Item = &'a Field, IntoIter: ExactSizeIterator>,
) -> Result<Bytes, MessageError> {
    let fields = fields.into_iter();
    message(b'T', |out| {
        put_count(out, fields.len())?;
        for field in fields {
            put_text(out, &field.name)?;
            out.put_u32(field.table);
            out.put_i16(field.attribute);
            out.put_u32(field.type_oid);
            out.put_i16(field.type_size);
            out.put_i32(field.type_modifier);
            out.put_i16(field.format);
        }
        Ok(())
    })
}

/// The parameter types (OIDs) in a ParameterDescription's body.
///
/// # Errors
/// [`MessageError`] for a body that is not one.
pub fn decode_parameter_description(body: &[u8]) -> Result<Vec<u32>, MessageError> {
    let mut body = Body::new(body);
    let count = body.u16()?;
    let types = (0..count).map(|_| body.u32()).collect::<Result<_, _>>()?;
    body.end()?;
    Ok(types)
}

/// A ParameterDescription of these types (OIDs).
///
/// # Errors
/// [`MessageError::TooMany`] beyond the protocol's counts.
pub fn encode_parameter_description(types: &[u32]) -> Result<Bytes, MessageError> {
    message(b't', |out| {
        put_count(out, types.len())?;
        types.iter().for_each(|oid| out.put_u32(*oid));
        Ok(())
    })
}

/// A DataRow whose lengths have been checked against its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataRow<'a> {
    count: u16,
    values: &'a [u8],
}

impl<'a> DataRow<'a> {
    /// From a message's body.
    ///
    /// # Errors
    /// [`MessageError`] for a body whose lengths do not add up.
    pub fn decode(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut cursor = Body::new(body);
        let count = cursor.u16()?;
        let values = cursor.rest();
        for _ in 0..count {
            cursor.value()?;
        }
        cursor.end()?;
        Ok(DataRow { count, values })
    }

    /// How many columns.
    pub fn columns(&self) -> u16 {
        self.count
    }

    /// The values in order; `None` is NULL.
    pub fn values(&self) -> DataRowValues<'a> {
        DataRowValues { left: self.count, body: self.values }
    }
}

/// Iterator over a row's values.
#[derive(Debug, Clone)]
pub struct DataRowValues<'a> {
    left: u16,
    body: &'a [u8],
}

impl<'a> Iterator for DataRowValues<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let mut cursor = Body::new(self.body);
        // `DataRow::decode` checked every length, so this ends early for no row there is.
        let value = cursor.value().ok()?;
        self.body = cursor.rest();
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for DataRowValues<'_> {}

/// A set of column positions, counted from 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// Ascending, each once.
    sorted: Vec<u16>,
}

impl Columns {
    /// Whether the set is empty, so that rows can be forwarded as they are.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// How many columns.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether `column` is in the set.
    pub fn contains(&self, column: u16) -> bool {
        self.sorted.binary_search(&column).is_ok()
    }

    /// The positions, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.sorted.iter().copied()
    }
}

impl FromIterator<u16> for Columns {
    fn from_iter<I: IntoIterator<Item = u16>>(columns: I) -> Self {
        let mut sorted: Vec<u16> = columns.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        Columns { sorted }
    }
}

/// Appends the DataRow with this body to `out`, without the columns in `drop`. Runs of columns that stay
/// are copied as one.
///
/// # Errors
/// [`MessageError`] for a body whose lengths do not add up; also `Truncated` if `drop` names a column the
/// row does not have, because the row is then not of the description that `drop` was made from. `out` is
/// then as it was.
pub fn drop_columns(body: &[u8], drop: &Columns, out: &mut BytesMut) -> Result<(), MessageError> {
    out.reserve(body.len() + super::super::frame::HEADER);
    put_message(out, b'D', |out| {
        let mut cursor = Body::new(body);
        let count = cursor.u16()?;
        let kept = usize::from(count).checked_sub(drop.len()).ok_or(MessageError::Truncated)?;
        put_count(out, kept)?;
        let mut doomed = drop.iter().peekable();
        let mut run = cursor.rest();
        for column in 0..count {
            let before = cursor.rest();
            cursor.value()?;
            if doomed.next_if_eq(&column).is_some() {
                out.put_slice(run.get(..run.len() - before.len()).unwrap_or(&[]));
                run = cursor.rest();
            }
        }
        cursor.end()?;
        if doomed.peek().is_some() {
            return Err(MessageError::Truncated);
        }
        out.put_slice(run);
        Ok(())
    })
}

/// A DataRow of these values; `None` is NULL.
///
/// # Errors
/// [`MessageError::TooMany`] beyond the protocol's counts.
pub fn encode_data_row(values: &[Option<&[u8]>]) -> Result<Bytes, MessageError> {
    message(b'D', |out| {
        put_count(out, values.len())?;
        values.iter().try_for_each(|value| put_value(out, *value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_row() -> impl Strategy<Value = Vec<Option<Vec<u8>>>> {
        proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)), 0..9)
    }

    fn row(values: &[Option<Vec<u8>>]) -> Bytes {
        encode_data_row(&values.iter().map(|v| v.as_deref()).collect::<Vec<_>>()).unwrap()
    }

    proptest! {
        // Property: dropping over the bytes equals decode, filter, encode.
        #[test]
        fn dropping_is_decode_filter_encode(values in any_row(), chosen in proptest::collection::vec(any::<bool>(), 9)) {
            let columns: Columns = (0..values.len() as u16).filter(|i| chosen[*i as usize]).collect();
            let raw = row(&values);
            let decoded: Vec<_> = DataRow::decode(&raw[5..]).unwrap().values().collect();
            prop_assert_eq!(decoded.len(), values.len());
            let kept: Vec<_> = decoded.iter().enumerate().filter(|(i, _)| !chosen[*i]).map(|(_, v)| *v).collect();
            let mut out = BytesMut::from(&b"before"[..]);
            drop_columns(&raw[5..], &columns, &mut out).unwrap();
            prop_assert_eq!(&out[6..], &encode_data_row(&kept).unwrap()[..]);
        }

        // Property: a body cut anywhere is refused by both, and nothing is left behind.
        #[test]
        fn a_cut_row_is_refused(values in any_row()) {
            let raw = row(&values);
            let mut out = BytesMut::new();
            for end in 0..raw.len() - 5 {
                prop_assert!(DataRow::decode(&raw[5..5 + end]).is_err());
                prop_assert!(drop_columns(&raw[5..5 + end], &Columns::default(), &mut out).is_err());
                prop_assert!(out.is_empty());
            }
        }

        // Property: lying lengths never panic, and both readers agree about what a row is.
        #[test]
        fn garbage(bytes in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(255), any::<u8>()], 0..40)) {
            let mut out = BytesMut::new();
            let dropped = drop_columns(&bytes, &Columns::default(), &mut out);
            prop_assert_eq!(DataRow::decode(&bytes).map(|_| ()), dropped);
            let _ = (decode_row_description(&bytes), decode_parameter_description(&bytes));
        }
    }

    #[test]
    fn a_column_the_row_lacks_is_an_error() {
        let raw = row(&[Some(b"a".to_vec()), None]);
        let mut out = BytesMut::new();
        let lacking: Columns = [2].into_iter().collect();
        assert_eq!(drop_columns(&raw[5..], &lacking, &mut out), Err(MessageError::Truncated));
        assert!(out.is_empty());
    }

    #[test]
    fn descriptions_round_trip() {
        let field = Field {
            name: "größe".into(),
            table: u32::MAX,
            attribute: -1,
            type_oid: 23,
            type_size: 4,
            type_modifier: -1,
            format: 1,
        };
        let raw = encode_row_description([&field, &field]).unwrap();
        assert_eq!(decode_row_description(&raw[5..]), Ok(vec![field.clone(), field]));
        assert!(decode_row_description(&raw[5..raw.len() - 1]).is_err());
        let raw = encode_parameter_description(&[1, u32::MAX]).unwrap();
        assert_eq!(decode_parameter_description(&raw[5..]), Ok(vec![1, u32::MAX]));
    }
}
