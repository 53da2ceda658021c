//! A connection string of libpq's form: `host=db port=5432 user=dba dbname='the clinic'` (PostgreSQL manual,
//! "Keyword/Value Connection Strings"). Of its keywords those that say where and as whom.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Upstream, UpstreamLogin, UpstreamTls, is_loopback};

/// Where to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) password: Option<String>,
    pub(super) tls: UpstreamTls,
}

/// What is wrong with a connection string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TargetError {
    #[error(
        "expected keyword=value near `{0}`; for example \"host=127.0.0.1 port=5432 user=dba dbname=clinic\""
    )]
    Syntax(String),
    #[error("unknown keyword `{0}`; known are host, port, user, dbname, password, sslmode, sslrootcert")]
    Unknown(String),
    #[error("{0} is missing; for example \"host=127.0.0.1 port=5432 user=dba dbname=clinic\"")]
    Missing(&'static str),
    #[error("`{0}` is no port")]
    Port(String),
    #[error("host is a socket's folder or a list; the proxy connects to one host by TCP")]
    Host,
    #[error("sslmode `{0}` is not known here; use disable, require, or verify-full with sslrootcert")]
    SslMode(String),
    #[error("sslmode=verify-full needs sslrootcert=FILE")]
    NoAuthorities,
    #[error(
        "sslmode=disable to {0}: without TLS only this machine is connected to; use require or verify-full"
    )]
    Cleartext(String),
}

impl Target {
    pub(super) fn parse(text: &str) -> Result<Self, TargetError> {
        let (mut host, mut port, mut user, mut database) = (None, None, None, None);
        let (mut password, mut mode, mut authorities) = (None, None, None);
        for (keyword, value) in pairs(text)? {
            let value = Some(value).filter(|v| !v.is_empty());
            match keyword.as_str() {
                "host" | "hostaddr" => host = value,
                "port" => port = value,
                "user" => user = value,
                "dbname" => database = value,
                "password" => password = value,
                "sslmode" => mode = value,
                "sslrootcert" => authorities = value,
                // Of no effect on what is read.
                "application_name" | "connect_timeout" | "client_encoding" => {}
                _ => return Err(TargetError::Unknown(keyword)),
            }
        }
        let host = host.ok_or(TargetError::Missing("host"))?;
        if host.starts_with(['/', '@']) || host.contains(',') {
            return Err(TargetError::Host);
        }
        let port = match port {
            None => 5432,
            Some(text) => match text.parse::<u16>() {
                Ok(port) if port > 0 => port,
                _ => return Err(TargetError::Port(text)),
            },
        };
        let user = user.ok_or(TargetError::Missing("user"))?;
        let database = database.unwrap_or_else(|| user.clone());
        let authorities = authorities.map(PathBuf::from);
        let tls = match (mode.as_deref(), authorities) {
            (None | Some("verify-full"), Some(ca)) => UpstreamTls::VerifyFull { ca },
            (Some("verify-full"), None) => return Err(TargetError::NoAuthorities),
            (Some("disable"), _) if !is_loopback(&host) => return Err(TargetError::Cleartext(host)),
            (None, None) if !is_loopback(&host) => UpstreamTls::Require,
            (None | Some("disable"), _) => UpstreamTls::Disable,
            (Some("require"), _) => UpstreamTls::Require,
            (Some(other), _) => return Err(TargetError::SslMode(other.to_owned())),
        };
        Ok(Self { host, port, user, database, password, tls })
    }

    /// As the proxy's own account would connect.
    pub(super) fn upstream(&self) -> Upstream {
        Upstream {
            host: self.host.clone(),
            port: self.port,
            tls: self.tls.clone(),
            identity: None,
            login: UpstreamLogin::PassThrough,
            connect_timeout: Duration::from_secs(10),
            service_user: self.user.clone(),
            service_password_file: PathBuf::new(),
            service_database: self.database.clone(),
            auth_query: String::new(),
            catalog_poll: Duration::from_secs(1),
        }
    }
}

/// `keyword = value` pairs; a value may stand in single quotes, with `\'` and `\\` in it.
fn pairs(text: &str) -> Result<Vec<(String, String)>, TargetError> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let wrong = || TargetError::Syntax(rest.chars().take(20).collect());
        let (keyword, behind) = rest.split_once('=').ok_or_else(wrong)?;
        let keyword = keyword.trim();
        if keyword.is_empty() || !keyword.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(wrong());
        }
        let behind = behind.trim_start();
        let quoted = behind.starts_with('\'');
        let mut value = String::new();
        let mut chars = behind.char_indices().skip(usize::from(quoted));
        let mut end = if quoted { None } else { Some(behind.len()) };
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => value.extend(chars.next().map(|(_, c)| c)),
                '\'' if quoted => {
                    end = Some(at + 1);
                    break;
                }
                c if !quoted && c.is_whitespace() => {
                    end = Some(at);
                    break;
                }
                c => value.push(c),
            }
        }
        let end = end.ok_or_else(wrong)?;
        out.push((keyword.to_owned(), value));
        rest = behind.get(end..).unwrap_or_default().trim_start();
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings_are_read_as_libpq_reads_them() {
        let target =
            Target::parse(r"host=localhost port = 5433 user='d b\'a' dbname=clinic password=a\ b").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("localhost", 5433));
        assert_eq!((target.user.as_str(), target.database.as_str()), ("d b'a", "clinic"));
        assert_eq!(target.password.as_deref(), Some("a b"));
        assert_eq!(target.tls, UpstreamTls::Disable);
        assert_eq!(Target::parse("host=::1 user=dba").unwrap().database, "dba");
        assert_eq!(Target::parse("host=db.example user=dba").unwrap().tls, UpstreamTls::Require);
        let full = Target::parse("host=db user=dba sslmode=verify-full sslrootcert=ca.crt").unwrap();
        assert_eq!(full.tls, UpstreamTls::VerifyFull { ca: "ca.crt".into() });
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("", "host is missing"),
            ("host=db", "user is missing"),
            ("db.example", "expected keyword=value near `db.example`"),
            ("host='db", "expected keyword=value"),
            ("host=db user=x port=0", "`0` is no port"),
            ("host=db user=x port=banana", "`banana` is no port"),
            ("host=/var/run user=x", "socket"),
            ("host=a,b user=x", "list"),
            ("host=db user=x sslmode=disable", "without TLS only this machine"),
            ("host=db user=x sslmode=prefer", "sslmode `prefer`"),
            ("host=db user=x sslmode=verify-full", "needs sslrootcert"),
            ("host=db user=x target=y", "unknown keyword `target`"),
            ("=x", "expected keyword=value"),
        ] {
            let error = Target::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
