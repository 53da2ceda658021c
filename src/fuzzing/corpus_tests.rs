//! Every input of `fuzz/corpus` through its target, without libFuzzer and with the ordinary toolchain.

use std::path::{Path, PathBuf};

use super::seeds::{self, Script};

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 6] = [
    ("frames", super::frames),
    ("startup", super::startup),
    ("messages", super::messages),
    ("copy", super::copy),
    ("statements", super::statements),
    ("session", super::session),
];

fn folder(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(of)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

fn replay(target: &str) {
    let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let inputs = files(&folder("corpus").join(target));
    assert!(!inputs.is_empty());
    for input in inputs {
        let bytes = std::fs::read(&input).unwrap();
        assert!(bytes.len() < 4096, "{} is too large for the tree", input.display());
        if let Err(why) = std::panic::catch_unwind(|| run(&bytes)) {
            eprintln!("the input was {}", input.display());
            std::panic::resume_unwind(why);
        }
    }
}

#[test]
fn corpus_of_frames() {
    replay("frames");
}

#[test]
fn corpus_of_startup() {
    replay("startup");
}

#[test]
fn corpus_of_messages() {
    replay("messages");
}

#[test]
fn corpus_of_copy() {
    replay("copy");
}

#[test]
fn corpus_of_statements() {
    replay("statements");
}

#[test]
fn corpus_of_session() {
    replay("session");
}

#[test]
fn every_target_is_one_of_cargo_fuzz_and_the_corpus_is_small() {
    let manifest = std::fs::read_to_string(folder("Cargo.toml")).unwrap();
    let mut bytes = 0;
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name}");
        let source = std::fs::read_to_string(folder("targets").join(format!("{name}.rs"))).unwrap();
        assert!(source.contains(&format!("pgglass::fuzzing::{name}(data)")), "{name}");
        let inputs = files(&folder("corpus").join(name));
        bytes += inputs.iter().map(|f| std::fs::metadata(f).unwrap().len()).sum::<u64>();
    }
    assert_eq!(files(&folder("targets")).len(), TARGETS.len());
    assert_eq!(files(&folder("corpus")).len(), TARGETS.len());
    assert!(bytes < 1 << 20, "{bytes} bytes of corpus");
}

/// Without rows the properties of a session would hold for nothing.
#[test]
fn scripts_of_a_session_bring_rows_to_the_client() {
    use crate::session::fuzzing::play;
    // Two values in each of three rows.
    for text in
        ["SELECT name FROM patients", "COPY notes TO STDOUT", "COPY notes TO STDOUT WITH (FORMAT binary)"]
    {
        assert_eq!(play(&Script::alone(0).query(text).0), 6, "{text}");
    }
    assert_eq!(
        play(&Script::alone(1).pipeline("SELECT ssn, dob FROM patients ORDER BY name LIMIT 3", 0).0),
        6
    );
    // Of a restricted role the assignment is asked first, which nobody answers here.
    let cursor = Script::alone(3)
        .query("BEGIN")
        .query("DECLARE c CURSOR FOR SELECT name FROM patients")
        .query("FETCH 2 FROM c");
    assert_eq!(play(&cursor.0), 6);
    // Who waits for a record gets nothing before, and nothing that the server sends once the authority is gone.
    let waits = Script::of(0, seeds::HONEST).query("SELECT name FROM patients");
    assert_eq!(play(&waits.0), 6, "at the end the records are durable");
    let late = Script::of(0, seeds::DURABLE).query("SELECT name FROM patients");
    assert_eq!(play(&late.clone().server(10, 3).0), 6);
    assert_eq!(play(&late.revoke().server(10, 3).0), 0);
}

#[test]
#[ignore = "writes fuzz/corpus"]
fn write_seeds() {
    for (target, name, bytes) in seeds::all() {
        assert!(bytes.len() < 4096, "{target} {name}");
        let folder = folder("corpus").join(target);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}
