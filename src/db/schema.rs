//! Makes the tables and indexes of `migrations/0001.sql` that are missing, however many replicas start at once.
//!
//! No table keeps a version. The catalogue says what is there, so that a table that was dropped, or is not in a restored dump,
//! comes back, and a role without the right to create tables is enough once nothing is missing. The table of the Node server is
//! replaced: its logins live 15 minutes. A table of another program under one of our names is named and left alone.

use std::collections::HashMap;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, IsolationLevel};

const SCHEMA: &str = include_str!("../../migrations/0001.sql");

/// The contract's name. All other names begin with `postiz_auth_`.
const GRANTS: &str = "device_requests";
/// A column of the Node server's table of that name.
const NODE_SERVERS: &str = "device_code";
/// Columns that the table of an early build of this server has, and lacks.
const EARLY: (&str, &str) = ("sealing_key", "verifier_salt");
/// A table of Postiz, whose start drops tables that it does not know.
pub(super) const POSTIZS: &str = "OAuthApp";

const CATALOGUE: &str = "SELECT relname::text, ARRAY(SELECT attname::text FROM pg_attribute
        WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped)
    FROM pg_class
    WHERE relname = ANY($1) AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
       OR relname = $2 AND relkind IN ('r', 'p')";

/// The lock ends with the transaction, so it works through a pooler. Its key is `postiz` in ASCII, so it does not collide with
/// another program's. All statements of all replicas wait behind one that waits for a table, which a backup may hold for long.
const LOCK: &str = "SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '30s';
    SELECT pg_advisory_xact_lock(123623980689786);
    SET LOCAL lock_timeout = '500ms'";

/// What is known of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaState {
    Unknown,
    Current,
    /// This database can't be used. The sentence says why, and names the table.
    Foreign(String),
}

/// What the catalogue says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Complete,
    /// The names of what is to be made.
    Missing(Vec<&'static str>),
    /// There is a table of grants to be replaced.
    Replaceable,
    Foreign(String),
}

/// Makes what is missing. Returns what was found in the end, and the names of what was made.
pub(super) async fn apply(client: &mut Client) -> Result<(Found, Vec<&'static str>), Error> {
    let mut found = look(client).await?;
    let mut made = Vec::new();
    if !matches!(found, Found::Missing(_) | Found::Replaceable) {
        return Ok((found, made));
    }
    // In a stricter isolation, the second look would see what the first one saw.
    let transaction = client.build_transaction().isolation_level(IsolationLevel::ReadCommitted).start().await?;
    transaction.batch_execute(LOCK).await?;
    found = look(transaction.client()).await?;
    if found == Found::Replaceable {
        transaction.batch_execute("DROP TABLE device_requests").await?;
        found = look(transaction.client()).await?;
    }
    if let Found::Missing(missing) = found {
        // One by one: Citus takes no definition beside another one.
        for object in objects().filter(|object| missing.contains(&object.name)) {
            transaction.batch_execute(object.sql).await?;
        }
        (found, made) = (Found::Complete, missing);
    }
    transaction.commit().await?;
    Ok((found, made))
}

/// Writes nothing.
pub(super) async fn look(client: &Client) -> Result<Found, Error> {
    let names: Vec<_> = objects().map(|object| object.name).collect();
    let rows = client.query_typed(CATALOGUE, &[(&names, Type::TEXT_ARRAY), (&POSTIZS, Type::TEXT)]).await?;
    let relations = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, Error>>()?;
    Ok(judge(&relations))
}

/// `relations`: the columns of each relation by its name.
fn judge(relations: &HashMap<String, Vec<String>>) -> Found {
    let mut missing = Vec::new();
    let mut is_replaceable = false;
    for object in objects() {
        let Some(columns) = relations.get(object.name) else {
            missing.push(object.name);
            continue;
        };
        let has = |column: &str| columns.iter().any(|found| found == column);
        let Some(lacked) = object.columns.iter().find(|column| !has(column)) else { continue };
        if object.name == GRANTS && (has(NODE_SERVERS) || has(EARLY.0) && !has(EARLY.1)) {
            is_replaceable = true;
        } else {
            let name = object.name;
            let why = format!("the table {name} in the database is another program's: it has no column {lacked}");
            return Found::Foreign(why);
        }
    }
    if missing.is_empty() && !is_replaceable {
        Found::Complete
    } else if relations.contains_key(POSTIZS) {
        Found::Foreign(format!("the database is Postiz's own: it holds the table \"{POSTIZS}\""))
    } else if is_replaceable {
        Found::Replaceable
    } else {
        Found::Missing(missing)
    }
}

/// A table, or an index, which has no columns here.
struct Object {
    name: &'static str,
    columns: Vec<&'static str>,
    /// With the comments before it.
    sql: &'static str,
}

pub(super) fn tables() -> Vec<&'static str> {
    objects().filter(|object| !object.columns.is_empty()).map(|object| object.name).collect()
}

fn objects() -> impl Iterator<Item = Object> {
    SCHEMA.split_inclusive(";\n").filter_map(|sql| {
        let create = sql.lines().find(|line| line.starts_with("CREATE "))?;
        let name = create.split_whitespace().nth(2)?;
        Some(Object { name, columns: sql.lines().filter_map(column).collect(), sql })
    })
}

/// The name of the column that a line defines: a word in small letters, four spaces from the left.
fn column(line: &'static str) -> Option<&'static str> {
    let definition = line.strip_prefix("    ")?;
    let name = definition.split(' ').next()?;
    name.starts_with(|first: char| first.is_ascii_lowercase()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database with these tables, and all others of ours complete.
    fn with(changed: &[(&str, Option<&[&str]>)]) -> HashMap<String, Vec<String>> {
        let owned = |columns: &[&str]| columns.iter().map(|&column| column.to_owned()).collect();
        let mut relations: HashMap<_, Vec<String>> =
            objects().map(|object| (object.name.to_owned(), owned(&object.columns))).collect();
        for (name, columns) in changed {
            match columns {
                Some(columns) => _ = relations.insert((*name).to_owned(), owned(columns)),
                None => _ = relations.remove(*name),
            }
        }
        relations
    }

    #[test]
    fn the_file_is_taken_apart_into_its_statements() {
        assert!(SCHEMA.ends_with(";\n"));
        assert_eq!(objects().count(), SCHEMA.matches(";\n").count());
        let all: Vec<_> = objects().collect();
        for object in &all {
            let word = object.sql.lines().find(|line| line.starts_with("CREATE ")).unwrap();
            assert_eq!(object.columns.is_empty(), word.starts_with("CREATE INDEX "), "{word}");
            assert!(object.name == GRANTS || object.name.starts_with("postiz_auth_"), "{word}");
        }
        assert_eq!(all[0].name, GRANTS);
        assert_eq!(all[0].columns[..4], ["id", "user_code", "sealing_key", "verifier_salt"]);
        assert!(all[0].columns.contains(&EARLY.0) && all[0].columns.contains(&EARLY.1));
    }

    #[test]
    fn a_complete_database_needs_nothing_even_if_it_has_columns_of_a_newer_version() {
        assert_eq!(judge(&with(&[])), Found::Complete);
        let mut newer = with(&[]);
        newer.get_mut(GRANTS).unwrap().push("added_later".to_owned());
        assert_eq!(judge(&newer), Found::Complete);
        assert_eq!(judge(&with(&[(POSTIZS, Some(&["id"]))])), Found::Complete);
    }

    #[test]
    fn whatever_is_missing_is_made() {
        let wrong_codes = "postiz_auth_wrong_codes";
        assert_eq!(judge(&with(&[(wrong_codes, None)])), Found::Missing(vec![wrong_codes]));
        assert_eq!(judge(&with(&[("postiz_auth_ends_at", None)])), Found::Missing(vec!["postiz_auth_ends_at"]));
        assert_eq!(judge(&HashMap::new()), Found::Missing(objects().map(|object| object.name).collect()));
    }

    #[test]
    fn only_a_table_of_ours_or_the_node_servers_is_replaced() {
        let grants = |columns| judge(&with(&[(GRANTS, Some(columns))]));
        assert_eq!(grants(&["device_code", "user_code", "status"]), Found::Replaceable);
        assert_eq!(grants(&["id", "user_code", "sealing_key", "purge_at"]), Found::Replaceable);
        for other in [&["id", "serial_number"][..], &["id", "sealing_key", "verifier_salt"], &[]] {
            let Found::Foreign(why) = grants(other) else { panic!("{other:?}") };
            assert!(why.contains("device_requests"), "{why}");
        }
        let codes = judge(&with(&[("postiz_auth_wrong_codes", Some(&["device_code", "sealing_key"]))]));
        assert!(matches!(codes, Found::Foreign(_)));
    }

    #[test]
    fn postizs_own_database_gets_no_table() {
        for changed in [(GRANTS, None), (GRANTS, Some(&["device_code"][..]))] {
            let Found::Foreign(why) = judge(&with(&[changed, (POSTIZS, Some(&["id"]))])) else { panic!() };
            assert!(why.contains("OAuthApp"), "{why}");
        }
    }
}
