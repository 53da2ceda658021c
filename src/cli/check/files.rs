//! The files a configuration names: whether they are there, and whether others can read secrets.

use std::path::Path;

use crate::config::Config;
use crate::config::{UpstreamLogin, UpstreamTls};
use crate::policy::{Finding, Level};
use crate::session::login::userlist::Userlist;

/// Looks at every file the configuration names. Of contents only the verifiers are looked at.
pub(super) fn look(config: &Config) -> Vec<Finding> {
    let mut out = Vec::new();
    if let Some(tls) = &config.listen.tls {
        file(&mut out, "listen.certificate", &tls.certificate, false);
        file(&mut out, "listen.private_key", &tls.private_key, true);
    }
    for (key, path, secret) in [
        ("login.client_ca", &config.login.client_ca, false),
        ("login.client_crl", &config.login.client_crl, false),
        ("login.verifier_file", &config.login.verifier_file, true),
    ] {
        if let Some(path) = path {
            file(&mut out, key, path, secret);
        }
    }
    if let Some(path) = &config.login.verifier_file
        && let Err(error) = Userlist::load(path)
        && path.is_file()
    {
        push(&mut out, Level::Error, "login.verifier_file", error.to_string(), "");
    }
    if let Some(files) = &config.upstream.identity {
        file(&mut out, "upstream.client_certificate", &files.certificate, false);
        file(&mut out, "upstream.client_key", &files.private_key, true);
    }
    if let UpstreamLogin::ServiceAccount(accounts) = &config.upstream.login {
        for (role, account) in accounts {
            if let Some(path) = &account.password_file {
                file(&mut out, &format!("upstream.account.{role}.password_file"), path, true);
            }
        }
    }
    if let UpstreamTls::VerifyFull { ca } = &config.upstream.tls {
        file(&mut out, "upstream.ca", ca, false);
    }
    file(&mut out, "upstream.service_password_file", &config.upstream.service_password_file, true);
    file(&mut out, "ledger.signing_key", &config.ledger.signing_key, true);
    if config.ledger.directory.exists() && !config.ledger.directory.is_dir() {
        let message = format!("{} is no folder", config.ledger.directory.display());
        push(&mut out, Level::Error, "ledger.directory", message, "");
    }
    out
}

fn push(out: &mut Vec<Finding>, level: Level, key: &str, message: String, help: &str) {
    out.push(Finding {
        level,
        code: "file",
        subject: key.to_owned(),
        message,
        help: (!help.is_empty()).then(|| help.to_owned()),
    });
}

fn file(out: &mut Vec<Finding>, key: &str, path: &Path, secret: bool) {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let help = if key == "ledger.signing_key" {
                "make one: pgglass keygen --out FILE --name NODE"
            } else {
                ""
            };
            push(out, Level::Error, key, format!("{}: {error}", path.display()), help);
            return;
        }
    };
    if !metadata.is_file() {
        push(out, Level::Error, key, format!("{} is no file", path.display()), "");
    } else if let Some(mode) = mode_open_to_others(&metadata).filter(|_| secret) {
        let message = format!("{} can be read by others (mode {mode:04o})", path.display());
        push(out, Level::Warning, key, message, "chmod 600 the file");
    }
}

/// The permission bits when group or others have any.
#[cfg(unix)]
fn mode_open_to_others(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o7777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn mode_open_to_others(_: &std::fs::Metadata) -> Option<u32> {
    None
}
