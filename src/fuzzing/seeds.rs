//! Inputs to begin with: messages, packets, rows and texts as clients and servers really send them, in the
//! form that the targets read. `cargo test --lib write_seeds -- --ignored` writes them to `fuzz/corpus`.

use bytes::Bytes;

use crate::session::fuzzing::TEXTS;
use crate::sql::honest::COMMON;
use crate::wire::message::{
    self, Bind, Execute, Field, Parse, Report, Status, Target, TargetKind, encode_data_row,
    encode_parameter_description, encode_row_description,
};

type Seed = (&'static str, String, Vec<u8>);

/// Flags of a session's script: records are durable at once, the server answers at once.
pub(super) const DURABLE: u8 = 1;
pub(super) const HONEST: u8 = 2;

/// A script for the target `session`; see `session::fuzzing::script` for its form.
#[derive(Clone)]
pub(super) struct Script(pub(super) Vec<u8>);

impl Script {
    pub(super) fn of(role: u8, flags: u8) -> Self {
        Self(vec![role, flags])
    }

    /// Everybody does his part by himself.
    pub(super) fn alone(role: u8) -> Self {
        Self::of(role, DURABLE | HONEST)
    }

    fn and(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        match TEXTS.iter().position(|t| *t == text) {
            Some(n) => self.and(&[n as u8]),
            None => self.and(&[255, text.len() as u8]).and(text.as_bytes()),
        }
    }

    pub(super) fn query(self, text: &str) -> Self {
        self.and(&[0, 0]).text(text)
    }

    pub(super) fn pipeline(self, text: &str, parameters: u8) -> Self {
        self.and(&[5]).text(text).and(&[parameters])
    }

    fn parse(self, name: u8, text: &str) -> Self {
        self.and(&[0, 1, name]).text(text).and(&[0])
    }

    fn bind(self, portal: u8, statement: u8, parameters: u8) -> Self {
        self.and(&[0, 2, portal, statement, parameters, 0])
    }

    fn describe(self, portal: bool, name: u8) -> Self {
        self.and(&[0, 3, u8::from(portal), name])
    }

    fn execute(self, portal: u8, rows: u8) -> Self {
        self.and(&[0, 4, portal, rows])
    }

    fn close(self, portal: bool, name: u8) -> Self {
        self.and(&[0, 5, u8::from(portal), name])
    }

    fn sync(self) -> Self {
        self.and(&[0, 6])
    }

    fn copy_data(self, data: &[u8]) -> Self {
        self.and(&[0, 8, data.len() as u8]).and(data)
    }

    fn copy_done(self) -> Self {
        self.and(&[0, 9])
    }

    pub(super) fn server(self, messages: u8, rows: u8) -> Self {
        // At most eight at a time.
        let more = messages.saturating_sub(8);
        let this = self.and(&[6, messages.min(8) - 1, rows]);
        if more > 0 { this.server(more, rows) } else { this }
    }

    fn error(self, code: u8) -> Self {
        self.and(&[9, code])
    }

    fn ledger(self, what: u8) -> Self {
        self.and(&[12, what])
    }

    pub(super) fn revoke(self) -> Self {
        self.and(&[13, 0])
    }
}

pub(super) fn all() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |target: &'static str, name: String, bytes: Vec<u8>| seeds.push((target, name, bytes));
    scripts(&mut add);
    texts(&mut add);
    bodies(&mut add);
    streams(&mut add);
    rows(&mut add);
    seeds
}

type Add<'a> = &'a mut dyn FnMut(&'static str, String, Vec<u8>);

fn scripts(add: Add<'_>) {
    for (n, text) in TEXTS.iter().enumerate() {
        let role = n as u8 % super::ROLES;
        add("session", format!("query-{n:02}"), Script::alone(role).query(text).0);
        add("session", format!("pipeline-{n:02}"), Script::alone(3 - role.min(3)).pipeline(text, 1).0);
    }
    let named: &[(&str, Script)] = &[
        (
            "named",
            Script::alone(0)
                .parse(1, "SELECT * FROM patients WHERE mrn = $1")
                .describe(false, 1)
                .bind(2, 1, 1)
                .describe(true, 2)
                .execute(2, 1)
                .execute(2, 0)
                .close(true, 2)
                .close(false, 1)
                .sync(),
        ),
        (
            "suspended",
            Script::of(0, 0)
                .parse(0, "SELECT name FROM patients")
                .bind(0, 0, 0)
                .execute(0, 2)
                .sync()
                .server(8, 2)
                .ledger(1)
                .server(8, 2)
                .ledger(0),
        ),
        (
            "cursor",
            Script::alone(2)
                .query("BEGIN")
                .query("DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT name FROM patients")
                .query("FETCH 2 FROM c")
                .query("MOVE 1 IN c")
                .query("FETCH ABSOLUTE 5 FROM c")
                .query("COMMIT")
                .query("FETCH ALL FROM c")
                .query("CLOSE c"),
        ),
        (
            "prepared",
            Script::alone(0)
                .query("PREPARE a AS SELECT name FROM patients WHERE mrn = $1")
                .query("EXECUTE a (7)")
                .query("DEALLOCATE a")
                .query("DISCARD ALL"),
        ),
        (
            "copy-in",
            Script::alone(3)
                .query("COPY notes (id, mrn, body) FROM STDIN")
                .copy_data(b"1\t7\tx\n2\t")
                .copy_data(b"8\ty\n")
                .copy_done()
                .query("SELECT 1"),
        ),
        (
            "copy-free",
            Script::alone(0)
                .query("COPY ward (id, name, mrn) FROM STDIN")
                .copy_data(b"1\ta\t2\n")
                .copy_done(),
        ),
        (
            "transaction",
            Script::alone(0)
                .query("BEGIN")
                .query("SAVEPOINT a")
                .query("SELECT * FROM secret")
                .query("ROLLBACK TO a")
                .query("INSERT INTO notes (id, mrn, body) VALUES (1, 7, 'x') RETURNING id")
                .query("COMMIT"),
        ),
        (
            "glass",
            Script::alone(0)
                .query("SELECT glass.open('7', 'BTG', 'unconscious, unknown drugs')")
                .query("SELECT name FROM patients")
                .query("SELECT glass.close()")
                .query("SELECT name FROM patients"),
        ),
        (
            "error",
            Script::of(0, DURABLE).query("SELECT name FROM patients").server(3, 1).error(3).server(8, 1),
        ),
        (
            "ledger-fails",
            Script::of(0, HONEST).query("SELECT name FROM patients").ledger(3).query("SELECT 1"),
        ),
        (
            "ledger-late",
            Script::of(0, HONEST).query("SELECT name FROM patients").query("SELECT 1").ledger(1).ledger(1),
        ),
        (
            "revoked",
            Script::of(0, HONEST).query("SELECT name FROM patients").revoke().ledger(0).query("SELECT 1"),
        ),
        (
            "reads-nothing",
            Script::alone(0).and(&[15, 2]).query("SELECT name FROM patients").query("SELECT 1").and(&[15, 4]),
        ),
        (
            "revoked-running",
            Script::of(0, DURABLE).query("SELECT name FROM patients").server(4, 1).revoke().server(8, 3),
        ),
        ("drain", Script::of(0, DURABLE).query("SELECT name FROM patients").and(&[13, 1]).server(8, 2)),
        ("cut", Script::of(0, DURABLE).query("SELECT name FROM patients").and(&[13, 2])),
        ("raw", Script::alone(0).and(&[14, 13]).and(b"Q\0\0\0\x0cSELECT 1\0")),
        ("server-lies", Script::of(0, DURABLE).query("SELECT name FROM ward").and(&[11, b'D', 2, 0, 0])),
        (
            "encoding",
            Script::alone(0).and(&[10, 3]).query("SELECT name FROM patients").query("SHOW TimeZone"),
        ),
    ];
    for (name, script) in named {
        add("session", (*name).to_owned(), script.0.clone());
    }
}

fn texts(add: Add<'_>) {
    for (n, text) in TEXTS.iter().enumerate() {
        for role in [0, n as u8 % super::ROLES] {
            add("statements", format!("session-{n:02}-{role}"), [&[role], text.as_bytes()].concat());
        }
    }
    // The demonstration's tables in the words of the small clinic.
    let words = [
        ("clinic.", "public."),
        ("patient_id", "mrn"),
        ("encounter_id", "id"),
        ("patient", "patients"),
        ("encounter", "notes"),
        ("problem", "orders"),
        ("icd10", "code"),
        ("kind", "body"),
        ("admitted_at", "at"),
        ("discharged_at", "at"),
        ("birth_date", "dob"),
        ("ward_id", "id"),
        ("charge", "id"),
        ("phone", "ssn"),
    ];
    for (n, text) in COMMON.iter().enumerate() {
        let text = words.iter().fold((*text).to_owned(), |text, (from, to)| text.replace(from, to));
        add("statements", format!("honest-{n:03}"), [&[n as u8 % super::ROLES], text.as_bytes()].concat());
    }
}

fn bodies(add: Add<'_>) {
    let text = "SELECT name FROM patients WHERE mrn = $1";
    let field = |name: &str| Field {
        name: name.to_owned(),
        table: 16_384,
        attribute: 3,
        type_oid: 1043,
        type_size: -1,
        type_modifier: 84,
        format: 0,
    };
    let columns = ["name", "__glass_k1", "__glass_s2", "__glass_m1"].map(field);
    let row = encode_data_row(&[Some(b"Ada"), Some(b"7"), Some(b"{1,\"a,\\\"b\",NULL}"), None]).unwrap();
    let report =
        Report::error("23505", "duplicate key value").detail("Key (mrn)=(7) already exists.").position(3);
    let bind = Bind {
        portal: "p".into(),
        statement: "s".into(),
        parameter_formats: vec![0, 1],
        parameters: vec![Some(Bytes::from_static(b"7")), None],
        result_formats: vec![1],
    };
    let target = Target { kind: TargetKind::Portal, name: "p".into() };
    let messages: Vec<(u8, Bytes)> = vec![
        (0, Parse { name: "s".into(), query: text.into(), parameter_types: vec![20, 0] }.encode().unwrap()),
        (1, bind.encode().unwrap()),
        (2, Execute { portal: "p".into(), max_rows: 10 }.encode().unwrap()),
        (3, target.describe().unwrap()),
        (4, message::query(text).unwrap()),
        (5, encode_row_description(&columns).unwrap()),
        (6, encode_parameter_description(&[20, 25]).unwrap()),
        (7, row.clone()),
        (8, report.error_response()),
        (9, message::ready_for_query(Status::Failed)),
        (10, message::parameter_status("TimeZone", "UTC").unwrap()),
        (11, message::command_complete("INSERT 0 5").unwrap()),
        (12, message::backend_key_data(7, &[1; 32])),
        (13, message::negotiate_protocol(2, &["_pq_.x".into()])),
        (13, message::authentication_ok()),
        (14, row),
    ];
    for (n, (kind, message)) in messages.into_iter().enumerate() {
        for choice in [0, 0b0110] {
            let bytes = [&[kind, choice], &message[5..]].concat();
            add("messages", format!("{n:02}-{choice}"), bytes);
        }
    }
    for (n, (kind, text)) in super::scram::honest_messages().into_iter().enumerate() {
        add("messages", format!("scram-{n}"), [&[kind, 0], text.as_bytes()].concat());
    }
}

fn streams(add: Add<'_>) {
    let login = [
        message::authentication_ok(),
        message::parameter_status("server_version", "15.18").unwrap(),
        message::backend_key_data(7, &[1; 4]),
        message::ready_for_query(Status::Idle),
    ]
    .concat();
    let data = encode_data_row(&[Some(b"Ada"), None]).unwrap();
    let reply = [&data[..], &data, &data, &message::command_complete("SELECT 3").unwrap()].concat();
    for (name, stream) in [("login", &login), ("reply", &reply)] {
        for (gather, longest) in [(3, 3), (240, 240), (17, 113), (4, 3)] {
            let bytes = [&[gather, longest, 3, 0, 0], &stream[..]].concat();
            add("frames", format!("{name}-{gather}"), bytes);
        }
    }
    // 64 KiB and a little more, in the short form.
    let long = [3, 3, 0, 100, 1, b'D', 16, 2, 7, b'D', 0, 1, 8, b'C', 0, 1, 9, b'd', 40, 0, 1];
    add("frames", "long".into(), long.to_vec());

    let packet = |code: u32, body: &[u8]| {
        [&(body.len() as u32 + 8).to_be_bytes()[..], &code.to_be_bytes(), body].concat()
    };
    let packets: [(&str, Vec<u8>); 8] = [
        ("ssl", packet(80_877_103, b"")),
        ("gss", packet(80_877_104, b"")),
        ("cancel", packet(80_877_102, &[0, 0, 0, 7, 1, 2, 3, 4])),
        ("cancel-3.2", packet(80_877_102, &[9; 36])),
        (
            "login-3.0",
            packet(
                3 << 16,
                b"user\0amy\0database\0clinic\0application_name\0psql\0client_encoding\0UTF8\0\0",
            ),
        ),
        (
            "login-3.2",
            packet((3 << 16) | 2, b"user\0amy\0options\0-c search_path=a\\ b --statement_timeout=5\0\0"),
        ),
        ("login-options", packet((3 << 16) | 9999, b"user\0amy\0_pq_.x\0y\0options\0-c role=dba\0\0")),
        ("http", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    ];
    for (name, packet) in packets {
        add("startup", name.into(), [&[3], &packet[..], b"more"].concat());
    }
}

fn rows(add: Add<'_>) {
    let data: [(u8, &[u8]); 8] = [
        (0, b"x\t7\ny\\tz\t\\N\n\\\\.\t8\n"),
        (4, b"c0\t__glass_k1\nx\t7\r\ny\t8\r\n"),
        (9, b"\"a\n\"\"b\",\"7\"\n,\"\"\nx,\n"),
        (10, b"'a''\\'b',7\nNULL,8\n"),
        (3, b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x01x\0\0\0\x017\0\x02\xff\xff\xff\xff\0\0\0\x018\xff\xff"),
        (0, b"x\t7\n\\.\n"),
        (0, b"x\\\ty\\\nz\t7\n"),
        (2, b"'x\\'\n,',7\n"),
    ];
    for (n, (format, data)) in data.into_iter().enumerate() {
        for (cut, columns, at) in [(1, 1, 1), (7, 1, 0)] {
            add("copy", format!("raw-{n}-{cut}"), [&[format, cut, 0, columns, at, 0], data].concat());
        }
    }
    for format in 0..12 {
        let fields = b"a\xfe\"b\"\n,\\\xfe\xff\xfe\\.\xfe'\\'\t|;\xfeNULL\xfe\\N\xfe";
        let bytes = [&[format * 3 % 32 + format % 4, 3, 0, format % 4, format % 3, 1], &fields[..]].concat();
        add("copy", format!("written-{format}"), bytes);
    }
}
