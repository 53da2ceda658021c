//! Warns in the log before a certificate ends: ours, the authorities of clients and of the server, and the one we
//! show the server. Looked at when the proxy starts and once a day. It does not renew anything.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::config::{Config, UpstreamTls};
use crate::wire::{cert, tls};

/// How often the dates are looked at.
pub(super) const EVERY: Duration = Duration::from_secs(86_400);

/// A file of certificates and what it is for.
type Watched = (&'static str, PathBuf);

/// Every file of certificates that the configuration names.
pub(super) fn watched(config: &Config) -> Vec<Watched> {
    let mut files: Vec<Watched> = Vec::new();
    files.extend(config.listen.tls.iter().map(|t| ("listen.certificate", t.certificate.clone())));
    files.extend(config.login.client_ca.iter().map(|ca| ("login.client_ca", ca.clone())));
    files.extend(
        config.upstream.identity.iter().map(|t| ("upstream.client_certificate", t.certificate.clone())),
    );
    if let UpstreamTls::VerifyFull { ca } = &config.upstream.tls {
        files.push(("upstream.ca", ca.clone()));
    }
    files
}

/// Logs what is due in these files. `last` is when they were looked at before.
pub(super) fn look(files: &[Watched], warn_before: &[Duration], last: Option<SystemTime>, now: SystemTime) {
    for (key, path) in files {
        let certificates = match tls::certificates_of(path) {
            Ok(certificates) => certificates,
            Err(error) => {
                tracing::warn!(%error, "{key} cannot be looked at; the one read before stays in use");
                continue;
            }
        };
        for (subject, end) in certificates.iter().filter_map(|der| cert::expiry(der)) {
            let file = path.display();
            match due(end, warn_before, last, now) {
                None => {}
                Some(Due::Ended) => tracing::error!(%file, %subject, "{key} has EXPIRED"),
                Some(Due::EndsIn(left)) => {
                    tracing::warn!(%file, %subject, "{key} expires in {}", words(left));
                }
            }
        }
    }
}

/// What there is to say of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Ended,
    EndsIn(Duration),
}

/// Whether a certificate that ends at `end` has to be spoken of: it has ended; it comes under one of the times
/// since the last look; at the first look it is under any of them; under the shortest, at every look.
fn due(end: SystemTime, times: &[Duration], last: Option<SystemTime>, now: SystemTime) -> Option<Due> {
    let Ok(left) = end.duration_since(now) else { return Some(Due::Ended) };
    let before = last.and_then(|last| end.duration_since(last).ok());
    let crossed = |time: &Duration| left <= *time && before.is_none_or(|before| before > *time);
    let shortest = times.iter().min().is_some_and(|shortest| left <= *shortest);
    (shortest || times.iter().any(crossed)).then_some(Due::EndsIn(left))
}

fn words(left: Duration) -> String {
    const HOUR: u64 = 3_600;
    match left.as_secs() {
        seconds if seconds >= 48 * HOUR => format!("{} days", seconds / (24 * HOUR)),
        seconds if seconds >= 2 * HOUR => format!("{} hours", seconds / HOUR),
        seconds => format!("{} minutes", seconds / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn each_time_is_said_once_and_the_last_day_by_day() {
        let times = [30 * DAY, 7 * DAY, DAY];
        let start = SystemTime::UNIX_EPOCH + 10_000 * DAY;
        let end = start + 40 * DAY;
        let mut said = Vec::new();
        let mut last = None;
        for day in 0..43 {
            let now = start + day * DAY + DAY / 2;
            if due(end, &times, last, now).is_some() {
                said.push(day);
            }
            last = Some(now);
        }
        assert_eq!(said, [10, 33, 39, 40, 41, 42]);
        // A start in between says it at once, and only if it is under the longest time.
        assert_eq!(due(end, &times, None, end - 20 * DAY), Some(Due::EndsIn(20 * DAY)));
        assert_eq!(due(end, &times, None, end - 31 * DAY), None);
        assert_eq!(due(end, &[], None, end - DAY), None);
        assert_eq!(due(end, &[], None, end + DAY), Some(Due::Ended));
    }

    #[test]
    fn what_is_left_in_words() {
        for (seconds, text) in [(30 * 86_400, "30 days"), (86_400, "24 hours"), (3_600, "60 minutes")] {
            assert_eq!(words(Duration::from_secs(seconds)), text);
        }
    }
}
