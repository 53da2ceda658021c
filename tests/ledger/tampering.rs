//! P7: any change, removal, reordering or truncation is found by a verifier with a public key only.

use std::fs;
use std::path::{Path, PathBuf};

use pgglass::ledger::verify;
use proptest::prelude::*;

use crate::support::Bench;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// A filled ledger that is expensive to make, made once.
fn original() -> &'static Bench {
    static BENCH: std::sync::OnceLock<Bench> = std::sync::OnceLock::new();
    BENCH.get_or_init(|| {
        let bench = Bench::new();
        bench.filled();
        bench
    })
}

/// Runs `change` on a copy and returns the verifier's findings and remarks in words.
fn after(change: impl FnOnce(&Path)) -> (Vec<String>, Vec<String>) {
    let bench = original();
    let dir = tempfile::tempdir().unwrap();
    copy(&bench.ledger_dir(), dir.path());
    change(dir.path());
    let found = verify(dir.path(), &bench.key, &[], |_, _| {}).unwrap();
    assert_eq!(found.ok, found.findings.is_empty());
    let words = |f: Vec<pgglass::ledger::Finding>| f.iter().map(ToString::to_string).collect();
    (words(found.findings), words(found.remarks))
}

fn stored() -> Vec<PathBuf> {
    let mut files = original().files("segment");
    files.extend(original().files("checkpoints"));
    files.into_iter().map(|f| PathBuf::from(f.file_name().unwrap())).collect()
}

#[test]
fn an_untouched_ledger_verifies_and_is_proven_to_its_end() {
    let found = original().verify();
    assert!(found.ok, "{:?}", found.findings);
    assert!(found.remarks.is_empty(), "{:?}", found.remarks);
    assert_eq!(found.proven, found.leaves);
    assert!(found.records >= 36 && found.segments >= 3 && found.checkpoints >= found.segments, "{found:?}");
    assert_eq!(original().notes().len(), 36);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_changed_bit_is_found(file: prop::sample::Index, at: prop::sample::Index, bit in 0u8..8) {
        let name = stored().remove(file.index(stored().len()));
        let mut size = 0;
        let mut offset = 0;
        let (findings, remarks) = after(|dir| {
            let mut bytes = fs::read(dir.join(&name)).unwrap();
            size = bytes.len();
            if size > 0 {
                offset = at.index(size);
                bytes[offset] ^= 1 << bit;
                fs::write(dir.join(&name), bytes).unwrap();
            }
        });
        prop_assert!(size == 0 || !findings.is_empty(), "{name:?} byte {offset} bit {bit}: {remarks:?}");
        let said_where = findings.iter().any(|f| f.contains(name.to_str().unwrap()));
        prop_assert!(size == 0 || said_where, "{name:?} byte {offset}: {findings:?}");
    }

    #[test]
    fn any_truncated_segment_is_found(file: prop::sample::Index, at: prop::sample::Index) {
        let segments = original().files("segment");
        let name = segments[file.index(segments.len())].file_name().unwrap().to_owned();
        let (findings, _) = after(|dir| {
            let bytes = fs::read(dir.join(&name)).unwrap();
            fs::write(dir.join(&name), &bytes[..at.index(bytes.len())]).unwrap();
        });
        prop_assert!(!findings.is_empty());
    }
}

/// Offsets of the frames of a segment, by their magic (the records here do not contain it).
fn frames(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len()).step_by(8).filter(|i| bytes[*i..].starts_with(b"pgGL")).collect()
}

#[test]
fn a_removed_or_reordered_batch_is_found() {
    let name = original().files("segment")[0].file_name().unwrap().to_owned();
    let bytes = fs::read(original().ledger_dir().join(&name)).unwrap();
    let at = frames(&bytes);
    // Frames: header, then leaf and trailer by turns.
    let (a, b, c) = (at[3], at[5], at[7]);
    let without = [&bytes[..a], &bytes[b..]].concat();
    let swapped = [&bytes[..a], &bytes[b..c], &bytes[a..b], &bytes[c..]].concat();
    let doubled = [&bytes[..b], &bytes[a..]].concat();
    for changed in [without, swapped, doubled] {
        let (findings, _) = after(|dir| fs::write(dir.join(&name), changed).unwrap());
        assert!(findings.iter().any(|f| f.contains("leaf")), "{findings:?}");
    }
}

#[test]
fn an_edited_record_with_every_checksum_made_right_is_found() {
    // The attacker who knows the format: edits a leaf and recomputes the frame's CRC.
    let name = original().files("segment")[0].file_name().unwrap().to_owned();
    let (findings, _) = after(|dir| {
        let mut bytes = fs::read(dir.join(&name)).unwrap();
        let at = frames(&bytes)[3];
        let length = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        let note = bytes[at..at + 24 + length].windows(5).position(|w| w == b"note ").unwrap();
        bytes[at + note + 5] ^= 1;
        let crc = crc32c::crc32c(&bytes[at..at + 12]);
        let crc = crc32c::crc32c_append(crc, &bytes[at + 16..at + 24 + length]);
        bytes[at + 12..at + 16].copy_from_slice(&crc.to_le_bytes());
        fs::write(dir.join(&name), bytes).unwrap();
    });
    assert!(findings.iter().any(|f| f.contains("do not have the root")), "{findings:?}");
}

#[test]
fn missing_and_swapped_segments_are_found() {
    let segments = original().files("segment");
    assert!(segments.len() >= 3);
    let name = |i: usize| segments[i].file_name().unwrap().to_owned();
    for i in 0..segments.len() {
        let (findings, _) = after(|dir| fs::remove_file(dir.join(name(i))).unwrap());
        assert!(!findings.is_empty(), "segment {i} removed");
    }
    let (findings, _) = after(|dir| {
        fs::rename(dir.join(name(0)), dir.join("x")).unwrap();
        fs::rename(dir.join(name(1)), dir.join(name(0))).unwrap();
        fs::rename(dir.join("x"), dir.join(name(1))).unwrap();
    });
    assert!(findings.iter().any(|f| f.contains("under another name")), "{findings:?}");
}

#[test]
fn a_log_cut_back_with_its_checkpoints_is_found_by_a_checkpoint_kept_elsewhere() {
    let bench = original();
    let segments = bench.files("segment");
    let last = segments.last().unwrap().file_stem().unwrap().to_str().unwrap().to_owned();
    let notes = fs::read_to_string(bench.ledger_dir().join(format!("{last}.checkpoints"))).unwrap();
    let kept = notes.trim_end().rsplit("\n\n").collect::<Vec<_>>();
    let kept = format!("{}\n\n{}\n", kept[1], kept[0]);
    let dir = tempfile::tempdir().unwrap();
    copy(&bench.ledger_dir(), dir.path());
    for extension in ["segment", "checkpoints"] {
        fs::remove_file(dir.path().join(format!("{last}.{extension}"))).unwrap();
    }
    let alone = verify(dir.path(), &bench.key, &[], |_, _| {}).unwrap();
    assert!(alone.ok && alone.leaves < bench.verify().leaves, "a consistent shorter log");
    let found = verify(dir.path(), &bench.key, &[kept], |_, _| {}).unwrap();
    assert!(!found.ok && found.findings[0].message.contains("end of the log is missing"), "{found:?}");
    assert_eq!(found.proven, alone.leaves, "what is still proven is said");
}

#[test]
fn another_key_proves_nothing() {
    let other = Bench::new();
    let found = verify(&original().ledger_dir(), &other.key, &[], |_, _| {}).unwrap();
    assert!(!found.ok && found.proven == 0);
}

#[test]
fn nothing_signed_and_nothing_there_are_no_success() {
    let empty = tempfile::tempdir().unwrap();
    assert!(!verify(empty.path(), &original().key, &[], |_, _| {}).unwrap().ok);
    let (findings, _) = after(|dir| {
        for file in original().files("checkpoints") {
            fs::write(dir.join(file.file_name().unwrap()), "").unwrap();
        }
    });
    assert!(findings.iter().any(|f| f.contains("nothing is proven")), "{findings:?}");
    for file in original().files("checkpoints") {
        let (findings, _) = after(|dir| fs::remove_file(dir.join(file.file_name().unwrap())).unwrap());
        assert!(findings.iter().any(|f| f.contains("checkpoints file is missing")), "{findings:?}");
    }
}
