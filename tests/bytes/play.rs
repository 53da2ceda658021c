//! Scripts and their player. A script is what a client sends and what it waits for; its end is a Terminate, after
//! which nothing may come.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::common::wire::{Message, Wire, frame, query, sync};
use crate::compare;
use crate::stage::Stage;

/// Silence of this length ends the wait for an answer.
const SILENCE: Duration = Duration::from_secs(20);

/// What a client does next.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Sends bytes, in one write.
    Send(Vec<u8>),
    /// Waits for so many ReadyForQuery.
    Ready(usize),
    /// Waits for so many messages with this tag.
    Until(u8, usize),
    /// Sends empty queries and waits for their answers: all before it was answered.
    Marked,
    /// Asks for the cancellation of what runs, a moment later.
    Cancel,
    /// Waits for a moment.
    Pause(Duration),
}

/// What a client does, and a name for it.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
}

/// Sends these messages and waits for all answers.
pub(crate) fn script(name: &str, messages: &[Vec<u8>]) -> Script {
    Script { name: name.to_owned(), steps: vec![Step::Send(messages.concat()), Step::Marked] }
}

/// Empty queries and Syncs in an order that no script ends with: what they are answered with is found at once.
const MARK: &[u8; 7] = b"IZZIZZZ";

fn mark() -> Vec<u8> {
    [query(""), sync(), query(""), sync(), sync()].concat()
}

/// All that a session said after its login, the Terminate at the end included.
pub(crate) struct Heard {
    pub(crate) pid: u32,
    pub(crate) messages: Vec<Message>,
    /// How the connection ended.
    pub(crate) end: End,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The server closed after Terminate.
    Goodbye,
    /// The server closed before.
    Closed,
    /// An answer did not come.
    Silence,
}

/// Plays scripts one after the other in one session.
pub(crate) fn play(mut wire: Wire, scripts: &[Script]) -> Heard {
    wire.until_silence(SILENCE);
    let key = wire.key();
    let sender = Sender::start(wire.socket());
    let port = wire.socket().peer_addr().unwrap().port();
    let mut heard = Heard { pid: key.0, messages: Vec::new(), end: End::Goodbye };
    for step in scripts.iter().flat_map(|s| &s.steps) {
        let complete = match step {
            Step::Send(bytes) => {
                sender.send(bytes.clone());
                true
            }
            Step::Ready(n) => wait(&mut wire, &mut heard, |all| count(all, b'Z') == *n),
            Step::Until(tag, n) => wait(&mut wire, &mut heard, |all| count(all, *tag) == *n),
            Step::Marked => {
                sender.send(mark());
                wait(&mut wire, &mut heard, |all| {
                    let last = &all[all.len().saturating_sub(MARK.len())..];
                    last.iter().map(|m| m.tag).eq(MARK.iter().copied())
                })
            }
            Step::Cancel => {
                thread::sleep(Duration::from_millis(400));
                cancel(port, &key);
                true
            }
            Step::Pause(time) => {
                thread::sleep(*time);
                true
            }
        };
        if !complete {
            return heard;
        }
    }
    sender.send(frame(b'X', b""));
    while let Some(message) = wire.try_next() {
        wire.forget();
        heard.messages.push(message);
    }
    if !wire.ended() {
        heard.end = End::Silence;
    }
    heard
}

/// Sends without waiting for the other side to take it.
struct Sender(mpsc::Sender<Vec<u8>>);

impl Sender {
    fn start(mut socket: TcpStream) -> Sender {
        let (sender, queue) = mpsc::channel::<Vec<u8>>();
        thread::spawn(move || queue.iter().try_for_each(|bytes| socket.write_all(&bytes)));
        Sender(sender)
    }

    fn send(&self, bytes: Vec<u8>) {
        // The other side may have closed: then there is nobody to take it.
        let _ = self.0.send(bytes);
    }
}

fn count(messages: &[Message], tag: u8) -> usize {
    messages.iter().filter(|m| m.tag == tag).count()
}

/// Reads until what came since the beginning of the wait is enough; false at the end of the connection.
fn wait(wire: &mut Wire, heard: &mut Heard, enough: impl Fn(&[Message]) -> bool) -> bool {
    let begin = heard.messages.len();
    loop {
        let Some(message) = wire.try_next() else {
            heard.end = if wire.ended() { End::Closed } else { End::Silence };
            return false;
        };
        wire.forget();
        heard.messages.push(message);
        if enough(&heard.messages[begin..]) {
            return true;
        }
    }
}

/// A CancelRequest on a connection of its own. Waits for its end, like libpq: PostgreSQL signals a process and then
/// its group, and a second signal that comes late cancels the next statement.
pub(crate) fn cancel(port: u16, key: &(u32, Vec<u8>)) {
    let mut request = 80_877_102_u32.to_be_bytes().to_vec();
    request.extend(key.0.to_be_bytes());
    request.extend(&key.1);
    let length = u32::try_from(request.len() + 4).unwrap().to_be_bytes();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(&[&length[..], &request].concat()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0, "nothing is said about a cancel");
}

/// Plays each script in a session of its own, past the proxy and through it, and says what differs.
pub(crate) fn differences(stage: &Stage, scripts: &[Script]) -> Vec<String> {
    let mut wrong = Vec::new();
    for script in scripts {
        wrong.extend(difference(stage, std::slice::from_ref(script)));
    }
    wrong
}

/// Plays the scripts in one session.
pub(crate) fn difference(stage: &Stage, scripts: &[Script]) -> Option<String> {
    let expected = play(stage.direct(), scripts);
    let name = &scripts.first().map_or("", |s| s.name.as_str());
    let tags = || expected.messages.iter().map(|m| char::from(m.tag)).collect::<String>();
    assert!(
        expected.end != End::Silence,
        "{name}: the server itself answers only {} of\n{scripts:?}",
        tags()
    );
    let got = play(stage.through(), scripts);
    compare::difference(stage, &expected, &got).map(|d| format!("{name}: {d}"))
}

/// As [`differences`]; there must be none.
pub(crate) fn same(stage: &Stage, scripts: &[Script]) {
    let wrong = differences(stage, scripts);
    assert!(wrong.is_empty(), "{} of {} scripts differ:\n{}", wrong.len(), scripts.len(), wrong.join("\n"));
}
