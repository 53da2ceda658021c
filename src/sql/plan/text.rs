//! Placeholders: policy texts (guards, derived tables, witnesses) stand in the AST as reserved
//! identifiers and are filled into the printed text, because the rewriter's grammar need not know
//! `OPERATOR(pg_catalog.=)`. Not for anything a client wrote.

use sqlparser::ast::Ident;

const OPEN: &str = "__glass_ph_";

/// An unquoted identifier of ours.
pub(crate) fn ident(name: impl Into<String>) -> Ident {
    Ident::new(name)
}

/// The texts by number.
#[derive(Debug, Default)]
pub(crate) struct Placeholders {
    texts: Vec<String>,
}

impl Placeholders {
    /// An identifier that stands for `text`.
    pub(crate) fn stand_for(&mut self, text: String) -> Ident {
        self.texts.push(text);
        ident(format!("{OPEN}{}_", self.texts.len() - 1))
    }

    /// `printed` with every placeholder replaced by its text. The texts are not searched again.
    pub(crate) fn fill(&self, printed: &str) -> String {
        let mut out =
            String::with_capacity(printed.len() + self.texts.iter().map(String::len).sum::<usize>());
        let mut rest = printed;
        while let Some((before, after)) = rest.split_once(OPEN) {
            out.push_str(before);
            let found = after
                .split_once('_')
                .and_then(|(digits, tail)| Some((self.texts.get(digits.parse::<usize>().ok()?)?, tail)));
            match found {
                Some((text, tail)) => {
                    out.push_str(text);
                    rest = tail;
                }
                None => {
                    out.push_str(OPEN);
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenth_is_not_the_first_with_a_zero() {
        let mut p = Placeholders::default();
        let names: Vec<String> = (0..12).map(|i| p.stand_for(format!("<{i}>")).value).collect();
        assert_eq!(p.fill(&names.join(" ")), "<0> <1> <2> <3> <4> <5> <6> <7> <8> <9> <10> <11>");
        assert_eq!(p.fill("__glass_ph_99_ __glass_k1"), "__glass_ph_99_ __glass_k1");
    }
}
