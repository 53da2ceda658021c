//! Single messages: taken apart and built. A folder file a kind of message.
//!
//! Decoding is done here by hand and strictly: pgwire's decoders trust the lengths inside a body and
//! replace what is not UTF-8, and both are wrong for a body that comes from an attacker. The small
//! messages of a login are built with pgwire's structs.
//! Not here: cutting a stream into messages (see `frame`) and what a message means to a session.

mod body;
mod control;
mod extended;
mod report;
mod row;
mod tag;

pub(crate) use body::Body;
pub use body::{MessageError, put_message};
pub(crate) use control::{
    Authentication, UPSTREAM_PROTOCOL, decode_authentication, decode_backend_key, decode_negotiate, encode,
};
pub use control::{
    CommandTag, FunctionCall, Status, authentication_ok, backend_key_data, command_complete,
    decode_parameter_status, decode_query, negotiate_protocol, notification_without_payload,
    parameter_status, query, ready_for_query, sync, terminate,
};
pub use extended::{Bind, Execute, Parse, Target, TargetKind};
pub use report::{Report, Severity};
pub use row::{
    Columns, DataRow, DataRowValues, Field, decode_parameter_description, decode_row_description,
    drop_columns, encode_data_row, encode_parameter_description, encode_row_description,
};
pub use tag::{ClientTag, ServerTag};
