//! Random sequences of messages, from a seed: `PGGLASS_BYTES_SECONDS` makes it run for so long instead of the few
//! seconds of a normal run, `PGGLASS_BYTES_SEED` begins with another seed. A difference is printed with its seed and
//! the messages that led to it.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::common::wire::{
    bind_as, close_portal, close_statement, copy_data, copy_done, copy_fail, describe_portal,
    describe_statement, execute, flush, parse, query, sync,
};
use crate::play::{Script, Step, difference};
use crate::stage::Stage;

/// How long a normal run goes on, a role.
const SECONDS: u64 = 6;
/// The sessions of a normal run, at most.
const SESSIONS: u64 = 120;

/// Texts without parameters and their harm: they end where they began, but for transactions and names.
const TEXTS: &[&str] = &[
    "SELECT 1",
    "SELECT a, b FROM scratch.t WHERE a < 30 ORDER BY a",
    "",
    "SELECT 1/0",
    "SELEC",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "RELEASE s",
    "SET application_name = 'r'",
    "SET search_path = clinic",
    "RESET search_path",
    "UPDATE scratch.t SET b = b WHERE a = 1",
    "SELECT nothing",
    "INSERT INTO scratch.t(a) VALUES (1)",
    "SELECT name, patient_id FROM clinic.patient ORDER BY patient_id LIMIT 12",
    "SELECT count(*) FROM clinic.note",
    "SELECT * FROM clinic.patient WHERE patient_id = 880003",
    "SELECT repeat('x', 70000)",
    "SELECT 1/(20-a) FROM (SELECT a FROM scratch.t ORDER BY a OFFSET 0) AS t",
    "DISCARD PLANS",
    "SELECT patient_id, body FROM clinic.note WHERE patient_id = 880015 ORDER BY note_id",
    "INSERT INTO scratch.log(words) VALUES ('w') RETURNING words",
    "DEALLOCATE ALL",
    "LISTEN l",
    "COPY (SELECT a FROM scratch.t ORDER BY a LIMIT 5) TO STDOUT",
    "SHOW search_path",
    "SELECT patient_id / 0 FROM clinic.patient",
    "SELECT nothing FROM clinic.patient",
];
/// Texts that a restricted role is told other things about.
const OF_ALL: &[&str] =
    &["SELECT count(*) FROM ward", "SELECT nothing_like_it(1)", "COPY clinic.allergy TO STDOUT"];
/// What SQL does with the names that the protocol uses. (A restricted role is told of an unknown one when it is
/// bound.)
const OBJECTS: &[&str] = &[
    "PREPARE s AS SELECT 7",
    "PREPARE s AS SELECT name FROM clinic.patient ORDER BY patient_id LIMIT 4",
    "PREPARE t(int) AS SELECT patient_id, $1 FROM clinic.patient ORDER BY 1 LIMIT 4",
    "EXECUTE s",
    "EXECUTE s",
    "EXECUTE t(3)",
    "EXECUTE t",
    "EXPLAIN (COSTS OFF) EXECUTE s",
    "DEALLOCATE s",
    "DEALLOCATE t",
    "DECLARE p CURSOR WITH HOLD FOR SELECT patient_id, name FROM clinic.patient ORDER BY patient_id",
    "DECLARE q CURSOR WITH HOLD FOR SELECT a FROM scratch.t ORDER BY a",
    "FETCH 2 FROM p",
    "FETCH 2 FROM p",
    "MOVE 1 IN p",
    "FETCH q",
    "CLOSE p",
    "CLOSE ALL",
    "DISCARD ALL",
];
/// Simple queries of several statements.
const SEVERAL: &[&str] = &[
    "SELECT 1; SELECT 2",
    "BEGIN; SELECT 1",
    "SELECT 1; SELECT 1/0; SELECT 2",
    "SELECT 1; COMMIT",
    "BEGIN; DECLARE c CURSOR FOR SELECT a FROM scratch.t ORDER BY a; FETCH 2 FROM c; CLOSE c; COMMIT",
    ";;",
    "SELECT 1; SELEC",
];
/// Texts with one int parameter.
const WITH_ONE: &[&str] = &[
    "SELECT $1::int",
    "SELECT a, b FROM scratch.t WHERE a > $1 ORDER BY a",
    "SELECT 10 / $1",
    "SELECT patient_id, name FROM clinic.patient WHERE patient_id = $1 + 880003 ORDER BY 1",
];
/// Values to bind.
const VALUES: &[&[Option<&[u8]>]] =
    &[&[], &[Some(b"3")], &[Some(b"0")], &[None], &[Some(b"x")], &[Some(b"1"), Some(b"2")]];
const NAMES: &[&str] = &["", "", "s", "t"];
const PORTALS: &[&str] = &["", "", "p", "q"];

fn text(random: &mut StdRng, all: bool) -> &'static str {
    if all && random.random_bool(0.1) {
        OF_ALL.choose(random).unwrap()
    } else if all && random.random_bool(0.3) {
        OBJECTS.choose(random).unwrap()
    } else {
        TEXTS.choose(random).unwrap()
    }
}

fn message(random: &mut StdRng, all: bool) -> Vec<u8> {
    let one = |of: &[&'static str], random: &mut StdRng| -> &'static str { of.choose(random).unwrap() };
    match random.random_range(0..100) {
        0..8 => query(text(random, all)),
        8..11 => query(one(SEVERAL, random)),
        11..25 => parse(one(NAMES, random), text(random, all)),
        25..35 => parse(one(NAMES, random), one(WITH_ONE, random)),
        35..52 => {
            let values: &[Option<&[u8]>] = VALUES.choose(random).unwrap();
            let results: &[u16] = [&[][..], &[0], &[1], &[0, 1]].choose(random).unwrap();
            bind_as(one(PORTALS, random), one(NAMES, random), (&[], values), results)
        }
        52..58 => describe_statement(one(NAMES, random)),
        58..64 => describe_portal(one(PORTALS, random)),
        64..78 => execute(one(PORTALS, random), *[0, 0, 0, 1, 2, 5].choose(random).unwrap()),
        78..81 => close_statement(one(NAMES, random)),
        81..83 => close_portal(one(PORTALS, random)),
        83..92 => sync(),
        92..95 => flush(),
        95..97 => copy_data(one(&["7\n", "900001\n", "x\n", ""], random).as_bytes()),
        97..99 => copy_done(),
        _ => copy_fail("random"),
    }
}

/// One that asks for, binds and executes a statement, so that most executions find something.
fn group(random: &mut StdRng, all: bool) -> Vec<Vec<u8>> {
    let (name, portal) = (*NAMES.choose(random).unwrap(), *PORTALS.choose(random).unwrap());
    let with = random.random_bool(0.4);
    let text = if with { WITH_ONE.choose(random).unwrap() } else { text(random, all) };
    let values: &[Option<&[u8]>] = if with { &[Some(b"4")] } else { &[] };
    let mut all = vec![close_statement(name), close_portal(portal), parse(name, text)];
    if random.random_bool(0.3) {
        all.push(describe_statement(name));
    }
    all.push(bind_as(portal, name, (&[], values), if random.random_bool(0.3) { &[1] } else { &[] }));
    if random.random_bool(0.5) {
        all.push(describe_portal(portal));
    }
    all.push(execute(portal, if random.random_bool(0.4) { 2 } else { 0 }));
    if random.random_bool(0.3) {
        all.push(execute(portal, 0));
    }
    all
}

/// COPY FROM STDIN and what may come during it: everything else would end the session.
fn copy(random: &mut StdRng) -> Vec<Vec<u8>> {
    let text = "COPY scratch.t(a) FROM STDIN";
    let mut all = match random.random_range(0..3) {
        0 => vec![query(text)],
        1 => vec![query(&format!("SELECT 6; {text}; SELECT 7"))],
        // Names that nothing else executes.
        _ => vec![parse("copy", text), bind_as("copy", "copy", (&[], &[]), &[]), execute("copy", 0)],
    };
    // A Sync behind data is answered or not, depending on where the COPY failed (KNOWN_LIMITATIONS).
    for _ in 0..random.random_range(0..3) {
        all.push(if random.random_bool(0.5) { sync() } else { flush() });
    }
    for _ in 0..random.random_range(0..5) {
        let data = ["7\n", "900001\n", "90000", "x\n", "", "5\n6\n"].choose(random).unwrap();
        all.push(copy_data(data.as_bytes()));
    }
    all.push(if random.random_bool(0.5) { copy_done() } else { copy_fail("no") });
    all
}

/// What a session sends: batches of messages.
type Batches = Vec<Vec<Vec<u8>>>;

fn session(random: &mut StdRng, all: bool) -> Batches {
    let mut batches = Vec::new();
    for _ in 0..random.random_range(1..6) {
        let mut messages = Vec::new();
        for _ in 0..random.random_range(1..14) {
            match random.random_range(0..20) {
                0..4 => messages.extend(group(random, all)),
                // Whole, so that no shorter sequence leaves it open.
                4 => messages.push(copy(random).concat()),
                _ => messages.push(message(random, all)),
            }
        }
        messages.push(sync());
        batches.push(messages);
    }
    batches
}

/// Batches, each of which is answered before the next is sent, and cut at random places.
fn scripts(seed: u64, batches: &Batches) -> Vec<Script> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut scripts = Vec::new();
    for messages in batches {
        let bytes = messages.concat();
        let mut steps = Vec::new();
        let mut rest = &bytes[..];
        while random.random_bool(0.3) && rest.len() > 1 {
            let (now, later) = rest.split_at(random.random_range(1..rest.len()));
            steps.extend([Step::Send(now.to_vec()), Step::Pause(Duration::from_millis(2))]);
            rest = later;
        }
        steps.extend([Step::Send(rest.to_vec()), Step::Marked]);
        scripts.push(Script { name: format!("seed {seed}"), steps });
    }
    scripts
}

/// The same difference with as few messages as can be found, once each was left out in turn.
fn shortest(stage: &Stage, seed: u64, mut batches: Batches, mut found: String) -> (Batches, String) {
    let until = Instant::now() + Duration::from_secs(20);
    let mut at = 0;
    while at < batches.iter().map(Vec::len).sum() && Instant::now() < until {
        let mut fewer = batches.clone();
        let mut index = at;
        for batch in &mut fewer {
            if index < batch.len() {
                // The Sync at the end stays: without it the server may skip what tells the end.
                if index + 1 < batch.len() || batch.len() == 1 {
                    batch.remove(index);
                }
                break;
            }
            index -= batch.len();
        }
        fewer.retain(|batch| !batch.is_empty());
        if fewer == batches {
            at += 1;
            continue;
        }
        match difference(stage, &scripts(seed, &fewer)) {
            // What takes much longer is another thing: an answer that does not come.
            Some(difference) => (batches, found) = (fewer, difference),
            None => at += 1,
        }
    }
    (batches, found)
}

fn random(user: &'static str) {
    random_on(&Stage::of(user), user == "dba_gus", user);
}

/// `open`: with what restricted roles are told other things about.
pub(crate) fn random_on(stage: &Stage, open: bool, user: &str) {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let until = Instant::now() + Duration::from_secs(number("PGGLASS_BYTES_SECONDS").unwrap_or(SECONDS));
    let mut wrong = Vec::new();
    let (first, mut played) = (number("PGGLASS_BYTES_SEED").unwrap_or(1), 0);
    // Without a time that was asked for: the same sessions on every machine that is fast enough.
    let most = number("PGGLASS_BYTES_SECONDS").map_or(SESSIONS, |_| u64::MAX);
    while Instant::now() < until && wrong.len() < 5 && played < most {
        let seed = first + played;
        played += 1;
        let batches = session(&mut StdRng::seed_from_u64(seed), open);
        if let Some(found) = difference(stage, &scripts(seed, &batches)) {
            let (batches, found) = shortest(stage, seed, batches, found);
            let sent: Vec<String> = batches.iter().map(|b| b.iter().map(|m| shown(m)).collect()).collect();
            wrong.push(format!("{found}\n   sent: {}", sent.join("\n     then ")));
        }
    }
    println!("{played} sessions of {user}");
    assert!(wrong.is_empty(), "{} differences in {played} sessions:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// Messages of the client, their lengths left out.
fn shown(mut messages: &[u8]) -> String {
    let mut text = String::new();
    while let Some((header, rest)) = messages.split_first_chunk::<5>() {
        let length = u32::from_be_bytes(header[1..].try_into().unwrap()) as usize - 4;
        let body = String::from_utf8_lossy(&rest[..length]).replace('\0', "·").escape_debug().to_string();
        text += &format!("[{} {body}] ", char::from(header[0]));
        messages = &rest[length..];
    }
    text
}

#[test]
fn random_sessions_of_an_unrestricted_role() {
    random("dba_gus");
}

#[test]
fn random_sessions_of_a_restricted_role() {
    random("nurse_amy");
}
