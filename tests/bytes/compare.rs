//! Two streams of messages compared, and the first difference in words. Masked is what must differ: the process id
//! of the session, the name of the database, object identifiers of tables that the session made itself; and the
//! place in the server's source of errors that the proxy has to say itself.

use std::collections::HashMap;

use crate::common::wire::Message;
use crate::play::Heard;
use crate::stage::Stage;

/// Errors that the proxy says in the server's words, without the place in the server's source: it never asks the
/// server about a name that it does not know, because the server could know a statement of the proxy's under it.
const SAID_BY_THE_PROXY: [&[u8]; 5] = [b"26000", b"34000", b"42P03", b"42P05", b"08P01"];

/// "Current transaction is aborted": said at another place of the server's source for a simple query that was sent
/// as extended messages.
const SAID_ELSEWHERE: &[u8] = b"25P02";

/// The first difference, decoded, with the messages around it.
pub(crate) fn difference(stage: &Stage, expected: &Heard, got: &Heard) -> Option<String> {
    let mut tables = HashMap::new();
    let names = [stage.plain.name().as_bytes(), stage.behind.name().as_bytes()];
    for (at, message) in expected.messages.iter().enumerate() {
        let before = || {
            let tags = |heard: &Heard| -> String {
                let from = at.saturating_sub(12);
                heard.messages[from.min(heard.messages.len())..]
                    .iter()
                    .take(24)
                    .map(|m| char::from(m.tag))
                    .collect()
            };
            format!("   tags from {}: expected {} got {}", at.saturating_sub(12), tags(expected), tags(got))
        };
        let Some(other) = got.messages.get(at) else {
            let next = shown(message);
            return Some(format!(
                "message {at} did not come ({:?}); expected\n   {next}\n{}",
                got.end,
                before()
            ));
        };
        let one = masked(message, expected.pid, names[0]);
        let two = masked(other, got.pid, names[1]);
        if !equal(&one, &two, &mut tables) {
            let (one, two) = (shown(message), shown(other));
            return Some(format!("message {at} differs\n   expected {one}\n   got      {two}\n{}", before()));
        }
    }
    if let Some(more) = got.messages.get(expected.messages.len()) {
        return Some(format!(
            "{} more message(s): {}",
            got.messages.len() - expected.messages.len(),
            shown(more)
        ));
    }
    (expected.end != got.end)
        .then(|| format!("ended otherwise: expected {:?}, got {:?}", expected.end, got.end))
}

fn masked(message: &Message, pid: u32, database: &[u8]) -> Message {
    let mut body = message.body.clone();
    match message.tag {
        b'A' if body.get(..4) == Some(&pid.to_be_bytes()) => body[..4].copy_from_slice(b"self"),
        b'E' | b'N' | b'D' => body = replaced(&body, database, b"(the database)"),
        _ => {}
    }
    Message { tag: message.tag, body }
}

fn replaced(body: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    if body.len() > 64 * 1024 || !body.windows(from.len()).any(|w| w == from) {
        return body.to_vec();
    }
    let mut out = Vec::new();
    let mut rest = body;
    while let Some(at) = rest.windows(from.len()).position(|w| w == from) {
        out.extend([&rest[..at], to].concat());
        rest = &rest[at + from.len()..];
    }
    out.extend(rest);
    out
}

fn equal(one: &Message, two: &Message, tables: &mut HashMap<u32, u32>) -> bool {
    if one == two {
        return true;
    }
    if one.tag != two.tag {
        return false;
    }
    match one.tag {
        b'T' => same_description(&one.body, &two.body, tables),
        b'E' => {
            let (one, two) = (fields(&one.body), fields(&two.body));
            let is = |code: &[u8]| one.contains(&[b"C", code].concat().as_slice());
            let elsewhere = is(SAID_ELSEWHERE);
            let ours = SAID_BY_THE_PROXY.iter().any(|code| is(code));
            let place = |f: &&&[u8]| matches!(f.first(), Some(b'F' | b'L' | b'R'));
            let words = |all: &[&[u8]]| -> Vec<Vec<u8>> {
                all.iter().filter(|f| !place(f)).map(|f| f.to_vec()).collect()
            };
            let placed = two.iter().any(|f| place(&f));
            // Errors that rows can cause, of a guarded statement: their words are checked, and no more is told.
            let of_rows = one.iter().any(|f| f.starts_with(b"C22") || f.starts_with(b"C21"));
            (elsewhere || ((ours || of_rows) && !placed)) && words(&one) == words(&two)
        }
        _ => false,
    }
}

fn fields(body: &[u8]) -> Vec<&[u8]> {
    body.split(|&b| b == 0).filter(|f| !f.is_empty()).collect()
}

/// Table OIDs may differ where they always differ in the same way: tables that the session made.
fn same_description(one: &[u8], two: &[u8], tables: &mut HashMap<u32, u32>) -> bool {
    let (Some(one), Some(two)) = (columns(one), columns(two)) else { return false };
    one.len() == two.len()
        && one.iter().zip(&two).all(|((name, table, rest), (other_name, other, other_rest))| {
            let same = *tables.entry(*table).or_insert(*other) == *other;
            // Below are those of the demonstration, which have the same number in every copy.
            let made = *table > 0 && *other > 0;
            name == other_name && rest == other_rest && (table == other || (same && made))
        })
}

type Column = (Vec<u8>, u32, Vec<u8>);

fn columns(body: &[u8]) -> Option<Vec<Column>> {
    let mut rest = body.get(2..)?;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|&b| b == 0)?;
        let field = rest.get(end + 1..end + 19)?;
        let table = u32::from_be_bytes(field[..4].try_into().ok()?);
        found.push((rest[..end].to_vec(), table, field[4..].to_vec()));
        rest = &rest[end + 19..];
    }
    Some(found)
}

/// A message in words, long ones cut.
fn shown(message: &Message) -> String {
    let text = |bytes: &[u8]| -> String {
        let cut = &bytes[..bytes.len().min(1200)];
        String::from_utf8_lossy(cut).replace('\0', "·").escape_debug().to_string()
    };
    let tag = char::from(message.tag);
    let body = match message.tag {
        b'T' => format!(
            "{:?}",
            columns(&message.body).map(|all| {
                all.iter().map(|(n, t, r)| format!("{} table {t} {r:?}", text(n))).collect::<Vec<_>>()
            })
        ),
        b't' => format!(
            "{:?}",
            message.body.get(2..).map(|b| {
                b.chunks(4)
                    .map(|c| c.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)))
                    .take(30)
                    .collect::<Vec<_>>()
            })
        ),
        _ => text(&message.body),
    };
    format!("{tag} ({} bytes) {body}", message.body.len())
}
