//! The tables, and whether a file has them.
//!
//! `paths` is the tree of all names that any set ever had; a name is stored once. `versions` has what each
//! set itself says of a path, so an incremental set costs what it changed. The index over (parent,
//! name) is the order of the format: blobs compare as unsigned bytes, and a folder is listed by its
//! id. What sets there are is kept by the names of their files, from which
//! [`Collection`](crate::engine::chain::Collection) makes chains as it does at the destination.

use rusqlite::{Connection, TransactionBehavior};

use super::failure::Failure;

/// Version of the schema. A file of another one is not read but made anew. Whoever changes it adds a
/// fixture (`tests/fixtures/catalog`).
pub(super) const VERSION: i32 = 3;

/// Marks the file as ours: "Souv".
const APPLICATION: i32 = 0x536f_7576;

/// The path of the root.
pub(super) const ROOT: i64 = 1;

const TABLES: &str = "
CREATE TABLE about (
  location TEXT NOT NULL      -- of the destination, for people
) STRICT;

CREATE TABLE sets (
  id INTEGER PRIMARY KEY,
  is_full INTEGER NOT NULL,
  start INTEGER NOT NULL,     -- seconds since 1970; of a full set its time
  time INTEGER NOT NULL,      -- seconds since 1970
  manifest TEXT NOT NULL,     -- name of the stored file
  signatures TEXT,            -- name of the stored file; NULL if it is missing
  signature_bytes INTEGER NOT NULL,
  state INTEGER NOT NULL,     -- 0 waits, 1 is taken in, 2 cannot be read
  reason TEXT,                -- why it cannot be read
  entries INTEGER NOT NULL,
  changes INTEGER NOT NULL,   -- entries, without folders of which only the time is another
  UNIQUE (time, start, is_full)
) STRICT;

-- What many entries have in common.
CREATE TABLE attributes (
  id INTEGER PRIMARY KEY,
  kind INTEGER NOT NULL,      -- the letter that ls shows
  mode INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  gid INTEGER NOT NULL,
  owner TEXT,
  owners TEXT,
  major INTEGER NOT NULL,
  minor INTEGER NOT NULL
) STRICT;

CREATE TABLE paths (
  id INTEGER PRIMARY KEY,
  parent INTEGER NOT NULL,
  name BLOB NOT NULL,
  UNIQUE (parent, name)
) STRICT;

CREATE TABLE versions (
  path INTEGER NOT NULL,
  set_id INTEGER NOT NULL,
  attributes INTEGER,         -- NULL: the path is gone
  mtime INTEGER,              -- seconds since 1970
  size INTEGER,               -- bytes; NULL if not known
  target BLOB,                -- where a link points
  extras BLOB,                -- see extras.rs; NULL if duplicity made the set
  PRIMARY KEY (path, set_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX versions_of_a_set ON versions (set_id);

-- The names of the paths N * 8192 and following in lower case, for searching: see names.rs.
CREATE TABLE names (
  block INTEGER PRIMARY KEY,
  names BLOB NOT NULL,
  parents BLOB NOT NULL       -- of the same paths: see names.rs
) STRICT;

INSERT INTO paths (id, parent, name) VALUES (1, 0, x'');
";

/// Whether the file is a catalogue of this version, an empty file, or something else.
pub(super) enum Found {
    Ours,
    Empty,
    Foreign,
}

/// Looks what the file is. An error says that it is no database.
pub(super) fn look(connection: &Connection) -> Result<Found, Failure> {
    let number = |pragma| connection.query_row(pragma, [], |row| row.get::<_, i32>(0));
    let (application, version) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    Ok(match (application, version, tables) {
        (APPLICATION, VERSION, 1..) => Found::Ours,
        (0, 0, 0) => Found::Empty,
        _ => Found::Foreign,
    })
}

/// Makes the tables, unless another process has just done so.
pub(super) fn create(connection: &mut Connection, location: &str) -> Result<(), Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if matches!(look(&transaction)?, Found::Empty) {
        transaction.execute_batch(TABLES)?;
        transaction.execute("INSERT INTO about (location) VALUES (?1)", [location])?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Whether every page and index is sound. Takes about a second for a million paths.
pub(super) fn is_sound(connection: &Connection) -> bool {
    let verdict = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    verdict.is_ok_and(|text| text == "ok")
}
