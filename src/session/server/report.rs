//! What the client is told: refusals as errors, server errors of guarded statements without values,
//! the warning that rows were withheld. The one place where a refusal becomes an ErrorResponse.

use bytes::Bytes;

use crate::glass::{Notice, NoticeKind};
use crate::ledger::LedgerError;
use crate::ledger::record::{self, EventId, ObservedVerdict};
use crate::policy::{GlsCode, Refusal, Role};
use crate::session::server::constraints::Words;
use crate::wire::message::{Report, Severity};

/// A refusal as an error report. The code stands in the text and in the constraint-name field.
pub(in crate::session) fn refusal(refusal: &Refusal, event: Option<&EventId>) -> Report {
    // An error PostgreSQL has as well (syntax, protocol, encoding) reads as PostgreSQL's.
    let plain = matches!(
        refusal.sqlstate,
        "42601" | "42P01" | "42P10" | "42701" | "42809" | "42883" | "08P01" | "22021" | "25P02"
    );
    let message = if plain { refusal.message.clone() } else { refusal.to_string() };
    let mut report = Report::error(refusal.sqlstate, message);
    if !matches!(refusal.sqlstate, "42P01" | "42P10" | "42701" | "42809" | "42883") {
        report = report.constraint(refusal.code.as_str());
    }
    let recorded = event.map(|e| format!("Recorded as event {e}."));
    let detail: Vec<&str> = refusal.detail.as_deref().into_iter().chain(recorded.as_deref()).collect();
    if !detail.is_empty() {
        report = report.detail(detail.join(" "));
    }
    if let Some(position) = refusal.position {
        report = report.position(u32::try_from(position).unwrap_or(u32::MAX));
    }
    match refusal.advice() {
        Some(advice) => report.hint(advice),
        None => report,
    }
}

/// A refusal of a statement that was not sent to the server.
pub(in crate::session) fn not_run(refusal: &Refusal) -> Refusal {
    let by_policy = refusal.sqlstate == "42501"
        && matches!(refusal.code, GlsCode::CannotGuard | GlsCode::NotMapped | GlsCode::NotYourPatient);
    match refusal.detail {
        None if by_policy => refusal.clone().with_detail("The statement was not run."),
        _ => refusal.clone(),
    }
}

/// GLS-230: nothing protected is read while its record could not be kept.
pub(in crate::session) fn ledger_refusal(error: &LedgerError) -> Refusal {
    Refusal {
        sqlstate: error.sqlstate(),
        ..Refusal::new(
            GlsCode::LedgerUnavailable,
            "the audit ledger is unavailable: nothing was returned and nothing more is read from protected tables",
        )
    }
    .with_detail(error.to_string())
    .with_hint("Statements on unprotected tables go on. Tell whoever runs pgglass.")
}

/// `client_encoding` or `standard_conforming_strings` is not what the parser assumes.
pub(in crate::session) fn encoding_refusal(encoding: &str, conforming: bool) -> Refusal {
    let message = if conforming {
        format!("client_encoding is {encoding}: only UTF8 is understood here")
    } else {
        "standard_conforming_strings is off: statements are not understood as they would be read".to_owned()
    };
    Refusal::new(GlsCode::CannotGuard, message)
        .with_hint("SET client_encoding TO 'UTF8'; SET standard_conforming_strings TO on")
}

/// The grant or the policy a statement ran under ended before its rows left.
pub(in crate::session) fn revoked(code: GlsCode) -> Refusal {
    if code == super::ASSIGNMENT_UNKNOWN {
        return Refusal::new(code, "who is assigned to whom cannot be read now: the rows were not returned")
            .with_hint("Whoever runs pgglass finds the reason in its log, and with pgglass check.");
    }
    Refusal::new(
        code,
        "the break-glass session or the policy this statement ran under ended: its rows were not returned",
    )
    .with_hint("Run it again, or see SELECT * FROM glass.status().")
}

/// GLS-211, as the serialization failure that it is: drivers and frameworks run such transactions again.
pub(in crate::session) fn row_moved() -> Report {
    let text = "a row that this statement waited for was changed, and whose it is now is not certain: nothing was changed";
    Report::error("40001", format!("{} {text}", GlsCode::RowMoved.as_str()))
        .constraint(GlsCode::RowMoved.as_str())
        .hint("Run the transaction again.")
}

/// GLS-204: a row that would be of a category that is closed to the role.
pub(in crate::session) fn category_closed(role: &Role) -> Refusal {
    let text = "the row would be of a category that is closed to your role: nothing was changed";
    Refusal::new(GlsCode::CategoryNotOpened, text).with_hint(format!(
        "An administrator names the categories of a role in categories of [role.{}]; a break-glass session is read only.",
        role.name
    ))
}

/// GLS-202, a warning; `closed`: rows of patients whom the user may see can have been withheld as well.
pub(in crate::session) fn rows_withheld(closed: bool) -> Bytes {
    let what = match closed {
        false => "rows of patients outside your assignment",
        true => "rows outside your assignment, or of categories or labels that are closed to you,",
    };
    Report::new(
        Severity::Warning,
        "01000",
        format!("GLS-202 {what} are withheld. Do not read absence as \"none\"."),
    )
    .constraint("GLS-202")
    .notice_response()
}

/// GLS-205, a warning: a write that may have been about patients whom a break-glass session opened.
pub(in crate::session) fn read_only() -> Bytes {
    let code = GlsCode::ReadOnly.as_str();
    let text = "a break-glass session is read only: this statement neither changed nor read rows of the patients that \
                it opened, they counted as absent";
    Report::new(Severity::Warning, "01000", format!("{code} {text}")).constraint(code).notice_response()
}

/// GLS-250, a warning: what enforcing the policy would have done with a statement that was let through. No patient is
/// named in it.
pub(in crate::session) fn would_enforce(observed: &record::Observed) -> Option<Bytes> {
    let what = match observed.verdict {
        ObservedVerdict::Pass => return None,
        ObservedVerdict::Refuse => {
            let code = observed.code.as_deref().unwrap_or_default();
            let message = observed.message.as_deref().unwrap_or_default();
            format!("refused under enforce: {code} {message}")
        }
        ObservedVerdict::Filter if observed.outside.is_empty() => {
            "filtered under enforce: rows of patients outside your assignment, if there are any".to_owned()
        }
        ObservedVerdict::Filter => {
            let most = if observed.outside_bounded { "up to " } else { "" };
            format!(
                "filtered under enforce: rows of {most}{} patients outside your assignment",
                observed.outside.len()
            )
        }
        ObservedVerdict::Mask => format!("masked under enforce: {}", observed.masks.join(", ")),
    };
    let code = GlsCode::WouldEnforce.as_str();
    let text = format!("{code} would be {what}; nothing was withheld");
    Some(Report::new(Severity::Warning, "01000", text).constraint(code).notice_response())
}

/// A notice of ours about a break-glass session.
pub(in crate::session) fn notice(notice: &Notice) -> Bytes {
    let (severity, sqlstate) = match notice.kind {
        NoticeKind::Active | NoticeKind::Ending => (Severity::Notice, "00000"),
        NoticeKind::Over => (Severity::Warning, "01000"),
    };
    Report::new(severity, sqlstate, notice.message.as_str()).notice_response()
}

/// What a fixed text says in place of a message that could quote a row.
fn withheld_message(sqlstate: &str) -> &'static str {
    match sqlstate.get(..2) {
        Some("22") => "a value is not valid for an operation of this statement (the value is withheld)",
        Some("23") => "the statement violates a constraint (the values are withheld)",
        _ => "the statement failed (the details are withheld)",
    }
}

/// True for an error whose occurrence can depend on the values of rows: every class but those that only the text, the
/// rights or the server's state decide (manual, appendix A), and whatever a function decided.
pub(in crate::session) fn depends_on_rows(report: &Report) -> bool {
    let by_its_code = !matches!(
        report.code().get(..2),
        Some("42" | "25" | "26" | "34" | "3D" | "3F" | "53" | "57" | "58" | "08" | "0A")
    );
    by_its_code || in_own_words(report) || inside_a_function(report)
}

/// True for one that rows can have decided which the statement does not read itself: constraints, triggers, other
/// transactions. Not so what is wrong with a value.
pub(in crate::session) fn depends_on_others(report: &Report) -> bool {
    !report.code().starts_with("22") || in_own_words(report) || inside_a_function(report)
}

/// Classes whose messages come from the text, the rights or the server's state, never from a row.
fn speaks_of_rows(sqlstate: &str) -> bool {
    !matches!(
        sqlstate.get(..2),
        Some("42" | "25" | "26" | "34" | "3D" | "3F" | "40" | "53" | "54" | "55" | "57" | "58" | "08" | "0A")
    )
}

/// The server's error for a guarded statement. `Position`, the internal query and the context
/// belong to a text the client never saw; for a restricted role nothing that could quote a row is
/// left, while SQLSTATE and the names of table and constraint stay, and the `words` about them.
pub(in crate::session) fn server_error(report: &Report, restricted: bool, words: &Words) -> Bytes {
    without_our_text(report, restricted, words).error_response()
}

/// The server's error for a guarded text that it read and did not plan: it is about the text alone.
pub(in crate::session) fn analysis_error(report: &Report) -> Bytes {
    b"PpqW".iter().fold(report.clone(), |quiet, field| quiet.without(*field)).error_response()
}

/// The server's error at the Bind of a guarded text, which plans it: what it computes then can be of rows, from the
/// values that statistics hold. An error about one of the `given` values of the client's is the client's own; its context
/// names the value by the number the client gave it.
pub(in crate::session) fn planning_error(report: &Report, restricted: bool, given: usize) -> Bytes {
    let own = parameter_meant(report, given).is_some();
    if restricted && !own {
        return without_our_text(report, true, &Words::default()).error_response();
    }
    b"Ppq".iter().fold(report.clone(), |quiet, field| quiet.without(*field)).error_response()
}

/// The same of constants that stand in the client's text at these positions: an error about one of them is one about
/// the text (`unnamed portal parameter $2 = ...` in its context).
pub(in crate::session) fn constant_error(report: &Report, restricted: bool, positions: &[usize]) -> Bytes {
    match parameter_meant(report, positions.len()).and_then(|n| positions.get(n)) {
        Some(position) => {
            let quiet = b"pqW".iter().fold(report.clone(), |quiet, field| quiet.without(*field));
            quiet.with(b'P', position.to_string()).error_response()
        }
        None if restricted => without_our_text(report, true, &Words::default()).error_response(),
        None => analysis_error(report),
    }
}

/// Which of so many parameters of a Bind, from 0, the server could not read, in whatever language it says so
/// (postgres.c, `bind_param_error_callback`): its context is that alone.
pub(in crate::session) fn parameter_meant(report: &Report, given: usize) -> Option<usize> {
    let context = report.field(b'W')?;
    let about_a_value = matches!(report.code().get(..2), Some("22" | "23" | "08"));
    // A parameter's value stands behind its number, and may be of several lines.
    let (before, behind) = context.split_once('$').filter(|_| about_a_value && !in_own_words(report))?;
    let digits = behind.split(|c: char| !c.is_ascii_digit()).next()?;
    let rest = behind.strip_prefix(digits)?;
    let alone = rest.is_empty() || rest.starts_with(" = '") && rest.ends_with(['\'', '.']);
    let one_line = !before.contains(['\n', '(']);
    digits.parse::<usize>().ok()?.checked_sub(1).filter(|n| alone && one_line && *n < given)
}

/// The same for a notice. The statement may have succeeded.
pub(in crate::session) fn redacted_notice(report: &Report) -> Bytes {
    let severity = report.field(b'V').unwrap_or_default();
    let said = match &*severity {
        "WARNING" => "a warning of this statement (its text is withheld)",
        _ => "a notice of this statement (its text is withheld)",
    };
    quiet(report, true, said, false).notice_response()
}

/// The server's error at the end of a transaction, or where deferred constraints are checked before it: it can be
/// about any row that was written, whatever statement it came with.
pub(in crate::session) fn deferred_error(report: &Report, words: &Words) -> Bytes {
    without_our_text(report, true, words).error_response()
}

/// True for a message that cannot quote a value: of the classes whose messages are PostgreSQL's own,
/// and without a quotation mark of any language or a digit ("division by zero", "integer out of range").
fn quotes_nothing(sqlstate: &str, message: &str) -> bool {
    matches!(sqlstate.get(..2), Some("21" | "22"))
        && message.is_ascii()
        && !message.contains(|c: char| matches!(c, '"' | '\'' | '`') || c.is_ascii_digit())
}

/// True for what a function raised in words of its own, under whatever SQLSTATE: its message can have any value in
/// it. (PostgreSQL's own routine for RAISE, and the files of the other languages that come with it.)
fn in_own_words(report: &Report) -> bool {
    report.field(b'R').as_deref() == Some("exec_stmt_raise")
        || report.field(b'F').is_some_and(|file| {
            ["plperl.c", "pltcl.c", "plpy_elog.c", "plpy_plpymodule.c"].iter().any(|own| file.ends_with(own))
        })
}

/// True for what happened inside a function or trigger and can be about the text it ran there, not the client's. What
/// the server's state decides has a context, too.
fn inside_a_function(report: &Report) -> bool {
    let of_the_server =
        matches!(report.code().get(..2), Some("25" | "40" | "53" | "55" | "57" | "58" | "08"));
    report.field(b'W').is_some() && !of_the_server
}

fn without_our_text(report: &Report, restricted: bool, words: &Words) -> Report {
    let said = words.message.as_deref().filter(|_| !in_own_words(report));
    quiet(report, restricted, said.unwrap_or(withheld_message(&report.code())), words.names)
}

/// `said` stands in place of a message that could quote a row; `names`: the fields name what exists.
fn quiet(report: &Report, restricted: bool, said: &str, names: bool) -> Report {
    let code = report.code().into_owned();
    let own_words = in_own_words(report);
    let plain = !own_words && quotes_nothing(&code, &report.message());
    let could_quote = own_words
        || inside_a_function(report)
        || speaks_of_rows(&code)
        || code.starts_with("00")
        || code.starts_with("01");
    let mut quiet = if restricted && plain {
        report.redacted(&report.message())
    } else if restricted && could_quote {
        let mut quiet = report.redacted(said);
        // A function can put any value there.
        let told: &[u8] = if own_words && !names { b"" } else { b"stcdn" };
        for field in told.iter().copied() {
            if let Some(text) = report.field(field) {
                quiet = quiet.with(field, text.into_owned());
            }
        }
        quiet
    } else {
        report.clone()
    };
    let dropped: &[u8] = if restricted { b"PpqWD" } else { b"PpqW" };
    for field in dropped {
        quiet = quiet.without(*field);
    }
    quiet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &Bytes) -> Report {
        Report::decode(&raw.slice(5..)).unwrap()
    }

    #[test]
    fn values_are_withheld_and_codes_kept() {
        let report =
            Report::error("23505", "duplicate key value violates unique constraint \"patient_mrn_key\"")
                .detail("Key (mrn)=(MRN1) already exists.")
                .constraint("patient_mrn_key")
                .with(b'W', "SQL function");
        let quiet = read(&server_error(&report, true, &Words::default()));
        assert_eq!(quiet.code(), "23505");
        assert_eq!(quiet.field(b'n').as_deref(), Some("patient_mrn_key"));
        assert!(!format!("{quiet:?}").contains("MRN1") && quiet.field(b'W').is_none());
        let cast = Report::error("22P02", "invalid input syntax for type integer: \"HIV\"");
        assert!(!format!("{:?}", read(&server_error(&cast, true, &Words::default()))).contains("HIV"));
        assert!(format!("{:?}", read(&server_error(&cast, false, &Words::default()))).contains("HIV"));
    }

    #[test]
    fn what_a_function_raises_is_withheld_whatever_its_code() {
        for code in ["P0001", "42501", "40001", "22023", "23514", "55000"] {
            let raised = Report::error(code, "not for HIV")
                .with(b'W', "PL/pgSQL function f() line 1 at RAISE")
                .with(b'R', "exec_stmt_raise");
            let quiet = read(&server_error(&raised, true, &Words::default()));
            assert_eq!((&*quiet.code(), quiet.message().contains("HIV")), (code, false));
            let raised = raised.constraint("HIV").with(b't', "HIV");
            let known = Words { message: Some("not for HIV".to_owned()), names: false };
            assert!(!format!("{:?}", read(&server_error(&raised, true, &known))).contains("HIV"));
            assert!(format!("{:?}", read(&server_error(&raised, false, &Words::default()))).contains("HIV"));
        }
        let inside =
            Report::error("42601", "syntax error at or near \"HIV\"").with(b'W', "PL/pgSQL function f()");
        assert!(!format!("{:?}", read(&server_error(&inside, true, &Words::default()))).contains("HIV"));
        // Not ours to read: a server that speaks German, French, Chinese ...
        let other = Report::error("22P02", "ung\u{fc}ltige Eingabesyntax: \u{bb}HIV\u{ab}");
        assert!(!format!("{:?}", read(&server_error(&other, true, &Words::default()))).contains("HIV"));
    }

    #[test]
    fn the_end_of_a_transaction_keeps_words_without_values() {
        for (code, message) in [
            ("25P01", "there is no transaction in progress"),
            ("40001", "could not serialize access due to read/write dependencies among transactions"),
            ("40P01", "deadlock detected"),
            ("42704", "constraint \"nosuch\" does not exist"),
            ("22012", "division by zero"),
        ] {
            let report = Report::error(code, message).detail("Process 7 waits").with(b'W', "while checking");
            let report = if code == "42704" { report.without(b'W') } else { report };
            let quiet = read(&deferred_error(&report, &Words::default()));
            assert_eq!((&*quiet.code(), &*quiet.message()), (code, message));
            assert!(quiet.field(b'D').is_none() && quiet.field(b'W').is_none());
        }
    }

    #[test]
    fn planning_tells_of_the_clients_own_values_only() {
        let planned = Report::error("22P02", "invalid input syntax for type integer: \"HIV\"");
        for context in [
            "",
            "unnamed portal parameter $3 = 'HIV'",
            "SQL expression \"$1 + 1\"\nPL/pgSQL function f() line 1",
            "PL/pgSQL function f() line 1 at $1",
            "SQL function \"f\" statement 1, $1 more",
        ] {
            let report =
                if context.is_empty() { planned.clone() } else { planned.clone().with(b'W', context) };
            for raw in [planning_error(&report, true, 2), constant_error(&report, true, &[7, 8])] {
                assert!(!format!("{:?}", read(&raw)).contains("HIV"), "{context}");
            }
            assert!(format!("{:?}", read(&planning_error(&report, false, 2))).contains("HIV"), "{context}");
        }
        for context in [
            "unnamed portal parameter $2 = 'HIV'",
            "unnamed portal parameter $2",
            "unbenanntes Portal, Parameter $2 = 'a\nb'",
            "portal \"p\" parameter $2 = 'HIV...'",
        ] {
            let own = planned.clone().with(b'W', context);
            let told = read(&planning_error(&own, true, 2));
            assert_eq!((told.message(), told.field(b'W').as_deref()), (own.message(), Some(context)));
            let told = read(&constant_error(&own, true, &[7, 8]));
            assert_eq!((told.message(), told.field(b'P').as_deref()), (own.message(), Some("8")));
        }
        let zero = read(&planning_error(&Report::error("22012", "division by zero"), true, 0));
        assert_eq!(zero.message(), "division by zero");
        let unknown = Report::error("42883", "function f(text) does not exist").hint("cast");
        let told = read(&planning_error(&unknown, true, 0));
        assert_eq!(
            (&*told.message(), told.field(b'H').as_deref()),
            ("function f(text) does not exist", Some("cast"))
        );
    }

    #[test]
    fn a_notice_says_nothing_of_a_failure() {
        let notice = Report::new(Severity::Notice, "00000", "only stop words: HIV");
        let quiet = read(&redacted_notice(&notice));
        assert_eq!(quiet.message(), "a notice of this statement (its text is withheld)");
        let warning = Report::new(Severity::Warning, "25P01", "there is no transaction in progress");
        assert_eq!(read(&redacted_notice(&warning)).message(), "there is no transaction in progress");
    }

    #[test]
    fn text_errors_keep_their_words_and_lose_their_position() {
        let report = Report::error("42703", "column \"x\" does not exist").position(140).hint("Perhaps ...");
        let quiet = read(&server_error(&report, true, &Words::default()));
        assert_eq!(quiet.message(), "column \"x\" does not exist");
        assert!(quiet.field(b'P').is_none() && quiet.field(b'H').is_some());
    }

    #[test]
    fn a_refusal_says_code_remedy_and_event() {
        let raw = refusal(
            &Refusal::new(GlsCode::NotYourPatient, "not your patient: nothing returned").with_hint("open"),
            Some(&EventId("7KQ2".into())),
        )
        .error_response();
        let report = read(&raw);
        assert_eq!(report.message(), "GLS-201 not your patient: nothing returned");
        assert_eq!(report.field(b'n').as_deref(), Some("GLS-201"));
        assert_eq!(report.field(b'D').as_deref(), Some("Recorded as event 7KQ2."));
        assert_eq!(report.code(), "42501");
    }
}
