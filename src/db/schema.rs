//! Makes the tables and indexes of `migrations/0001.sql` that are missing, however many replicas start at once.
//!
//! No table keeps a version. The catalogue says what is there, so that a table that was dropped, or is not in a restored dump,
//! comes back, and a role without the right to create tables is enough once nothing is missing. The table of the Node server is
//! replaced: its logins live 15 minutes. A table of another program under one of our names is named and left alone.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, IsolationLevel};
use tracing::info;

use crate::db::{Database, DatabaseError, no_answer};

const SCHEMA: &str = include_str!("../../migrations/0001.sql");

/// The contract's name. All other names begin with `postiz_auth_`.
const GRANTS: &str = "device_requests";
/// Columns of the Node server's table of that name.
const NODE_SERVERS: [&str; 3] = ["device_code", "access_token", "organization_id"];
/// A table of Postiz, whose start drops tables that it does not know.
pub(super) const POSTIZS: &str = "OAuthApp";

const CATALOGUE: &str = "SELECT relname::text, ARRAY(SELECT attname::text FROM pg_attribute
        WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped)
    FROM pg_class
    WHERE relname = ANY($1) AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
       OR relname = $2 AND relkind IN ('r', 'p')";

/// The lock ends with the transaction, so it works through a pooler. Its key is `postiz` in ASCII, so it does not collide with
/// another program's. All statements of all replicas wait behind one that waits for a table, which a backup may hold for long.
///
/// A table of the same name in a later schema of the search path is another program's.
const LOCK: &str = "SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '30s';
    SELECT pg_advisory_xact_lock(123623980689786);
    SELECT set_config('search_path', quote_ident(current_schema()), true);
    SET LOCAL lock_timeout = '500ms'";

/// Longer than the timeouts of the migration's own statements.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(40);
/// While the database is unavailable, locked by a backup, or another program's.
const MIGRATION_RETRY: Duration = Duration::from_secs(1);

/// What is known of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaState {
    Unknown,
    Current,
    /// This database can't be used. The sentence says why, and names the table.
    Foreign(String),
}

/// The names of the tables and indexes that are missing, or why the database can't be used.
pub(super) type Found = Result<Vec<&'static str>, String>;

impl Database {
    /// Returns when the tables are known to be current.
    pub async fn migrated(&self) {
        // The sender lives as long as `self`.
        let _ = self.schema.subscribe().wait_for(|state| *state == SchemaState::Current).await;
    }

    /// Keeps the tables current: makes what is missing now, and again if they disappear. Never returns.
    pub async fn keep_migrated(&self) {
        loop {
            while self.migrate().await.is_err() {
                sleep(MIGRATION_RETRY).await;
            }
            let _ = self.schema.subscribe().wait_for(|state| *state != SchemaState::Current).await;
        }
    }

    /// Makes what is missing in the database.
    pub async fn migrate(&self) -> Result<(), DatabaseError> {
        let deadline = Instant::now() + MIGRATION_TIMEOUT;
        let applying = async {
            let mut connection = self.connection(&self.pool, deadline).await?;
            Ok(apply(&mut connection.client).await?)
        };
        let applied = timeout_at(deadline, applying).await.unwrap_or_else(|_| Err(no_answer()));
        let state = applied.map_err(|error| self.failed("migrate", &error))?;
        self.schema.send_replace(state.clone());
        self.answered();
        if let SchemaState::Foreign(why) = state {
            self.log("migrate", &why, "this database can't be used");
            return Err(DatabaseError::Refused);
        }
        Ok(())
    }
}

/// Makes what is missing.
async fn apply(client: &mut Client) -> Result<SchemaState, Error> {
    if look(client).await? == Ok(Vec::new()) {
        return Ok(SchemaState::Current);
    }
    // In a stricter isolation, the second look would see what the first one saw.
    let transaction = client.build_transaction().isolation_level(IsolationLevel::ReadCommitted).start().await?;
    transaction.batch_execute(LOCK).await?;
    let missing = match look(transaction.client()).await? {
        Ok(missing) => missing,
        Err(why) => return Ok(SchemaState::Foreign(why)),
    };
    if missing.contains(&GRANTS) {
        // The Node server's.
        transaction.batch_execute("DROP TABLE IF EXISTS device_requests").await?;
    }
    // One by one: Citus takes no definition beside another one.
    for object in objects().filter(|object| missing.contains(&object.name)) {
        transaction.batch_execute(object.sql).await?;
        info!(object.name, "created in the database");
    }
    transaction.commit().await?;
    Ok(SchemaState::Current)
}

/// Writes nothing.
pub(super) async fn look(client: &Client) -> Result<Found, Error> {
    let names: Vec<_> = objects().map(|object| object.name).collect();
    let rows = client.query_typed(CATALOGUE, &[(&names, Type::TEXT_ARRAY), (&POSTIZS, Type::TEXT)]).await?;
    let relations = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, Error>>()?;
    Ok(judge(&relations))
}

/// `relations`: the columns of each relation by its name. The Node server's table counts as missing.
fn judge(relations: &HashMap<String, Vec<String>>) -> Found {
    let mut missing = Vec::new();
    for Object { name, columns, .. } in objects() {
        match relations.get(name) {
            Some(found) if !NODE_SERVERS.iter().all(|column| found.iter().any(|found| found == column)) => {
                if let Some(lacked) = columns.into_iter().find(|column| !found.iter().any(|found| found == column)) {
                    return Err(format!(
                        "the table {name} in the database is another program's: it has no column {lacked}"
                    ));
                }
            }
            _ => missing.push(name),
        }
    }
    if !missing.is_empty() && relations.contains_key(POSTIZS) {
        return Err(format!("the database is Postiz's own: it holds the table \"{POSTIZS}\""));
    }
    Ok(missing)
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
    // A column's line begins with a word in small letters, four spaces from the left.
    let column = |line: &'static str| {
        line.strip_prefix("    ")?
            .split(' ')
            .next()
            .filter(|word| word.starts_with(|first: char| first.is_ascii_lowercase()))
    };
    SCHEMA.split_inclusive(";\n").filter_map(move |sql| {
        let create = sql.lines().find(|line| line.starts_with("CREATE "))?;
        let name = create.split_whitespace().nth(2)?;
        Some(Object { name, columns: sql.lines().filter_map(column).collect(), sql })
    })
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
    }

    #[test]
    fn missing_tables_are_made_and_only_the_node_servers_is_replaced() {
        let (codes, index) = ("postiz_auth_wrong_codes", "postiz_auth_ends_at");
        let all: Vec<_> = objects().map(|object| object.name).collect();
        let ours = &objects().next().unwrap().columns;
        let newer = [&ours[..], &["added_later"]].concat();
        for (changed, expected) in [
            (&[][..], Ok(&[][..])),
            (&[(GRANTS, Some(&newer[..]))], Ok(&[])),
            (&[(codes, None)], Ok(&[codes])),
            (&[(index, None)], Ok(&[index])),
            (&[(GRANTS, Some(&["device_code", "access_token", "organization_id"]))], Ok(&[GRANTS])),
            (&[(GRANTS, Some(&["id", "serial_number"]))], Err(GRANTS)),
            (&[(GRANTS, Some(&["device_code", "user_code"]))], Err(GRANTS)),
            (&[(GRANTS, Some(&[]))], Err(GRANTS)),
            (&[(codes, Some(&["client", "sealing_key"]))], Err(codes)),
            // Postiz's own database gets no table, and one that has them already is used on.
            (&[(POSTIZS, Some(&["id"]))], Ok(&[])),
            (&[(POSTIZS, Some(&["id"])), (GRANTS, None)], Err(POSTIZS)),
            (&[(POSTIZS, Some(&["id"])), (GRANTS, Some(&NODE_SERVERS))], Err(POSTIZS)),
        ] {
            match (judge(&with(changed)), expected) {
                (Ok(missing), Ok(expected)) => assert_eq!(missing, expected, "{changed:?}"),
                (Err(why), Err(named)) => assert!(why.contains(named), "{why}"),
                (found, _) => panic!("{changed:?}: {found:?}"),
            }
        }
        assert_eq!(judge(&HashMap::new()), Ok(all));
    }
}
