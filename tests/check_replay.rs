//! `pgglass check --replay`: statements as they were recorded, decided once more under another policy. Nothing is run,
//! and no value that stood in a statement is printed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::{Path, PathBuf};

use common::{Postgres, Proxy, pgglass};

/// A copy of the proxy's configuration as `edit` changes it.
fn edited(proxy: &Proxy<'_>, name: &str, edit: impl FnOnce(String) -> String) -> PathBuf {
    let text = std::fs::read_to_string(proxy.config()).unwrap();
    let path = proxy.config().with_file_name(name);
    std::fs::write(&path, edit(text)).unwrap();
    path
}

fn check(config: &Path, replay: &Path, more: &[&str]) -> (i32, String) {
    let (config, replay) = (config.display().to_string(), replay.display().to_string());
    let arguments = [&["check", "--config", &config, "--replay", &replay], more].concat();
    let output = pgglass(&arguments);
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), said)
}

#[tokio::test]
async fn a_ledger_is_replayed_under_another_policy() {
    let database = Postgres::shared().demo();
    let mut proxy = Proxy::start(&database);
    let amy = proxy.connect("nurse_amy").await;
    for id in [880_003, 880_015, 880_027] {
        amy.count(&format!("SELECT count(*) FROM clinic.note WHERE patient_id = {id} AND body <> 'SECRET'"))
            .await;
    }
    amy.count("SELECT count(*) FROM clinic.ward").await;
    assert!(amy.query("SELECT * FROM glass.assigned", &[]).await.is_err(), "closed to restricted roles");
    let eva = proxy.connect("bill_eva").await;
    assert!(eva.query("SELECT body FROM clinic.note", &[]).await.is_err(), "closed to billing");
    eva.query("SELECT birth_date FROM clinic.patient WHERE mrn = 'MRN0000003'", &[]).await.unwrap();
    drop((amy, eva));
    proxy.stop();

    // Under the same policy nothing changes.
    let (status, said) = check(&proxy.config(), &proxy.ledger(), &["--strict"]);
    assert_eq!(status, 0, "{said}");
    assert!(
        said.contains("compared with as recorded") && said.contains("0 would change, in 0 kinds"),
        "{said}"
    );

    // Notes are closed to nurses and open to billing; a birth date is masked otherwise.
    let new = edited(&proxy, "new.toml", |text| {
        text.replace(
            "groups = [\"nurse\"]\n",
            "groups = [\"nurse\"]\nclasses = [\"demographics\", \"visits\", \"problems\", \"labs\"]\n",
        )
        .replace(
            "classes = [\"demographics\", \"visits\", \"problems\"]",
            "classes = [\"demographics\", \"visits\", \"problems\", \"notes\"]",
        )
        .replacen("birth_date = \"year\"", "birth_date = \"null\"", 1)
    });
    let (status, said) = check(&new, &proxy.ledger(), &[]);
    assert_eq!(status, 0, "only --strict minds: {said}");
    let refused =
        said.find("ran -> refused GLS-220: 3 times, role nurse").unwrap_or_else(|| panic!("{said}"));
    let open = said.find("refused GLS-220 -> every patient, masked: 1 time, role billing");
    let open = open.or_else(|| said.find("refused GLS-220 -> every patient, recorded: 1 time, role billing"));
    assert!(open.is_some_and(|open| refused < open), "what will not run any more comes first: {said}");
    assert!(said.contains("SELECT count(*) FROM clinic.note WHERE patient_id = $1 AND body <> $2"), "{said}");
    for secret in ["SECRET", "880003", "880015", "MRN0000003"] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
    assert_eq!(check(&new, &proxy.ledger(), &["--strict"]).0, 2);

    // Against the policy of before, masks count, too.
    let before = proxy.config().display().to_string();
    let (_, said) = check(&new, &proxy.ledger(), &["--against", &before]);
    assert!(said.contains("filtered -> refused GLS-220: 3 times, role nurse"), "{said}");
    assert!(
        said.contains("every patient, masked -> every patient, masked, otherwise: 1 time, role billing"),
        "{said}"
    );
    let (_, said) = check(&new, &proxy.ledger(), &["--against", &before, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(json["replay"]["changed"], 5, "{said}");

    // Without the server: names alone.
    let (_, said) = check(&new, &proxy.ledger(), &["--offline", "--against", &before]);
    assert!(
        said.contains("catalog: none") && said.contains("-> refused GLS-220: 3 times, role nurse"),
        "{said}"
    );
}

#[tokio::test]
async fn a_file_of_statements_is_replayed_as_a_role() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start(&database);
    let file = proxy.config().with_file_name("report.sql");
    std::fs::write(
        &file,
        "\\timing on\nSELECT name FROM clinic.patient WHERE ssn = '078-05-1120';\n-- a comment; with 078-05-1120\n\
         SELECT body FROM clinic.note;\nSELECT code FROM ward;\nSELECT nonsense FROM;\n",
    )
    .unwrap();
    let (status, said) = check(&proxy.config(), &file, &["--role", "billing"]);
    assert_eq!(status, 0, "{said}");
    for expected in [
        "4 statements",
        "1 not replayed: a command of psql",
        "(not known) -> every patient, masked",
        "(not known) -> refused GLS-220",
        "(not known) -> refused 42601",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains("078-05-1120"), "{said}");
    // Names are looked up where it is said.
    let refused = |said: &str| said.matches("SELECT code FROM ward").count();
    let (_, said) = check(&proxy.config(), &file, &["--role", "billing", "--search-path", "clinic,public"]);
    assert!(said.contains("(not known) -> verbatim") && refused(&said) == 1, "{said}");
    // What is missing is said.
    for (more, expected) in [
        (&[][..], "name a role of the configuration with --role"),
        (
            &["--role", "surgeon"][..],
            "there is no role `surgeon` in the configuration; it has: analyst, auditor",
        ),
        (&["--role", "nurse", "--against", "/nowhere.toml"][..], "--against: /nowhere.toml"),
    ] {
        let (status, said) = check(&proxy.config(), &file, more);
        assert!(
            status == 1 && said.contains("error[replay]") && said.contains(expected),
            "{expected}: {said}"
        );
    }
    let (status, said) = check(&proxy.config(), Path::new("/nowhere"), &[]);
    assert!(status == 1 && said.contains("cannot read /nowhere"), "{said}");
    let lines = proxy.config().with_file_name("records.jsonl");
    std::fs::write(&lines, "not JSON\n{\"v\": 1}\n\n\u{fffd}\n").unwrap();
    let (status, said) = check(&proxy.config(), &lines, &[]);
    assert!(status == 0 && said.contains("0 statements") && said.contains("3 not replayed"), "{said}");
}

#[tokio::test]
async fn every_line_of_the_demonstrations_policy_is_explained() {
    let database = Postgres::shared().demo();
    let proxy = Proxy::start(&database);
    let config = proxy.config().display().to_string();
    let output = pgglass(&["check", "--offline", "--explain", "--config", &config]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for expected in [
        "A patient is named by a value of type int8",
        "A value of clinic.patient.mrn names a patient, too",
        "A row of glass.assigned says: the database user in user_name treats the patient in patient_id.",
        "A row holds before valid_to",
        "found over the row of clinic.lab_order whose order_id is its order_id, then the patient_id",
        "Its class is notes, closed to: analyst, billing",
        "Free of patients, read by everyone without a guard: clinic.drug, clinic.ward.",
        "a lookup that names one is refused with GLS-201",
        "Masked: clinic.patient.phone shows the last 2 characters",
        "Masked: clinic.patient.birth_date shows 1 January of the year.",
        "May break glass on the terms of [break_glass.clinical].",
        "May review and revoke other people's break-glass sessions.",
        "Everyone else is refused at login.",
        "It opens up to 5 patients for 1 h, for 12 h at most, and ends after 15 min without use.",
        "One user may open 20 in 24 hours.",
        "ends with a warning, GLS-202",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    // Every section of the file is there.
    let text = std::fs::read_to_string(proxy.config()).unwrap();
    for line in text.lines() {
        if let Some(name) =
            line.strip_prefix("name = \"").and_then(|l| l.split('"').next()).filter(|n| n.contains('.'))
        {
            assert!(said.contains(&format!("[[table]] {name}")), "{name}: {said}");
        }
        if line.starts_with("[role.") && !line.contains("masks") || line.starts_with("[break_glass") {
            assert!(said.contains(line.split(' ').next().unwrap_or_default()), "{line}: {said}");
        }
    }
}
