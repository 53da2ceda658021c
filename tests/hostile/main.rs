//! Peers that lie: clients and servers whose messages are cut, out of order, or not what they say. The proxy never
//! hangs or panics, a guarded row never leaves because of it, other sessions go on. Not here: hostile statements
//! (tests/promises), hostile first packets (tests/bad_input.rs).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod client;
#[path = "../common/mod.rs"]
mod common;
mod server;
mod slow;

use std::time::Duration;

use common::wire::{Message, Wire};
use common::{Database, Proxy};

/// Time in which everything has an answer or an end.
const SOON: Duration = Duration::from_secs(8);

/// Clear text, so that the tests' own client can look at the bytes.
fn clear(config: String) -> String {
    assert!(config.contains("cleartext = \"never\""));
    config.replace("cleartext = \"never\"", "cleartext = \"loopback\"")
}

/// Sends bytes and reads up to `enough`, or to the end of the connection; panics when neither comes in time.
fn answer(wire: &mut Wire, bytes: &[u8], what: &str, enough: impl Fn(&Message) -> bool) -> Vec<Message> {
    wire.until_silence(SOON);
    let mut socket = wire.socket();
    // The proxy may have closed: then there is nobody to take it.
    let _ = std::io::Write::write_all(&mut socket, bytes);
    let mut heard = Vec::new();
    loop {
        match wire.try_next() {
            Some(message) => {
                let last = enough(&message);
                heard.push(message);
                if last {
                    return heard;
                }
            }
            None => {
                assert!(wire.ended(), "{what}: neither an answer nor an end; so far {:?}", tags(&heard));
                return heard;
            }
        }
    }
}

fn tags(messages: &[Message]) -> String {
    messages.iter().map(|m| char::from(m.tag)).collect()
}

/// Other sessions go on, new ones begin, nothing panicked.
fn lives(proxy: &Proxy<'_>, database: &Database<'_>, other: &mut Wire, what: &str) {
    assert_eq!(other.query("SELECT 1").value(), "1", "{what}");
    let mut new = Wire::through(proxy, database, "nurse_amy");
    assert_eq!(new.query("SELECT count(*) FROM clinic.patient").value(), "25", "{what}");
    assert!(!proxy.log().contains("panicked"), "{what}: {}", proxy.log());
}

/// Resident memory, MiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
}
