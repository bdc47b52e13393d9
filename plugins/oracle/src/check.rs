//! What `tahr check` is told about the schema.

use tahr_plugin_api::{CheckReport, Finding, Relation, ReplicaIdentity, WriteError};

use crate::{catalog::Existing, names::quote, options::Options, prepare, session::Session};

/// Everything in which `relations` and the schema don't fit.
pub(crate) fn check(
    session: &Session,
    options: &Options,
    relations: &[Relation],
) -> Result<CheckReport, WriteError> {
    let names = session.names;
    let mut report = CheckReport::default();
    let mut add = |is_error: bool, object: &str, message: String, hint: String| {
        report.findings.push(Finding {
            is_error,
            object: object.to_owned(),
            message,
            hint,
        });
    };
    for relation in relations {
        let name = names.table(relation);
        if let Some((message, hint)) = prepare::name_fault(relation, names) {
            add(true, &name, message, hint);
        }
        let key = relation.key();
        match Existing::find(session, &name)? {
            Some(existing) => {
                for fault in prepare::faults(relation, names, &existing) {
                    add(true, &name, fault.message, fault.hint);
                }
                for (column, declared, source) in prepare::narrow(relation, names, &existing) {
                    let message = format!(
                        "column {column:?} of table {name:?} is {declared}, which is narrower than \
                         {}: values that don't fit park the lane",
                        source.type_name
                    );
                    add(false, &name, message, "see option `unfit`".to_owned());
                }
                let spelled = names.columns(relation);
                let columns: Vec<&str> = key.iter().map(|&index| &*spelled[index]).collect();
                if !key.is_empty() && !existing.has_key(columns.iter().copied()) {
                    let columns: Vec<String> = columns.into_iter().map(quote).collect();
                    add(
                        false,
                        &name,
                        format!(
                            "table {name:?} has no unique index on the key, so updates are slow"
                        ),
                        format!(
                            "CREATE UNIQUE INDEX {} ON {} ({})",
                            quote(&names.fitted(&format!("{name}_key"))),
                            quote(&name),
                            columns.join(", ")
                        ),
                    );
                }
            }
            None if !options.create_tables => add(
                true,
                &name,
                format!("table {name:?} does not exist, and create_tables is false"),
                prepare::create(relation, names, options.unfit),
            ),
            None => {}
        }
        if key.is_empty() && relation.replica_identity == ReplicaIdentity::Full {
            add(
                false,
                &name,
                format!("table {name:?} has no key, so each update or delete reads all of it"),
                format!("ALTER TABLE {} ADD PRIMARY KEY (…)", relation.source),
            );
        }
        report.objects.push(name);
    }
    Ok(report)
}
