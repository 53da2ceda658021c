//! The patient's report names everyone who saw, or asked for, the patient's data, and nobody else.

use pgglass::audit::{Format, patient_report};
use pgglass::ledger::record::{
    Body, Disclosure, End, EventId, EventIds, From, Intent, Outcome, ProcessEvent, Record, What, Who,
};
use pgglass::ledger::{Ledger, Priority};

use crate::support::Bench;

struct Script {
    bench: Bench,
    ids: EventIds,
    ledger: Ledger,
}

impl Script {
    fn new() -> Self {
        let bench = Bench::new();
        let ledger = Ledger::open(bench.config()).unwrap().0;
        Self { bench, ids: EventIds::default(), ledger }
    }

    fn write(&self, body: Body) {
        let now = jiff::Timestamp::now();
        let record = Record::new(self.ids.next(now), now, "node-1", body);
        self.ledger.append(&record, Priority::Ordinary).wait().unwrap();
    }

    fn report(self, patient: &str, format: Format) -> String {
        self.ledger.close();
        let mut out = Vec::new();
        let found = patient_report(&self.bench.ledger_dir(), patient, format, &mut out, |w| panic!("{w}"));
        assert_eq!(found.unwrap().unreadable, 0);
        String::from_utf8(out).unwrap()
    }
}

fn intent(who: &str, sql: &str, sought: &[&str]) -> Intent {
    Intent {
        who: Who { principal: who.into(), role: "nurse".into(), ..Who::default() }.into(),
        from: From { address: "10.0.0.7:5100".into(), application_name: Some("psql".into()), tls: None }
            .into(),
        what: What {
            sql: sql.into(),
            relations: vec!["clinic.lab".into()],
            classes: vec!["labs".into()],
            ..What::default()
        },
        sought: sought.iter().map(|s| (*s).to_owned()).collect(),
        ..Intent::default()
    }
}

fn disclosure(patients: &[&str], exact: bool) -> Disclosure {
    let patients = patients.iter().map(|s| (*s).to_owned()).collect();
    Disclosure { patients, exact, ..Disclosure::default() }
}

fn end(outcome: Outcome) -> End {
    End { rows: 3, bytes: 90, outcome, duration_us: 1, observed: None }
}

fn script() -> Script {
    let s = Script::new();
    let id = |n: u32| EventId(format!("S{n}"));
    let whole = |n, intent, disclosure, outcome| Body::Statement {
        statement: id(n),
        intent,
        disclosure,
        end: end(outcome),
    };
    s.write(Body::Glass {
        session: "G-7KQ2".into(),
        transition: serde_json::json!({"v": 1, "change": {"kind": "opened", "user": "eva", "reason": "BTG",
            "note": "resus 2", "patients": [{"typed": "42", "key": "42"}]}}),
    });
    let mut emergency = intent("eva", "SELECT 1", &["42"]);
    emergency.glass_sessions = vec!["G-7KQ2".into()];
    s.write(whole(1, emergency, Some(disclosure(&["42"], true)), Outcome::Ok));
    s.write(whole(2, intent("bob", "SELECT 2", &[]), Some(disclosure(&["41", "43"], true)), Outcome::Ok));
    s.write(whole(3, intent("cyn", "SELECT 3", &[]), Some(disclosure(&["41", "42"], false)), Outcome::Ok));
    let everyone = Disclosure { all_patients: true, reasons: vec!["DO".into()], ..Disclosure::default() };
    s.write(whole(4, intent("dba", "DO $$ $$", &[]), Some(everyone), Outcome::Ok));
    let refused = Outcome::Refused { code: "GLS-201".into() };
    s.write(whole(5, intent("fay", "SELECT 5", &["42"]), None, refused.clone()));
    s.write(whole(6, intent("gus", "SELECT 6", &["420"]), None, refused));
    // A long result: three records, another statement's in between, the second window matters.
    s.write(Body::Intent { statement: id(7), intent: intent("hal", "=cmd|' /C'!A0\u{1b}[2J", &[]) });
    s.write(Body::Intent { statement: id(8), intent: intent("ida", "SELECT 8", &[]) });
    s.write(Body::Disclosure { statement: id(7), disclosure: disclosure(&["41"], true) });
    s.write(Body::Disclosure { statement: id(7), disclosure: disclosure(&["42"], true) });
    s.write(Body::End { statement: id(7), end: end(Outcome::Ok) });
    s.write(Body::Disclosure { statement: id(8), disclosure: disclosure(&["42"], true) });
    // The proxy crashed: statement 8 has no end, but its rows may have left.
    let start = ProcessEvent::Start;
    s.write(Body::Process { event: start, version: "0.1.0".into(), pid: 1, detail: None });
    s.write(whole(9, intent("jan", "SELECT 9", &["42"]), None, Outcome::Ok));
    s
}

#[test]
fn every_access_is_listed_once_and_nothing_else() {
    let lines = script().report("42", Format::Json);
    let found: Vec<(String, String, String)> = lines
        .lines()
        .map(|l| {
            let v: serde_json::Value = serde_json::from_str(l).unwrap();
            let text = |v: &serde_json::Value| v.as_str().unwrap().to_owned();
            (text(&v["who"]["principal"]), text(&v["certainty"]), text(&v["outcome"]))
        })
        .collect();
    let expected = [
        ("eva", "break_glass", "session opened"),
        ("eva", "exact", "ok"),
        ("cyn", "bounded", "ok"),
        ("dba", "possibly", "ok"),
        ("fay", "refused", "refused GLS-201"),
        ("hal", "exact", "ok"),
        ("ida", "exact", "no end recorded"),
        ("jan", "sought", "ok"),
    ]
    .map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(found, expected);
}

#[test]
fn text_shows_the_reason_and_no_control_character() {
    let text = script().report("42", Format::Text);
    assert!(text.contains("break-glass G-7KQ2, BTG: resus 2"), "{text}");
    assert!(text.contains("possibly: any patient of these relations (DO)"), "{text}");
    assert!(text.contains("refused GLS-201"), "{text}");
    assert!(text.contains("8 accesses in 15 records"), "{text}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
}

#[test]
fn csv_has_one_line_an_access_and_no_formula() {
    let text = script().report("42", Format::Csv);
    assert_eq!(text.matches("\r\n").count(), 9, "{text}");
    assert!(text.contains(",\"'=cmd|' /C'!A0"), "{text}");
}

#[test]
fn damage_is_said() {
    let bench = script().bench;
    std::thread::sleep(std::time::Duration::from_millis(100));
    let file = bench.files("segment").remove(0);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[2000] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let (mut out, mut warnings) = (Vec::new(), Vec::new());
    let warn = |w: &str| warnings.push(w.to_owned());
    let found = patient_report(&bench.ledger_dir(), "42", Format::Text, &mut out, warn).unwrap();
    assert!(found.unreadable > 0 && warnings[0].contains("segment 00000001"), "{warnings:?}");
    assert!(found.accesses >= 6, "what can be read is still there: {found:?}");
    assert!(String::from_utf8(out).unwrap().contains("INCOMPLETE"));
}
