//! `tahr check --sql`: what a DBA has to run, source by source, as one script for psql.

use tahr_postgres_connect::{Host, Url};

use super::Looked;
use crate::{
    Faults,
    command::Output,
    config::Config,
    engine::of_source,
    source::{Finding, Severity, object_name, owner, parse, script},
};

/// Prints the script. Where it is for several sources it connects to each before its part, so that
/// nothing is run in the wrong database.
pub(super) fn print(
    config: &Config,
    looked: &[Looked<'_>],
    output: &mut Output,
) -> Result<(), Faults> {
    let mut errors = Vec::new();
    let has_several = looked.len() > 1;
    for looked in looked {
        let url = parse(looked.source).ok();
        let place = url
            .as_ref()
            .map_or_else(String::new, |url| format!(", {url}"));
        match &looked.result {
            Ok((report, _)) => {
                output.line(format!("-- source \"{}\"{place}", looked.name));
                let sql = script(&report.findings);
                if sql.is_empty() {
                    output.line("-- nothing to mend");
                } else {
                    if let Some(url) = url.filter(|_| has_several) {
                        output.line(connect(&url));
                    }
                    output.line(sql.trim_end());
                    if looked.source.publication.is_none()
                        && report.findings.iter().any(makes_publication)
                        && let Ok(made) = object_name(&owner(config, looked.name))
                    {
                        output.line(reminder(looked.name, &made));
                    }
                }
                output.line("");
            }
            Err(error) => errors.push(of_source(looked.name, error.clone())),
        }
    }
    Faults::unless_empty(errors)
}

/// Takes psql to the source's database, as whom it is already.
fn connect(url: &Url) -> String {
    let host = match url.host() {
        Host::Tcp(name) => name.clone(),
        Host::Socket(folder) => folder.display().to_string(),
    };
    let conninfo = format!(
        "host={} port={} dbname={}",
        quote(&host),
        url.port(),
        quote(url.database())
    );
    // In psql's double quotes only these mean anything.
    format!(
        "\\connect -reuse-previous=on \"{}\"",
        conninfo.replace('"', "\"\"")
    )
}

/// A value of a conninfo.
fn quote(value: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-/:".contains(letter);
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Whether a DBA makes the publication, which is then used only where the config names it.
fn makes_publication(finding: &Finding) -> bool {
    let fix = finding.fix.as_deref().unwrap_or_default();
    finding.severity == Severity::Error && fix.starts_with("CREATE PUBLICATION ")
}

/// Has psql say what no SQL can do.
fn reminder(source: &str, publication: &str) -> String {
    let text = format!(
        "now put publication = \"{publication}\" into [sources.{source}] of the config, and run tahr check"
    );
    format!(
        "\\echo '{}'",
        text.replace('\\', "\\\\").replace('\'', "''")
    )
}

#[cfg(test)]
mod tests {
    use tahr_postgres_connect::Url;

    use super::connect;

    #[test]
    fn psql_is_taken_to_the_database_without_user_and_password() {
        let line = |url| connect(&Url::parse(url).expect("a URL"));
        assert_eq!(
            line("postgres://me:secret@db1.example.com:5433/shop?sslmode=disable"),
            "\\connect -reuse-previous=on \"host=db1.example.com port=5433 dbname=shop\""
        );
        assert_eq!(
            line("postgres://me@/it%27s%20%22a%22%5Cb?host=/run/my%20postgres"),
            "\\connect -reuse-previous=on \"host='/run/my postgres' port=5432 \
             dbname='it\\'s \"\"a\"\"\\\\b'\""
        );
    }
}
