//! `[role.NAME.when]`: where and when a role is this role.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::tz::TimeZone;
use toml::Spanned;

use super::diagnostic::Findings;
use super::reader::{Section, unknown};
use crate::policy::{DAYS, Hours, Network, Role, Terms};

pub(super) fn read(s: &mut Section<'_>, findings: &mut Findings<'_>) -> Option<Terms> {
    s.take("when")?;
    let span = s.key_span("when");
    let mut when = s.section(findings, "when");
    let mut networks = Vec::new();
    for text in when.strings(findings, "networks").unwrap_or_default() {
        match Network::parse(text.get_ref()) {
            Some(network) => networks.push(network),
            None => findings.error_help(
                text.span(),
                format!("`{}` is no network", text.get_ref()),
                "for example \"10.1.0.0/16\", \"fd00::/8\" or one address; no bits beyond the prefix",
            ),
        }
    }
    let certificate = when.choice(findings, "certificate", &[("required", true), ("any", false)]);
    let minutes = when.string(findings, "hours").and_then(|text| minutes(&text, findings));
    let days = days(&mut when, findings);
    let zone = when.string(findings, "timezone");
    let otherwise = when.string(findings, "otherwise").map(Spanned::into_inner);
    if let Some(zone) = zone.as_ref().filter(|_| minutes.is_none() && days.is_none()) {
        findings.warning(zone.span(), "`timezone` has no effect without `hours` or `days`", "remove it");
    }
    let timezone = match &zone {
        None => Some(TimeZone::UTC),
        Some(name) => TimeZone::get(name.get_ref()).ok(),
    };
    if let (Some(name), None) = (&zone, &timezone) {
        findings.error_help(
            name.span(),
            format!("there is no time zone `{}` on this machine", name.get_ref()),
            "a name of the IANA list, such as \"Europe/Berlin\"; it needs the package tzdata",
        );
    }
    when.finish(findings);
    let certificate = certificate.is_some_and(Spanned::into_inner);
    let timezone_name = zone.map_or_else(|| "UTC".to_owned(), Spanned::into_inner);
    let hours = (minutes.is_some() || days.is_some()).then(|| Hours {
        minutes,
        days,
        timezone: timezone.unwrap_or(TimeZone::UTC),
        timezone_name,
    });
    if networks.is_empty() && !certificate && hours.is_none() {
        findings.warning(span, "`when` says nothing", "name `networks`, `certificate`, `hours` or `days`");
    }
    Some(Terms { networks, certificate, hours, otherwise })
}

/// Checks that span roles: what `otherwise` names.
pub(super) fn together(
    roles: &BTreeMap<String, Role>,
    places: &BTreeMap<String, Range<usize>>,
    findings: &mut Findings<'_>,
) {
    for (name, role) in roles {
        let Some(other) = role.when.as_ref().and_then(|t| t.otherwise.as_ref()) else { continue };
        let span = places.get(name).cloned().unwrap_or(0..0);
        match roles.get(other) {
            None => {
                let known: Vec<&str> = roles.keys().map(String::as_str).collect();
                unknown(findings, span, "`otherwise`: there is no role", other, &known);
            }
            Some(other) if other.when.is_some() => findings.error_help(
                span,
                format!("`otherwise` leads to role `{}`, which has terms of its own", other.name),
                "it must be a role without [role.NAME.when]",
            ),
            Some(_) => {}
        }
    }
}

/// `07:00-19:00`
fn minutes(text: &Spanned<String>, findings: &mut Findings<'_>) -> Option<(u16, u16)> {
    let clock = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let two = |t: &str, most: u16| {
            let digits = t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
            t.parse::<u16>().ok().filter(|n| digits && *n <= most)
        };
        let (hour, minute) = (two(hour, 24)?, two(minute, 59)?);
        (hour < 24 || minute == 0).then_some(hour * 60 + minute)
    };
    let both = text.get_ref().split_once('-').and_then(|(from, to)| Some((clock(from)?, clock(to)?)));
    match both.filter(|(from, to)| from != to && *from < 24 * 60) {
        Some(both) => Some(both),
        None => {
            findings.error_help(
                text.span(),
                format!("`{}` are no hours", text.get_ref()),
                "for example \"07:00-19:00\", or \"22:00-06:00\" over midnight; 24:00 is the end of a day",
            );
            None
        }
    }
}

fn days(s: &mut Section<'_>, findings: &mut Findings<'_>) -> Option<BTreeSet<u8>> {
    let span = s.key_span("days");
    let words = s.strings(findings, "days")?;
    if words.is_empty() {
        findings.error_help(span, "`days` names no day", "remove it for every day");
    }
    let known: Vec<&str> = DAYS.iter().map(|(word, _)| *word).collect();
    let mut out = BTreeSet::new();
    for word in words {
        match DAYS.iter().find(|(known, _)| known == word.get_ref()) {
            Some((_, day)) => _ = out.insert(*day),
            None => unknown(findings, word.span(), "`days`: there is no day", word.get_ref(), &known),
        }
    }
    Some(out)
}
