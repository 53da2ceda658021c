//! Place and time: when a role is what it is, and what it is otherwise. Pure: the address, the
//! certificate and the time come in as values.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::{GlsCode, Policy, PolicyMode, Refusal, Role};

/// A network: an address and how many of its leading bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// An address in it.
    pub address: IpAddr,
    /// Leading bits that count.
    pub bits: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, `fd00::/8` or a single address; `None` when it is none, or when bits
    /// beyond the prefix are set (a slip more often than not).
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            None => (text, None),
            Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let network = Network { address, bits: bits.unwrap_or(most) };
        let (value, width) = as_number(address);
        let host = width.checked_sub(u32::from(network.bits))?;
        let host_bits = if host == 0 { 0 } else { value.checked_shl(128 - host)? };
        (network.bits <= most && host_bits == 0).then_some(network)
    }

    /// True for an address in it; an IPv4 address that is written as IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let ((own, width), (other, others)) = (as_number(self.address), as_number(address.to_canonical()));
        let host = width.saturating_sub(u32::from(self.bits));
        width == others && (host >= 128 || own >> host == other >> host)
    }
}

fn as_number(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

/// Hours of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    /// First minute of the day that counts, and the first that does not any more. The second may be
    /// the smaller one: then the shift goes over midnight and belongs to the day it begins.
    pub minutes: Option<(u16, u16)>,
    /// The days; `None` is every day.
    pub days: Option<BTreeSet<u8>>,
    /// Where the clock hangs.
    pub timezone: TimeZone,
    /// Its name as configured.
    pub timezone_name: String,
}

/// Days as [`Hours::days`] counts them.
pub const DAYS: [(&str, u8); 7] =
    [("mon", 1), ("tue", 2), ("wed", 3), ("thu", 4), ("fri", 5), ("sat", 6), ("sun", 7)];

impl Hours {
    /// True when `now` is in them.
    pub fn hold(&self, now: Timestamp) -> bool {
        let local = now.to_zoned(self.timezone.clone());
        let today = number(local.weekday());
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or(0);
        let on = |day: u8| self.days.as_ref().is_none_or(|days| days.contains(&day));
        match self.minutes {
            None => on(today),
            Some((from, to)) if from < to => on(today) && (from..to).contains(&minute),
            Some((from, to)) => {
                let yesterday = if today == 1 { 7 } else { today - 1 };
                (on(today) && minute >= from) || (on(yesterday) && minute < to)
            }
        }
    }
}

fn number(day: Weekday) -> u8 {
    u8::try_from(day.to_monday_one_offset()).unwrap_or(0)
}

/// `[role.NAME.when]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The client's address is in one of them; none is anywhere.
    pub networks: Vec<Network>,
    /// The client showed a certificate.
    pub certificate: bool,
    /// The hours.
    pub hours: Option<Hours>,
    /// The role outside of all this; `None`: nothing is run.
    pub otherwise: Option<String>,
}

/// Where a session comes from; it does not change while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The client's address, if it has one.
    pub address: Option<IpAddr>,
    /// A certificate that stands for the user was shown.
    pub certificate: bool,
}

/// A term that is not met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unmet {
    Network,
    Certificate,
    Hours,
}

impl Terms {
    fn unmet(&self, place: Place, now: Timestamp) -> Option<Unmet> {
        let inside = |address: IpAddr| self.networks.iter().any(|n| n.contains(address));
        if !self.networks.is_empty() && !place.address.is_some_and(inside) {
            return Some(Unmet::Network);
        }
        if self.certificate && !place.certificate {
            return Some(Unmet::Certificate);
        }
        self.hours.as_ref().filter(|hours| !hours.hold(now)).map(|_| Unmet::Hours)
    }
}

impl Policy {
    /// What `role` is here and now.
    ///
    /// # Errors
    /// GLS-209 when its terms are not met and it has no role for that.
    pub fn under_terms(&self, role: &Arc<Role>, place: Place, now: Timestamp) -> Result<Arc<Role>, Refusal> {
        let Some(terms) = &role.when else { return Ok(Arc::clone(role)) };
        // Nothing is enforced of a role that is only watched.
        let enforced = role.mode == PolicyMode::Enforce;
        let Some(unmet) = terms.unmet(place, now).filter(|_| enforced) else { return Ok(Arc::clone(role)) };
        if let Some(other) = terms.otherwise.as_ref().and_then(|name| self.roles.get(name)) {
            return Ok(Arc::new(other.clone()));
        }
        let (what, hint) = match unmet {
            Unmet::Network => ("from this network", "Connect from a network of the role."),
            Unmet::Certificate => ("without a client certificate", "Log in with a client certificate."),
            Unmet::Hours => ("at this hour", "Come back within the hours of the role."),
        };
        let message = format!("role {} may not be used {what}: nothing was run", role.name);
        let hint = format!("{hint} An administrator sets them in [role.{}.when].", role.name);
        Err(Refusal::new(GlsCode::OutsideTerms, message).with_hint(hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Scope;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn networks() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.1"),
            ("192.168.1.7", "192.168.1.7", "192.168.1.8"),
            ("192.168.1.0/25", "::ffff:192.168.1.127", "192.168.1.128"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("::1", "::1", "127.0.0.1"),
        ] {
            let network = Network::parse(network).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network:?} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{network:?} {outside}");
        }
        let everywhere = Network::parse("0.0.0.0/0").unwrap();
        assert!(
            everywhere.contains("1.2.3.4".parse().unwrap()) && !everywhere.contains("::2".parse().unwrap())
        );
        for text in
            ["", "10.0.0.1/8", "10.0.0.0/33", "fd00::/129", "localhost", "10.0.0.0/", "1.2.3/8", "fd00::1/8"]
        {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }

    #[test]
    fn hours_days_and_shifts_over_midnight() {
        let hours = |minutes, days: &[u8]| Hours {
            minutes,
            days: (!days.is_empty()).then(|| days.iter().copied().collect()),
            timezone: TimeZone::get("Europe/Berlin").unwrap_or(TimeZone::fixed(jiff::tz::offset(1))),
            timezone_name: String::new(),
        };
        // 2026-01-05 is a Monday; Berlin is one hour ahead in winter.
        let day = hours(Some((7 * 60, 19 * 60)), &[1, 2]);
        assert!(day.hold(at("2026-01-05T06:00:00Z")) && !day.hold(at("2026-01-05T05:59:59Z")));
        assert!(day.hold(at("2026-01-05T17:59:59Z")) && !day.hold(at("2026-01-05T18:00:00Z")));
        assert!(day.hold(at("2026-01-06T12:00:00Z")) && !day.hold(at("2026-01-07T12:00:00Z")));
        let night = hours(Some((22 * 60, 6 * 60)), &[1]);
        assert!(night.hold(at("2026-01-05T21:00:00Z")) && night.hold(at("2026-01-06T04:59:00Z")));
        assert!(!night.hold(at("2026-01-06T05:00:00Z")) && !night.hold(at("2026-01-05T02:00:00Z")));
        assert!(!night.hold(at("2026-01-06T22:00:00Z")));
        assert!(hours(None, &[1]).hold(at("2026-01-05T12:00:00Z")));
        assert!(!hours(None, &[7]).hold(at("2026-01-05T12:00:00Z")));
    }

    #[test]
    fn the_role_is_another_one_outside_its_terms() {
        let terms = Terms {
            networks: vec![Network::parse("10.0.0.0/8").unwrap()],
            certificate: true,
            hours: None,
            otherwise: None,
        };
        let role = |terms: Option<Terms>| Arc::new(Role { when: terms, ..Role::new("ward", Scope::All) });
        let policy = crate::sql::fixture::Clinic::new().bound.policy;
        let mut policy = Policy::clone(&policy);
        policy.roles.insert("home".into(), Role::new("home", Scope::Assigned));
        let here = Place { address: Some("10.1.1.1".parse().unwrap()), certificate: true };
        let now = at("2026-01-05T12:00:00Z");
        let under = |terms: &Terms, place| policy.under_terms(&role(Some(terms.clone())), place, now);
        assert_eq!(&*under(&terms, here).unwrap().name, "ward");
        for (place, words) in [
            (Place { address: Some("11.1.1.1".parse().unwrap()), ..here }, "from this network"),
            (Place { address: None, ..here }, "from this network"),
            (Place { certificate: false, ..here }, "without a client certificate"),
        ] {
            let refusal = under(&terms, place).unwrap_err().to_string();
            assert!(refusal.starts_with("GLS-209") && refusal.contains(words), "{refusal}");
            let home = Terms { otherwise: Some("home".into()), ..terms.clone() };
            assert_eq!(&*under(&home, place).unwrap().name, "home");
            // A role that is gone opens nothing.
            let gone = Terms { otherwise: Some("gone".into()), ..terms.clone() };
            assert!(under(&gone, place).is_err());
        }
        assert_eq!(&*policy.under_terms(&role(None), Place::default(), now).unwrap().name, "ward");
    }
}
