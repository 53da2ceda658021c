//! The target that drives a session: its bytes are a script of what the two peers, the ledger and the world
//! do, most of it well formed. `crate::fuzzing::seeds` writes such scripts.

use arbitrary::Unstructured;
use bytes::Bytes;

use super::rig::Rig;
use super::server::{HIDDEN, LEAK, ROW, Server, WITNESS};
use crate::session::world::Phase;
use crate::wire::message::{Bind, Execute, Parse, Target, TargetKind, put_message, query, sync};

/// Texts that a script names by number.
pub(crate) const TEXTS: &[&str] = &[
    "SELECT 1",
    "SELECT name FROM ward",
    "SELECT name FROM patients",
    "SELECT * FROM patients WHERE mrn = 7",
    "SELECT * FROM patients WHERE mrn = $1",
    "SELECT p.name, n.body FROM patients p LEFT JOIN notes n ON n.mrn = p.mrn",
    "SELECT count(*) FROM patients",
    "SELECT sex, count(*) FROM patients GROUP BY sex HAVING count(*) > 1",
    "SELECT ssn, dob FROM patients ORDER BY name LIMIT 3",
    "SELECT name FROM patients UNION SELECT body FROM notes",
    "SELECT r.value FROM results r JOIN orders o USING (order_id)",
    "SELECT name FROM patients; SELECT 1",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "ROLLBACK TO a",
    "DECLARE c CURSOR FOR SELECT name FROM patients",
    "DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT name FROM patients",
    "DECLARE b BINARY CURSOR FOR SELECT 1",
    "FETCH 2 FROM c",
    "FETCH ALL FROM c",
    "FETCH ABSOLUTE 5 FROM c",
    "MOVE 1 IN c",
    "CLOSE c",
    "CLOSE ALL",
    "PREPARE a AS SELECT name FROM patients WHERE mrn = $1",
    "PREPARE b AS SELECT 1",
    "EXECUTE a (7)",
    "EXECUTE b",
    "DEALLOCATE a",
    "DEALLOCATE ALL",
    "DISCARD ALL",
    "COPY notes TO STDOUT",
    "COPY (SELECT name FROM patients) TO STDOUT WITH (FORMAT csv, HEADER)",
    "COPY notes TO STDOUT WITH (FORMAT binary)",
    "COPY ward TO STDOUT",
    "COPY notes (id, mrn, body) FROM STDIN",
    "COPY notes (id, mrn, body) FROM STDIN WITH (FORMAT csv)",
    "COPY ward (id, name, mrn) FROM STDIN",
    "INSERT INTO notes (id, mrn, body) VALUES (1, 7, 'x')",
    "INSERT INTO notes (id, mrn, body) VALUES (1, 7, 'x') RETURNING id",
    "UPDATE notes SET body = 'y' WHERE mrn = 7",
    "DELETE FROM notes WHERE id = 3 RETURNING body",
    "SET search_path TO public",
    "SET client_encoding TO latin1",
    "SHOW TimeZone",
    "SELECT glass.open('7', 'BTG', 'unconscious, unknown drugs')",
    "SELECT * FROM glass.status()",
    "SELECT glass.close()",
    "SELECT glass.open($1, 'BTG', 'unconscious, unknown drugs')",
    "CREATE TEMP TABLE tmp (x int)",
    "SELECT x FROM tmp",
    "SELECT * FROM secret",
    "DO 'BEGIN END'",
    "SELEC",
    "",
    "LISTEN chan",
    "SELECT name FROM patients FOR UPDATE",
    "SELECT pg_sleep(1)",
    "SELECT get_ssn(7)",
    "VALUES (1), (2)",
    "SELECT name, '__glass_k1' FROM patients",
    "SELECT set_config('search_path', 'x', false), name FROM ward",
];

const NAMES: &[&str] = &["", "a", "b", "c", "__glass_g1", "__glass_probe"];

/// Kinds of the client's messages.
const MESSAGES: u8 = 14;

/// Bytes of output that one byte of script may cause, and that a script may cause however short it is.
const MOST_PER_BYTE: usize = 64 * 1024;

type Read<T> = arbitrary::Result<T>;

/// Bytes: choices (role, who acts by himself), then the script.
pub fn session(data: &[u8]) {
    let _ = play(data);
}

/// How many values of guarded rows the client got.
pub(crate) fn play(data: &[u8]) -> usize {
    // A mark in what a peer sends could not be told from one that got out.
    if [WITNESS, HIDDEN, ROW, LEAK].iter().any(|m| data.windows(m.len()).any(|w| w == m.as_bytes())) {
        return 0;
    }
    let ([role, flags], script) = crate::fuzzing::choices::<2>(data);
    let mut script = Unstructured::new(script);
    let mut play = Play { rig: Rig::new(role), durable: flags & 1 != 0, honest: flags & 2 != 0 };
    // The session asks what names mean before anything else.
    play.rig.run();
    if flags & 4 == 0 {
        play.answer_all(2);
    }
    while !script.is_empty() && !play.rig.is_over() {
        if play.step(&mut script).is_err() {
            break;
        }
        play.settled();
        let most = MOST_PER_BYTE * (data.len() + 16);
        assert!(play.rig.written < most, "{} bytes for a script of {}", play.rig.written, data.len());
    }
    play.rig.end()
}

struct Play {
    rig: Rig,
    /// Records are durable as soon as they are there.
    durable: bool,
    /// The server answers as soon as it is asked.
    honest: bool,
}

impl Play {
    /// Until nobody has anything more to do by himself.
    fn settled(&mut self) {
        self.rig.run();
        for _ in 0..10_000 {
            let waits = self.honest && self.rig.server.waits() && !self.rig.upstream.ends().ended;
            if waits {
                self.answer(3, None);
            }
            if self.durable {
                self.rig.settle(true, true);
            }
            self.rig.run();
            if !waits || self.rig.is_over() {
                return;
            }
        }
        panic!("the peers do not come to rest");
    }

    fn answer(&mut self, rows: u8, fail: Option<u8>) {
        let bytes = self.rig.server.answer(rows, fail);
        self.rig.upstream.send(&bytes);
    }

    fn answer_all(&mut self, rows: u8) {
        for _ in 0..1_000 {
            if !self.rig.server.waits() {
                return;
            }
            self.answer(rows, None);
            self.rig.run();
        }
    }

    fn step(&mut self, script: &mut Unstructured<'_>) -> Read<()> {
        match byte(script)? % 16 {
            0..=4 => {
                let bytes = self.message(script)?;
                self.rig.say(&bytes);
            }
            5 => {
                // A pipeline, as drivers send it.
                let text = text(script)?;
                let bytes: Vec<u8> = [
                    Parse { name: String::new(), query: text, parameter_types: Vec::new() }.encode(),
                    bind("", "", byte(script)? % 3, &[]).encode(),
                    Target { kind: TargetKind::Portal, name: String::new() }.describe(),
                    Execute { portal: String::new(), max_rows: 0 }.encode(),
                    Ok(sync()),
                ]
                .into_iter()
                .flat_map(|m| m.unwrap_or_default())
                .collect();
                self.rig.say(&bytes);
            }
            6..=8 => {
                let (count, rows) = (byte(script)? % 8 + 1, byte(script)?);
                for _ in 0..count {
                    self.answer(rows % 32, None);
                }
            }
            9 => self.answer(2, Some(byte(script)?)),
            10 => {
                let bytes = Server::at_any_time(byte(script)?);
                self.rig.upstream.send(&bytes);
            }
            11 => {
                let tag = byte(script)?;
                let body = bytes(script)?;
                self.rig.lied |= !b"ENAS".contains(&tag);
                self.rig.upstream.send(&framed(tag, body));
            }
            12 => match byte(script)? % 6 {
                0 => self.rig.settle(true, true),
                1 => self.rig.settle(false, true),
                2 => self.rig.settle(false, false),
                3 => self.rig.settle(true, false),
                4 => self.rig.ledger_fails(true),
                _ => self.rig.ledger_fails(false),
            },
            13 => match byte(script)? % 8 {
                0 => self.rig.revoke(),
                1 => self.rig.world.enter_phase(Phase::Draining),
                2 => self.rig.world.enter_phase(Phase::Cutting),
                _ => self.rig.world.bump(),
            },
            14 => {
                let bytes = bytes(script)?.to_vec();
                self.rig.say(&bytes);
            }
            _ => match byte(script)? % 8 {
                0 => self.rig.client.ends().ended = true,
                1 => self.rig.upstream.ends().ended = true,
                2 => self.rig.client.ends().stalled = true,
                3 => self.rig.upstream.ends().stalled = true,
                4 => self.rig.client.ends().stalled = false,
                5 => self.rig.upstream.ends().stalled = false,
                6 => self.durable = !self.durable,
                _ => {
                    let raw = bytes(script)?.to_vec();
                    self.rig.lied = true;
                    self.rig.upstream.send(&raw);
                }
            },
        }
        Ok(())
    }

    /// One message of the client.
    fn message(&mut self, script: &mut Unstructured<'_>) -> Read<Bytes> {
        let encoded = match byte(script)? % MESSAGES {
            0 => query(&text(script)?),
            1 => Parse {
                name: name(script)?,
                query: text(script)?,
                parameter_types: vec![0; usize::from(byte(script)? % 3)],
            }
            .encode(),
            2 => {
                let (portal, statement) = (name(script)?, name(script)?);
                let (count, formats) = (byte(script)?, byte(script)?);
                let formats = [&[][..], &[0], &[1], &[0, 1], &[1, 0, 1]][usize::from(formats % 5)];
                bind(&portal, &statement, count % 4, formats).encode()
            }
            3 => target(script)?.describe(),
            4 => Execute { portal: name(script)?, max_rows: i32::from(byte(script)? as i8) }.encode(),
            5 => target(script)?.close(),
            6 => Ok(sync()),
            7 => Ok(Bytes::from_static(b"H\0\0\0\x04")),
            8 => Ok(framed(b'd', bytes(script)?)),
            9 => Ok(Bytes::from_static(b"c\0\0\0\x04")),
            10 => Ok(Bytes::from_static(b"f\0\0\0\x05\0")),
            11 => Ok(Bytes::from_static(b"X\0\0\0\x04")),
            12 => match byte(script)? {
                // loread(0, 9), binary; pg_sleep(float8) as text.
                0..90 => Ok(framed(
                    b'F',
                    b"\0\0\x03\xba\0\x01\0\x01\0\x02\0\0\0\x04\0\0\0\0\0\0\0\x04\0\0\0\x09\0\0",
                )),
                90..120 => Ok(framed(b'F', b"\0\0\x0a\x42\0\0\0\x01\0\0\0\x011\0\0")),
                _ => Ok(framed(b'F', bytes(script)?)),
            },
            _ => {
                let tag = byte(script)?;
                Ok(framed(tag, bytes(script)?))
            }
        };
        Ok(encoded.unwrap_or_default())
    }
}

fn byte(script: &mut Unstructured<'_>) -> Read<u8> {
    if script.is_empty() { Err(arbitrary::Error::NotEnoughData) } else { script.arbitrary() }
}

/// A length and as many bytes.
fn bytes<'a>(script: &mut Unstructured<'a>) -> Read<&'a [u8]> {
    let n = usize::from(byte(script)?).min(script.len());
    script.bytes(n)
}

fn name(script: &mut Unstructured<'_>) -> Read<String> {
    Ok(NAMES[usize::from(byte(script)?) % NAMES.len()].to_owned())
}

/// A known text, or from 250 on one of the script's own.
fn text(script: &mut Unstructured<'_>) -> Read<String> {
    match byte(script)? {
        250.. => Ok(String::from_utf8_lossy(bytes(script)?).replace('\0', " ")),
        n => Ok(TEXTS[usize::from(n) % TEXTS.len()].to_owned()),
    }
}

fn target(script: &mut Unstructured<'_>) -> Read<Target> {
    let kind = if byte(script)? % 2 == 0 { TargetKind::Statement } else { TargetKind::Portal };
    Ok(Target { kind, name: name(script)? })
}

fn bind(portal: &str, statement: &str, parameters: u8, formats: &[i16]) -> Bind {
    Bind {
        portal: portal.to_owned(),
        statement: statement.to_owned(),
        parameter_formats: Vec::new(),
        parameters: vec![Some(Bytes::from_static(b"7")); usize::from(parameters)],
        result_formats: formats.to_vec(),
    }
}

fn framed(tag: u8, body: &[u8]) -> Bytes {
    let mut out = bytes::BytesMut::new();
    let _ = put_message(&mut out, tag, |o| {
        o.extend_from_slice(body);
        Ok(())
    });
    out.freeze()
}
