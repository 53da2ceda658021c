//! `[listen]`, `[upstream]` and `[ledger]`: addresses, files, times and sizes. Nothing here says
//! who sees what.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::diagnostic::Findings;
use super::reader::Section;
use super::{Cleartext, LedgerSettings, Listen, OnLedgerFailure, TlsFiles, Upstream, UpstreamTls};

const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

const DEFAULT_AUTH_QUERY: &str =
    "SELECT rolpassword, rolvaliduntil FROM pg_authid WHERE rolname = $1 AND rolcanlogin";

fn file(base: &Path, path: Spanned<String>) -> PathBuf {
    base.join(path.into_inner())
}

pub(super) fn listen(top: &mut Section<'_>, base: &Path, findings: &mut Findings<'_>) -> Option<Listen> {
    let mut s = top.section(findings, "listen");
    let expects = "an address and a port such as \"127.0.0.1:6432\", \"0.0.0.0:6432\" or \"[::1]:6432\"";
    let address = s.parsed(findings, "address", expects, |t| t.parse::<SocketAddr>().ok());
    if address.is_none() && s.take("address").is_none() {
        s.missing(findings, "address", "\"127.0.0.1:6432\"");
    }
    let certificate = s.string(findings, "certificate");
    let private_key = s.string(findings, "private_key");
    let cleartext =
        s.choice(findings, "cleartext", &[("never", Cleartext::Never), ("loopback", Cleartext::Loopback)]);
    let max_connections = s.integer(findings, "max_connections", 1..=1_000_000).unwrap_or(500);
    let max_connections_per_user = s.integer(findings, "max_connections_per_user", 1..=1_000_000);
    let idle_session_timeout = timeout(&mut s, findings, "idle_session_timeout");
    let idle_in_transaction = timeout(&mut s, findings, "idle_in_transaction_session_timeout");
    let login_timeout = s.duration(findings, "login_timeout", SECOND, 30 * SECOND);
    let shutdown_grace = s.duration(findings, "shutdown_grace", Duration::ZERO, 30 * SECOND);

    let allowed = cleartext.as_ref().map_or(Cleartext::Never, |c| *c.get_ref());
    let tls = match (certificate, private_key) {
        (Some(certificate), Some(private_key)) => {
            Some(TlsFiles { certificate: file(base, certificate), private_key: file(base, private_key) })
        }
        (Some(certificate), None) => {
            findings.error_help(
                certificate.span(),
                "`certificate` without `private_key`",
                "for example: private_key = \"tls/server.key\"",
            );
            None
        }
        (None, Some(private_key)) => {
            findings.error_help(
                private_key.span(),
                "`private_key` without `certificate`",
                "for example: certificate = \"tls/server.crt\"",
            );
            None
        }
        (None, None) => {
            no_certificate(&s, address.as_ref(), allowed, findings);
            None
        }
    };
    s.finish(findings);
    Some(Listen {
        address: address?.into_inner(),
        tls,
        cleartext: allowed,
        max_connections,
        max_connections_per_user,
        idle_session_timeout,
        idle_in_transaction_session_timeout: idle_in_transaction,
        login_timeout,
        shutdown_grace,
    })
}

/// A duration that may be absent: no limit.
fn timeout(s: &mut Section<'_>, findings: &mut Findings<'_>, key: &'static str) -> Option<Duration> {
    s.take(key)?;
    Some(s.duration(findings, key, SECOND / 10, Duration::MAX)).filter(|d| *d != Duration::MAX)
}

fn no_certificate(
    s: &Section<'_>,
    address: Option<&Spanned<SocketAddr>>,
    cleartext: Cleartext,
    findings: &mut Findings<'_>,
) {
    match cleartext {
        Cleartext::Never => findings.error_help(
            s.key_span("cleartext"),
            "without `certificate` and `private_key` nobody could connect: cleartext is \"never\"",
            "configure a certificate, or set cleartext = \"loopback\" for clients on this machine",
        ),
        Cleartext::Loopback => {
            if let Some(address) = address.filter(|a| !a.get_ref().ip().is_loopback()) {
                findings.error_help(
                    address.span(),
                    format!("{} is reachable from elsewhere, but there is no certificate", address.get_ref()),
                    "configure `certificate` and `private_key`, or listen on 127.0.0.1",
                );
            }
        }
    }
}

/// `upstream.tls` before its `ca` is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TlsWord {
    Disable,
    Require,
    VerifyFull,
}

pub(super) fn upstream(top: &mut Section<'_>, base: &Path, findings: &mut Findings<'_>) -> Option<Upstream> {
    let mut s = top.section(findings, "upstream");
    let host = s.required(findings, "host", "\"db.internal\"");
    if let Some(host) = host.as_ref().filter(|h| h.get_ref().contains(['/', ' ', ','])) {
        findings.error_help(
            host.span(),
            format!("`{}` is no host name or address", host.get_ref()),
            "one name or IP address; sockets in the file system and host lists are not supported",
        );
    }
    let port = s.integer(findings, "port", 1..=65_535).and_then(|p| u16::try_from(p).ok()).unwrap_or(5432);
    let word = s.choice(
        findings,
        "tls",
        &[("disable", TlsWord::Disable), ("require", TlsWord::Require), ("verify-full", TlsWord::VerifyFull)],
    );
    if word.is_none() && s.take("tls").is_none() {
        s.missing(findings, "tls", "\"verify-full\"");
    }
    let ca = s.string(findings, "ca");
    let connect_timeout = s.duration(findings, "connect_timeout", MILLISECOND, 10 * SECOND);
    let service_user = s.required(findings, "service_user", "\"pgglass\"");
    let password = s.required(findings, "service_password_file", "\"secrets/service-password\"");
    let database = s.required(findings, "service_database", "\"clinic\"");
    let auth_query = auth_query(&mut s, findings);
    let catalog_poll = s.duration(findings, "catalog_poll", 100 * MILLISECOND, SECOND);
    let super::login::UpstreamDraft { identity, login } = super::login::upstream(&mut s, base, findings);
    let tls = upstream_tls(&s, host.as_ref(), word, ca, base, findings);
    s.finish(findings);
    Some(Upstream {
        host: host?.into_inner(),
        port,
        tls: tls?,
        identity,
        login,
        connect_timeout,
        service_user: service_user?.into_inner(),
        service_password_file: file(base, password?),
        service_database: database?.into_inner(),
        auth_query,
        catalog_poll,
    })
}

fn upstream_tls(
    s: &Section<'_>,
    host: Option<&Spanned<String>>,
    word: Option<Spanned<TlsWord>>,
    ca: Option<Spanned<String>>,
    base: &Path,
    findings: &mut Findings<'_>,
) -> Option<UpstreamTls> {
    let word = word?;
    if let Some(ca) = ca.as_ref().filter(|_| *word.get_ref() != TlsWord::VerifyFull) {
        findings.warning(
            ca.span(),
            "`ca` has no effect without tls = \"verify-full\"",
            "set tls = \"verify-full\" to have the server's certificate verified",
        );
    }
    match word.get_ref() {
        TlsWord::Disable => {
            if let Some(host) = host.filter(|h| !is_loopback(h.get_ref())) {
                findings.warning(
                    word.span(),
                    format!("rows travel in the clear between here and {}", host.get_ref()),
                    "use tls = \"verify-full\" unless the link is protected otherwise",
                );
            }
            Some(UpstreamTls::Disable)
        }
        TlsWord::Require => {
            findings.warning(
                word.span(),
                "tls = \"require\" encrypts but does not look at the server's certificate",
                "use tls = \"verify-full\" with `ca`",
            );
            Some(UpstreamTls::Require)
        }
        TlsWord::VerifyFull => {
            let Some(ca) = ca else {
                findings.error_help(
                    s.key_span("tls"),
                    "tls = \"verify-full\" needs `ca`",
                    "for example: ca = \"tls/upstream-ca.crt\"",
                );
                return None;
            };
            Some(UpstreamTls::VerifyFull { ca: file(base, ca) })
        }
    }
}

/// True for `localhost` and loopback addresses.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The text itself is validated by the server when the proxy starts; here only what a slip of the
/// hand would break.
fn auth_query(s: &mut Section<'_>, findings: &mut Findings<'_>) -> String {
    let Some(query) = s.string(findings, "auth_query") else { return DEFAULT_AUTH_QUERY.to_owned() };
    if !query.get_ref().contains("$1") {
        findings.error_help(
            query.span(),
            "`auth_query` does not mention $1, the user who logs in",
            format!("for example: {DEFAULT_AUTH_QUERY}"),
        );
    }
    query.into_inner()
}

pub(super) fn ledger(
    top: &mut Section<'_>,
    base: &Path,
    findings: &mut Findings<'_>,
) -> Option<LedgerSettings> {
    let mut s = top.section(findings, "ledger");
    let node = s.required(findings, "node", "\"ward-proxy-1\"");
    if let Some(node) = node.as_ref().filter(|n| !is_node_name(n.get_ref())) {
        findings.error_help(
            node.span(),
            format!("`{}` is no node name", node.get_ref()),
            "1 to 64 letters, digits, `-`, `_` or `.`",
        );
    }
    let directory = s.required(findings, "directory", "\"ledger\"");
    let signing_key = s.required(findings, "signing_key", "\"secrets/ledger.key\"");
    let checkpoint_every = s.duration(findings, "checkpoint_every", SECOND, 10 * SECOND);
    let segment_bytes = s.size(findings, "segment_bytes", MIB, 64 * MIB);
    let flush_deadline = s.duration(findings, "flush_deadline", 10 * MILLISECOND, 5 * SECOND);
    let reserve = s.size(findings, "reserve", 0, 16 * MIB);
    let on_failure = s.choice(
        findings,
        "on_failure",
        &[("fail_operation", OnLedgerFailure::FailOperation), ("shutdown", OnLedgerFailure::Shutdown)],
    );
    s.finish(findings);
    Some(LedgerSettings {
        node: node?.into_inner(),
        directory: file(base, directory?),
        signing_key: file(base, signing_key?),
        checkpoint_every,
        segment_bytes,
        flush_deadline,
        reserve,
        on_failure: on_failure.map_or(OnLedgerFailure::FailOperation, Spanned::into_inner),
    })
}

fn is_node_name(name: &str) -> bool {
    name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}
