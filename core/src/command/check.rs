//! `tahr check`: everything that is wrong, at once; nothing is written.

mod masters;
mod rows;
mod script;

use std::{
    cell::OnceCell,
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::future::join_all;
use tahr_plugin_api::TableName;

use super::{Output, runtime::runtime};
use crate::{
    Error, ErrorKind, Faults, cli,
    config::{Config, Source, Target},
    lane::{Claims, Probed, View, probe_views, views},
    plugin::{Pins, Registry},
    source::{Report, Severity, SourceError, application, catalog, is_wanted, look, parse},
};

/// How long one target may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was found about one thing.
#[derive(Debug)]
struct Group {
    title: String,
    errors: Vec<Error>,
    warnings: Vec<Error>,
}

impl Group {
    fn new(title: String) -> Self {
        Self {
            title,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// As a person reads it; empty where nothing was found.
    fn render(&self) -> String {
        let mut out = String::new();
        let labelled = self.errors.iter().map(|error| error.render("error"));
        for text in labelled.chain(self.warnings.iter().map(|error| error.render("warning"))) {
            for line in text.lines() {
                let _ = writeln!(out, "  {line}");
            }
        }
        if out.is_empty() {
            out
        } else {
            format!("{}\n{out}", self.title)
        }
    }
}

/// A source and what preflight said to it.
struct Looked<'a> {
    name: &'a str,
    source: &'a Source,
    /// With the names of all its tables.
    result: Result<(Report, Vec<TableName>), SourceError>,
}

/// Looks at config, sources and targets; or prints the DBA's script.
pub(super) fn check(file: &Path, options: cli::Check, output: &mut Output) -> Result<(), Faults> {
    let scanned = OnceCell::new();
    let schemas = |folders: &[PathBuf], targets: &BTreeMap<String, Target>| {
        let scan = || Registry::scan(folders, &Pins::of_targets(targets));
        scanned.get_or_init(scan).option_schemas()
    };
    let config = &Config::load_with(file, Some(&schemas))?;
    let runtime = runtime()?;
    let used = |name: &String| {
        config
            .syncs
            .values()
            .any(|sync| sync.sources.contains(name))
    };
    let sources = config.sources.iter().filter(|(name, _)| used(name));
    let looked = sources.map(async |(name, source)| Looked {
        name,
        source,
        result: look_at(config, name, source).await,
    });
    let all = runtime.block_on(join_all(looked));
    if options.sql {
        return script::print(config, &all, output);
    }

    let scan = || Registry::scan(&config.engine.plugin_dirs, &Pins::of(config));
    let registry = scanned.get_or_init(scan);
    let mut in_config = Group::new(format!("config {}", config.path.display()));
    for error in registry.errors() {
        let warning = Error::usage(error.to_string());
        in_config.warnings.push(match &error.hint {
            Some(hint) => warning.hint(hint.clone()),
            None => warning,
        });
    }
    for name in config.sources.keys().filter(|name| !used(name)) {
        in_config
            .warnings
            .push(Error::usage(format!("source \"{name}\" is in no sync")));
    }
    let plugins = config.targets.iter();
    let plugins = plugins.map(|(name, target)| registry.of_target(name, target));
    in_config.errors.extend(plugins.filter_map(Result::err));
    let mut tables = 0;
    let mut all_views = Vec::new();
    let mut groups = Vec::new();
    for looked in &all {
        groups.push(of_source(looked));
        if let Ok((report, names)) = &looked.result {
            tables += report.tables.len();
            let (views, errors) = views(config, looked.name, &report.tables);
            in_config.errors.extend(errors);
            all_views.extend(views);
            check_tables(config, looked.name, (report, names), &all, &mut in_config);
        }
    }
    groups.extend(runtime.block_on(masters::check(config, &all, &mut in_config)));
    let targets = runtime.block_on(check_targets_of(
        config,
        registry,
        &all_views,
        &mut in_config,
    ));
    groups.insert(0, in_config);
    groups.extend(targets);
    // A writer that never answered has a thread that never ends.
    runtime.shutdown_background();
    conclude(
        groups,
        &Counts {
            sources: all.len(),
            tables,
            targets: config.targets.len(),
        },
        output,
    )
}

async fn look_at(
    config: &Config,
    name: &str,
    source: &Source,
) -> Result<(Report, Vec<TableName>), SourceError> {
    let report = look(config, name, source).await?;
    let client = parse(source)?
        .connect_source(&application(&config.engine.name))
        .await?;
    Ok((report, catalog::names(&client).await?))
}

fn of_source(looked: &Looked<'_>) -> Group {
    let place = parse(looked.source).map_or_else(|_| String::new(), |url| format!(" ({url})"));
    let mut group = Group::new(format!("source \"{}\"{place}", looked.name));
    let hinted = |error: Error, hint: Option<&str>| match hint {
        Some(hint) if !hint.is_empty() => error.hint(hint),
        _ => error,
    };
    match &looked.result {
        Err(error) => {
            let shown = Error::source(error.message.clone());
            group.errors.push(hinted(shown, Some(&error.hint)));
        }
        Ok((report, _)) => {
            for finding in &report.findings {
                let shown = hinted(Error::source(finding.to_string()), finding.fix.as_deref());
                match finding.severity {
                    Severity::Error => group.errors.push(shown),
                    Severity::Warning => group.warnings.push(shown),
                }
            }
        }
    }
    group
}

/// What the syncs say of tables that the source `source` doesn't have, or has under another name.
fn check_tables(
    config: &Config,
    source: &str,
    (report, names): (&Report, &[TableName]),
    all: &[Looked<'_>],
    found: &mut Group,
) {
    let nearest = |wanted: &TableName| {
        let wanted = wanted.to_string();
        let near = |name: &&TableName| strsim::jaro_winkler(&name.to_string(), &wanted) > 0.9;
        names
            .iter()
            .find(near)
            .map(|name| format!("did you mean \"{name}\"?"))
    };
    let syncs = config.syncs.iter();
    for (sync_name, sync) in syncs.filter(|(_, sync)| sync.sources.iter().any(|has| has == source))
    {
        let say = |message: String, hint: Option<String>| {
            let error = Error::usage(format!("sync \"{sync_name}\": {message}"));
            match hint {
                Some(hint) => error.hint(hint),
                None => error,
            }
        };
        // That is said of the sources as a whole.
        let is_elsewhere = |name: &TableName| masters::has(all, sync, name);
        let is_any = names.iter().any(|name| sync.selects(name));
        // Where no sync's patterns match, the source's preflight has said so.
        if !is_any && names.iter().any(|name| is_wanted(config, source, name)) {
            let message = format!("its patterns match no table of source \"{source}\"");
            let hint = "mend `tables`, or remove the sync";
            found.errors.push(say(message, Some(hint.to_owned())));
        }
        let singles = sync.tables.iter().filter(|pattern| !pattern.excludes());
        for name in singles.filter_map(|pattern| pattern.single()) {
            if is_any && !names.contains(&name) && !is_elsewhere(&name) {
                let message = format!("source \"{source}\" has no table {name}");
                found.errors.push(say(message, nearest(&name)));
            }
        }
        for name in sync.tables_rules.keys() {
            let is_published = report
                .tables
                .iter()
                .any(|table| table.relation.source == *name);
            let object = format!("table {name}");
            let mut findings = report.findings.iter();
            if is_published
                || findings.any(|finding| finding.object == object)
                || (!names.contains(name) && is_elsewhere(name))
            {
                continue;
            }
            found.errors.push(if names.contains(name) {
                // Silently, an `exclude` would exclude nothing.
                let message = format!(
                    "rules for {name} have no effect: it is not replicated under its own name"
                );
                let hint = "where it is a partition, give the rules to the partitioned table";
                say(message, Some(hint.to_owned()))
            } else {
                let message =
                    format!("rules are for {name}, and source \"{source}\" has no such table");
                say(message, nearest(name))
            });
        }
    }
}

/// Asks each target; what two relations share goes to `in_config`.
async fn check_targets_of(
    config: &Config,
    registry: &Registry,
    views: &[View],
    in_config: &mut Group,
) -> Vec<Group> {
    let mut by_target: BTreeMap<&String, Vec<&View>> = config
        .targets
        .keys()
        .map(|name| (name, Vec::new()))
        .collect();
    for view in views {
        by_target.entry(&view.target).or_default().push(view);
    }
    let asked = by_target.into_iter().filter_map(|(name, views)| {
        let target = &config.targets[name];
        // One that is missing, or another, is a fault of the config.
        let plugin = registry.of_target(name, target).ok()?;
        Some(async move {
            let probed = probe_views((name, target), plugin, &views, PATIENCE).await;
            (name, target, plugin, views, probed)
        })
    });
    let mut claims = Claims::default();
    let mut groups = Vec::new();
    for (name, target, plugin, views, probed) in join_all(asked).await {
        let mut group = Group::new(format!("target \"{name}\" ({})", target.plugin));
        match probed {
            Err(error) => group.errors.push(error.into()),
            Ok(Probed { report, in_the_way }) => {
                let mut objects = report.objects.as_slice();
                let mut first = 0;
                for view in views {
                    let (own, rest) = objects.split_at(view.relations.len().min(objects.len()));
                    in_config.errors.extend(claims.add(view, own));
                    let places = (first..).zip(view.relations.iter().zip(own));
                    for (_, (relation, object)) in places.filter(|(at, _)| in_the_way.contains(at))
                    {
                        rows::say(config, plugin, view, (relation, object), &mut group);
                    }
                    first += own.len();
                    objects = rest;
                }
                for finding in report.findings {
                    let shown = Error::target(format!("{}: {}", finding.object, finding.message));
                    let shown = if finding.hint.is_empty() {
                        shown
                    } else {
                        shown.hint(finding.hint)
                    };
                    match finding.is_error {
                        true => group.errors.push(shown),
                        false => group.warnings.push(shown),
                    }
                }
            }
        }
        groups.push(group);
    }
    groups
}

struct Counts {
    sources: usize,
    tables: usize,
    targets: usize,
}

/// Shows what was found, in the order in which it is best mended, and how much it is.
fn conclude(groups: Vec<Group>, counts: &Counts, output: &mut Output) -> Result<(), Faults> {
    for group in &groups {
        let text = group.render();
        if !text.is_empty() {
            output.note(text);
        }
    }
    let warnings = groups.iter().map(|group| group.warnings.len()).sum();
    let errors: Vec<Error> = groups.into_iter().flat_map(|group| group.errors).collect();
    let mut summary = if errors.is_empty() {
        let looked_at = [
            plural(counts.sources, "source"),
            plural(counts.tables, "table"),
            plural(counts.targets, "target"),
        ];
        format!("all well: {}", looked_at.join(", "))
    } else {
        let kinds = [
            (ErrorKind::Usage, "in the config"),
            (ErrorKind::Source, "of sources"),
            (ErrorKind::Target, "of targets"),
        ];
        let parts = kinds.iter().filter_map(|(kind, whose)| {
            let count = errors.iter().filter(|error| error.kind() == *kind).count();
            (count != 0).then(|| format!("{count} {whose}"))
        });
        let parts: Vec<_> = parts.collect();
        format!("{}: {}", plural(errors.len(), "fault"), parts.join(", "))
    };
    if warnings != 0 {
        let _ = write!(summary, "; {}", plural(warnings, "warning"));
    }
    output.line(summary);
    Faults::unless_empty(errors).map_err(Faults::shown)
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
