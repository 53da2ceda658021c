//! Cleans up after the test process, whichever way it ends: by return, panic, abort or SIGKILL.
//!
//! A shell in a process group of its own holds the read end of a pipe whose write end only the
//! test process has. When that end closes, the shell ends the registered processes and PostgreSQL
//! and removes the directory. Statics are never dropped, so `Drop` alone would not do.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// `$1` the directory; the rest is the command that stops PostgreSQL.
const SCRIPT: &str = r#"
root=$1; shift
read -r _
for file in "$root"/processes/*; do
    [ -e "$file" ] && kill -KILL "-${file##*/}"
done
cd / && [ -f "$root/database/postmaster.pid" ] && "$@"
rm -rf "$root"
"#;

/// Watches over one directory.
pub struct Reaper {
    shell: Child,
    processes: PathBuf,
}

impl Reaper {
    /// Watches over `root`. `stop` is the command that stops the PostgreSQL in it.
    pub fn watch(root: &Path, stop: &[String]) -> Self {
        let processes = root.join("processes");
        std::fs::create_dir(&processes).expect("create the process directory");
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "reaper"])
            .arg(root)
            .args(stop)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("start the reaper");
        Self { shell, processes }
    }

    /// Registers a process group to be killed with the test process.
    pub fn register(&self, group: u32) {
        std::fs::write(self.processes.join(group.to_string()), "").expect("register a process");
    }

    /// Forgets a process group that has ended, before its number can be given to another.
    pub fn forget(&self, group: u32) {
        let _ = std::fs::remove_file(self.processes.join(group.to_string()));
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
