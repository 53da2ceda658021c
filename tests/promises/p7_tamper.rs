//! P7: any change, removal, reordering or truncation of a real ledger is found by `pgglass verify`,
//! which has only a public key, and it says where. The format in depth: tests/ledger.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::common::{Postgres, Proxy, pgglass};
use crate::support::{clear, replaced};
use crate::wire::Wire;

/// A ledger that a proxy wrote, and its public key.
struct Written {
    directory: PathBuf,
    key: PathBuf,
    other_key: PathBuf,
}

fn written() -> &'static Written {
    static WRITTEN: OnceLock<Written> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let database = Postgres::shared().demo();
        let mut proxy =
            Proxy::start_with(&database, |c| replaced(clear(c), "[ledger]", "[ledger]\nsegment_bytes = \"1MiB\""));
        // Two processes, several segments.
        for round in 0..2 {
            let mut amy = Wire::through(&proxy, &database, "nurse_amy");
            for n in 0..150 {
                let filler = "x".repeat(6000);
                amy.ok(&format!("SELECT name, {round} AS round FROM clinic.patient WHERE patient_id = 880003 AND {n} = {n} AND '{filler}' <> ''"));
            }
            amy.query("SELECT name FROM clinic.patient WHERE patient_id = 881234");
            drop(amy);
            proxy.stop();
            if round == 0 {
                proxy.serve();
            }
        }
        let other = Proxy::start(&database);
        Written { directory: proxy.ledger(), key: proxy.public_key(), other_key: other.public_key() }
    })
}

fn verify(directory: &Path, key: &Path, more: &[&std::ffi::OsStr]) -> (bool, String) {
    let args = [
        "verify".as_ref(),
        "--directory".as_ref(),
        directory.as_os_str(),
        "--public-key".as_ref(),
        key.as_os_str(),
    ];
    let output = pgglass(&[&args[..], more].concat());
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

fn copy() -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(&written().directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    to
}

/// Names of the files with records or checkpoints, in order.
fn files(extension: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(&written().directory)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.ends_with(extension))
        .collect();
    names.sort();
    names
}

/// Applies a change to a copy; the verifier must find it and name `place`.
fn found(what: &str, place: &str, change: impl FnOnce(&Path)) {
    let copy = copy();
    change(copy.path());
    let (whole, said) = verify(copy.path(), &written().key, &[]);
    assert!(!whole, "{what}: not found\n{said}");
    assert!(
        said.contains("WRONG") && said.contains(place),
        "{what}: it does not say where ({place}):\n{said}"
    );
}

fn changed(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(file).unwrap();
    change(&mut bytes);
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn an_untouched_copy_verifies() {
    let (whole, said) = verify(copy().path(), &written().key, &[]);
    assert!(whole, "{said}");
    assert!(files("segment").len() >= 2, "{:?}", files("segment"));
    let (whole, said) = verify(copy().path(), &written().other_key, &[]);
    assert!(!whole, "verified with another's key\n{said}");
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    for name in files("segment") {
        let length = std::fs::read(written().directory.join(&name)).unwrap().len();
        for n in 0..8 {
            // From the first byte to the last.
            let at = (length - 1) * n / 7;
            found(&format!("bit {n} of byte {at} of {name}"), &name, |copy| {
                changed(&copy.join(&name), |bytes| bytes[at] ^= 1 << n);
            });
        }
    }
    // A name, changed so that the text still reads well.
    let name = &files("segment")[0];
    found("a user's name", name, |copy| {
        changed(&copy.join(name), |bytes| {
            let at = bytes.windows(9).position(|w| w == b"nurse_amy").expect("a record in clear text");
            bytes[at..at + 9].copy_from_slice(b"nurse_bob");
        });
    });
}

#[test]
fn removed_truncated_swapped_and_repeated_files_are_found() {
    let segments = files("segment");
    for (i, name) in segments.iter().enumerate() {
        let path = |copy: &Path| copy.join(name);
        found(&format!("{name} removed"), ".segment", |copy| std::fs::remove_file(path(copy)).unwrap());
        found(&format!("{name} emptied"), ".segment", |copy| std::fs::write(path(copy), b"").unwrap());
        for cut in [1, 100, 5000] {
            found(&format!("{cut} bytes off {name}"), name, |copy| {
                changed(&path(copy), |bytes| bytes.truncate(bytes.len() - cut));
            });
        }
        found(&format!("a hole in {name}"), name, |copy| {
            changed(&path(copy), |bytes| drop(bytes.drain(3000..9000)));
        });
        found(&format!("a part of {name} twice"), name, |copy| {
            changed(&path(copy), |bytes| {
                let part = bytes[3000..9000].to_vec();
                bytes.splice(9000..9000, part);
            });
        });
        let other = &segments[(i + 1) % segments.len()];
        if other != name {
            found(&format!("{name} is {other}"), name, |copy| {
                let _ = std::fs::copy(copy.join(other), path(copy)).unwrap();
            });
        }
    }
    found("the first two segments change places", &segments[0], |copy| {
        let (one, two) = (copy.join(&segments[0]), copy.join(&segments[1]));
        std::fs::rename(&one, copy.join("aside")).unwrap();
        std::fs::rename(&two, &one).unwrap();
        std::fs::rename(copy.join("aside"), &two).unwrap();
    });
    found("all records gone", "", |copy| {
        for name in &segments {
            std::fs::remove_file(copy.join(name)).unwrap();
        }
    });
}

#[test]
fn checkpoints_cannot_be_forged_and_one_kept_elsewhere_shows_a_cut() {
    let checkpoints = files("checkpoints");
    assert!(!checkpoints.is_empty());
    for name in &checkpoints {
        found(&format!("a bit of {name}"), name, |copy| {
            changed(&copy.join(name), |bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            });
        });
    }
    // The newest part cut off together with its checkpoints: found by whoever kept one of them.
    let copy = copy();
    let last = checkpoints.last().unwrap();
    let kept_file = tempfile::NamedTempFile::new().unwrap();
    let text = std::fs::read_to_string(copy.path().join(last)).unwrap();
    let notes: Vec<&str> = text.split_inclusive("\n\n").collect();
    let newest = newest_note(&text).unwrap_or_else(|| panic!("no note in {last}: {notes:?}"));
    std::fs::write(kept_file.path(), newest).unwrap();
    let with = |directory: &Path| {
        verify(directory, &written().key, &["--checkpoint".as_ref(), kept_file.path().as_os_str()])
    };
    let (whole, said) = with(copy.path());
    assert!(whole, "{said}");
    let segments = files("segment");
    let stem = |name: &str| name.split('.').next().unwrap().to_owned();
    let newest_segment = segments.last().unwrap();
    for name in segments.iter().chain(&checkpoints) {
        if stem(name) == stem(newest_segment) {
            std::fs::remove_file(copy.path().join(name)).unwrap();
        }
    }
    let (whole, said) = with(copy.path());
    assert!(!whole, "the newest segment and its checkpoints are gone, and nothing was found\n{said}");
}

/// The last signed note of a file of checkpoints: from its origin line to its signature.
fn newest_note(text: &str) -> Option<String> {
    let signature = text.rfind("\u{2014} ")?;
    let end = text[signature..].find('\n').map_or(text.len(), |i| signature + i + 1);
    let before = &text[..signature];
    let body_start = before
        .trim_end()
        .rfind("\u{2014} ")
        .and_then(|i| before[i..].find('\n').map(|j| i + j + 1))
        .unwrap_or(0);
    Some(text[body_start..end].trim_start_matches('\n').to_owned())
}
