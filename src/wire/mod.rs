//! The PostgreSQL protocol, both ends of a connection: frames, startup, TLS, SCRAM, cancel keys.
//!
//! A reader follows a connection: `client` accepts one (with `startup`, `tls`, `scram`), `upstream`
//! opens the matching one to the server, and the session relays [`frame::Frame`]s read and written
//! by `buffered`, building and taking apart single messages with `message`.
//! No policy lives here, and nothing here knows another module of the tree. What parses bytes is
//! sans-IO; only `buffered`, `client`, `stream` and `upstream` touch a socket.

pub mod buffered;
pub mod cancel;
pub mod cert;
pub mod client;
mod client_error;
pub mod frame;
pub mod message;
pub mod names;
pub mod scram;
pub mod startup;
pub mod stream;
pub mod tls;
pub mod upstream;
