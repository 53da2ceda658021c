//! `--sample`: how many keys of a way that rests on names are found where they should be. Counts only.

use tokio_postgres::Client;

use crate::catalog::quote_ident;
use crate::discover::{Discovery, Guess};

/// Values looked at for one way.
const MOST: u32 = 1_000;

/// Counts, and notes the counts at the entries. What cannot be read is noted, too.
pub(super) async fn look(client: &Client, discovery: &mut Discovery<'_>) {
    let limited = client.batch_execute("SET statement_timeout = '5s'; SET lock_timeout = '1s'").await.is_ok();
    for guess in discovery.guesses() {
        let counted = if limited { count(client, &guess).await } else { None };
        let said = match counted {
            None => "not counted (no rights, or it took longer than 5 s)".to_owned(),
            Some((0, _)) => {
                "nothing to count: every value looked at is NULL, or the table is empty".to_owned()
            }
            Some((all, found)) => format!(
                "{found} of {all} values looked at are in {}.{}{}",
                guess.parent,
                guess.references,
                if found < all { "; LOOK: it may mean something else" } else { "" }
            ),
        };
        discovery.note(&guess, &said);
    }
}

async fn count(client: &Client, guess: &Guess) -> Option<(i64, i64)> {
    let query = format!(
        "SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE EXISTS (SELECT FROM {} AS p WHERE p.{} = c.v))
           FROM (SELECT t.{column} AS v FROM {} AS t WHERE t.{column} IS NOT NULL LIMIT {MOST}) AS c",
        guess.parent.to_sql(),
        quote_ident(&guess.references),
        guess.child.to_sql(),
        column = quote_ident(&guess.column),
    );
    let row = client.query_one(&query, &[]).await.ok()?;
    Some((row.try_get(0).ok()?, row.try_get(1).ok()?))
}
