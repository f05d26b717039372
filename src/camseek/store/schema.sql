-- Format version 5. Names of files are bytes: a disk holds names that are no text. One that begins with a dot
-- is told from the collection's folder on (.1/photos: one up, then photos), and lies in a root that is told so,
-- too; all others are whole.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- One row for each content, whatever its names. Numbers are never used twice.
CREATE TABLE pictures (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    content BLOB NOT NULL UNIQUE,      -- SHA-256 of the whole file
    width   INTEGER NOT NULL,          -- of the upright picture, pixels
    height  INTEGER NOT NULL,
    format  TEXT NOT NULL,
    frames  INTEGER NOT NULL,
    CHECK (length(content) = 32 AND width > 0 AND height > 0 AND frames > 0)
);

-- A picture without a row here is featureless. It has a trace of the kind !featureless.
CREATE TABLE descriptors (
    picture INTEGER PRIMARY KEY REFERENCES pictures (id) ON DELETE CASCADE,
    vector  BLOB NOT NULL,             -- little-endian float16
    crc     INTEGER NOT NULL           -- CRC-32 of the vector
);
-- Counts and lists records without walking through the vectors.
CREATE INDEX descriptors_by_picture ON descriptors (picture);

-- The representation of the pictures beside the one in use: descriptors of another whitening or network in the
-- making, or those that were in use before. All change places in one transaction. A vector of NULL: featureless.
CREATE TABLE refit (
    picture INTEGER PRIMARY KEY REFERENCES pictures (id) ON DELETE CASCADE,
    vector  BLOB,
    crc     INTEGER NOT NULL
);

-- The traces that go with it. Only those of one side are meant, which meta names: two may be there while the
-- places change.
CREATE TABLE refit_traces (
    picture INTEGER NOT NULL REFERENCES pictures (id) ON DELETE CASCADE,
    kind    TEXT NOT NULL,
    side    INTEGER NOT NULL,
    data    BLOB NOT NULL,
    crc     INTEGER NOT NULL,
    PRIMARY KEY (picture, kind, side)
);

-- Named parts of a picture: what else is known of it, such as its local features.
CREATE TABLE traces (
    number  INTEGER PRIMARY KEY,
    picture INTEGER NOT NULL REFERENCES pictures (id) ON DELETE CASCADE,
    kind    TEXT NOT NULL,
    data    BLOB NOT NULL,
    crc     INTEGER NOT NULL,          -- CRC-32 of the data
    UNIQUE (picture, kind)
);

CREATE TABLE files (
    path     BLOB PRIMARY KEY,
    picture  INTEGER NOT NULL REFERENCES pictures (id),
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,         -- -1: written too recently to trust
    CHECK (size >= 0)
) WITHOUT ROWID;
CREATE INDEX files_by_picture ON files (picture);

CREATE TABLE roots (
    id   INTEGER PRIMARY KEY,          -- 0: what was added by hand
    path BLOB NOT NULL UNIQUE
);

-- What index runs of a root take and leave out, in the order in which it was given. No rows: everything is taken.
CREATE TABLE patterns (
    root    INTEGER NOT NULL REFERENCES roots (id) ON DELETE CASCADE,
    kind    TEXT NOT NULL,             -- include or exclude
    place   INTEGER NOT NULL,
    pattern BLOB NOT NULL,             -- bytes as names are
    PRIMARY KEY (root, kind, place),
    CHECK (kind IN ('include', 'exclude'))
) WITHOUT ROWID;

-- Which roots brought a file; it leaves with its last claim.
CREATE TABLE claims (
    path BLOB NOT NULL REFERENCES files (path) ON DELETE CASCADE,
    root INTEGER NOT NULL REFERENCES roots (id),
    PRIMARY KEY (path, root)
) WITHOUT ROWID;

CREATE TABLE skipped (
    path       BLOB NOT NULL,
    root       INTEGER NOT NULL REFERENCES roots (id),
    size       INTEGER NOT NULL,
    mtime_ns   INTEGER NOT NULL,
    ctime_ns   INTEGER NOT NULL,
    code       TEXT NOT NULL,
    reason     TEXT NOT NULL,
    tried_with TEXT NOT NULL,
    PRIMARY KEY (path, root)
) WITHOUT ROWID;
