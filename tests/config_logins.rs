//! The configuration of logins: `[login]`, `upstream.login` with its accounts, limits and `[certificates]`: what is
//! accepted, and what every mistake is answered with. The rest of the file is tests/config.rs.

#![allow(clippy::expect_used, clippy::panic)] // helpers of tests, too

use std::path::Path;
use std::time::Duration;

use pgglass::config::{Config, ConfigErrors, LoginMethod, UpstreamLogin, parse};

const EXAMPLE: &str = include_str!("../config/pgglass.example.toml");

fn read(text: &str) -> Result<Config, ConfigErrors> {
    parse(text, Path::new("etc/pgglass.toml"))
}

/// The example with lines put behind each of these.
fn with(changes: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let mut text = EXAMPLE.to_owned();
    for (after, lines) in changes {
        assert!(text.contains(after), "the example has no {after:?}");
        text = text.replacen(after, &format!("{after}\n{lines}"), 1);
    }
    read(&text)
}

/// The only error, without its place.
fn only_error(changes: &[(&str, &str)]) -> (String, String) {
    let errors = with(changes).expect_err("must be refused");
    assert_eq!(errors.errors.len(), 1, "{errors}");
    let error = &errors.errors[0];
    assert!(error.place.as_ref().is_some_and(|p| p.line > 1), "{error}");
    (error.message.clone(), error.help.clone().unwrap_or_default())
}

fn warnings(changes: &[(&str, &str)]) -> Vec<String> {
    with(changes).expect("accepted").warnings.into_iter().map(|w| w.message).collect()
}

const METHOD: &str = "method = \"scram\"                      # scram | cert | cert+scram";
const LISTEN: &str = "[listen]";
const UPSTREAM: &str = "[upstream]";
const CATALOG: &str = "catalog_poll = \"1s\"                   # how soon DDL made elsewhere is noticed";
const CA: (&str, &str) = ("[login]", "client_ca = \"tls/clients.crt\"");

/// The example with another method.
fn method(word: &str, changes: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let mut text = EXAMPLE.replacen(METHOD, &format!("method = \"{word}\""), 1);
    for (after, lines) in changes {
        text = text.replacen(after, &format!("{after}\n{lines}"), 1);
    }
    read(&text)
}

#[test]
fn the_defaults_are_pass_through_without_limits() {
    let config = read(EXAMPLE).expect("accepted");
    assert_eq!(config.login.method, LoginMethod::Scram);
    assert_eq!(config.upstream.login, UpstreamLogin::PassThrough);
    assert_eq!((config.listen.idle_session_timeout, config.listen.max_connections_per_user), (None, None));
    let days = |n: u64| Duration::from_secs(n * 86_400);
    assert_eq!(config.warn_before, [days(30), days(7), days(1)]);
    // Without the sections it is the same.
    let without = EXAMPLE
        .replacen("[login]", "", 1)
        .replacen(METHOD, "", 1)
        .replacen("[certificates]", "", 1)
        .replacen("warn_before = [\"30d\", \"7d\", \"1d\"]", "", 1);
    let plain = read(&without).expect("accepted");
    assert_eq!((plain.login, plain.warn_before), (config.login, config.warn_before));
    assert_eq!(plain.policy.version, config.policy.version);
}

#[test]
fn limits_are_read() {
    let lines = "max_connections_per_user = 3\nidle_session_timeout = \"8h\"\nidle_in_transaction_session_timeout = \"250ms\"";
    let listen = with(&[(LISTEN, lines)]).expect("accepted").listen;
    assert_eq!(listen.max_connections_per_user, Some(3));
    assert_eq!(listen.idle_session_timeout, Some(Duration::from_secs(8 * 3_600)));
    assert_eq!(listen.idle_in_transaction_session_timeout, Some(Duration::from_millis(250)));
    for (lines, message) in [
        ("max_connections_per_user = 0", "`max_connections_per_user` must be between 1 and 1000000"),
        ("idle_session_timeout = \"1ms\"", "`idle_session_timeout` must be at least 100 ms"),
        ("idle_sesion_timeout = \"1h\"", "unknown key `idle_sesion_timeout` in [listen]"),
    ] {
        assert_eq!(only_error(&[(LISTEN, lines)]).0, message);
    }
    assert_eq!(
        only_error(&[(LISTEN, "idle_sesion_timeout = \"1h\"")]).1,
        "did you mean `idle_session_timeout`?"
    );
}

#[test]
fn certificates_need_what_they_need() {
    let errors = |result: Result<Config, ConfigErrors>| -> Vec<String> {
        result.expect_err("refused").errors.into_iter().map(|e| e.message).collect()
    };
    let both = method("cert+scram", &[CA]).expect("accepted");
    assert_eq!(both.login.method, LoginMethod::CertAndScram);
    assert_eq!(both.login.client_ca.as_deref(), Some(Path::new("etc/tls/clients.crt")));
    assert_eq!(errors(method("cert+scram", &[])), ["certificates cannot be checked without `client_ca`"]);
    assert_eq!(
        errors(method("cert", &[CA])),
        ["a certificate gives no key that could log in to the server as the user"]
    );
    assert_eq!(only_error(&[(METHOD, "client_crl = \"x\"")]).0, "`client_crl` without `client_ca`");
    let mistyped = errors(method("certs", &[CA]));
    assert_eq!(mistyped, ["`method` cannot be `certs`"]);
    let clear = method("cert+scram", &[CA]).map(|_| ());
    assert!(clear.is_ok());
    let loopback = EXAMPLE.replacen(METHOD, "method = \"cert+scram\"\nclient_ca = \"x\"", 1).replacen(
        "cleartext = \"never\"",
        "cleartext = \"loopback\"",
        1,
    );
    let found = read(&loopback).expect("accepted").warnings;
    assert!(found[0].message.contains("clients in clear text have no certificate"), "{found:?}");
}

#[test]
fn a_map_is_read_and_its_mistakes_are_named() {
    let map = |lines: &str| {
        let entry = format!("client_ca = \"x\"\n[[login.map]]\n{lines}");
        EXAMPLE.replacen(METHOD, &format!("method = \"cert+scram\"\n{entry}"), 1)
    };
    let good = read(&map("from = \"email\"\nname = \"*@x\"\nuser = \"*\"")).expect("accepted");
    assert_eq!((good.login.names.rules.len(), good.warnings.len()), (1, 0));
    for (lines, message) in [
        ("from = \"mail\"\nname = \"*@x\"\nuser = \"*\"", "`from` cannot be `mail`"),
        ("name = \"*@x\"\nuser = \"*\"", "[[login.map]] has no `from`"),
        ("from = \"cn\"\nuser = \"*\"", "[[login.map]] has no `name`"),
        ("from = \"cn\"\nname = \"*.*\"\nuser = \"*\"", "at most one `*` is understood"),
        (
            "from = \"cn\"\nname = \"x\"\nuser = \"*\"",
            "`user` has a `*`, but `name` has none that it could stand for",
        ),
        ("from = \"cn\"\nname = \"x\"\nusr = \"a\"\nuser = \"a\"", "unknown key `usr` in [[login.map]]"),
    ] {
        let errors = read(&map(lines)).expect_err("refused");
        assert_eq!(errors.errors.len(), 1, "{errors}");
        assert_eq!(errors.errors[0].message, message);
    }
    let many = read(&map("from = \"cn\"\nname = \"*\"\nuser = \"kiosk\"")).expect("accepted").warnings;
    assert!(many[0].message.starts_with("every certificate may log in as `kiosk`"), "{many:?}");
    let unused =
        with(&[(METHOD, "[[login.map]]\nfrom = \"cn\"\nname = \"a\"\nuser = \"b\"")]).expect_err("refused");
    assert!(unused.errors[0].message.contains("has no effect"), "{unused}");
}

#[test]
fn accounts_belong_to_roles_and_are_nobody_special() {
    let account = |role: &str, lines: &str| format!("[upstream.account.{role}]\n{lines}");
    let with_accounts =
        |text: &str| [(UPSTREAM, "login = \"service-account\"".to_owned()), (CATALOG, text.to_owned())];
    let read = |text: &str| {
        let changes = with_accounts(text);
        with(&changes.each_ref().map(|(a, b)| (*a, b.as_str())))
    };
    let good = read(&account("nurse", "user = \"clinic_nurse\"\npassword_file = \"n\"")).expect("accepted");
    let UpstreamLogin::ServiceAccount(accounts) = good.upstream.login else { panic!("no accounts") };
    assert_eq!(accounts["nurse"].user, "clinic_nurse");
    assert_eq!(accounts["nurse"].password_file.as_deref(), Some(Path::new("etc/n")));
    for (text, message, help) in [
        (
            account("nurze", "user = \"a\"\npassword_file = \"n\""),
            "there is no role `nurze`",
            "did you mean `nurse`?",
        ),
        (
            account("nurse", "user = \"pgglass\"\npassword_file = \"n\""),
            "`pgglass` is the proxy's own account, which reads verifiers",
            "give clients an account of their own",
        ),
        (
            account("nurse", "user = \"a\""),
            "the account of role `nurse` has no `password_file`",
            "client_certificate",
        ),
        (account("nurse", "usr = \"a\"\nuser = \"a\"\npassword_file = \"n\""), "unknown key `usr`", "`user`"),
        (
            String::new(),
            "login = \"service-account\" needs an account for each role",
            "[upstream.account.nurse]",
        ),
    ] {
        let errors = read(&text).expect_err("refused");
        assert_eq!(errors.errors.len(), 1, "{errors}");
        let said = &errors.errors[0];
        assert!(said.message.contains(message), "{said}");
        assert!(said.help.as_deref().unwrap_or_default().contains(help), "{said}");
    }
    let idle =
        with(&[(CATALOG, &account("nurse", "user = \"a\"\npassword_file = \"n\""))]).expect_err("refused");
    assert!(
        idle.errors[0].message.contains("has no effect while clients are logged in as themselves"),
        "{idle}"
    );
}

#[test]
fn our_certificate_upstream_needs_a_verified_server() {
    let ours = "login = \"certificate\"\nclient_certificate = \"a\"\nclient_key = \"b\"";
    assert_eq!(only_error(&[(UPSTREAM, ours)]).0, "login = \"certificate\" needs a server that is verified");
    let verified = EXAMPLE.replacen("tls = \"disable\"", "tls = \"verify-full\"\nca = \"c\"", 1).replacen(
        UPSTREAM,
        &format!("{UPSTREAM}\n{ours}"),
        1,
    );
    assert_eq!(read(&verified).expect("accepted").upstream.login, UpstreamLogin::Certificate);
    let alone = only_error(&[(UPSTREAM, "client_certificate = \"a\"")]).0;
    assert_eq!(alone, "`client_certificate` without `client_key`");
}

#[test]
fn times_of_warnings() {
    let times = |text: &str| read(&EXAMPLE.replacen("[\"30d\", \"7d\", \"1d\"]", text, 1));
    let hours = |n: u64| Duration::from_secs(n * 3_600);
    assert_eq!(times("[\"1h\", \"3h\"]").expect("accepted").warn_before, [hours(3), hours(1)]);
    assert_eq!(times("[]").expect("accepted").warn_before, []);
    assert!(times("[\"soon\"]").is_err() && times("\"1d\"").is_err());
    assert_eq!(warnings(&[]), Vec::<String>::new());
}
