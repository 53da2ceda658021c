//! The configuration file: what is accepted, what every mistake is answered with, and that no
//! input whatever brings the reader down.

#![allow(clippy::expect_used, clippy::panic)] // helpers of tests, too

use std::path::Path;
use std::time::Duration;

use pgglass::config::{Cleartext, Config, ConfigErrors, Severity, UpstreamTls, load, parse};
use pgglass::policy::{KeyType, Mask, Outside, Scope};
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("../config/pgglass.example.toml");

fn read(text: &str) -> Result<Config, ConfigErrors> {
    parse(text, Path::new("etc/pgglass.toml"))
}

/// The example with one piece of text replaced, which must be there.
fn with(old: &str, new: &str) -> Result<Config, ConfigErrors> {
    assert!(EXAMPLE.contains(old), "the example has no {old:?}");
    read(&EXAMPLE.replacen(old, new, 1))
}

/// The only error of a changed example, as printed.
fn only_error(old: &str, new: &str) -> String {
    let errors = with(old, new).expect_err("must be refused");
    assert_eq!(errors.errors.len(), 1, "{errors}");
    let error = &errors.errors[0];
    assert_eq!(error.severity, Severity::Error);
    let place = error.place.as_ref().expect("a place");
    let changed = EXAMPLE.replacen(old, new, 1);
    assert_eq!(changed.lines().nth(place.line - 1), Some(place.text.as_str()), "the line is the file's");
    error.to_string()
}

/// The only warning of a changed example, as printed.
fn only_warning(old: &str, new: &str) -> String {
    let config = with(old, new).expect("accepted");
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    config.warnings[0].to_string()
}

#[test]
fn the_example_is_accepted_without_a_warning() {
    let config = load("config/pgglass.example.toml").expect("accepted");
    assert_eq!(config.warnings, []);
    assert_eq!(config.listen.address.to_string(), "127.0.0.1:6432");
    assert_eq!(config.listen.cleartext, Cleartext::Never);
    assert_eq!(config.listen.login_timeout, Duration::from_secs(30));
    assert_eq!(config.upstream.tls, UpstreamTls::Disable);
    assert_eq!(config.upstream.service_password_file, Path::new("config/secrets/service-password"));
    assert_eq!(config.ledger.segment_bytes, 64 << 20);
    let policy = &config.policy;
    assert_eq!(policy.key_type, KeyType::Int8);
    assert_eq!(policy.tables.len(), 4);
    assert_eq!(policy.membership.groups[0], ("nurse".to_owned(), "nurse".to_owned()));
    assert_eq!(policy.roles["nurse"].scope, Scope::Assigned);
    assert_eq!(policy.roles["nurse"].outside, Outside::Block);
    assert!(policy.roles["billing"].is_restricted());
    assert!(!policy.roles["dba"].is_restricted());
    let masks = policy.roles["billing"].masks.values().next().expect("masks");
    assert_eq!(masks["phone"], Mask::Partial { keep_last: 2 });
    assert_eq!(masks["ssn"], Mask::Redact { text: "***".to_owned() });
    assert_eq!(policy.profiles["clinical"].max_ttl, Duration::from_secs(12 * 3600));
}

#[test]
fn paths_count_from_the_files_folder() {
    let config = read(EXAMPLE).expect("accepted");
    assert_eq!(config.ledger.directory, Path::new("etc/ledger"));
    let config = with("directory = \"ledger\"", "directory = \"/var/lib/pgglass\"").expect("accepted");
    assert_eq!(config.ledger.directory, Path::new("/var/lib/pgglass"));
}

#[test]
fn an_error_names_file_line_column_and_a_remedy() {
    let printed = only_error("max_connections = 500", "max_conections = 500");
    assert!(
        printed.starts_with("etc/pgglass.toml:12:1: error: unknown key `max_conections` in [listen]"),
        "{printed}"
    );
    assert!(printed.contains("12 | max_conections = 500\n"), "{printed}");
    assert!(printed.contains("| ^^^^^^^^^^^^^^\n"), "{printed}");
    assert!(printed.ends_with("help: did you mean `max_connections`?"), "{printed}");
}

#[test]
fn every_error_is_reported_at_once() {
    let text = EXAMPLE
        .replace("login_timeout = \"30s\"", "login_timeout = 30")
        .replace("port = 5432", "port = 70000")
        .replace("key_type = \"int8\"", "key_type = \"int9\"")
        .replace("break_glass = \"clinical\"", "break_glass = \"clinicl\"")
        .replace("scope = \"assigned\"", "scop = \"assigned\"");
    let errors = read(&text).expect_err("must be refused");
    let printed = errors.to_string();
    assert!(printed.contains("`login_timeout` must be a string, not an integer"), "{printed}");
    assert!(printed.contains("`port` must be between 1 and 65535"), "{printed}");
    assert!(printed.contains("known: int4, int8, text, uuid"), "{printed}");
    assert!(printed.contains("unknown key `scop` in [role.nurse]"), "{printed}");
    assert!(printed.contains("[role.nurse] has no `scope`"), "{printed}");
    let lines: Vec<usize> = errors.errors.iter().filter_map(|e| Some(e.place.as_ref()?.line)).collect();
    assert!(lines.is_sorted(), "{lines:?}");
    assert!(printed.ends_with("errors in the configuration"), "{printed}");
}

#[test]
fn unknown_keys_are_errors_in_every_table() {
    let headers = [
        "[listen]",
        "[upstream]",
        "[ledger]",
        "[patient]",
        "[assignment]",
        "[[table]]",
        "[reference]                           # relations with nothing of patients in them",
        "[role.nurse]",
        "[break_glass.clinical]",
        "[notices]",
    ];
    for header in headers {
        let printed = only_error(header, &format!("{header}\nzzzzzzzzzzzz = 1"));
        assert!(printed.contains("unknown key `zzzzzzzzzzzz`"), "{header}: {printed}");
    }
    for (old, new) in [
        ("keep_last = 2 }", "keep_last = 2, zzzzzzzz = 1 }"),
        ("references = \"order_id\" }", "references = \"order_id\", zzzzzzzz = 1 }"),
        ("# pgglass:", "zzzzzzzz = 1 #"),
    ] {
        let printed = only_error(old, new);
        assert!(printed.contains("unknown key `zzzzzzzz`"), "{printed}");
    }
}

#[test]
fn mistakes_that_one_value_shows() {
    for (old, new, expected) in [
        ("\"127.0.0.1:6432\"", "\"localhost:6432\"", "`address` must be an address and a port"),
        ("private_key = \"tls/server.key\"", "", "`certificate` without `private_key`"),
        ("certificate = \"tls/server.crt\"", "", "`private_key` without `certificate`"),
        ("cleartext = \"never\"", "cleartext = \"always\"", "`cleartext` cannot be `always`"),
        (
            "login_timeout = \"30s\"",
            "login_timeout = \"30\"",
            "`login_timeout` must be a whole number with a unit",
        ),
        (
            "segment_bytes = \"64MiB\"",
            "segment_bytes = \"1KiB\"",
            "`segment_bytes` must be at least 1048576 bytes",
        ),
        ("tls = \"disable\"", "tls = \"verify-full\"", "tls = \"verify-full\" needs `ca`"),
        (
            "host = \"127.0.0.1\"",
            "host = \"/run/postgresql\"",
            "`/run/postgresql` is no host name or address",
        ),
        ("WHERE rolname = $1", "WHERE true", "`auth_query` does not mention $1"),
        ("node = \"demo-1\"", "node = \"demo 1\"", "`demo 1` is no node name"),
        ("on_failure = \"fail_operation\"", "on_failure = \"ignore\"", "`on_failure` cannot be `ignore`"),
        ("name = \"clinic.visit\"", "name = \"visit\"", "write the schema too, for example `public.visit`"),
        ("name = \"clinic.visit\"", "name = \"clinic.patient\"", "clinic.patient has two [[table]] entries"),
        (
            "name = \"clinic.visit\"",
            "name = \"clinic.__glass_x\"",
            "names that begin with __glass_ are reserved",
        ),
        ("name = \"clinic.visit\"", "name = \"pg_catalog.pg_class\"", "is a system catalog"),
        (
            "name = \"clinic.visit\"",
            "name = \"glass.assigned\"",
            "is the assignment relation and a [[table]] too",
        ),
        ("class = \"labs\"\n", "class = \"la bs\"\n", "`la bs` is no class name"),
        (
            "\"clinic.ward\"",
            "\"clinic.visit\"",
            "protected by a [[table]] entry and declared free of patients",
        ),
        ("\"clinic.ward\"", "\"glass.assigned\"", "is the assignment relation; it names patients"),
        ("\"clinic.ward\"", "\"clinic.drug\"", "`tables` names `clinic.drug` twice"),
        ("clinic.patient.mrn", "clinic.lab_result.mrn", "has no patient key of its own"),
        ("clinic.patient.mrn", "clinic.patent.mrn", "did you mean `clinic.patient`?"),
        ("clinic.patient.mrn", "patient.mrn", "is no column of a schema-qualified relation"),
        ("[\"demographics\", \"visits\"]", "[\"demografics\", \"visits\"]", "did you mean `demographics`?"),
        ("[\"demographics\", \"visits\"]", "[]", "[role.billing] may read no class"),
        ("masks.\"clinic.patient\"", "masks.\"clinic.patients\"", "did you mean `clinic.patient`?"),
        ("ssn = \"redact\"", "ssn = \"redakt\"", "did you mean `redact`?"),
        ("ssn = \"redact\"", "ssn = \"partial\"", "mask \"partial\" needs `keep_last`"),
        ("ssn = \"redact\"", "ssn = 5", "a mask is a word or a table"),
        (
            "ssn = \"redact\"",
            "ssn = { mask = \"year\", text = \"x\" }",
            "`text` does not belong to mask \"year\"",
        ),
        (
            "ssn = \"redact\"",
            "ssn = { mask = \"year\", table = \"x.y\" }",
            "`table` does not belong to mask \"year\"",
        ),
        ("ssn = \"redact\"", "ssn = { mask = \"surrogate\", table = \"x.y\" }", "needs `table`, `value` and"),
        (
            "ssn = \"redact\"",
            "ssn = { mask = \"surrogate\", table = \"clinic.visit\", value = \"a\", surrogate = \"b\" }",
            "clinic.visit keeps surrogates and is a [[table]] too",
        ),
        ("outside = \"block\"", "outside = \"maks\"", "did you mean `mask`?"),
        (
            "outside = \"block\"",
            "outside = \"mask\"\n[role.nurse.outside_masks.\"clinic.patent\"]",
            "did you mean `clinic.patient`?",
        ),
        ("[reference]", "[masks]\nzip3_small = [\"3O6\"]\n[reference]", "`3O6` is no three-digit ZIP area"),
        (
            "[role.billing.masks",
            "[role.strange]\nscope = \"all\"\nmasks_preset = \"safe_habor\"\n[role.billing.masks",
            "`masks_preset` cannot be",
        ),
        ("users = [\"bill_amy\"]", "users = [\"bill_amy\"]\ngroups = [\"nurse\"]", "`nurse` is in role"),
        ("break_glass = \"clinical\"", "break_glass = \"clinicl\"", "did you mean `clinical`?"),
        ("\"BTG\", ", "\"btg\", ", "`btg` is no reason code"),
        ("[\"BTG\", \"COVERAGE_SHIFT\"]", "[]", "accepts no reason"),
        ("ttl = \"60min\"", "ttl = \"13h\"", "`ttl` is longer than `max_ttl`"),
        ("max_patients = 5", "max_patients = 0", "`max_patients` must be between 1 and 10000"),
        ("rows_withheld = true", "rows_withheld = \"yes\"", "must be true, false or \"once\""),
        ("mode = \"enforce\"", "mode = \"enforced\"", "did you mean `enforce`?"),
        ("[notices]", "[notices]\nmode = \"observe\"", "unknown key `mode` in [notices]"),
        ("[notices]", "[notices", "unclosed table"),
    ] {
        let printed = only_error(old, new);
        assert!(printed.contains(expected), "{old} -> {new}: {printed}");
    }
}

#[test]
fn cleartext_needs_loopback_or_a_certificate() {
    let bare = EXAMPLE
        .replace("certificate = \"tls/server.crt\"", "")
        .replace("private_key = \"tls/server.key\"", "");
    assert!(read(&bare).expect_err("refused").to_string().contains("nobody could connect"));
    let local = bare.replace("cleartext = \"never\"", "cleartext = \"loopback\"");
    let config = read(&local).expect("loopback needs no certificate");
    assert_eq!((config.listen.tls, config.listen.cleartext), (None, Cleartext::Loopback));
    let open = local.replace("127.0.0.1:6432", "0.0.0.0:6432");
    assert!(read(&open).expect_err("refused").to_string().contains("reachable from elsewhere"));
}

#[test]
fn missing_parts_are_named_with_an_example() {
    let printed = read("").expect_err("refused").to_string();
    for expected in [
        "[listen] with its `address` is missing",
        "[upstream] with its `host` is missing",
        "[ledger] with its `node` is missing",
        "[patient] with its `key_type` is missing",
        "[assignment] with its `relation` is missing",
        "help: for example: key_type = \"int8\"",
    ] {
        assert!(printed.contains(expected), "{expected}: {printed}");
    }
}

#[test]
fn doubtful_settings_are_warnings() {
    for (old, new, expected) in [
        ("host = \"127.0.0.1\"", "host = \"db.internal\"", "rows travel in the clear"),
        ("tls = \"disable\"", "tls = \"require\"", "does not look at the server's certificate"),
        ("# ca = ", "ca = ", "`ca` has no effect"),
        ("groups = [\"dba\"]", "", "nobody is in role `dba`"),
        (
            "users = [\"bill_amy\"]                  # or single users\nscope",
            "users = [\"bill_amy\"]\noutside = \"block\"\nscope",
            "`outside` has no effect",
        ),
        (
            "classes = [\"demographics\", \"visits\"]",
            "classes = [\"labs\"]",
            "the masks of clinic.patient have no effect",
        ),
        ("idle_close = \"15min\"", "idle_close = \"13h\"", "`idle_close` is longer than `max_ttl`"),
    ] {
        let printed = only_warning(old, new);
        assert!(printed.contains(": warning: ") && printed.contains(expected), "{old}: {printed}");
    }
}

#[test]
fn groups_win_in_file_order() {
    let text = EXAMPLE
        .replace("[role.dba]\ngroups = [\"dba\"]", "[role.aaa]\ngroups = [\"zz\", \"dba\"]\ndefault = true");
    let membership = read(&text).expect("accepted").policy.membership.clone();
    let groups: Vec<&str> = membership.groups.iter().map(|(g, _)| g.as_str()).collect();
    assert_eq!(groups, ["nurse", "zz", "dba"]);
    assert_eq!(membership.default.as_deref(), Some("aaa"));
}

#[test]
fn the_version_follows_the_rules_and_nothing_else() {
    let version = |text: &str| read(text).expect("accepted").policy.version.clone();
    let base = version(EXAMPLE);
    assert!(base.len() == 16 && base.bytes().all(|b| b.is_ascii_hexdigit()), "{base}");
    for (old, new) in [
        ("# pgglass: an example", "# pgglass: another example"),
        ("127.0.0.1:6432", "127.0.0.1:7432"),
        ("node = \"demo-1\"", "node = \"demo-2\""),
        ("service_user = \"pgglass\"", "service_user = \"other\""),
        ("\"clinic.ward\", \"clinic.drug\"", "\"clinic.drug\", \"clinic.ward\""),
    ] {
        assert_eq!(version(&EXAMPLE.replacen(old, new, 1)), base, "{old}");
    }
    for (old, new) in [
        ("key_type = \"int8\"", "key_type = \"int4\""),
        ("clinic.patient.mrn", "clinic.patient.nhs"),
        ("valid_to = \"valid_to\"", "valid_from = \"valid_to\""),
        (
            "key = \"patient_id\"\n\n[[table]]\nname = \"clinic.lab_order\"",
            "key = \"p\"\n\n[[table]]\nname = \"clinic.lab_order\"",
        ),
        ("references = \"order_id\"", "references = \"id\""),
        ("\"clinic.ward\", ", ""),
        ("outside = \"block\"", "outside = \"hide\""),
        ("scope = \"assigned\" ", "scope = \"none\" "),
        ("[\"demographics\", \"visits\"]", "[\"demographics\"]"),
        ("keep_last = 2", "keep_last = 3"),
        ("ssn = \"redact\"", "ssn = { mask = \"redact\", text = \"x\" }"),
        ("groups = [\"dba\"]", "groups = [\"dba\"]\nprivacy_officer = true"),
        ("groups = [\"dba\"]", "groups = [\"dba\"]\ndefault = true"),
        ("groups = [\"dba\"]", "groups = [\"dba\"]\nfunctions = [\"clinic.age\"]"),
        ("groups = [\"dba\"]", "groups = [\"dbas\"]"),
        ("bill_amy", "bill_bob"),
        ("\"BTG\", ", ""),
        ("ttl = \"60min\"", "ttl = \"61min\""),
        ("max_patients = 5", "max_patients = 6"),
        ("rows_withheld = true", "rows_withheld = false"),
        ("rows_withheld = true", "rows_withheld = \"once\""),
        ("groups = [\"dba\"]", "groups = [\"dba\"]\nrows_withheld = false"),
        ("mode = \"enforce\"", "mode = \"observe\""),
        ("groups = [\"dba\"]", "groups = [\"dba\"]\nmode = \"warn\""),
    ] {
        assert_ne!(version(&EXAMPLE.replacen(old, new, 1)), base, "{old} -> {new}");
    }
    // An empty path is no path.
    assert_eq!(version(&EXAMPLE.replacen("class = \"visits\"\n", "class = \"visits\"\nvia = []\n", 1)), base);
}

#[test]
fn unreadable_files_are_errors_without_a_place() {
    let printed = load("no/such/file.toml").expect_err("refused").to_string();
    assert!(printed.starts_with("no/such/file.toml: error: cannot read the file"), "{printed}");
    let dir = tempfile::tempdir().expect("tempdir");
    let file = dir.path().join("latin1.toml");
    std::fs::write(&file, b"# \xe9\n").expect("write");
    assert!(load(&file).expect_err("refused").to_string().contains("not UTF-8"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// No input brings the reader down, and every refusal has an error with a printable place.
    #[test]
    fn no_input_panics(edits in prop::collection::vec((0..EXAMPLE.len(), any::<u8>(), 0..4u8), 1..12)) {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        for (at, byte, kind) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.min(bytes.len() - 1);
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => { bytes.remove(at); }
                _ => bytes.truncate(at + 1),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        match read(&text) {
            Ok(config) => prop_assert_eq!(config.policy.version.len(), 16),
            Err(errors) => {
                prop_assert!(!errors.errors.is_empty());
                prop_assert!(!errors.to_string().contains("the configuration is incomplete"), "{}", errors);
            }
        }
    }

    /// Nor does text that was never a configuration.
    #[test]
    fn no_text_panics(text in "\\PC*|([\\[\\]{}=.\"'#\\n ,a-z0-9_]{0,60})") {
        let _ = read(&text);
    }
}

/// The example's commented entries, uncommented.
fn with_paths() -> String {
    let from = EXAMPLE.find("# [[table]]").expect("commented entries");
    let to = EXAMPLE.find("[reference]").expect("what follows");
    let entries: Vec<&str> = EXAMPLE[from..to].lines().filter_map(|l| l.strip_prefix("# ")).collect();
    let entries = entries.into_iter().filter(|l| !l.starts_with("The way")).collect::<Vec<_>>().join("\n");
    format!("{}{entries}\n{}", &EXAMPLE[..from], &EXAMPLE[to..])
}

#[test]
fn paths_to_several_patients_and_by_value() {
    let text = with_paths();
    let config = read(&text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(config.warnings, vec![]);
    let rule = |name: &str| config.policy.tables.iter().find(|t| t.name.name == name).expect("an entry");
    assert!(rule("address").is_many() && rule("address").own_key().is_none());
    assert_eq!(rule("cost").owner_columns(), ["domain", "event_id"]);
    assert!(!rule("cost").is_many() && rule("cost").single().is_none());

    // Each changes what the policy means, and with it the version.
    let mut versions = vec![config.policy.version.clone()];
    for (old, new) in [
        ("many = true }", "many = false }"),
        ("many = true }]\n", "many = true }]\npatients = \"all\"\n"),
        ("is = [\"Visit\"]", "is = [\"Visit\", \"Stay\"]"),
        ("is = [\"Lab\"]", "is = \"Order\""),
        (
            "table = \"clinic.visit\", references = \"visit_id\"",
            "table = \"clinic.stay\", references = \"visit_id\"",
        ),
    ] {
        let other = text.replacen(old, new, 1);
        assert_ne!(other, text, "{old}");
        versions.push(read(&other).unwrap_or_else(|e| panic!("{old}: {e}")).policy.version.clone());
    }
    let distinct: std::collections::BTreeSet<_> = versions.iter().collect();
    assert_eq!(distinct.len(), versions.len());

    for (old, new, expected) in [
        ("is = [\"Lab\"]", "is = [\"Visit\"]", "two alternatives for \"Visit\""),
        ("is = [\"Lab\"]", "is = []", "`is` has no value"),
        ("is = [\"Lab\"]\n", "", "has no `is`"),
        ("is = [\"Lab\"]", "ist = [\"Lab\"]", "unknown key `ist`"),
        ("column = \"domain\"\nis = [\"Lab\"]", "column = \"dom\"\nis = [\"Lab\"]", "look at one `column`"),
        (
            "via = [{ column = \"event_id\", table = \"clinic.lab_order\"",
            "via = [{ column = \"order\", table = \"clinic.lab_order\"",
            "look at one `column`",
        ),
        (
            "via = [{ column = \"event_id\", table = \"clinic.lab_order\", references = \"order_id\" }]\n",
            "",
            "needs `via`",
        ),
        ("class = \"financial\"", "class = \"financial\"\nkey = \"k\"", "`key` beside `when`"),
        ("many = true }", "many = \"yes\" }", "`many`"),
    ] {
        let other = text.replacen(old, new, 1);
        assert_ne!(other, text, "{old}");
        let printed = read(&other).expect_err(new).to_string();
        assert!(printed.contains(expected), "{old} -> {new}: {printed}");
    }
    let warned =
        read(&text.replacen("class = \"financial\"", "class = \"financial\"\npatients = \"all\"", 1));
    let warnings = warned.unwrap_or_else(|e| panic!("{e}")).warnings;
    assert!(warnings.iter().any(|w| w.message.contains("`patients` has no effect")), "{warnings:?}");
}

/// The example's comments may say the same further up.
fn replace_last(text: &str, old: &str, new: &str) -> String {
    let at = text.rfind(old).unwrap_or_else(|| panic!("no {old:?}"));
    format!("{}{new}{}", &text[..at], &text[at + old.len()..])
}

#[test]
fn sources_denied_tables_and_terms() {
    let more = "[[assignment.source]]\nquery = \"SELECT d.who, s.patient FROM hr.duty d JOIN hr.stay s ON s.ward = d.ward\"\n\
                [[assignment.source]]\nrelation = \"glass.on_call\"\nprincipal = \"who\"\npatient = \"patient\"\n\
                [deny]\ntables = [\"clinic.sealed\"]\n\
                [role.nurse.when]\nnetworks = [\"10.0.0.0/8\", \"::1\"]\ncertificate = \"required\"\nhours = \"22:00-06:00\"\n\
                days = [\"mon\", \"sun\"]\ntimezone = \"UTC\"\notherwise = \"billing\"\n";
    let outside = "outside = { default = \"block\", labs = \"hide\" }";
    let text = EXAMPLE
        .replace("outside = \"block\"", outside)
        .replace("[role.billing]", "[role.billing]\nallow_denied = [\"clinic.sealed\"]");
    let text = format!("{text}\n{more}");
    let config = read(&text).unwrap_or_else(|e| panic!("{e}"));
    let policy = &config.policy;
    assert_eq!(policy.sources.len(), 2);
    assert!(policy.is_assignment(&pgglass::catalog::QualifiedName::new("hr", "stay")));
    let (nurse, billing) = (&policy.roles["nurse"], &policy.roles["billing"]);
    assert_eq!((nurse.outside_in("labs"), nurse.outside_in("visits")), (Outside::Hide, Outside::Block));
    assert_eq!((nurse.denied.len(), billing.denied.len()), (1, 0));
    let terms = nurse.when.as_ref().expect("terms");
    assert_eq!(
        (terms.networks.len(), terms.certificate, terms.otherwise.as_deref()),
        (2, true, Some("billing"))
    );

    let mut versions = vec![policy.version.clone()];
    for (old, new) in [
        ("hr.stay s", "hr.stays s"),
        ("\"glass.on_call\"", "\"glass.on_calls\""),
        ("tables = [\"clinic.sealed\"]", "tables = [\"clinic.sealed\", \"clinic.secret\"]"),
        ("allow_denied = [\"clinic.sealed\"]", "allow_denied = []"),
        ("labs = \"hide\"", "visits = \"hide\""),
        ("10.0.0.0/8", "10.0.0.0/9"),
        ("certificate = \"required\"", "certificate = \"any\""),
        ("22:00-06:00", "22:00-06:30"),
        ("[\"mon\", \"sun\"]", "[\"mon\"]"),
        ("timezone = \"UTC\"", "timezone = \"Europe/Berlin\""),
        ("otherwise = \"billing\"\n", ""),
    ] {
        let other = replace_last(&text, old, new);
        assert_ne!(other, text, "{old}");
        match read(&other) {
            Ok(config) => versions.push(config.policy.version.clone()),
            // A machine without tzdata.
            Err(e) => assert!(e.to_string().contains("no time zone"), "{old}: {e}"),
        }
    }
    let distinct: std::collections::BTreeSet<_> = versions.iter().collect();
    assert_eq!(distinct.len(), versions.len());

    for (old, new, expected) in [
        ("SELECT d.who", "SELECT d.*, d.who", "two columns"),
        ("SELECT d.who", "SELECT hr.f(d.who)", "function hr.f is not allowed"),
        ("query = ", "patient = \"p\"\nquery = ", "`patient` beside `query`"),
        ("query = ", "quer = ", "unknown key `quer`"),
        ("labs = \"hide\"", "lab = \"hide\"", "no [[table]] is of class"),
        ("labs = \"hide\"", "labs = \"show\"", "`outside` of `labs`"),
        ("10.0.0.0/8", "10.0.0.1/8", "is no network"),
        ("22:00-06:00", "22-06", "are no hours"),
        ("22:00-06:00", "06:00-06:00", "are no hours"),
        ("\"mon\"", "\"monday\"", "there is no day"),
        ("timezone = \"UTC\"", "timezone = \"Mars/Olympus\"", "no time zone"),
        ("otherwise = \"billing\"", "otherwise = \"biling\"", "there is no role"),
        ("otherwise = \"billing\"", "otherwise = \"nurse\"", "terms of its own"),
        ("networks = ", "network = ", "unknown key `network`"),
        ("tables = [\"clinic.sealed\"]", "table = [\"clinic.sealed\"]", "unknown key `table`"),
        ("[deny]", "[denied]", "unknown key `denied`"),
    ] {
        let other = replace_last(&text, old, new);
        assert_ne!(other, text, "{old}");
        let printed = read(&other).expect_err(new).to_string();
        assert!(printed.contains(expected), "{old} -> {new}: {printed}");
    }
}
