//! The test harness: a real PostgreSQL with the demonstration hospital, pgglass in front of it, and
//! clients for any of its users, through the proxy and past it.
//!
//! ```ignore
//! mod common;
//! #[tokio::test]
//! async fn a_nurse_sees_her_patients() {
//!     let database = common::Postgres::shared().demo();       // a copy of the demo database
//!     let proxy = common::Proxy::start(&database);            // its own ledger and port
//!     let amy = proxy.connect("nurse_amy").await;             // TLS, SCRAM
//!     assert_eq!(amy.count("SELECT count(*) FROM clinic.patient").await, 25);
//! }
//! ```
//!
//! Every test gets its own database and proxy; one PostgreSQL is shared by a test binary. Nothing
//! outlives the test process, however it ends (see `reaper`). No policy and no assertions here.

// Each test binary compiles this module and uses a part of it; a harness that cannot start its
// server has nothing better to do than to panic, with the reason.
#![allow(dead_code, unused_imports, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod postgres;
mod proxy;
mod reaper;
mod session;
mod tls;
pub mod wire;

pub use postgres::{Database, Postgres};
pub use proxy::{Proxy, pgglass};
pub use session::Session;
pub use tls::{Authority, ClientIdentity};

/// The people of `demo/roles.sql`; each one's password is the name followed by `-demo`.
pub const USERS: [&str; 8] =
    ["nurse_amy", "nurse_bob", "dr_chen", "dr_diaz", "bill_eva", "ana_fox", "dba_gus", "audit_hal"];

/// Patients assigned to `nurse_amy` in `demo/data.sql`, in order: the inpatients of ward 3.
pub fn patients_of_amy() -> Vec<i64> {
    (0..25).map(|i| 880_003 + 12 * i).collect()
}

/// A patient on nobody's list, on warfarin; the next one is on nobody's list either.
pub const STRANGER: i64 = 881_234;
/// The record number of [`STRANGER`].
pub const STRANGER_MRN: &str = "MRN0001234";

/// A loopback port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("bind a loopback port");
    listener.local_addr().expect("address of the listener").port()
}
