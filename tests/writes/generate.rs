//! Random writes over the little clinic of `tests/writes.rs`: every construct that a restricted role may
//! use, nested one or two deep, over values small enough to meet. Rows of others have ids of their own, so
//! that no unique key is met that the user cannot see. Not for what must hold of them.

/// xorshift, so that a seed is a database and its statements.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    pub(crate) fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.roll(choices.len() as u64) as usize]
    }

    pub(crate) fn or_null(&mut self, n: u64) -> String {
        if self.roll(8) == 0 { "NULL".to_owned() } else { self.roll(n).to_string() }
    }
}

/// One of the patients the user may see.
fn mine(dice: &mut Dice) -> &'static str {
    dice.of(&["1", "2", "4"])
}

/// A condition over `encounter` under the alias `t`.
fn condition(dice: &mut Dice) -> String {
    let n = dice.roll(4);
    match dice.roll(17) {
        0 => format!("t.score > {n}"),
        1 => format!("t.encounter_id < {}", n + 3),
        2 => format!("t.patient_id = {}", mine(dice)),
        3 => "t.kind IN ('in', 'new')".to_owned(),
        4 => "t.score IS NULL".to_owned(),
        // These fail on rows of others, which have the scores 0 and 2147483647.
        5 => format!("10 / t.score > {n}"),
        6 => format!("t.score + 7 > {n}"),
        7 => "t.kind::date IS NULL".to_owned(),
        8 => "EXISTS (SELECT 1 FROM patient p WHERE p.patient_id = t.patient_id AND p.age > 40)".to_owned(),
        9 => "NOT EXISTS (SELECT 1 FROM lab_order o WHERE o.patient_id = t.patient_id)".to_owned(),
        10 => "t.score >= (SELECT avg(e.score) FROM encounter e)".to_owned(),
        11 => "t.patient_id IN (SELECT o.patient_id FROM lab_order o)".to_owned(),
        12 => "t.patient_id NOT IN (SELECT o.patient_id FROM lab_order o WHERE o.patient_id IS NOT NULL)".to_owned(),
        13 => "t.score <> ALL (SELECT p.ward FROM patient p WHERE p.ward IS NOT NULL)".to_owned(),
        14 => "(SELECT count(*) FROM lab_result r JOIN lab_order o USING (order_id) WHERE o.patient_id = t.patient_id) > 0".to_owned(),
        15 => format!("(t.score = {n} OR t.kind = 'out')"),
        _ => "t.patient_id = (SELECT min(p.patient_id) FROM patient p WHERE 10 / p.age >= 0)".to_owned(),
    }
}

fn conditions(dice: &mut Dice) -> String {
    let all: Vec<String> = (0..dice.roll(3)).map(|_| condition(dice)).collect();
    if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) }
}

fn set(dice: &mut Dice) -> String {
    match dice.roll(7) {
        0 => "kind = 'new'".to_owned(),
        1 => "score = t.score + 1".to_owned(),
        2 => "score = (SELECT max(p.age) FROM patient p)".to_owned(),
        3 => "score = (SELECT p.age FROM patient p WHERE p.patient_id = t.patient_id), kind = 'x'".to_owned(),
        4 => format!("patient_id = {}", mine(dice)),
        5 => "(kind, score) = (SELECT 'n', count(*) FROM encounter e WHERE e.patient_id = t.patient_id)"
            .to_owned(),
        _ => "score = 5, kind = t.kind || 'y'".to_owned(),
    }
}

fn returning(dice: &mut Dice) -> &'static str {
    dice.of(&[
        "",
        "",
        " RETURNING *",
        " RETURNING t.encounter_id, score",
        " RETURNING t.*, (SELECT count(*) FROM encounter e) AS n",
        " RETURNING upper(t.kind) AS kind, t.patient_id",
    ])
}

fn update(dice: &mut Dice) -> String {
    let (set, conditions) = (set(dice), conditions(dice));
    if dice.roll(3) > 0 {
        return format!("UPDATE encounter t SET {set}{conditions}{}", returning(dice));
    }
    let and = if conditions.is_empty() { String::new() } else { conditions.replacen(" WHERE", " AND", 1) };
    let (from, on) = match dice.roll(4) {
        0 => ("patient f", "f.patient_id = t.patient_id AND f.age > 40"),
        1 => (
            "(SELECT e.patient_id, max(e.score) AS m FROM encounter e GROUP BY 1) f",
            "f.patient_id = t.patient_id",
        ),
        2 => (
            "patient f LEFT JOIN (SELECT DISTINCT patient_id FROM lab_order) o ON o.patient_id = f.patient_id",
            "f.patient_id = t.patient_id AND o.patient_id IS NULL",
        ),
        _ => ("ward f", "f.ward = t.score"),
    };
    format!("UPDATE encounter t SET {set} FROM {from} WHERE {on}{and} RETURNING t.encounter_id, t.score")
}

fn delete(dice: &mut Dice) -> String {
    let conditions = conditions(dice);
    if dice.roll(3) > 0 {
        return format!("DELETE FROM encounter t{conditions}{}", returning(dice));
    }
    let and = conditions.replacen(" WHERE", " AND", 1);
    let using = dice.of(&[
        "patient p",
        "(SELECT patient_id FROM lab_order) p",
        "(SELECT patient_id FROM patient OFFSET 1) p",
    ]);
    // A subquery without an order may give other rows: only its number counts.
    let using = using.replace(" OFFSET", " ORDER BY 1 OFFSET");
    format!("DELETE FROM encounter t USING {using} WHERE p.patient_id = t.patient_id{and}{}", returning(dice))
}

fn on_conflict(dice: &mut Dice) -> &'static str {
    dice.of(&[
        "",
        " ON CONFLICT DO NOTHING",
        " ON CONFLICT (encounter_id) DO NOTHING",
        " ON CONFLICT (encounter_id) DO UPDATE SET kind = 'again', score = excluded.score",
        " ON CONFLICT (encounter_id) DO UPDATE SET score = t.score + 1 WHERE t.kind = 'in'",
        " ON CONFLICT (encounter_id) DO UPDATE SET score = t.score + 1 WHERE 10 / t.score > 2",
        " ON CONFLICT (encounter_id) DO UPDATE SET patient_id = excluded.patient_id",
        " ON CONFLICT (encounter_id) DO UPDATE SET score = (SELECT count(*) FROM patient) WHERE excluded.score > 0",
    ])
}

fn insert(dice: &mut Dice) -> String {
    let source = match dice.roll(4) {
        0 | 1 => {
            let mut row = |i: u64| {
                let (p, score) = (mine(dice), dice.or_null(4));
                format!("({}, {p}, 'new', {score})", i * 5 + dice.roll(5))
            };
            let rows = [row(0), row(1), row(8)];
            format!("VALUES {}", rows[..1 + dice.roll(3) as usize].join(", "))
        }
        2 => "SELECT 40 + p.patient_id, p.patient_id, 'sel', (SELECT count(*) FROM encounter e WHERE e.patient_id = p.patient_id) FROM patient p WHERE p.age > 40".to_owned(),
        _ => "SELECT 50 + o.patient_id, o.patient_id, 'agg', max(o.order_id) FROM lab_order o WHERE o.patient_id IS NOT NULL GROUP BY o.patient_id".to_owned(),
    };
    format!(
        "INSERT INTO encounter AS t (encounter_id, patient_id, kind, score) {source}{}{}",
        on_conflict(dice),
        returning(dice)
    )
}

/// MERGE of PostgreSQL 15. A source that meets a row twice is an error of its own.
fn merge(dice: &mut Dice) -> String {
    let source = dice.of(&[
        "(VALUES (1, 1, 2), (41, 2, 3), (8, 4, NULL)) AS s(id, p, n)",
        "(SELECT patient_id::int AS id, patient_id AS p, age AS n FROM patient) s",
        "(SELECT e.encounter_id AS id, e.patient_id AS p, e.score AS n FROM encounter e WHERE e.patient_id IS NOT NULL) s",
        "(SELECT DISTINCT o.order_id AS id, o.patient_id AS p, 1 AS n FROM lab_order o JOIN patient USING (patient_id)) s",
        "unnest('{1,2,43}'::int[], '{1,2,4}'::int8[], '{0,5,6}'::int[]) AS s(id, p, n)",
        "(SELECT ward AS id, 1::int8 AS p, 10 / (ward + 1) AS n FROM ward) s",
    ]);
    let more = if dice.roll(2) == 0 { format!(" AND {}", condition(dice)) } else { String::new() };
    let matched = |dice: &mut Dice| {
        let when = if dice.roll(2) == 0 { String::new() } else { format!(" AND {}", condition(dice)) };
        let action = match dice.roll(4) {
            0 => "DELETE".to_owned(),
            1 => "DO NOTHING".to_owned(),
            2 => "UPDATE SET patient_id = s.p, kind = 'gone'".to_owned(),
            _ => "UPDATE SET score = s.n, kind = t.kind || 'm'".to_owned(),
        };
        format!(" WHEN MATCHED{when} THEN {action}")
    };
    let inserted = dice.of(&[
        "",
        "",
        " WHEN NOT MATCHED AND s.n > 1 THEN INSERT (encounter_id, patient_id, kind, score) VALUES (s.id + 300, s.p, 'merged', s.n)",
        " WHEN NOT MATCHED THEN INSERT VALUES (s.id + 300, s.p, 'all')",
        " WHEN NOT MATCHED AND s.id = 1 THEN DO NOTHING WHEN NOT MATCHED THEN INSERT (encounter_id, patient_id) VALUES (s.id + 300, 2)",
    ]);
    let (first, second) = (matched(dice), if dice.roll(3) == 0 { matched(dice) } else { String::new() });
    // What follows an action without a condition is never reached, an error.
    let second = if first.contains("MATCHED THEN") { String::new() } else { second };
    format!("MERGE INTO encounter t USING {source} ON t.encounter_id = s.id{more}{first}{second}{inserted}")
}

fn one(dice: &mut Dice) -> String {
    match dice.roll(3) {
        0 => update(dice),
        1 => delete(dice),
        _ => insert(dice),
    }
}

/// Two writes of one statement must not meet the same row: which wins is not defined.
fn with(dice: &mut Dice) -> String {
    let first = match dice.roll(4) {
        0 => {
            "DELETE FROM lab_result r USING lab_order o WHERE o.order_id = r.order_id AND o.patient_id IN (1, 4) RETURNING r.result_id, r.value"
        }
        1 => "UPDATE lab_order SET patient_id = 2 WHERE patient_id = 1 RETURNING *",
        2 => {
            "INSERT INTO lab_order (order_id, patient_id) SELECT 70 + patient_id, patient_id FROM patient WHERE age > 40 RETURNING order_id AS a, patient_id"
        }
        _ => {
            "UPDATE patient p SET age = age + 1 WHERE p.ward > 1 AND 10 / p.age >= 0 RETURNING p.patient_id, p.age"
        }
    };
    match dice.roll(5) {
        0 => format!("WITH x AS ({first}) SELECT * FROM x"),
        1 => format!("WITH x AS ({first}) SELECT count(*) FROM x"),
        2 => format!(
            "WITH x AS ({first}), y AS ({}) SELECT (SELECT count(*) FROM x) AS n, (SELECT count(*) FROM encounter) AS m",
            delete(dice)
        ),
        3 => format!("WITH x AS ({first}) {}", one(dice)),
        _ => format!("WITH x AS ({}) SELECT 1", first.split(" RETURNING").next().unwrap_or(first)),
    }
}

/// A statement.
pub(crate) fn statement(dice: &mut Dice) -> String {
    match dice.roll(5) {
        0 => with(dice),
        1 => merge(dice),
        _ => one(dice),
    }
}

/// Planner settings that change in which order conditions are evaluated, and how tables are joined.
pub(crate) fn settings(dice: &mut Dice) -> String {
    [
        "hashjoin",
        "mergejoin",
        "nestloop",
        "seqscan",
        "indexscan",
        "bitmapscan",
        "hashagg",
        "sort",
        "material",
        "memoize",
    ]
    .iter()
    .map(|s| format!("SET enable_{s} = {};", dice.of(&["on", "on", "off"])))
    .collect()
}
