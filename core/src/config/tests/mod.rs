//! Whole files: what becomes of them, and what a person sees of their faults.

mod faults;
mod fuzz;
mod masters;
mod secrets;
mod values;

use std::path::Path;

use super::*;
use crate::{error::Faults, exit_code};

const SMALLEST: &str = r#"
[sources.shop]
url = "postgres://tahr:secret-pw@db1/shop"

[targets.cache]
plugin = "redis"

[syncs.shop]
sources = ["shop"]
targets = ["cache"]
tables = ["public.*", "!public.audit_*"]
"#;

fn variables(name: &str) -> Option<String> {
    match name {
        "PW" => Some("p$w\"\nname = \"injected\"".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Config, Faults> {
    let beside = Some(Path::new("/opt/tahr/bin"));
    Config::parse_with(Path::new("etc/tahr.toml"), text, &variables, beside, None)
}

/// The smallest config with `more` appended.
fn parse_with(more: &str) -> Result<Config, Faults> {
    parse(&format!("{SMALLEST}{more}"))
}

#[track_caller]
fn faults(text: &str) -> String {
    let faults = parse(text).expect_err("the config has no fault");
    assert_eq!(faults.exit_code(), exit_code::USAGE);
    faults.render()
}

/// Checks that the smallest config with `more` has exactly one fault, which reads `expected`.
#[track_caller]
fn one_fault(more: &str, expected: &str) {
    let shown = faults(&format!("{SMALLEST}{more}"));
    assert_eq!(shown.matches("error: ").count(), 1, "{shown}");
    assert!(shown.contains(expected), "{shown}\nlacks: {expected}");
}

/// Like [`one_fault`], for the smallest config with `from` replaced by `to`.
#[track_caller]
fn one_fault_where(from: &str, to: &str, expected: &str) {
    assert!(SMALLEST.contains(from));
    let shown = faults(&SMALLEST.replacen(from, to, 1));
    assert_eq!(shown.matches("error: ").count(), 1, "{shown}");
    assert!(shown.contains(expected), "{shown}\nlacks: {expected}");
}
