//! The dictionary's views.

use crate::{rows, scene};

#[test]
fn columns_are_told_with_their_types() {
    let (_database, session) = scene(&[
        "CREATE TABLE \"Items\" (id NUMBER(10), price NUMBER(8, 2) DEFAULT 0, any_ NUMBER, \
        name VARCHAR2(20 CHAR) NOT NULL, code VARCHAR2(9), c CLOB, t TIMESTAMP(6) WITH TIME ZONE, r RAW(16))",
    ]);
    let columns = "SELECT column_name, data_type, data_length, char_length, char_used, data_precision, data_scale, \
        nullable, default_length, virtual_column FROM all_tab_cols WHERE owner = :1 AND table_name = :2 \
        AND hidden_column = 'NO' ORDER BY column_id";
    let sql = columns.replace(":1", "'TAHR'").replace(":2", "'Items'");
    assert_eq!(
        rows(&session, &sql),
        [
            "ID|NUMBER|22|0|-|10|0|Y|-|NO",
            "PRICE|NUMBER|22|0|-|8|2|Y|1|NO",
            "ANY_|NUMBER|22|0|-|-|-|Y|-|NO",
            "NAME|VARCHAR2|80|20|C|-|-|N|-|NO",
            "CODE|VARCHAR2|9|9|B|-|-|Y|-|NO",
            "C|CLOB|4000|0|-|-|-|Y|-|NO",
            "T|TIMESTAMP(6) WITH TIME ZONE|13|0|-|-|6|Y|-|NO",
            "R|RAW|16|0|-|-|-|Y|-|NO",
        ]
    );
    assert_eq!(
        rows(
            &session,
            "SELECT COUNT(*) FROM user_tab_columns WHERE table_name = 'Items'"
        ),
        ["8"]
    );
}

#[test]
fn keys_are_told_in_their_order() {
    let (_database, session) = scene(&[
        "CREATE TABLE p (a NUMBER, b NUMBER, c NUMBER, CONSTRAINT p_key PRIMARY KEY (b, a), UNIQUE (c))",
        "CREATE TABLE f (a NUMBER, b NUMBER, CONSTRAINT f_key FOREIGN KEY (b, a) REFERENCES p (b, a))",
        "CREATE UNIQUE INDEX f_index ON f (a)",
    ]);
    let keys = "SELECT i.index_name, c.column_name FROM all_indexes i JOIN all_ind_columns c \
        ON c.index_owner = i.owner AND c.index_name = i.index_name WHERE i.table_owner = 'TAHR' AND \
        i.table_name = 'P' AND i.uniqueness = 'UNIQUE' ORDER BY i.index_name, c.column_position";
    assert_eq!(
        rows(&session, keys),
        ["P_KEY|B", "P_KEY|A", "SYS_C008002|C"]
    );
    let foreign = "SELECT COUNT(*) FROM all_constraints f WHERE f.constraint_type = 'R' AND f.status = 'ENABLED' \
        AND (f.owner = 'TAHR' AND f.table_name = 'P' OR EXISTS (SELECT 1 FROM all_constraints k WHERE \
        k.owner = f.r_owner AND k.constraint_name = f.r_constraint_name AND k.owner = 'TAHR' AND k.table_name = 'P'))";
    assert_eq!(rows(&session, foreign), ["1"]);
    let columns = "SELECT c.constraint_type, l.column_name, l.position FROM user_constraints c, user_cons_columns l \
        WHERE l.constraint_name = c.constraint_name AND c.table_name = 'P' ORDER BY 1, 3";
    assert_eq!(rows(&session, columns), ["P|B|1", "P|A|2", "U|C|1"]);
    let tables =
        "SELECT table_name FROM all_tables WHERE owner = 'TAHR' AND SUBSTR(table_name, 1, 1) = 'F'";
    assert_eq!(rows(&session, tables), ["F"]);
}

#[test]
fn the_server_is_told_with_its_version() {
    let (database, session) = scene(&[]);
    database.set_version("12.1.0.2.0");
    let older = database.connect();
    let sql = "SELECT version FROM product_component_version";
    assert_eq!(rows(&session, sql), ["19.3.0.0.0"]);
    assert_eq!(rows(&older, sql), ["12.1.0.2.0"]);
    let version = |session: &oracle::Connection| session.server_version().unwrap().0.to_string();
    assert_eq!(
        (version(&session), version(&older)),
        ("19.3.0.0.0".to_owned(), "12.1.0.2.0".to_owned())
    );
    let sql = "SELECT value FROM nls_database_parameters WHERE parameter = 'NLS_CHARACTERSET'";
    assert_eq!(rows(&session, sql), ["AL32UTF8"]);
}
