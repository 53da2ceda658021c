//! `[login]`, `[upstream]`'s keys about clients' logins, and `[certificates]`: how clients prove who they are,
//! and as whom they are logged in to the server. Which patients they see is `policy`'s.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::diagnostic::Findings;
use super::reader::{Section, unknown};
use super::{Cleartext, Listen, TlsFiles, Upstream, UpstreamTls, units};
use crate::policy::Policy;
use crate::wire::names::{NameMap, NameRule, NameSource, Pattern};

/// `[login]`: how clients prove who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginSettings {
    /// What a client has to show.
    pub method: LoginMethod,
    /// PEM file with the authorities of client certificates.
    pub client_ca: Option<PathBuf>,
    /// PEM file with their revocation lists.
    pub client_crl: Option<PathBuf>,
    /// File with SCRAM verifiers, instead of `upstream.auth_query`.
    pub verifier_file: Option<PathBuf>,
    /// Which user a certificate stands for.
    pub names: NameMap,
}

/// What a client has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoginMethod {
    /// Its password, by SCRAM.
    Scram,
    /// A certificate that stands for the user.
    Cert,
    /// Both.
    CertAndScram,
}

impl LoginMethod {
    /// Whether a certificate is asked for.
    pub fn wants_certificate(self) -> bool {
        matches!(self, LoginMethod::Cert | LoginMethod::CertAndScram)
    }

    /// Whether a password is asked for.
    pub fn wants_password(self) -> bool {
        matches!(self, LoginMethod::Scram | LoginMethod::CertAndScram)
    }
}

/// As whom clients are logged in to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamLogin {
    /// As themselves, by the key that their SCRAM proof gave us.
    PassThrough,
    /// As themselves, by our certificate: the server's `cert` method and a user name map.
    Certificate,
    /// As the account of their role in the policy, by the role's name.
    ServiceAccount(BTreeMap<String, Account>),
}

/// The database account of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The database user.
    pub user: String,
    /// File with its password; `None`: our certificate logs it in.
    pub password_file: Option<PathBuf>,
}

/// The parts that are checked against each other once everything is read, with their places.
pub(super) struct Draft {
    login: LoginSettings,
    method: Option<Spanned<LoginMethod>>,
    verifier_file: Option<Spanned<String>>,
}

pub(super) fn login(top: &mut Section<'_>, base: &Path, findings: &mut Findings<'_>) -> Draft {
    let mut s = top.section(findings, "login");
    let methods = [
        ("scram", LoginMethod::Scram),
        ("cert", LoginMethod::Cert),
        ("cert+scram", LoginMethod::CertAndScram),
    ];
    let method = s.choice(findings, "method", &methods);
    let client_ca = s.string(findings, "client_ca");
    let client_crl = s.string(findings, "client_crl");
    let verifier_file = s.string(findings, "verifier_file");
    let (names, first_rule) = names(&mut s, findings);
    let wanted = method.as_ref().map_or(LoginMethod::Scram, |m| *m.get_ref());
    match (&client_ca, &method, &client_crl) {
        (None, Some(method), _) if wanted.wants_certificate() => findings.error_help(
            method.span(),
            "certificates cannot be checked without `client_ca`",
            "for example: client_ca = \"tls/client-ca.crt\"",
        ),
        (None, _, Some(crl)) => findings.error_help(
            crl.span(),
            "`client_crl` without `client_ca`",
            "for example: client_ca = \"tls/client-ca.crt\"",
        ),
        _ => {}
    }
    if let Some(span) = first_rule.filter(|_| !wanted.wants_certificate()) {
        findings.error_help(
            span,
            "[[login.map]] has no effect while no certificate is asked for",
            "set login.method = \"cert\" or \"cert+scram\"",
        );
    }
    s.finish(findings);
    let file = |path: &Spanned<String>| base.join(path.get_ref());
    let login = LoginSettings {
        method: wanted,
        client_ca: client_ca.as_ref().map(file),
        client_crl: client_crl.as_ref().map(file),
        verifier_file: verifier_file.as_ref().map(file),
        names,
    };
    Draft { login, method, verifier_file }
}

fn names(s: &mut Section<'_>, findings: &mut Findings<'_>) -> (NameMap, Option<std::ops::Range<usize>>) {
    let mut map = NameMap::default();
    let Some(array) = s.array(findings, "map") else { return (map, None) };
    let mut first = None;
    for item in array.iter() {
        first.get_or_insert(item.span());
        let mut one = Section::of(findings, "[[login.map]]".to_owned(), item);
        let sources = [
            ("cn", NameSource::CommonName),
            ("dns", NameSource::Dns),
            ("email", NameSource::Email),
            ("uri", NameSource::Uri),
        ];
        let from = one.choice(findings, "from", &sources);
        if from.is_none() && one.take("from").is_none() {
            one.missing(findings, "from", "\"cn\"");
        }
        let name = one.required(findings, "name", "\"*@clinic.example\"");
        let user = one.required(findings, "user", "\"*\"");
        one.finish(findings);
        let (Some(from), Some(name), Some(user)) = (from, name, user) else { continue };
        let pattern = |findings: &mut Findings<'_>, text: &Spanned<String>| {
            let read = Pattern::new(text.get_ref());
            if read.is_none() {
                findings.error(text.span(), "at most one `*` is understood");
            }
            read
        };
        let (Some(of_name), Some(of_user)) = (pattern(findings, &name), pattern(findings, &user)) else {
            continue;
        };
        if of_user.is_open() && !of_name.is_open() {
            findings.error_help(
                user.span(),
                "`user` has a `*`, but `name` has none that it could stand for",
                "for example: name = \"*@clinic.example\", user = \"*\"",
            );
            continue;
        }
        if of_name.is_open() && !of_user.is_open() {
            let which =
                if of_name.matches_all() { "every certificate" } else { "every name of this pattern" };
            findings.warning(
                name.span(),
                format!("{which} may log in as `{}`: the record cannot tell people apart", user.get_ref()),
                "map each person to a user of their own",
            );
        }
        map.rules.push(NameRule { from: from.into_inner(), name: of_name, user: of_user });
    }
    (map, first)
}

/// The keys of `[upstream]` about clients' logins.
pub(super) struct UpstreamDraft {
    pub(super) identity: Option<TlsFiles>,
    pub(super) login: UpstreamLogin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LoginWord {
    PassThrough,
    Certificate,
    ServiceAccount,
}

pub(super) fn upstream(s: &mut Section<'_>, base: &Path, findings: &mut Findings<'_>) -> UpstreamDraft {
    let words = [
        ("pass-through", LoginWord::PassThrough),
        ("certificate", LoginWord::Certificate),
        ("service-account", LoginWord::ServiceAccount),
    ];
    let word = s.choice(findings, "login", &words);
    let span = word.as_ref().map_or(s.span.clone(), Spanned::span);
    let word = word.map_or(LoginWord::PassThrough, Spanned::into_inner);
    let certificate = s.string(findings, "client_certificate");
    let key = s.string(findings, "client_key");
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(TlsFiles {
            certificate: base.join(certificate.into_inner()),
            private_key: base.join(key.into_inner()),
        }),
        (Some(alone), None) => {
            let help = "for example: client_key = \"tls/pgglass.key\"";
            findings.error_help(alone.span(), "`client_certificate` without `client_key`", help);
            None
        }
        (None, Some(alone)) => {
            let help = "for example: client_certificate = \"tls/pgglass.crt\"";
            findings.error_help(alone.span(), "`client_key` without `client_certificate`", help);
            None
        }
        (None, None) => None,
    };
    let table = s.take("account").map(|value| (value.span(), value));
    let accounts = match &table {
        Some((_, value)) => {
            accounts(Section::of(findings, "[upstream.account]".to_owned(), value), base, findings)
        }
        None => BTreeMap::new(),
    };
    let login = match word {
        LoginWord::PassThrough => UpstreamLogin::PassThrough,
        LoginWord::Certificate => UpstreamLogin::Certificate,
        LoginWord::ServiceAccount => UpstreamLogin::ServiceAccount(accounts),
    };
    match (&login, table) {
        (UpstreamLogin::ServiceAccount(_), None) => findings.error_help(
            span.clone(),
            "login = \"service-account\" needs an account for each role",
            "for example: [upstream.account.nurse] with user = \"clinic_nurse\" and password_file",
        ),
        (UpstreamLogin::PassThrough | UpstreamLogin::Certificate, Some((table, _))) => findings.error_help(
            table,
            "[upstream.account] has no effect while clients are logged in as themselves",
            "set upstream.login = \"service-account\"",
        ),
        _ => {}
    }
    if word == LoginWord::Certificate && identity.is_none() {
        findings.error_help(
            span,
            "login = \"certificate\" needs `client_certificate` and `client_key`",
            "for example: client_certificate = \"tls/pgglass.crt\", client_key = \"tls/pgglass.key\"",
        );
    }
    UpstreamDraft { identity, login }
}

fn accounts(table: Section<'_>, base: &Path, findings: &mut Findings<'_>) -> BTreeMap<String, Account> {
    let mut accounts = BTreeMap::new();
    for (role, value) in table.entries() {
        let mut one = Section::of(findings, format!("[upstream.account.{}]", role.get_ref()), value);
        let user = one.required(findings, "user", "\"clinic_nurse\"");
        let password_file = one.string(findings, "password_file");
        one.finish(findings);
        let Some(user) = user else { continue };
        let password_file = password_file.map(|path| base.join(path.into_inner()));
        accounts.insert(role.into_inner(), Account { user: user.into_inner(), password_file });
    }
    accounts
}

/// What of the sections does not fit together.
pub(super) fn together(
    draft: Draft,
    top: &mut Section<'_>,
    parts: (Option<&Listen>, Option<&Upstream>, Option<&Policy>),
    findings: &mut Findings<'_>,
) -> LoginSettings {
    let Draft { login, method, verifier_file } = draft;
    let (listen, upstream, policy) = parts;
    let span = method.as_ref().map_or(0..0, Spanned::span);
    let with_certificate = login.method.wants_certificate();
    if with_certificate && listen.is_some_and(|l| l.tls.is_none()) {
        findings.error_help(
            span.clone(),
            "client certificates travel in TLS, and [listen] has no certificate",
            "configure listen.certificate and listen.private_key",
        );
    } else if with_certificate && listen.is_some_and(|l| l.cleartext == Cleartext::Loopback) {
        findings.warning(
            span.clone(),
            "clients in clear text have no certificate and are refused, whatever listen.cleartext says",
            "set listen.cleartext = \"never\"",
        );
    }
    if let Some(file) = verifier_file.filter(|_| !login.method.wants_password()) {
        findings.warning(
            file.span(),
            "`verifier_file` has no effect while no password is asked for",
            "leave it out, or set login.method = \"cert+scram\"",
        );
    }
    if let Some(upstream) = upstream {
        upstream_together(&login, upstream, policy, span, top, findings);
    }
    login
}

fn upstream_together(
    login: &LoginSettings,
    upstream: &Upstream,
    policy: Option<&Policy>,
    method: std::ops::Range<usize>,
    top: &mut Section<'_>,
    findings: &mut Findings<'_>,
) {
    let mut quiet = top.section(findings, "upstream");
    let at = quiet.key_span("login");
    match &upstream.login {
        UpstreamLogin::PassThrough if login.method == LoginMethod::Cert => findings.error_help(
            method,
            "a certificate gives no key that could log in to the server as the user",
            "set upstream.login = \"certificate\" or \"service-account\", or login.method = \"cert+scram\"",
        ),
        UpstreamLogin::PassThrough => {}
        UpstreamLogin::Certificate => {
            if !matches!(upstream.tls, UpstreamTls::VerifyFull { .. }) {
                findings.error_help(
                    at,
                    "login = \"certificate\" needs a server that is verified",
                    "set upstream.tls = \"verify-full\" with `ca`",
                );
            }
        }
        UpstreamLogin::ServiceAccount(accounts) => {
            let table = quiet.section(findings, "account");
            for (role, account) in accounts {
                let entry = table.key_span(role);
                if let Some(policy) = policy.filter(|p| !p.roles.contains_key(role)) {
                    let known: Vec<&str> = policy.roles.keys().map(String::as_str).collect();
                    unknown(findings, entry.clone(), "there is no role", role, &known);
                }
                if account.user == upstream.service_user {
                    findings.error_help(
                        entry.clone(),
                        format!("`{}` is the proxy's own account, which reads verifiers", account.user),
                        "give clients an account of their own, with the rights their role needs",
                    );
                }
                let by_certificate = upstream.identity.is_some() && upstream.tls != UpstreamTls::Disable;
                if account.password_file.is_none() && !by_certificate {
                    findings.error_help(
                        entry,
                        format!("the account of role `{role}` has no `password_file`"),
                        "or let our certificate log it in: upstream.client_certificate, client_key and TLS",
                    );
                }
            }
        }
    }
}

/// `[certificates]`: how long before a certificate ends the log warns.
pub(super) fn warn_before(top: &mut Section<'_>, findings: &mut Findings<'_>) -> Vec<Duration> {
    const DAY: u64 = 86_400;
    let mut s = top.section(findings, "certificates");
    let list = s.strings(findings, "warn_before");
    s.finish(findings);
    let Some(list) = list else {
        return [30, 7, 1].map(|days| Duration::from_secs(days * DAY)).to_vec();
    };
    let mut times = Vec::new();
    for text in list {
        match units::duration(text.get_ref()) {
            Some(time) => times.push(time),
            None => findings.error(text.span(), "`warn_before` holds durations such as \"30d\""),
        }
    }
    times.sort_unstable_by(|a, b| b.cmp(a));
    times
}
