//! A database under the conformance suite.

use mongodb::bson::{Bson, Document, doc};
use tahr_plugin_api::{
    Column, Relation, ValueKind,
    testing::{Row, Subject},
};
use tahr_tests::{MongoDatabase, Mongod, bson_text};

/// A server, and the database of the present case.
pub(crate) struct Target {
    server: Mongod,
    database: Option<MongoDatabase>,
    can_refuse: bool,
}

impl Target {
    /// On `server`, which `can_refuse` a row so that nothing of its batch is stored.
    pub(crate) fn new(server: Mongod, can_refuse: bool) -> Self {
        Self {
            server,
            database: None,
            can_refuse,
        }
    }

    fn database(&self) -> &MongoDatabase {
        self.database.as_ref().expect("a fresh target")
    }
}

fn collection(relation: &Relation) -> String {
    relation.target.flat().replace('$', "_")
}

fn cell(relation: &Relation, column: &Column, document: &Document) -> Option<String> {
    let is_id = column.name == "_id" && relation.key().len() != 1;
    let name = if is_id { "_id_" } else { &column.name };
    // What was written as JSON text is a string; as a document it may be one, too.
    let kind = match column.type_name.as_str() {
        "json" => ValueKind::Text,
        _ => column.kind,
    };
    bson_text(document.get(name).unwrap_or(&Bson::Null), kind)
}

impl Subject for Target {
    fn fresh(&mut self) -> serde_json::Value {
        let database = self.server.database();
        let options = serde_json::json!({ "url": database.url(), "connect_timeout": "5s" });
        self.database = Some(database);
        options
    }

    fn rows(&mut self, relation: &Relation) -> Vec<Row> {
        let documents = self.database().documents(&collection(relation));
        let row = |document: &Document| {
            let columns = relation.columns.iter();
            columns
                .map(|column| cell(relation, column, document))
                .collect()
        };
        documents.iter().map(row).collect()
    }

    fn reads_back(&self, column: &Column, value: &str) -> Option<String> {
        // The documented rule.
        let is_json_null = column.type_name == "jsonb" && value == "null";
        (!is_json_null).then(|| value.to_owned())
    }

    fn poison(&mut self, relation: &Relation, id: &str) -> bool {
        if self.can_refuse {
            let id: i32 = id.parse().unwrap();
            let command = doc! {
                "collMod": collection(relation), "validator": { "_id": { "$ne": id } },
            };
            self.database().command(command);
        }
        self.can_refuse
    }

    fn cure(&mut self, relation: &Relation, _id: &str) {
        let command = doc! { "collMod": collection(relation), "validator": {} };
        self.database().command(command);
    }

    fn add_foreign_row(&mut self, relation: &Relation, id: &str) -> bool {
        let id: i32 = id.parse().unwrap();
        let command = doc! {
            "insert": collection(relation), "documents": [{ "_id": id, "id": id }],
        };
        self.database().command(command);
        true
    }

    fn has_bookkeeping(&mut self) -> bool {
        let collections = self.database().collections();
        collections.iter().any(|name| name.starts_with("tahr_"))
    }
}
