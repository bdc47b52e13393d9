//! `tahr init`: a first config for a database, to be read and changed by its owner.

mod password;

use std::{collections::BTreeMap, fmt::Write as _, io::Write as _, path::Path};

use tahr_plugin_api::TableName;
use tahr_postgres_connect::Url;

use super::{Output, runtime::runtime};
use crate::{
    Error, Faults, cli,
    config::{Engine, NAME_LIMIT, expand_environment},
    engine::of_source,
    source::{
        Finding, Owner, Report, Request, Severity, SourceError, Table, application, object_name,
        preflight,
    },
};

use password::{HIDDEN, hide_password};

/// The variable that a password is moved to.
const PASSWORD: &str = "PG_PASSWORD";

/// Writes the config of a database, and says what to do next.
pub(super) fn init(file: &Path, options: &cli::Init, output: &mut Output) -> Result<(), Faults> {
    let path = options.output.as_deref().unwrap_or(file);
    let path = (path != Path::new("-")).then_some(path);
    if let Some(path) = path.filter(|path| path.exists()) {
        return Err(exists(path).into());
    }
    // A text with variables is the config's own form already.
    let is_template = options.url.contains("${");
    let url = if is_template {
        expand_environment(&options.url)?
    } else {
        options.url.clone()
    };
    let url = Url::parse(&url).map_err(|error| {
        let made = Error::usage(error.to_string());
        if error.hint().is_empty() {
            made
        } else {
            made.hint(error.hint())
        }
    })?;
    let name = plain_name(url.database());
    let report = runtime()?
        .block_on(look(&url, &name))
        .map_err(|error| of_source(&name, error))?;
    let (shown, has_password) = hide_password(&options.url);
    let shown = if is_template {
        shown
    } else {
        shown.replace('$', "$$")
    };
    let password = format!("${{{PASSWORD}}}");
    let text = config(
        &name,
        &shown.replace(HIDDEN, &password),
        has_password,
        &report,
    );
    match path {
        Some(path) => write(path, &text)?,
        None => output.line(text.trim_end()),
    }
    output.note(next_steps(path, has_password, &report));
    Ok(())
}

fn owner(name: &str) -> Owner {
    Owner {
        engine: Engine::DEFAULT_NAME.to_owned(),
        source: name.to_owned(),
    }
}

async fn look(url: &Url, name: &str) -> Result<Report, SourceError> {
    let owner = owner(name);
    let request = Request {
        owner: &owner,
        application: &application(&owner.engine),
        publication: None,
        slot: None,
        wanted: &|_| true,
        shared: None,
    };
    preflight(url, &request).await
}

fn exists(path: &Path) -> Error {
    Error::usage(format!("{} exists, and is not overwritten", path.display()))
        .hint("write elsewhere: --output FILE, or --output - for the terminal")
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(path),
        _ => Error::failed(format!("write {}", path.display())).caused_by(error),
    })
}

fn next_steps(path: Option<&Path>, has_password: bool, report: &Report) -> String {
    let mut text = String::new();
    let tahr = match path {
        Some(path) if path == Path::new("tahr.toml") => "tahr".to_owned(),
        Some(path) => format!("tahr --config {}", path.display()),
        None => "tahr".to_owned(),
    };
    if let Some(path) = path {
        let _ = writeln!(
            text,
            "wrote {}; look at its tables and its target, then:",
            path.display()
        );
    } else {
        text.push_str("save it as tahr.toml, look at its tables and its target, then:\n");
    }
    if has_password {
        let _ = writeln!(text, "  export {PASSWORD}=…   # as it stood in the URL");
    }
    let _ = writeln!(text, "  {tahr} check");
    if !report.is_usable() {
        let _ = writeln!(text, "  {tahr} check --sql   # what a DBA has to run first");
    }
    let _ = write!(text, "  {tahr} run");
    text
}

/// The config's text.
fn config(name: &str, url: &str, has_password: bool, report: &Report) -> String {
    let (engine, state_dir) = (Engine::DEFAULT_NAME, Engine::DEFAULT_STATE_DIR);
    let mut out = format!(
        "\
# Written by `tahr init`. `tahr check` says what is wrong with it, `tahr run` starts.
# ${{NAME}} is an environment variable, ${{file:/path}} the content of a file, $$ a dollar sign.

[engine]
name      = \"{engine}\"         # part of slot and publication names: another engine needs another
state_dir = \"{state_dir}\"   # what targets that lag still need; relative to this file

[sources.{name}]
"
    );
    if has_password {
        let _ = writeln!(
            out,
            "# The password is not in this file: export {PASSWORD}=… before tahr starts."
        );
    }
    let _ = writeln!(out, "url = {}", quoted(url));
    // Their names are those that tahr's own would have.
    if let Ok(object) = object_name(&owner(name)) {
        let _ = writeln!(
            out,
            "# Where a DBA makes what tahr would make itself:\n\
             # publication = {0}\n# slot        = {0}",
            quoted(&object)
        );
    }
    for finding in report
        .findings
        .iter()
        .filter(|finding| table_of(finding).is_none())
    {
        comment(&mut out, "", finding);
    }
    let _ = write!(
        out,
        "
# Where the rows go. `tahr plugins` lists the plugins, `tahr plugins describe redis` explains the
# options of one.
[targets.cache]
plugin  = \"redis\"
options = {{ url = \"redis://localhost:6379\", key = \"{{table}}:{{pk}}\", format = \"hash\" }}

# [targets.file]
# plugin  = \"sqlite\"
# options = {{ path = \"{name}.db\" }}

# [targets.copy]
# plugin  = \"postgres\"
# options = {{ url = \"postgres://tahr:${{COPY_PASSWORD}}@localhost/copy\" }}

[syncs.{name}]
sources = [\"{name}\"]            # several: they replicate to each other
targets = [\"cache\"]            # several: [\"cache\", \"file\", \"copy\"]
# Patterns work too: \"public.*\" is every table of public, also those made later; \"!public.audit_*\"
# leaves some out.
"
    );
    tables(&mut out, report);
    out.push_str(
        "
# What one table needs of its own:
# [syncs.NAME.table.\"public.customers\"]
# rename  = \"clients\"
# exclude = [\"password_hash\"]
",
    );
    out.replace("[syncs.NAME.", &format!("[syncs.{name}."))
}

/// The table that `finding` is about.
fn table_of(finding: &Finding) -> Option<&str> {
    let words = ["table ", "materialized view "];
    words
        .iter()
        .find_map(|word| finding.object.strip_prefix(word))
}

fn comment(out: &mut String, indent: &str, finding: &Finding) {
    // A name may hold a line break, which would end the comment.
    let plain = |text: &str| -> String {
        text.chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect()
    };
    let _ = writeln!(out, "{indent}# {}", plain(&finding.to_string()));
    for line in finding.fix.iter().flat_map(|fix| fix.lines()) {
        let _ = writeln!(out, "{indent}#   {}", plain(line));
    }
}

/// Whether the target of this config can hold it as it is. What rights are missing is no matter of
/// the table.
fn is_usable(table: &Table, findings: &[&Finding]) -> bool {
    let is_faulty = findings
        .iter()
        .any(|finding| finding.severity == Severity::Error);
    table.has_identity
        && !(table.generated_in_identity && is_faulty)
        && !table.relation.key().is_empty()
}

fn tables(out: &mut String, report: &Report) {
    let mut findings: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in &report.findings {
        if let Some(table) = table_of(finding) {
            findings.entry(table).or_default().push(finding);
        }
    }
    let mut take = |table: &Table| {
        findings
            .remove(table.relation.source.to_string().as_str())
            .unwrap_or_default()
    };
    let judged = report.tables.iter().map(|table| (table, take(table)));
    let (usable, others): (Vec<_>, Vec<_>) =
        judged.partition(|(table, found)| is_usable(table, found));
    out.push_str("tables  = [\n");
    let names: Vec<_> = usable
        .iter()
        .map(|(table, _)| quoted(&pattern(&table.relation.source)))
        .collect();
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    for (name, (table, _)) in names.iter().zip(&usable) {
        let pad = width - name.chars().count();
        let _ = writeln!(out, "    {name},{:pad$}   # {}", "", rows(table));
    }
    if usable.is_empty() {
        out.push_str("    \"public.*\",   # none can be copied as it is; mend those below\n");
    }
    for (table, found) in others {
        let name = quoted(&pattern(&table.relation.source));
        let _ = writeln!(out, "    # {name},   # {}", rows(table));
        if table.has_identity && table.relation.key().is_empty() {
            out.push_str(
                "    # has no primary key, which redis needs and the other targets don't\n",
            );
        }
        for finding in found {
            comment(out, "    ", finding);
        }
    }
    for finding in findings.into_values().flatten() {
        comment(out, "    ", finding);
    }
    out.push_str("]\n");
}

fn rows(table: &Table) -> String {
    match table.estimated_rows {
        0 => "empty".to_owned(),
        rows => format!("about {rows} rows"),
    }
}

/// `text` as a string of the config file.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => drop(write!(out, "\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The pattern that matches `table` alone, with dollars as the config wants them.
fn pattern(table: &TableName) -> String {
    let half = |name: &str| {
        let is_plain = |c: char| c.is_alphanumeric() || c == '_';
        match name.chars().all(is_plain) {
            true => name.to_owned(),
            false => format!("\"{}\"", name.replace('"', "\"\"").replace('$', "$$")),
        }
    };
    format!("{}.{}", half(&table.schema), half(&table.table))
}

/// `database` as the name of a source and a sync.
fn plain_name(database: &str) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() => c,
        _ => '_',
    };
    let name: String = database.chars().map(plain).take(NAME_LIMIT).collect();
    if name.is_empty() {
        "source".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TablePattern;

    #[test]
    fn patterns_and_names_fit_whatever_the_database_holds() {
        let odd = TableName::new("My Schema", "a.\"b*$");
        let text = pattern(&odd);
        let parsed = TablePattern::parse(&text.replace("$$", "$")).unwrap();
        assert_eq!(parsed.single(), Some(odd));
        assert_eq!(pattern(&TableName::new("public", "t_1")), "public.t_1");
        assert_eq!(plain_name("My-Shop"), "my_shop");
        assert_eq!(plain_name(""), "source");
        assert_eq!(quoted("a\"\\\n"), "\"a\\\"\\\\\\u000A\"");
    }
}
