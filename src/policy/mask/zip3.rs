//! The three-digit ZIP areas of 20,000 people or fewer, which 45 CFR 164.514(b)(2)(i)(B) turns into
//! `000`. Data only.
//!
//! Both lists count ZIP code tabulation areas (ZCTAs) of the Bureau of the Census. The one of 2000 is
//! the list in the guidance of the Office for Civil Rights on de-identification (HHS, 26 November
//! 2012, section 3.2). The one of 2010 is what was published from that census since; it includes
//! areas on which publications differ. Those who have a newer list, or another view of these, say so
//! in `[masks] zip3_small` of the configuration: the rule speaks of "current publicly available data".

use std::collections::BTreeSet;
use std::sync::Arc;

/// By the census of 2000.
pub const ZIP3_SMALL_2000: [&str; 17] = [
    "036", "059", "063", "102", "203", "556", "692", "790", "821", "823", "830", "831", "878", "879", "884",
    "890", "893",
];

/// By the census of 2010.
pub const ZIP3_SMALL_2010: [&str; 18] = [
    "036", "059", "102", "202", "203", "204", "205", "369", "556", "692", "753", "772", "821", "823", "878",
    "879", "884", "893",
];

/// Every area on one of the lists.
pub fn zip3_small() -> Arc<BTreeSet<String>> {
    Arc::new(ZIP3_SMALL_2000.iter().chain(&ZIP3_SMALL_2010).map(|s| (*s).to_owned()).collect())
}
