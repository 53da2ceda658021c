//! A small blocking protocol client that keeps every byte it received, so that two replies can be
//! compared byte for byte and a protected value can be looked for anywhere in them. Clear text,
//! SCRAM-SHA-256. It trusts nothing of the proxy's own framing code.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use pgglass::wire::scram::client::{ClientBinding, ClientSecret, ClientStart};

use super::{Database, Proxy};

/// One message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) tag: u8,
    pub(crate) body: Vec<u8>,
}

/// A column of a RowDescription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// Table OID, column number, type OID, type length, type modifier, format.
    pub(crate) rest: (u32, i16, u32, i16, i32, i16),
}

/// An ErrorResponse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) severity: String,
    pub(crate) sqlstate: String,
    pub(crate) message: String,
    /// The constraint-name field, where a GLS code stands.
    pub(crate) constraint: Option<String>,
}

impl Failure {
    /// The GLS code at the start of the message and in the constraint field, which must agree.
    pub(crate) fn gls(&self) -> Option<String> {
        let said = self.message.split(' ').next().filter(|w| w.starts_with("GLS-")).map(str::to_owned);
        assert_eq!(said, self.constraint.clone().filter(|c| c.starts_with("GLS-")), "{self:?}");
        said
    }
}

pub(crate) type Row = Vec<Option<String>>;

/// All that the server said up to ReadyForQuery.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reply {
    pub(crate) messages: Vec<Message>,
}

impl Reply {
    fn of(&self, tag: u8) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(move |m| m.tag == tag)
    }

    /// The tags in order, for example `TDDCZ`.
    pub(crate) fn tags(&self) -> String {
        self.messages.iter().map(|m| char::from(m.tag)).collect()
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        self.of(b'D').map(|m| cells(&m.body)).collect()
    }

    /// The first cells of all rows.
    pub(crate) fn firsts(&self) -> Vec<String> {
        self.rows().into_iter().filter_map(|r| r.into_iter().next().flatten()).collect()
    }

    /// The single value, such as a count.
    pub(crate) fn value(&self) -> String {
        assert_eq!(self.of(b'D').count(), 1, "{:?}", self.failure());
        self.firsts().remove(0)
    }

    pub(crate) fn columns(&self) -> Option<Vec<Column>> {
        self.of(b'T').next().map(|m| columns(&m.body))
    }

    pub(crate) fn failure(&self) -> Option<Failure> {
        self.of(b'E').next().map(|m| failure(&m.body))
    }

    /// A field of the error by its type byte.
    pub(crate) fn failure_field(&self, field: u8) -> Option<String> {
        let body = &self.of(b'E').next()?.body;
        body.split(|&b| b == 0).find(|f| f.first() == Some(&field)).map(|f| text(&f[1..]))
    }

    /// The error, which must be there, and no row with it.
    pub(crate) fn refusal(&self) -> Failure {
        assert_eq!(self.of(b'D').count(), 0, "rows came with what should be refused");
        self.failure().unwrap_or_else(|| panic!("no error in {}", self.tags()))
    }

    /// Command tags such as `SELECT 25`.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.of(b'C').map(|m| text(&m.body)).collect()
    }

    pub(crate) fn notices(&self) -> Vec<Failure> {
        self.of(b'N').map(|m| failure(&m.body)).collect()
    }

    /// `I`, `T` or `E`.
    pub(crate) fn status(&self) -> char {
        self.of(b'Z').last().map_or('?', |m| char::from(m.body[0]))
    }
}

/// A connection.
pub(crate) struct Wire {
    stream: TcpStream,
    /// Every byte received after the login.
    pub(crate) received: Vec<u8>,
    taken: usize,
    /// No answer in time is the end of the answers, not a failure.
    patient: bool,
    /// What the server said while logging in.
    pub(crate) login: Vec<Message>,
    ended: bool,
}

impl Wire {
    /// Past the proxy.
    pub(crate) fn direct(database: &Database<'_>, user: &str) -> Wire {
        Wire::login(database.server().port(), database.name(), user)
    }

    /// Through the proxy, whose configuration must allow clear text (see `support`).
    pub(crate) fn through(proxy: &Proxy<'_>, database: &Database<'_>, user: &str) -> Wire {
        Wire::login(proxy.port(), database.name(), user)
    }

    fn login(port: u16, database: &str, user: &str) -> Wire {
        Wire::try_login(port, database, user, Duration::from_secs(60)).unwrap_or_else(|heard| {
            let error = heard.iter().find(|m| m.tag == b'E').map(|m| failure(&m.body));
            panic!("login of {user}: {error:?}")
        })
    }

    /// A login that may fail: then what was heard up to an error or to the end of the connection, one of which must
    /// come in time.
    pub(crate) fn try_login(
        port: u16,
        database: &str,
        user: &str,
        time: Duration,
    ) -> Result<Wire, Vec<Message>> {
        Wire::try_login_with(port, database, user, time, &[])
    }

    /// The same with more startup parameters.
    pub(crate) fn try_login_with(
        port: u16,
        database: &str,
        user: &str,
        time: Duration,
        more: &[(&str, &str)],
    ) -> Result<Wire, Vec<Message>> {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
        stream.set_read_timeout(Some(time)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut wire =
            Wire { stream, received: Vec::new(), taken: 0, patient: false, login: Vec::new(), ended: false };
        let mut startup = 196_608_u32.to_be_bytes().to_vec();
        let pairs = [
            ("user", user),
            ("database", database),
            ("application_name", "tests"),
            ("client_encoding", "UTF8"),
        ];
        for (key, value) in pairs.iter().chain(more) {
            startup.extend([key.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
        }
        startup.push(0);
        let length = u32::try_from(startup.len() + 4).unwrap();
        wire.send(&[&length.to_be_bytes()[..], &startup].concat());
        let secret = ClientSecret::Password(format!("{user}-demo").into());
        let mut start = Some(ClientStart::new(ClientBinding::Unsupported, "abcdefghijklmnopqrstuvwx".into()));
        let mut proof = None;
        loop {
            let Some(message) = wire.try_next() else { return Err(wire.login) };
            wire.login.push(message.clone());
            let kind = message.body.get(..4).map_or(0, |b| u32::from_be_bytes(b.try_into().unwrap()));
            match (message.tag, kind) {
                (b'R', 10) => {
                    let first = start.as_ref().unwrap().first();
                    let length = i32::try_from(first.len()).unwrap().to_be_bytes();
                    wire.send(&frame(b'p', &[b"SCRAM-SHA-256\0", &length[..], first.as_bytes()].concat()));
                }
                (b'R', 11) => {
                    let (answer, check) =
                        start.take().unwrap().challenge(&message.body[4..], &secret).unwrap();
                    proof = Some(check);
                    wire.send(&frame(b'p', answer.as_bytes()));
                }
                (b'R', 12) => proof.take().unwrap().server_final(&message.body[4..]).unwrap(),
                (b'E', _) => return Err(wire.login),
                (b'Z', _) => break,
                _ => {}
            }
        }
        wire.received.clear();
        wire.taken = 0;
        wire.stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Ok(wire)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("send");
    }

    /// Takes silence of this length for the end.
    pub(crate) fn until_silence(&mut self, time: Duration) {
        self.stream.set_read_timeout(Some(time)).unwrap();
        self.patient = true;
    }

    /// The process id and the secret of BackendKeyData.
    pub(crate) fn key(&self) -> (u32, Vec<u8>) {
        let key = self.login.iter().find(|m| m.tag == b'K').expect("BackendKeyData");
        (u32::from_be_bytes(key.body[..4].try_into().unwrap()), key.body[4..].to_vec())
    }

    /// Another handle of the socket, for sending from another thread.
    pub(crate) fn socket(&self) -> TcpStream {
        self.stream.try_clone().expect("duplicate the socket")
    }

    /// The other side closed.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// No more from this side.
    pub(crate) fn stop_sending(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// Reads until there is one more message; `None` at the end of the stream or on a reset.
    pub(crate) fn try_next(&mut self) -> Option<Message> {
        loop {
            let waiting = &self.received[self.taken..];
            if let Some(length) = waiting.get(1..5) {
                let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
                if let Some(body) = waiting.get(5..1 + length) {
                    let message = Message { tag: waiting[0], body: body.to_vec() };
                    self.taken += 1 + length;
                    return Some(message);
                }
            }
            let mut chunk = vec![0; 64 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => {
                    self.ended = true;
                    return None;
                }
                Ok(n) => self.received.extend_from_slice(&chunk[..n]),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                    assert!(self.patient, "no answer within the time allowed");
                    return None;
                }
                Err(_) => {
                    self.ended = true;
                    return None;
                }
            }
        }
    }

    pub(crate) fn next(&mut self) -> Message {
        self.try_next().expect("the connection was closed")
    }

    /// Everything up to ReadyForQuery.
    pub(crate) fn reply(&mut self) -> Reply {
        self.try_reply().expect("the connection was closed")
    }

    /// As [`Wire::reply`]; `None` when the connection was closed instead.
    pub(crate) fn try_reply(&mut self) -> Option<Reply> {
        let mut reply = Reply::default();
        loop {
            let message = self.try_next()?;
            let last = message.tag == b'Z';
            reply.messages.push(message);
            if last {
                return Some(reply);
            }
        }
    }

    /// Drops what was received and handed out, so that `received` begins with the next message.
    pub(crate) fn forget(&mut self) {
        self.received.drain(..self.taken);
        self.taken = 0;
    }

    /// The simple query protocol.
    pub(crate) fn query(&mut self, sql: &str) -> Reply {
        self.send(&query(sql));
        self.reply()
    }

    /// A query that must not fail.
    pub(crate) fn ok(&mut self, sql: &str) -> Reply {
        let reply = self.query(sql);
        assert_eq!(reply.failure(), None, "{sql}");
        reply
    }

    /// Parse, Bind, Describe, Execute, Sync with text parameters.
    pub(crate) fn extended(&mut self, sql: &str, parameters: &[&str]) -> Reply {
        let sent = [parse("", sql), bind("", "", parameters), describe_portal(""), execute("", 0), sync()];
        self.send(&sent.concat());
        self.reply()
    }
}

pub(crate) fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

pub(crate) fn query(sql: &str) -> Vec<u8> {
    frame(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

pub(crate) fn parse(name: &str, sql: &str) -> Vec<u8> {
    frame(b'P', &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"].concat())
}

pub(crate) fn bind(portal: &str, statement: &str, parameters: &[&str]) -> Vec<u8> {
    let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0\0\0"].concat();
    body.extend(u16::try_from(parameters.len()).unwrap().to_be_bytes());
    for parameter in parameters {
        body.extend(u32::try_from(parameter.len()).unwrap().to_be_bytes());
        body.extend(parameter.as_bytes());
    }
    body.extend([0, 0]);
    frame(b'B', &body)
}

pub(crate) fn describe_portal(portal: &str) -> Vec<u8> {
    frame(b'D', &[b"P", portal.as_bytes(), b"\0"].concat())
}

pub(crate) fn describe_statement(name: &str) -> Vec<u8> {
    frame(b'D', &[b"S", name.as_bytes(), b"\0"].concat())
}

pub(crate) fn execute(portal: &str, rows: u32) -> Vec<u8> {
    frame(b'E', &[portal.as_bytes(), b"\0", &rows.to_be_bytes()].concat())
}

/// Bind with formats and NULLs.
pub(crate) fn bind_as(
    portal: &str,
    statement: &str,
    parameters: (&[u16], &[Option<&[u8]>]),
    results: &[u16],
) -> Vec<u8> {
    let count = |n: usize| u16::try_from(n).unwrap().to_be_bytes();
    let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0"].concat();
    body.extend(count(parameters.0.len()));
    body.extend(parameters.0.iter().flat_map(|f| f.to_be_bytes()));
    body.extend(count(parameters.1.len()));
    for parameter in parameters.1 {
        body.extend(parameter.map_or(-1, |p| i32::try_from(p.len()).unwrap()).to_be_bytes());
        body.extend(parameter.unwrap_or_default());
    }
    body.extend(count(results.len()));
    body.extend(results.iter().flat_map(|f| f.to_be_bytes()));
    frame(b'B', &body)
}

/// Parse with parameter types.
pub(crate) fn parse_typed(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = [name.as_bytes(), b"\0", sql.as_bytes(), b"\0"].concat();
    body.extend(u16::try_from(types.len()).unwrap().to_be_bytes());
    body.extend(types.iter().flat_map(|t| t.to_be_bytes()));
    frame(b'P', &body)
}

pub(crate) fn close_statement(name: &str) -> Vec<u8> {
    frame(b'C', &[b"S", name.as_bytes(), b"\0"].concat())
}

pub(crate) fn close_portal(name: &str) -> Vec<u8> {
    frame(b'C', &[b"P", name.as_bytes(), b"\0"].concat())
}

pub(crate) fn flush() -> Vec<u8> {
    frame(b'H', b"")
}

pub(crate) fn copy_data(bytes: &[u8]) -> Vec<u8> {
    frame(b'd', bytes)
}

pub(crate) fn copy_done() -> Vec<u8> {
    frame(b'c', b"")
}

pub(crate) fn copy_fail(why: &str) -> Vec<u8> {
    frame(b'f', &[why.as_bytes(), b"\0"].concat())
}

pub(crate) fn sync() -> Vec<u8> {
    frame(b'S', b"")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|&b| b == 0).next().unwrap_or_default()).into_owned()
}

/// The values of a DataRow.
pub(crate) fn cells(body: &[u8]) -> Row {
    let mut at = 2;
    let mut row = Row::new();
    for _ in 0..u16::from_be_bytes(body[..2].try_into().unwrap()) {
        let length = i32::from_be_bytes(body[at..at + 4].try_into().unwrap());
        at += 4;
        let Ok(length) = usize::try_from(length) else {
            row.push(None);
            continue;
        };
        row.push(Some(String::from_utf8_lossy(&body[at..at + length]).into_owned()));
        at += length;
    }
    assert_eq!(at, body.len(), "a DataRow with something after its last cell");
    row
}

fn columns(body: &[u8]) -> Vec<Column> {
    let mut rest = &body[2..];
    let mut found = Vec::new();
    while !rest.is_empty() {
        let name = text(rest);
        let field = &rest[name.len() + 1..];
        let at2 = |i: usize| i16::from_be_bytes(field[i..i + 2].try_into().unwrap());
        let at4 = |i: usize| u32::from_be_bytes(field[i..i + 4].try_into().unwrap());
        found.push(Column { name, rest: (at4(0), at2(4), at4(6), at2(10), at4(12).cast_signed(), at2(16)) });
        rest = &field[18..];
    }
    found
}

fn failure(body: &[u8]) -> Failure {
    let field = |code: u8| body.split(|&b| b == 0).find(|f| f.first() == Some(&code)).map(|f| text(&f[1..]));
    Failure {
        severity: field(b'V').unwrap_or_default(),
        sqlstate: field(b'C').unwrap_or_default(),
        message: field(b'M').unwrap_or_default(),
        constraint: field(b'n'),
    }
}
